"""Which model file is meant, and what is in it; no pickle is ever executed."""
