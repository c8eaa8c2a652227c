"""The header of a run's log: what was run, with what, and what was found in the input besides what is simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from simulator.api.core import Node, PersistentVolume, Pod
from simulator.api.kinds import KINDS
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import StorageClass
from simulator.cluster.admission.nodes import node_defaults
from simulator.scenario.initial import Initial, effects_of
from simulator.scenario.load import Scenario
from simulator.version import __version__


def header_of(scenario: Scenario, seed: int, ties: str) -> dict[str, Any]:
    """Versions, seed, tie policy, inputs with digests, origins of initial objects, and notes for the report."""
    initial = scenario.initial
    parts = [initial, *(entry.given for entry in scenario.timeline)]
    files = dict.fromkeys([scenario.path, *(file for part in parts for file in part.files)])
    return {
        "bindsim": __version__,
        "scenario": scenario.name,
        "title": scenario.spec.title,
        "epoch": initial.epoch,
        "parameters": dict(scenario.parameters),
        "seed": seed,
        "ties": ties,
        "inputs": [{"file": source, "sha256": sha256(Path(source).read_bytes()).hexdigest()}
                   for source in files if Path(source).is_file()],
        "origins": {str(item.obj.key): str(item.origin) for part in reversed(parts) for item in part.objects},
        "assumed": [*_assumed(initial), *_provisioners(scenario, parts)],
        "held": list(_held(initial)),
        "notSimulated": [f"{item.kind}/{item.name} ({item.origin})" for part in parts for item in part.not_simulated],
        "withoutEffect": [f"{item.field} ({item.count}x, first at {item.origin})" for item in effects_of(parts)],
        "warnings": [*(warning for part in parts for warning in part.warnings), *_dangling(parts)],
    }


def _provisioners(scenario: Scenario, parts: Sequence[Initial]) -> Iterator[str]:
    """External provisioners that classes name and the scenario does not describe."""
    described = {provisioner.name for provisioner in scenario.spec.provisioners}
    named = {
        item.obj.provisioner: None
        for part in parts
        for item in part.objects
        if isinstance(item.obj, StorageClass)
    }
    for name in named:
        if not name.startswith("kubernetes.io/") and name not in described:
            yield (f"provisioner {name}: exists, answers, has room, and its volumes can be reached from every node; "
                   "a scenario's provisioners: can say otherwise")


def _assumed(initial: Initial) -> Iterator[str]:
    """What manifests do not say: namespaces, and facts about nodes, grouped by what was assumed."""
    yield from initial.completed
    if initial.namespaces:
        yield f"namespaces that no manifest makes, taken to exist: {', '.join(initial.namespaces)}"
    groups: dict[str, list[str]] = {}
    for item in initial.objects:
        if isinstance(item.obj, Node):
            _, assumed = node_defaults(item.obj, label=not item.obj.metadata.uid)
            if assumed:
                groups.setdefault("; ".join(assumed), []).append(item.obj.metadata.name)
    for what, nodes in groups.items():
        names = ", ".join(nodes) if len(nodes) <= 8 else f"{len(nodes)} nodes"
        yield f"{names}: {what.replace(nodes[0], 'NAME') if len(nodes) > 1 else what}"


def _held(initial: Initial) -> Iterator[str]:
    """Pods of controllers that are not simulated: they keep their place, and nobody makes them again."""
    counts: dict[str, int] = {}
    for item in initial.objects:
        owner = item.obj.metadata.controller
        if isinstance(item.obj, Pod) and owner is not None and owner.kind not in KINDS:
            counts[owner.kind] = counts.get(owner.kind, 0) + 1
    for kind, count in counts.items():
        pods = "1 pod" if count == 1 else f"{count} pods"
        yield f"{pods} of kind {kind}: kept where they are, and not made again"


def _dangling(parts: Sequence[Initial]) -> Iterator[str]:
    """Volumes that are tied to machines which no manifest defines."""
    objects = [item for part in parts for item in part.objects]
    nodes = {item.obj.metadata.name for item in objects if item.obj.KIND == "Node"}
    for item in objects:
        if not isinstance(item.obj, PersistentVolume) or item.obj.spec.node_affinity is None:
            continue
        required = item.obj.spec.node_affinity.required
        for name in (
            value
            for term in (required.node_selector_terms if required is not None else ())
            for expression in term.match_expressions
            if expression.key == HOSTNAME and expression.operator == "In"
            for value in expression.values
        ):
            if name not in nodes:
                yield (f'{item.origin}: PersistentVolume "{item.obj.metadata.name}" is tied to node "{name}", which no '
                       "manifest defines. Add that node, or correct nodeAffinity.")
