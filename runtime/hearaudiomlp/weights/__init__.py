"""Which model file to load, and what is in it; no pickle is ever executed."""
