"""The header of a run's log: what was run, with what, and what was found in the input besides what is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from simulator.api.core import PersistentVolume
from simulator.scenario.initial import Initial
from simulator.scenario.load import Scenario
from simulator.version import __version__


def header_of(scenario: Scenario, seed: int, ties: str) -> dict[str, Any]:
    """Versions, seed, tie policy, inputs with digests, origins of initial objects, and notes for the report."""
    initial = scenario.initial
    return {
        "bindsim": __version__,
        "scenario": scenario.name,
        "title": scenario.spec.title,
        "parameters": dict(scenario.parameters),
        "seed": seed,
        "ties": ties,
        "inputs": [{"file": source, "sha256": sha256(Path(source).read_bytes()).hexdigest()}
                   for source in initial.files if Path(source).is_file()],
        "origins": {str(item.obj.key): str(item.origin) for item in initial.objects},
        "notSimulated": [f"{item.kind}/{item.name} ({item.origin})" for item in initial.not_simulated],
        "withoutEffect": [f"{item.field} ({item.count}x, first at {item.origin})" for item in initial.without_effect],
        "warnings": [*initial.warnings, *_dangling(initial)],
    }


def _dangling(initial: Initial) -> Iterator[str]:
    """Volumes that are tied to machines which no manifest defines."""
    nodes = {item.obj.metadata.name for item in initial.objects if item.obj.KIND == "Node"}
    for item in initial.objects:
        if not isinstance(item.obj, PersistentVolume) or item.obj.spec.node_affinity is None:
            continue
        required = item.obj.spec.node_affinity.required
        for name in (
            value
            for term in (required.node_selector_terms if required is not None else ())
            for expression in term.match_expressions
            if expression.key == "kubernetes.io/hostname" and expression.operator == "In"
            for value in expression.values
        ):
            if name not in nodes:
                yield (f'{item.origin}: PersistentVolume "{item.obj.metadata.name}" is tied to node "{name}", which no '
                       "manifest defines. Add that node, or correct nodeAffinity.")
