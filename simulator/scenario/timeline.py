"""A timeline as it is carried out: each entry with its time or condition and the client's actions it means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from simulator.api.core import Taint
from simulator.api.kinds import find_kind
from simulator.api.meta import Key, decode
from simulator.errors import ScenarioError
from simulator.manifests.origin import Origin, line_of
from simulator.scenario.conditions import Condition, parse_condition
from simulator.scenario.file import ACTIONS, Read, TimelineEntry, Write
from simulator.scenario.generators import parse_taint
from simulator.scenario.initial import from_plain, from_sources
from simulator.scenario.kubectl import Action, Apply, Cordon, Drain, EvictPod, PatchObject, Remove, Scale, TaintNode
from simulator.units import Micros, parse_duration


class FailNode(Struct, frozen=True):
    """The node's kubelet stops (or starts again)."""

    node: str
    stopped: bool


class Restart(Struct, frozen=True):
    """A component loses its memory."""

    component: str


class NeverReady(Struct, frozen=True):
    """These pods run, but do not become ready."""

    pods: tuple[Key, ...]


class Data(Struct, frozen=True):
    """A pod writes or reads."""

    pod: Key
    what: Write | Read


Fault = FailNode | Restart | NeverReady | Data


class Entry(Struct, frozen=True):
    """One entry of a timeline.

    Attributes
    ----------
    at : not before this time; None for no time of its own.
    when : conditions that must hold together.
    pause : how long to wait after it.
    """

    number: int
    words: str
    at: Micros | None
    when: tuple[Condition, ...]
    actions: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()
    pause: Micros = 0
    may_fail: bool = False


def parse_timeline(entries: Sequence[TimelineEntry], path: Path, origin: Origin) -> tuple[Entry, ...]:
    """Read a timeline.

    Raises
    ------
    ScenarioError
        Which entry is wrong, and how to mend it.
    """
    parsed = []
    for number, entry in enumerate(entries, 1):
        try:
            parsed.append(_parse_entry(number, entry, path))
        except ValueError as problem:
            line = line_of(origin, ("spec", "timeline", number - 1))
            raise ScenarioError(f"{path}:{line}: timeline entry {number}: {problem}.") from None
    return tuple(parsed)


def _parse_entry(number: int, entry: TimelineEntry, path: Path) -> Entry:
    named = [name for name in ACTIONS if getattr(entry, name) not in (None, "", ())]
    if len(named) != 1:
        what = "no action" if not named else "more than one action (" + ", ".join(named) + ")"
        raise ValueError(f"{what}; give exactly one of {', '.join(ACTIONS)}")
    at = parse_duration(entry.at) if entry.at else None
    when = parse_condition(entry.when, entry.namespace) if entry.when else ()
    actions, faults, pause = _meaning(named[0], entry, path)
    return Entry(number, named[0], at, when, actions, faults, pause, entry.may_fail)


def _meaning(name: str, entry: TimelineEntry, path: Path) -> tuple[tuple[Action, ...], tuple[Fault, ...], Micros]:
    target: Any = getattr(entry, name)
    space = entry.namespace
    match name:
        case "apply" | "create":
            return _applied(target, entry, path, name == "create"), (), 0
        case "delete":
            targets = (target,) if isinstance(target, str) else target
            propagation = entry.cascade.capitalize()
            return tuple(Remove(_key(t, space), entry.grace, propagation, entry.force) for t in targets), (), 0
        case "scale":
            if entry.replicas is None:
                raise ValueError("scale needs replicas")
            return (Scale(_key(target, space), entry.replicas),), (), 0
        case "patch":
            if not isinstance(entry.to, dict):
                raise ValueError("patch needs to: with the fields to change")
            return (PatchObject(_key(target, space), entry.to, entry.type == "strategic"),), (), 0
        case "cordon" | "uncordon":
            return (Cordon(_node(target), name == "cordon"),), (), 0
        case "taint":
            gone = tuple(_untaint(t[:-1]) for t in entry.taints if t.endswith("-"))
            new = tuple(decode(parse_taint(t), Taint) for t in entry.taints if not t.endswith("-"))
            if not gone and not new:
                raise ValueError("taint needs taints, such as [dedicated=db:NoSchedule]")
            return (TaintNode(_node(target), new, gone),), (), 0
        case "drain":
            drain = Drain(_node(target), entry.force, entry.ignore_daemonsets, entry.delete_emptydir_data)
            return (drain,), (), 0
        case "evict":
            return (EvictPod(_key(target, space, "Pod"), entry.grace),), (), 0
        case "fail" | "recover":
            return (), (FailNode(_node(target).name, name == "fail"),), 0
        case "restart":
            return (), (Restart(target),), 0
        case "never_ready":
            return (), (NeverReady(tuple(_key(pod, space, "Pod") for pod in target)),), 0
        case "write" | "read":
            return (), (Data(_key(target.pod, space, "Pod"), target),), 0
        case _:
            return (), (), parse_duration(target)


def _applied(target: Any, entry: TimelineEntry, path: Path, create_only: bool) -> tuple[Action, ...]:
    actions: list[Action] = []
    for item in target if isinstance(target, list) else [target]:
        if isinstance(item, str):
            source = path.parent / item
            if not source.exists():
                raise ValueError(f'"{item}" does not exist beside the scenario')
            initial = from_sources([str(source)], namespace=entry.namespace)
        elif isinstance(item, dict):
            initial = from_plain([item], Origin(str(path), 1), entry.namespace)
        else:
            raise ValueError(f"{item!r} is neither a file name nor an object")
        actions.extend(Apply(loaded.obj, loaded.raw, create_only) for loaded in initial.objects)
    return tuple(actions)


def _untaint(written: str) -> tuple[str, str]:
    key, _, effect = written.partition(":")
    return key.partition("=")[0], effect


def _node(written: str) -> Key:
    return _key(written, "", "Node")


def _key(written: str, namespace: str, kind: str = "") -> Key:
    """The key that KIND/NAME (or NAME, where the kind is clear) means.

    Raises
    ------
    ValueError
        If the kind is missing or unknown.
    """
    parts = written.split("/")
    if len(parts) == 1 and kind:
        parts = [kind, written]
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f'"{written}" does not name an object; write KIND/NAME, such as Pod/web-0')
    struct = find_kind(parts[0])
    if struct is None:
        raise ValueError(f'"{parts[0]}" in "{written}" is not a kind that is simulated')
    if kind and struct.KIND != kind:
        raise ValueError(f'"{written}" must be a {kind}')
    place = (parts[1] if len(parts) == 3 else namespace or "default") if struct.NAMESPACED else ""
    return Key(struct.KIND, place, parts[-1])
