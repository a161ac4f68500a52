"""Voices that say words: the speech synthesizers and what they say."""
