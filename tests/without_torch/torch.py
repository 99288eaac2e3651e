"""Stands before the real torch on the path: sweeps must run where none is installed."""

raise ImportError("torch is not installed, as far as this test goes")
