from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from simulator.scenario.schema import schema, text

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").rglob("scenario*.yaml"))


def test_the_published_schema_is_current() -> None:
    """Renew it with: python -m simulator.scenario.schema > scenarios/scenario.schema.json."""
    assert (ROOT / "scenarios" / "scenario.schema.json").read_text() == text()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_every_shipped_scenario_keeps_to_it_once_its_parameters_are_filled_in(path: Path) -> None:
    from simulator.scenario.parameters import substitute

    raw = yaml.safe_load(path.read_text())
    filled = substitute(raw, raw["spec"].get("parameters", {}), lambda field: str(path))
    jsonschema.validate(json.loads(json.dumps(filled)), schema())
