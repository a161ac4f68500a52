"""Where bytes are kept: atomic files, folders, and URLs."""
