"""The objects at a moment of a run, rebuilt from its event log alone.

A log in memory hands over the objects themselves; a log read from a file gives patches, which are applied, and objects
that are decoded when somebody looks at them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from simulator.api.core import Event, EventSource, ObjectReference
from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object, ObjectMeta, decode, encode, encode_json, evolve
from simulator.cluster.indexes import INDEXES
from simulator.eventlog import CHANGES, Log, LogEntry, apply_patch
from simulator.explanation.thinning import COMBINED, Thinning
from simulator.units import HOUR, Micros

T = TypeVar("T", bound=Object)

EVENT_TTL: Final[Micros] = HOUR
"""A Kubernetes event is forgotten so long after it was last seen (WL-170)."""

EPOCH: Final = "2026-01-01T00:00:00Z"
EPOCH_NS: Final = 1_767_225_600 * 10**9
"""2026-01-01T00:00:00Z, the moment at which a run starts unless its log says otherwise, in nanoseconds since 1970."""


def _begin(epoch: str) -> Micros:
    if epoch == EPOCH:
        return 0
    from simulator.manifests.times import parse_time  # only a dump needs it

    return parse_time(epoch)


class State:
    """Objects by key at one moment; it answers what a component's view answers, and Kubernetes' plain form beside.

    Parameters
    ----------
    has_events : whether to keep the rows of Kubernetes events; those who do not look at them go without.

    Attributes
    ----------
    time : the moment.
    begin : when the run begins, in microseconds since 2026.
    """

    __slots__ = ("_combined", "_decoded", "_events", "_filed", "_has_events", "_held", "_thinning", "begin", "time")

    def __init__(self, log: Log | None = None, has_events: bool = True) -> None:
        self.time: Micros = 0
        self.begin: Micros = _begin(log.header.get("epoch", EPOCH)) if log is not None else 0
        self._has_events = has_events
        self._held: dict[str, dict[Key, Object | dict[str, Any]]] = {}
        self._decoded: dict[Key, Object] = {}
        self._events: dict[tuple[str, Key, str, str, str, str], Key] = {}
        self._combined: dict[tuple[str, Key, str, str, str], int] = {}
        self._thinning = Thinning()
        self._filed: dict[str, dict[Any, list[Object]]] = {}

    def find(self, key: Key) -> Object | None:
        """The object at a key, or None."""
        held = self._held.get(key.kind, {}).get(key)
        return self._typed(key, held) if held is not None else None

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        """The object of that kind and name, or None."""
        return self.find(Key(kind.KIND, namespace, name))  # type: ignore[return-value]

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        """All objects of a kind, oldest first; of one namespace if given. Expired events are left out."""
        found: list[Any] = [
            self._typed(key, held) for key, held in self._held.get(kind.KIND, {}).items()
            if not namespace or key.namespace == namespace
        ]
        if kind is Event:
            return [event for event in found if not self._is_expired(event)]
        return found

    def keys(self, kind: str) -> Sequence[Key]:
        """Keys of all objects of a kind, oldest first."""
        return tuple(self._held.get(kind, ()))

    def kinds(self) -> Sequence[str]:
        """Kinds that have or had objects, in order of first appearance."""
        return tuple(self._held)

    def by(self, index: str, value: Any) -> Sequence[Any]:
        """Objects that an index of `simulator.cluster.indexes` files under `value`, oldest first."""
        filed = self._filed.get(index)
        if filed is None:
            kind, values = INDEXES[index]
            filed = {}
            for obj in self.list(KINDS[kind]):
                for each in values(obj):
                    filed.setdefault(each, []).append(obj)
            self._filed[index] = filed
        return filed.get(value, ())

    def plain(self, key: Key) -> dict[str, Any] | None:
        """The object's JSON as Kubernetes has it, times still in simulated microseconds; None if there is none."""
        held = self._held.get(key.kind, {}).get(key)
        if held is None:
            return None
        body = msgspec.json.decode(encode_json(held)) if isinstance(held, Object) else held
        return {"apiVersion": KINDS[key.kind].API_VERSION, "kind": key.kind, **body}

    def apply(self, entry: LogEntry) -> Key | None:
        """Take in the next entry of the log; the key of the object that it changed, if any."""
        self.time = entry.time
        if entry.verb == "event":
            return self._record(entry) if self._has_events else None
        return self._change(entry) if entry.verb in CHANGES else None

    def _change(self, entry: LogEntry) -> Key | None:
        key = entry.key
        objects = self._held.setdefault(key.kind, {})
        if entry.old is not None or entry.new is not None:
            after: Object | dict[str, Any] | None = entry.new
        elif entry.patch is msgspec.UNSET:
            return None
        else:
            after = apply_patch(self._undecoded(objects.get(key)), entry.patch)
        self._decoded.pop(key, None)
        self._filed.clear()
        if after is not None:
            objects[key] = after
            return key
        objects.pop(key, None)
        if key.kind == "Namespace":  # WL-109: the events of a namespace go with it
            events = self._held.get("Event", {})
            for event in [event for event in events if event.namespace == key.name]:
                del events[event]
        return key

    def _record(self, entry: LogEntry) -> Key | None:
        """Make the row of a Kubernetes event, or count it once more, unless nobody would see it (WL-170)."""
        detail = entry.detail or {}
        about, count, message = entry.key, detail.get("count", 1), detail["message"]
        subject = self.find(about)
        uid = subject.metadata.uid if subject is not None and entry.actor != "taint-eviction-controller" else ""
        group = (entry.actor, about, uid, detail["type"], detail["reason"])
        same = (*group, message)
        if self._thinning.combines(*group, message, entry.time):
            same, message = (*group, COMBINED), COMBINED + message
            count = self._combined[group] = self._combined.get(group, 0) + 1
        if self._thinning.drops(*group, entry.time):
            return None
        events = self._held.setdefault("Event", {})
        known = self._events.get(same)
        if known is not None and count > 1 and isinstance(event := events.get(known), Event):
            events[known] = evolve(event, count=count, message=message, last_timestamp=entry.time)
            return known
        space = about.namespace or "default"
        if (home := self.find(Key("Namespace", "", space))) is not None and home.metadata.is_terminating:
            return None  # WL-111: an event is content too
        stamp = EPOCH_NS + (self.begin + entry.time) * 1000
        while (key := Key("Event", space, f"{about.name}.{stamp:x}")) in events:  # WL-184: named after their time
            stamp += 1
        kind = KINDS.get(about.kind)
        reference = ObjectReference(
            kind=about.kind, api_version=kind.API_VERSION if kind is not None else "", namespace=about.namespace,
            name=about.name, uid=uid,
            resource_version=subject.metadata.resource_version if subject is not None else 0,
        )
        self._events[same] = key
        events[key] = Event(
            metadata=ObjectMeta(name=key.name, namespace=space, creation_timestamp=entry.time,
                                resource_version=entry.seq + 1),
            involved_object=reference, type=detail["type"], reason=detail["reason"], message=message,
            source=EventSource(component=entry.actor), reporting_component=entry.actor, count=count,
            first_timestamp=entry.time, last_timestamp=entry.time,
        )
        return key

    def _is_expired(self, event: Event) -> bool:
        last = event.last_timestamp
        return last is not None and last + EVENT_TTL <= self.time

    def _typed(self, key: Key, held: Object | dict[str, Any]) -> Object:
        if isinstance(held, Object):
            return held
        decoded = self._decoded.get(key)
        if decoded is None:
            decoded = self._decoded[key] = decode(held, KINDS[key.kind])
        return decoded

    def _undecoded(self, held: Object | dict[str, Any] | None) -> dict[str, Any] | None:
        return encode(held) if isinstance(held, Object) else held


def state_at(log: Log, time: Micros | None = None) -> State:
    """The objects of a run at a moment.

    Parameters
    ----------
    time : everything that happened up to and at this time is in; None for the end of the log.
    """
    state = State(log)
    for entry in log.entries:
        if time is not None and entry.time > time:
            break
        state.apply(entry)
    if time is not None:
        state.time = time
    return state


def replay(log: Log, state: State | None = None) -> Iterator[tuple[LogEntry, State]]:
    """Each entry of a log, and the state once it has been taken in; the state is one object that moves on."""
    state = state if state is not None else State(log)
    for entry in log.entries:
        state.apply(entry)
        yield entry, state


def changes(
    entries: Iterable[LogEntry], state: State, kinds: Collection[str],
    wanted: Callable[[LogEntry], bool] = lambda entry: True,
) -> Iterator[tuple[LogEntry, Object | None, Object | None]]:
    """Each entry with the object before and after it, where it changed one of these kinds; `state` moves along.

    Parameters
    ----------
    wanted : entries of a log file for which this is false are not decoded, and come with two times None.
    """
    for entry in entries:
        if entry.verb not in CHANGES or entry.key.kind not in kinds:
            state.apply(entry)
            yield entry, None, None
        elif entry.old is not None or entry.new is not None:
            state.apply(entry)
            yield entry, entry.old, entry.new
        elif wanted(entry):
            old = state.find(entry.key)
            state.apply(entry)
            yield entry, old, state.find(entry.key)
        else:
            state.apply(entry)
            yield entry, None, None
