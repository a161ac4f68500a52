"""What files say about themselves: one module for each way to lay out a sound file."""
