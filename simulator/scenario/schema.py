"""The JSON Schema of scenario files, generated from their types: ``python -m simulator.scenario.schema``."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from simulator.scenario.file import ScenarioFile


def schema() -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bindsim scenario",
        **msgspec.json.schema(ScenarioFile),
    }


def text() -> str:
    """The schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
