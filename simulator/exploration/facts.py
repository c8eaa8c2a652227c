"""What a state consists of, as facts: small tuples of tokens that say the same whatever the names, times and versions.

A token is a number or a text that stands for itself, or one of those that are looked up only when states are compared:
`Version` (is this the version that is stored now?) and `Time` (how far away is it?). Facts are found once for each
object, memory and queue, and kept, as most of them are shared by many states.

Left out are timestamps, counters, messages for people, and Kubernetes events: no controller decides by them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from fractions import Fraction
from functools import cache
from inspect import get_annotations
from typing import Any, Final, NamedTuple

from msgspec import Struct

from simulator.api.meta import Key, Object, encode_json
from simulator.cluster.component import Change
from simulator.cluster.steps import SavedRuntime, fields_of
from simulator.cluster.store import Shelf
from simulator.controllers.volume_cache import Memory as BinderMemory
from simulator.exploration.identity import ByIdentity
from simulator.scheduler.memory import Memory as SchedulerMemory
from simulator.scheduler.records import QueuedPod
from simulator.units import Quantity


class Version(NamedTuple):
    """A version of an object, by the number that the API server gave it."""

    key: Key
    number: int


class Time(NamedTuple):
    """A moment; what is past does not matter any more."""

    moment: int


class Age(NamedTuple):
    """A moment that matters for a while after it is past, since something takes place when it is long enough ago."""

    moment: int


Token = Any
Fact = tuple[Token, ...]

_NOT_TOLD: Final = re.compile(
    rb'"(?:resourceVersion|creationTimestamp|lastTransitionTime|lastPhaseTransitionTime|lastProbeTime|startTime'
    rb'|startedAt|finishedAt|renewTime|acquireTime|timeAdded|message|restartCount|path|podIP|hostIP'
    rb'|apps\.kubernetes\.io/pod-index)"'  # it is in the name too
    rb':(?:"(?:[^"\\]|\\.)*"|-?\d+|null),?'
)
_DELETION: Final = re.compile(rb'"deletionTimestamp":-?\d+')
_TEXT: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Facts:
    """Finds the facts of a state's parts.

    Parameters
    ----------
    base : the shelves that all states began with: of what has not changed since there are no facts.
    is_name : whether a text may be renamed, as it is the name of one of several equal things.
    keeps_backoff : whether it matters how often a pod was refused.
    keeps_slots : whether it matters in which order volumes came.
    keeps_idle : whether it matters what is queued of which it is known that a sync would do nothing; not where such
        a sync is taken at once, alone.
    """

    def __init__(
        self, base: Mapping[str, Shelf], is_name: Callable[[str], bool], keeps_backoff: bool, keeps_slots: bool,
        keeps_idle: bool,
    ) -> None:
        self._base = base
        self._is_name = is_name
        self._keeps_backoff = keeps_backoff
        self._keeps_slots = keeps_slots
        self._keeps_idle = keeps_idle
        self._moment: type[Time | Age] = Time
        self._shapes: dict[tuple[Token, ...], int] = {}
        self._objects: ByIdentity[Fact] = ByIdentity()
        self._shelves: ByIdentity[tuple[Fact, ...]] = ByIdentity()
        self._runtimes: ByIdentity[tuple[Fact, ...]] = ByIdentity()

    # --- objects ----------------------------------------------------------------------------------------------------

    def of_shelf(self, kind: str, shelf: Shelf) -> tuple[Fact, ...]:
        """Facts about the objects of a kind that are not as they were in the beginning."""
        known = self._shelves.get(shelf)
        if known is not None:
            return known
        base = self._base[kind].objects if kind in self._base else {}
        found: list[Fact] = [
            ("object", *self.of_object(obj)) for key, obj in shelf.objects.items() if base.get(key) is not obj
        ]
        if len(shelf.objects) < len(base) + len(found):
            found += [("gone", *key) for key in base if key not in shelf.objects]
        return self._shelves.put(shelf, tuple(found))

    def of_object(self, obj: Object) -> Fact:
        """An object: its key, its shape, and the names in it."""
        known = self._objects.get(obj)
        if known is not None:
            return known
        text = _DELETION.sub(b'"deletionTimestamp":0', _NOT_TOLD.sub(b"", encode_json(obj))).decode()
        parts = _TEXT.split(text)
        names: list[Token] = []
        for place in range(1, len(parts), 2):
            part = parts[place]
            if self._is_name(part) or UID.search(part) is not None:
                names.append(part)
                parts[place] = ""
        shape = self._shapes.setdefault(tuple(parts), len(self._shapes))
        return self._objects.put(obj, (*obj.key, shape, *names))

    def is_old(self, obj: Object) -> bool:
        """Whether an object is as it was in the beginning."""
        shelf = self._base.get(obj.KIND)
        return shelf is not None and shelf.objects.get(obj.key) is obj

    # --- components -------------------------------------------------------------------------------------------------

    def of_runtime(self, name: str, saved: SavedRuntime) -> tuple[Fact, ...]:
        """Facts about a component's memory, queues, and what its cache does not show yet."""
        known = self._runtimes.get(saved)
        if known is not None:
            return known
        found: list[Fact] = [(name, "memory", *fact) for fact in self._memory(name, saved.memory)]
        for queue, work in saved.queues.items():
            if work.ready or work.active or work.dirty or work.failures:
                ready = [key for key in work.ready if self._keeps_idle or _needs_sync(saved.memory, key)]
                order = (*self.tokens(ready), "|", *self.tokens(tuple(work.dirty)))
                if self._keeps_backoff:
                    found.append((name, "queue", queue, work.starting, *order))
                elif ready or work.dirty:
                    found.append((name, "queue", queue, *order))
                found += [(name, "active", queue, *key) for key in work.active]
                if self._keeps_backoff:
                    found += [(name, "failures", queue, *key, min(times, 18)) for key, times in work.failures.items()]
        for of_kind in saved.stale.values():
            for key, changes in of_kind.items():
                if changes:
                    tokens = (token for change in changes for token in self._change(change))
                    found.append((name, "stale", *key, *tokens))
        if saved.incarnation:
            found.append((name, "incarnation", saved.incarnation))
        return self._runtimes.put(saved, tuple(found))

    def _change(self, change: Change) -> Iterator[Token]:
        yield from self.tokens(change.old)
        yield "→"
        yield from self.tokens(change.new)

    def _memory(self, component: str, memory: Any) -> Iterator[Fact]:
        if memory is None:
            return
        if isinstance(memory, SchedulerMemory):
            yield from self._scheduler(memory)
            return
        for name in fields_of(memory):
            if name == "applied" or (name in ("buckets", "bucket_order") and not self._keeps_slots):
                continue  # what was applied follows from how far the timeline has come
            value = getattr(memory, name)
            is_time = _is_time(memory.__class__, name)
            self._moment = Age if (component, name) in _AGED or (component, "") in _AGED else Time
            if isinstance(value, dict) and name != "queue":
                for key, held in value.items():
                    yield (name, *self.tokens(key), ":", *self._held(name, key, held, is_time))
            elif value:
                yield (name, *self.tokens(value, is_time))
            self._moment = Time

    def _held(self, name: str, key: Any, held: Any, is_time: bool) -> Iterator[Token]:
        if name == "unsettled":  # the version that is not known to need nothing
            return iter(("any",) if held < 0 else (Version(key, held),))
        return self.tokens(held, is_time)

    def _scheduler(self, memory: SchedulerMemory) -> Iterator[Fact]:
        queue = memory.queue
        for name, records in (
            ("active", queue.active.sorted()), ("backoff", queue.backoff.sorted()),
            ("error", queue.error_backoff.sorted()), ("unschedulable", list(queue.unschedulable.values())),
        ):
            if self._keeps_backoff:
                if records:
                    yield (name, *(token for record in records for token in self._record(record)))
                if name != "active":
                    yield (name, "until", *(Time(queue.backoff_until(record)) for record in records))
                continue
            moments = sorted({record.timestamp for record in records})
            for record in records:  # of those that came at one moment, any may have come first
                yield (name, moments.index(record.timestamp), *self._record(record, name == "unschedulable"))
        for uid, flight in queue.in_flight.items():
            seen = queue.events[flight.position - queue.forgotten:]
            yield ("in flight", uid, *self._record(flight.record), *self.tokens(seen))
        for uid, last in queue.preempting.items():
            yield ("preempting", uid, *self.tokens(last))
        for node, pods in queue.nominator.by_node().items():
            yield ("nominated", node, *(pod.name for pod in pods))
        for key in memory.cache.assumed:
            yield ("assumed", *key, memory.cache.pods[key].spec.node_name)
        for obj in memory.assumptions.objects.values():
            yield ("laid over", *self.tokens(obj))
        for uid, is_cancelled in memory.prebinding.items():
            yield ("prebinding", uid, is_cancelled)
        if memory.start:
            yield ("start", memory.start)

    def _record(self, record: QueuedPod, waits: bool = True) -> Iterator[Token]:
        """A pod's record; why it was refused matters only as long as it waits for that to change."""
        yield from record.key
        yield Version(record.key, record.pod.metadata.resource_version)
        if self._keeps_backoff:
            yield min(record.unschedulable, 5)
            yield min(record.errors, 5)
        yield record.gate
        if not waits:
            return
        yield "|".join(sorted(record.rejectors))
        yield "|".join(sorted(record.pending))

    # --- anything ---------------------------------------------------------------------------------------------------

    def tokens(self, value: Any, is_time: bool = False) -> Iterator[Token]:
        """Any value as tokens, one after another, with marks where parts begin and end."""
        match value:
            case None | bool() | str() | float() | Version():
                yield value
            case int():
                yield self._moment(value) if is_time else value
            case Key():
                yield from value
            case Enum():
                yield value.name
            case Object():
                yield from self.of_object(value)
                yield Version(value.key, value.metadata.resource_version)
            case Quantity() | Fraction():
                yield str(value)
            case Struct():
                yield type(value).__name__
                for name in value.__struct_fields__:
                    yield from self.tokens(getattr(value, name), _is_time(type(value), name))
            case dict():
                yield "{"
                for key, held in value.items():
                    yield from self.tokens(key)
                    yield from self.tokens(held, is_time)
                yield "}"
            case frozenset() | set():
                yield from self.tokens(tuple(sorted(value, key=str)), is_time)
            case tuple() | list():
                yield "("
                for part in value:
                    yield from self.tokens(part, is_time)
                yield ")"
            case _:
                yield getattr(value, "__name__", None) or type(value).__name__


def _needs_sync(memory: Any, key: Key) -> bool:
    """Whether a sync of a key would do anything, as far as its component knows; else it may as well be over."""
    if not isinstance(memory, BinderMemory) or key.kind not in ("PersistentVolumeClaim", "PersistentVolume"):
        return True
    return key in memory.unsettled or key in memory.held or key in memory.unseen


_AGED: Final = frozenset({("pod-garbage-collector", ""), ("node-lifecycle-controller", ""), ("kubelet", "nodes")})
"""Parts of memories, by component, in which it matters how long ago something was: a quarantine, a silence."""
_DURATIONS: Final = frozenset({"delay", "duration", "every", "period", "delete_delay", "deadline", "after"})


@cache
def _is_time(kind: Any, name: str) -> bool:
    """Whether a field holds moments of simulated time: its annotation says so."""
    written = next((str(found[name]) for base in kind.__mro__ if name in (found := get_annotations(base))), "")
    return "Micros" in written and name not in _DURATIONS
