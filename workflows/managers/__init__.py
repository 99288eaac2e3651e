"""Queues: a sweep's steps handed to an engine that runs them elsewhere, and followed there."""
