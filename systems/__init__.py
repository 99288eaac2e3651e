"""The chemistry as data."""
