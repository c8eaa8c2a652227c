"""A timeline as it is carried out: each entry with its time or condition and the client's actions it means."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import normpath
from pathlib import Path
from typing import Any

from msgspec import Struct

from simulator.api.core import Taint
from simulator.api.kinds import find_kind
from simulator.api.meta import Key, decode, evolve
from simulator.assembly import control_plane
from simulator.cluster.faults import FAILED, LOST, NONE, Calls
from simulator.errors import ScenarioError
from simulator.manifests.origin import Origin, line_of
from simulator.scenario.conditions import Condition, parse_condition
from simulator.scenario.file import ACTIONS, FailCall, Read, TimelineEntry, Write
from simulator.scenario.generators import parse_taint
from simulator.scenario.initial import Initial, from_plain, from_sources, together
from simulator.scenario.kubectl import Action, Apply, Cordon, Drain, EvictPod, PatchObject, Remove, Scale, TaintNode
from simulator.units import Micros, parse_duration, quantity


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


Fault = FailNode | Restart | NeverReady | Calls | Data


class Entry(Struct, frozen=True):
    """One entry of a timeline.

    Attributes
    ----------
    at : not before this time; None for no time of its own.
    when : conditions that must hold together.
    pause : how long to wait after it.
    given : what it applies, as read.
    """

    number: int
    words: str
    at: Micros | None
    when: tuple[Condition, ...]
    actions: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()
    pause: Micros = 0
    may_fail: bool = False
    given: Initial = Initial()


def parse_timeline(entries: Sequence[TimelineEntry], path: Path, origin: Origin) -> tuple[Entry, ...]:
    """Read a timeline.

    Raises
    ------
    ScenarioError
        Which entry is wrong, and how to mend it.
    """
    parsed: list[Entry] = []
    latest = 0
    for number, entry in enumerate(entries, 1):
        try:
            read = _parse_entry(number, entry, path)
            if read.at is not None and read.at < latest:
                raise ValueError(f"at: {entry.at} is earlier than that of an entry before it; put the entries in order")
            latest = max(latest, read.at or 0)
            parsed.append(read)
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
    bare = Entry(number, named[0], at, when, may_fail=entry.may_fail)
    match named[0]:
        case "apply" | "create":
            given = _given(entry.create if named[0] == "create" else entry.apply, entry.namespace, path)
            actions = tuple(Apply(item.obj, item.raw, named[0] == "create") for item in given.objects)
            return evolve(bare, actions=actions, given=given)
        case "sleep":
            return evolve(bare, pause=parse_duration(entry.sleep))
        case "fail" | "recover" | "restart" | "never_ready" | "fail_call" | "write" | "read":
            return evolve(bare, faults=(_fault(named[0], entry),))
        case _:
            return evolve(bare, actions=_actions(named[0], entry))


def _actions(name: str, entry: TimelineEntry) -> tuple[Action, ...]:
    """What kubectl does."""
    target: Any = getattr(entry, name)
    space = entry.namespace
    match name:
        case "delete":
            targets = (target,) if isinstance(target, str) else target
            propagation = entry.cascade.capitalize()
            return tuple(Remove(_key(t, space), entry.grace, propagation, entry.force) for t in targets)
        case "scale":
            if entry.replicas is None:
                raise ValueError("scale needs replicas, such as replicas: 5")
            return (Scale(_key(target, space, "StatefulSet"), entry.replicas),)
        case "patch":
            if not isinstance(entry.to, dict):
                raise ValueError("patch needs to: with the fields to change, such as to: {spec: {replicas: 5}}")
            key = _key(target, space)
            return (PatchObject(key, entry.to, entry.type == "strategic", entry.subresource),)
        case "cordon" | "uncordon":
            return (Cordon(_node(target), name == "cordon"),)
        case "taint":
            gone = tuple(_untaint(t[:-1]) for t in entry.taints if t.endswith("-"))
            new = tuple(decode(parse_taint(t), Taint) for t in entry.taints if not t.endswith("-"))
            if not gone and not new:
                raise ValueError("taint needs taints, such as [dedicated=db:NoSchedule]")
            return (TaintNode(_node(target), new, gone),)
        case "drain":
            return (Drain(_node(target), entry.force, entry.ignore_daemonsets, entry.delete_emptydir_data),)
        case _:
            return (EvictPod(_key(target, space, "Pod"), entry.grace),)


def _fault(name: str, entry: TimelineEntry) -> Fault:
    """What happens to machines, components and data."""
    target: Any = getattr(entry, name)
    match name:
        case "fail" | "recover":
            return FailNode(_node(target).name, name == "fail")
        case "restart":
            _check_component(target)
            return Restart(target)
        case "fail_call":
            return _fail_call(target)
        case "never_ready":
            return NeverReady(tuple(_key(pod, entry.namespace, "Pod") for pod in target))
        case _:
            if name == "write":
                _check_size(target.size)
            return Data(_key(target.pod, entry.namespace, "Pod"), target)


def _fail_call(written: FailCall) -> Calls:
    if written.component:
        _check_component(written.component)
    kind = find_kind(written.kind) if written.kind else None
    if written.kind and kind is None:
        raise ValueError(f'"{written.kind}" is not a kind that is simulated')
    fate = {"failed": FAILED, "lost": LOST, "maybe": NONE}[written.answer]
    name = kind.KIND if kind is not None else ""
    return Calls(written.component, written.verb, name, written.namespace, written.name, written.times, fate)


def _check_component(name: str) -> None:
    names = [component.name for component in control_plane()]
    if name not in names:
        raise ValueError(f'"{name}" is not a component; there is {", ".join(names)}')


def _check_size(written: str) -> None:
    try:
        quantity(written)
    except ValueError:
        raise ValueError(f'"{written}" is not a size; write a number and a suffix, such as 500Mi or 1Gi') from None


def _given(target: Any, namespace: str, path: Path) -> Initial:
    """The objects that are applied."""
    parts = []
    for item in target if isinstance(target, list) else [target]:
        if isinstance(item, str):
            source = Path(normpath(path.parent / item))
            if not source.exists():
                raise ValueError(f'"{item}" does not exist beside the scenario; correct the name')
            parts.append(from_sources([str(source)], namespace=namespace))
        elif isinstance(item, dict):
            parts.append(from_plain([item], Origin(str(path), 1), namespace))
        else:
            raise ValueError(f"{item!r} is neither a file name nor an object; write one of these, or a list of them")
    if not parts:
        raise ValueError("the list is empty; name a file or write an object")
    return together(parts)


def _untaint(written: str) -> tuple[str, str]:
    key, _, effect = written.partition(":")
    return key.partition("=")[0], effect


def _node(written: str) -> Key:
    return _key(written, "", "Node")


def _may_be_namespace(word: str) -> bool:
    return word.islower() and find_kind(word) is None


def _key(written: str, namespace: str, kind: str = "") -> Key:
    """The key that KIND/NAME (or NAME, where the kind is clear) means.

    Raises
    ------
    ValueError
        If the kind is missing or unknown.
    """
    parts = written.split("/")
    if kind and (len(parts) == 1 or (len(parts) == 2 and _may_be_namespace(parts[0]))):
        parts = [kind, *parts]  # NAME or NAMESPACE/NAME, where only one kind can be meant
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError(f'"{written}" does not name an object; write KIND/NAME, such as Pod/web-0')
    struct = find_kind(parts[0])
    if struct is None:
        raise ValueError(f'"{parts[0]}" in "{written}" is not a kind that is simulated')
    if kind and kind != struct.KIND:
        raise ValueError(f'"{written}" is not a {kind}; write {kind}/NAME')
    place = (parts[1] if len(parts) == 3 else namespace or "default") if struct.NAMESPACED else ""
    return Key(struct.KIND, place, parts[-1])
