"""The header of a run's log: what was run, with what, and what was found in the input besides what is simulated."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from simulator.scenario.load import Scenario
from simulator.version import __version__


def header_of(scenario: Scenario, seed: int, ties: str) -> dict[str, Any]:
    """Versions, seed, tie policy, inputs with digests, origins of initial objects, and notes for the report."""
    manifests = scenario.manifests
    return {
        "bindsim": __version__,
        "scenario": scenario.name,
        "title": scenario.spec.title,
        "parameters": dict(scenario.parameters),
        "seed": seed,
        "ties": ties,
        "inputs": [{"file": source, "sha256": sha256(Path(source).read_bytes()).hexdigest()}
                   for source in manifests.files if Path(source).is_file()],
        "origins": {str(item.obj.key): str(item.origin) for item in manifests.objects},
        "assumed": list(manifests.assumed),
        "notSimulated": list(manifests.not_simulated_lines),
        "withoutEffect": list(manifests.without_effect_lines),
        "warnings": list(manifests.warnings),
    }
