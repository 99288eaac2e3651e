"""Documents, stores, builders and queries."""
