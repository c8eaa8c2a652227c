"""Helpers for tests: ours, and other people's."""
