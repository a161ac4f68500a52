"""What each encoder is trained for."""
