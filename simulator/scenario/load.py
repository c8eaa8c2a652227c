"""From a scenario file, or bare manifests, to a `Scenario`: initial objects, timeline, latencies, expectations."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from os.path import normpath
from pathlib import Path
from typing import Any, TextIO

import msgspec
from msgspec import Struct

from simulator.assembly import LATENCIES
from simulator.controllers.kubelet import start_steps_for
from simulator.errors import ScenarioError
from simulator.latency import Latency, parse_latency
from simulator.manifests.documents import Complaint, Document, read_documents
from simulator.manifests.origin import Origin, Source, line_of
from simulator.scenario.file import FIELDS, NodeGenerator, ScenarioFile, Spec, TimelineEntry, VolumeGenerator
from simulator.scenario.generators import generate_nodes, generate_volumes
from simulator.scenario.initial import Initial, from_plain, from_sources, together, with_namespaces
from simulator.scenario.left_out import with_what_is_left_out
from simulator.scenario.parameters import known_parameters, substitute, typed_like
from simulator.scenario.timeline import Entry, parse_timeline
from simulator.units import parse_duration, quantity


class Scenario(Struct, frozen=True):
    """Everything that a run needs.

    Attributes
    ----------
    name, path : the scenario's name; its file, "" for bare manifests.
    initial : the objects that it begins with.
    parameters : effective values.
    """

    name: str
    path: str
    spec: Spec
    initial: Initial
    timeline: tuple[Entry, ...] = ()
    latencies: Mapping[str, Latency] = {}
    parameters: Mapping[str, Any] = {}


def load_scenario(
    sources: Sequence[str] | str | Path,
    settings: Mapping[str, str] | None = None,
    nodes: int | None = None,
    stdin: TextIO | None = None,
) -> Scenario:
    """Load a scenario file (or its folder), or manifests.

    Parameters
    ----------
    sources : one scenario file or its folder; or manifests: files, folders, "-" for standard input. One alone need not
        stand in a list.
    settings : parameter → text, as ``--set`` gives them.
    nodes : so many nodes are added, ``node1`` … ``nodeN``.

    Raises
    ------
    ScenarioError, ManifestError
        What is wrong, where, and how to mend it.
    """
    sources = [str(sources)] if isinstance(sources, (str, Path)) else [str(source) for source in sources]
    if not sources:
        raise ScenarioError("no input. Name a scenario, or manifests.")
    if sources == ["-"]:
        text = (stdin if stdin is not None else sys.stdin).read()
        if is_scenario(text.encode("utf-8", "surrogateescape")):
            return _load_file(Path("stdin"), settings or {}, nodes, text.encode("utf-8", "surrogateescape"))
        stdin = StringIO(text)
    found = [path for path in map(scenario_file, sources) if path is not None]
    if found and len(sources) == 1:
        return _load_file(found[0], settings or {}, nodes)
    for path in found:
        raise ScenarioError(f"{path}: a scenario file names its manifests itself. Give it alone.")
    if settings:
        name = next(iter(settings))
        raise ScenarioError(f"--set {name}: only a scenario file has parameters; these are bare manifests.")
    initial = with_what_is_left_out(with_namespaces(together([*added_nodes(nodes), from_sources(sources, stdin)])))
    for item in initial.not_simulated:
        if item.api_version.startswith("bindsim/"):
            what = "write apiVersion: bindsim/v1 and kind: Scenario, and give the file alone"
            raise ScenarioError(f"{item.origin}: {what}.")
    name = "standard input" if sources[0] == "-" else Path(sources[0]).stem
    return Scenario(name=name, path="", spec=Spec(), initial=initial)


def added_nodes(count: int | None) -> list[Initial]:
    """The nodes that ``--nodes`` asks for."""
    if count is None:
        return []
    return [from_plain(generate_nodes([NodeGenerator(count=count)]), Origin("--nodes", 1))]


def scenario_file(source: str) -> Path | None:
    """The scenario file that a source means, if it is one."""
    path = Path(source)
    try:
        if path.is_dir():
            inner = path / "scenario.yaml"
            return inner if inner.is_file() else None
        if path.suffix not in (".yaml", ".yml", ".json") or not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return None  # whoever reads it as a manifest says what is the matter
    return path if is_scenario(head) else None


def is_scenario(head: bytes) -> bool:
    """Whether a text looks like a scenario file."""
    return b"bindsim/v" in head and b"Scenario" in head


def _load_file(
    path: Path, settings: Mapping[str, str], nodes: int | None, content: bytes | None = None
) -> Scenario:
    """Load a scenario file, or the text of one; what it names stands beside it."""
    where = str(path)
    document = _read(path, content)
    origin, raw = document.origin, document.raw
    written = raw.get("spec")
    defaults = written.get("parameters") if isinstance(written, dict) else None
    values: dict[str, Any] = dict(defaults) if isinstance(defaults, dict) else {}
    for name, text in settings.items():
        if name not in values:
            hint = known_parameters(name, values)
            raise ScenarioError(f'{where}: "{name}" is not a parameter of this scenario. {hint}')
        values[name] = typed_like(values[name], text, name)
    raw = substitute(raw, values, lambda field: f"{where}:{line_of(origin, field)}")
    try:
        file = msgspec.convert(raw, ScenarioFile)
    except msgspec.ValidationError as problem:
        raise ScenarioError(_explain(origin, str(problem))) from None
    spec = file.spec
    initial = _initial(path, spec, origin, nodes)
    timeline = parse_timeline(spec.timeline, path, origin)
    if spec.until:
        try:
            parse_duration(spec.until)
        except ValueError as problem:
            raise ScenarioError(f"{where}:{line_of(origin, 'spec.until')}: spec.until: {problem}.") from None
    _check_local_provisioner(spec, origin)
    if not initial.objects and not timeline:
        raise ScenarioError(f"{where}: no objects and no timeline. Name manifests under spec.manifests.")
    return Scenario(
        name=file.metadata.name,
        path=where,
        spec=spec,
        initial=initial,
        timeline=timeline,
        latencies=_latencies(spec.latency, origin),
        parameters=values,
    )


def _check_local_provisioner(spec: Spec, origin: Origin) -> None:
    described = spec.local_provisioner
    if described is None:
        return
    try:
        for found in described.directories:
            for size in (size for files in found.files.values() for size in files.values()):
                quantity(size)
        if described.cleanup_after:
            parse_duration(described.cleanup_after)
    except ValueError as problem:
        line = line_of(origin, "spec.localProvisioner")
        raise ScenarioError(f"{origin.file}:{line}: spec.localProvisioner: {problem}.") from None


def _read(path: Path, content: bytes | None) -> Document:
    try:
        text = path.read_bytes() if content is None else content
    except OSError as problem:
        raise ScenarioError(f"{path}: {problem.strerror}. Name a file that can be read.") from None
    found = list(read_documents(Source(str(path), content), text))
    for item in found:
        if isinstance(item, Complaint):
            raise ScenarioError(item.message)
    if len(found) != 1:
        raise ScenarioError(f"{path}:1: a scenario file holds one document; this one holds {len(found)}.")
    document = found[0]
    assert isinstance(document, Document)
    if (document.api_version, document.kind) != ("bindsim/v1", "Scenario"):
        raise ScenarioError(f"{document.origin}: write apiVersion: bindsim/v1 and kind: Scenario.")
    return document


_PROBLEM = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)


_QUOTED = re.compile(r"`([^`]*)`")
_WORDS = {"object": "a mapping", "array": "a list", "str": "a text", "int": "a whole number", "float": "a number",
          "bool": "true or false", "null": "null"}


def _in_words(kind: str) -> str:
    """A type of a scenario file's field, as a reader would call it."""
    return _WORDS.get(kind, f'"{kind}"')


_IN_TIMELINE = re.compile(r"spec\.timeline\[[^\]]*\]")


def _explain(origin: Origin, problem: str) -> str:
    """A line for what the typed reading found: where, what, and what was probably meant."""
    found = _PROBLEM.fullmatch(problem)
    what, path = (found["what"], found["path"] or "") if found is not None else (problem, "")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what)
    if unknown is None:
        what = _QUOTED.sub(lambda types: " or ".join(map(_in_words, types[1].split(" | "))), what)
        return f"{origin.file}:{line_of(origin, path)}: {path or 'the scenario'}: {what}. Correct that field."
    name = unknown[1]
    known = TimelineEntry.__struct_encode_fields__ if _IN_TIMELINE.fullmatch(path) else FIELDS
    near = get_close_matches(name, known, 1)
    line = line_of(origin, f"{path}.{name}" if path else name)
    hint = f"Did you mean {near[0]}?" if near else "See the scenario's JSON Schema."
    return f'{origin.file}:{line}: {path or "the scenario"} has no field "{name}". {hint}'


def _initial(path: Path, spec: Spec, origin: Origin, nodes: int | None) -> Initial:
    """The initial objects: generated nodes, manifests in order, then generated volumes."""
    generators = _several(spec.nodes, NodeGenerator)
    parts = [_generated(generate_nodes(generators), "nodes", origin)] if nodes is None else added_nodes(nodes)
    for number, item in enumerate(spec.manifests):
        if isinstance(item, str):
            source = Path(normpath(path.parent / item))
            if not source.exists():
                line = line_of(origin, ("spec", "manifests", number))
                raise ScenarioError(f'{path}:{line}: "{item}" does not exist beside the scenario. Correct the name.')
            parts.append(from_sources([str(source)]))
        elif isinstance(item, dict):
            here = ("spec", "manifests", number)
            place = Origin(origin.file, line_of(origin, here), here, origin.line)
            parts.append(from_plain([item], place))
        else:
            line = line_of(origin, ("spec", "manifests", number))
            raise ScenarioError(f"{path}:{line}: {item!r} is neither a file name nor an object. Write one of these.")
    so_far = together(parts)
    volumes = generate_volumes(_several(spec.volumes, VolumeGenerator), so_far.open_nodes)
    return with_namespaces(together([so_far, _generated(volumes, "volumes", origin)]))


def _generated(objects: Iterable[dict[str, Any]], field: str, origin: Origin) -> Initial:
    """What a generator of the scenario file makes; it is written where the generator is."""
    here = ("spec", field)
    place = Origin(origin.file, line_of(origin, here), here, origin.line)
    try:
        return from_plain(objects, place)
    except ValueError as problem:
        raise ScenarioError(f"{place}: spec.{field}: {problem}.") from None


def _several(value: Any, kind: type) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, kind) else tuple(value)


def _latencies(written: Mapping[str, Any], origin: Origin) -> dict[str, Latency]:
    known = LATENCIES
    found: dict[str, Latency] = {}
    for point, value in written.items():
        line = line_of(origin, ("spec", "latency", point))
        if point not in known and point.partition("/")[0] not in known:
            near = get_close_matches(point, known, 1)
            hint = f'Did you mean "{near[0]}"?' if near else f"There is {', '.join(sorted(known))}."
            raise ScenarioError(f'{origin.file}:{line}: nothing takes a latency called "{point}". {hint}')
        try:
            found[point] = parse_latency(value)
        except ValueError as problem:
            raise ScenarioError(f"{origin.file}:{line}: spec.latency.{point}: {problem}.") from None
    try:
        start_steps_for(found)
    except ValueError as problem:
        raise ScenarioError(f"{origin.file}:{line_of(origin, 'spec.latency')}: spec.latency: {problem}.") from None
    return found
