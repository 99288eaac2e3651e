"""Jobflow Makers: one physical step each."""
