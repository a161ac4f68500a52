"""A classifier of the user's own recordings, as one model file."""
