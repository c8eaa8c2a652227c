"""Scenario files: manifests with time, variation and expectation added."""
