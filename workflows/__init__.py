"""Flows of a candidate, the sweep, and the managers that run it."""
