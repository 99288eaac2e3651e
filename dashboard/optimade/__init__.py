"""The structures of a store for every client that speaks OPTIMADE; extra ``optimade``."""
