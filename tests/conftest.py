"""Tests of every folder can import the helpers that stand beside this file."""
