"""Helpers of these tests: scenario files written, loaded and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from simulator.scenario.load import Scenario, load_scenario
from simulator.simulation import Run, run

POD: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "registry.example.com/web:1"}]},
}


def write(folder: Path, spec: dict[str, Any] | str) -> Path:
    """A scenario file with that spec; its ``spec:`` stands on line 4."""
    text = spec if isinstance(spec, str) else yaml.safe_dump(spec, sort_keys=False, default_flow_style=None)
    body = "".join(f"  {line}\n" for line in text.splitlines())
    path = folder / "scenario.yaml"
    path.write_text(f"apiVersion: bindsim/v1\nkind: Scenario\nmetadata: {{name: test}}\nspec:\n{body}")
    return path


def load(folder: Path, spec: dict[str, Any] | str, **settings: str) -> Scenario:
    return load_scenario([str(write(folder, spec))], settings)


def play(folder: Path, *timeline: dict[str, Any], nodes: int = 2, until: str = "", **spec: Any) -> Run:
    """Run a timeline on a few empty nodes."""
    extra = {"until": until} if until else {}
    return run(load(folder, {"nodes": {"count": nodes}, "timeline": list(timeline), **extra, **spec}))


def actions(result: Run) -> list[tuple[str, str, Any]]:
    """What was done: in whose words, to what, and what was refused."""
    return [(e.detail["action"], str(e.key), e.detail["refused"]) for e in result.log.entries
            if e.verb == "action" and e.detail]
