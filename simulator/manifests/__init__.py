"""Manifests in: YAML and JSON to API objects, with file and line for everything that can be said about them."""

from __future__ import annotations

from simulator.manifests.documents import Document
from simulator.manifests.load import Manifests, load
from simulator.manifests.loader import Loaded, Loader, NotSimulated, WithoutEffect, parse_object
from simulator.manifests.origin import Origin, Source, line_of
from simulator.manifests.parsed import Malformed, Parsed
from simulator.manifests.times import EPOCH, format_time, parse_time
from simulator.manifests.yaml_reader import read_yaml

__all__ = [
    "EPOCH",
    "Document",
    "Loaded",
    "Loader",
    "Malformed",
    "Manifests",
    "NotSimulated",
    "Origin",
    "Parsed",
    "Source",
    "WithoutEffect",
    "format_time",
    "line_of",
    "load",
    "parse_object",
    "parse_time",
    "read_yaml",
]
