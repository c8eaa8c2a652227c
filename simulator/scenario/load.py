"""From a scenario file, or bare manifests, to a `Scenario`: initial objects, timeline, latencies, expectations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec
from msgspec import Struct

from simulator.api.core import Node
from simulator.errors import ManifestError, ScenarioError
from simulator.latency import DEFAULTS, Latency, parse_latency
from simulator.manifests.load import Loaded, Manifests, load, load_plain, parse_objects
from simulator.manifests.yaml_reader import read_plain
from simulator.scenario.file import NodeGenerator, ScenarioFile, Spec, VolumeGenerator
from simulator.scenario.generators import generate_nodes, generate_volumes
from simulator.scenario.parameters import known_parameters, substitute, typed_like
from simulator.scenario.timeline import Entry, parse_timeline


class Scenario(Struct, frozen=True):
    """Everything that a run needs.

    Attributes
    ----------
    name, path : the scenario's name; its file, "" for bare manifests.
    manifests : the initial objects in order, and what was found beside them.
    parameters : effective values.
    """

    name: str
    path: str
    spec: Spec
    manifests: Manifests
    timeline: tuple[Entry, ...] = ()
    latencies: Mapping[str, Latency] = {}
    parameters: Mapping[str, Any] = {}


def load_scenario(
    sources: Sequence[str],
    settings: Mapping[str, str] | None = None,
    nodes: int | None = None,
    stdin: TextIO | None = None,
) -> Scenario:
    """Load a scenario file (or its folder), or manifests.

    Parameters
    ----------
    sources : one scenario file or its folder; or manifests: files, folders, "-" for standard input.
    settings : parameter → text, as ``--set`` gives them.
    nodes : so many nodes are added, ``node1`` … ``nodeN``.

    Raises
    ------
    ScenarioError, ManifestError
        What is wrong, where, and how to mend it.
    """
    if len(sources) == 1 and (path := _scenario_file(sources[0])) is not None:
        return _load_file(path, settings or {}, nodes)
    if settings:
        raise ScenarioError(f"--set {next(iter(settings))}: only a scenario file has parameters; these are bare manifests.")
    generated = list(generate_nodes([NodeGenerator(count=nodes)])) if nodes else []
    manifests = load(sources, stdin, before=load_plain(generated, "--nodes"))
    return Scenario(name=Path(sources[0]).stem, path="", spec=Spec(), manifests=manifests)


def _scenario_file(source: str) -> Path | None:
    """The scenario file that a source means, if it is one."""
    path = Path(source)
    if path.is_dir():
        inner = path / "scenario.yaml"
        return inner if inner.is_file() else None
    if path.suffix not in (".yaml", ".yml", ".json") or not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(4096)
    return path if b"bindsim/v" in head and b"Scenario" in head else None


def _load_file(path: Path, settings: Mapping[str, str], nodes: int | None) -> Scenario:
    where = str(path)
    documents = read_plain(where)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ScenarioError(f"{where}:1: a scenario file holds exactly one document, a mapping.")
    raw = documents[0]
    written = raw.get("spec") if isinstance(raw.get("spec"), dict) else {}
    defaults = written.get("parameters") if isinstance(written, dict) else None
    values: dict[str, Any] = dict(defaults) if isinstance(defaults, dict) else {}
    for name, text in settings.items():
        if name not in values:
            raise ScenarioError(f'{where}: "{name}" is not a parameter of this scenario. {known_parameters(name, values)}')
        values[name] = typed_like(values[name], text, name)
    raw = substitute(raw, values, where)
    try:
        file = msgspec.convert(raw, ScenarioFile)
    except msgspec.ValidationError as problem:
        raise ScenarioError(_explain(where, raw, problem)) from None
    spec = file.spec
    manifests = _initial(path, spec, nodes)
    if not manifests.objects and not spec.timeline:
        raise ScenarioError(f"{where}: no objects and no timeline. Name manifests under spec.manifests.")
    return Scenario(
        name=file.metadata.name,
        path=where,
        spec=spec,
        manifests=manifests,
        timeline=parse_timeline(spec.timeline, path),
        latencies=_latencies(spec.latency, where),
        parameters=values,
    )


def _explain(where: str, raw: Any, problem: msgspec.ValidationError) -> str:
    """The line of a field that has a wrong type or name, and what is allowed there."""
    from simulator.scenario.problems import explain

    return explain(where, raw, problem)


def _initial(path: Path, spec: Spec, nodes: int | None) -> Manifests:
    """The initial objects: manifests in order, then generated nodes and volumes."""
    sources: list[str] = []
    inline: list[Any] = []
    for item in spec.manifests:
        if isinstance(item, str):
            source = path.parent / item
            if not source.exists():
                raise ScenarioError(f'{path}: spec.manifests names "{item}", which does not exist beside the scenario.')
            sources.append(str(source))
        elif isinstance(item, dict):
            inline.append(item)
        else:
            raise ScenarioError(f"{path}: spec.manifests holds {item!r}; write a file name or an object.")
    generators = _several(spec.nodes, NodeGenerator)
    if nodes is not None:
        generators = (NodeGenerator(count=nodes),)
    generated = list(generate_nodes(generators)) + inline
    manifests = load(sources, None, before=load_plain(generated, str(path))) if sources else load_plain(generated, str(path))
    open_nodes = [
        loaded.obj.metadata.name
        for loaded in manifests.objects
        if isinstance(loaded.obj, Node)
        and not loaded.obj.spec.unschedulable
        and not any(taint.effect != "PreferNoSchedule" for taint in loaded.obj.spec.taints)
    ]
    volumes = list(generate_volumes(_several(spec.volumes, VolumeGenerator), open_nodes))
    return load_plain(volumes, str(path), before=manifests) if volumes else manifests


def _several(value: Any, kind: type) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, kind) else tuple(value)


def _latencies(written: Mapping[str, Any], where: str) -> dict[str, Latency]:
    from simulator.cluster.assembly import latency_points

    known = {**DEFAULTS, **latency_points()}
    found: dict[str, Latency] = {}
    for point, value in written.items():
        if point not in known and point.partition("/")[0] not in known:
            raise ScenarioError(f'{where}: spec.latency names "{point}"; there is {", ".join(sorted(known))}.')
        try:
            found[point] = parse_latency(value)
        except ValueError as problem:
            raise ScenarioError(f"{where}: spec.latency.{point}: {problem}.") from None
    return found


__all__ = ["Loaded", "ManifestError", "Scenario", "load_scenario", "parse_objects"]
