"""Data files of the chemistry."""
