"""What the volume controller knows: its own cache of claims and volumes, and its other memory (VB-25, VB-27).

The controller's cache is not the one that its watches fill. A version that a watch brings is taken over when the worker
comes to its key; a version that the controller itself has written, at once. So its cache may be behind the watch, or
ahead of it, and only the difference is kept here: everything else is the view.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key, Object
from simulator.binding.reference import class_of
from simulator.binding.ties import TRACKED, Slots, insert, remove
from simulator.cluster.component import Change, View
from simulator.units import MILLISECOND, SECOND, Micros

FIRST_DELAY: Final[Micros] = 500 * MILLISECOND
LAST_DELAY: Final[Micros] = 122 * SECOND

ANY: Final = -1
"""In place of a version in `Memory.unsettled`: whichever version it is, its sync has to look."""


class Operation(Struct, frozen=True):
    """A background operation by name: under way, or not allowed again before a certain time."""

    is_running: bool
    not_before: Micros = 0
    delay: Micros = 0


class Memory(Struct):
    """The memory of the volume controller.

    Attributes
    ----------
    held : versions in its own cache that differ from what the watch has brought: older, or written by itself.
    unseen : what the watch has brought, and no worker has come to yet; not in its own cache.
    unsettled : keys whose next sync might do something; the resync leaves the others out. With each the version of the
        object that is not known to need nothing, or `ANY` if something else has changed.
    operations : background operations by name.
    buckets : for each set of access modes its volumes, as a Go map has them; None for too many.
    bucket_order : the sets of access modes, likewise.
    is_running : whether a worker has started; until then the caches are filled for the first time.
    """

    held: dict[Key, Object] = {}
    unseen: dict[Key, None] = {}
    unsettled: dict[Key, int] = {}
    operations: dict[str, Operation] = {}
    buckets: dict[str, Slots | None] = {}
    bucket_order: Slots = ()
    is_running: bool = False

    def copy(self) -> Memory:
        """A copy that shares what never changes."""
        return Memory(
            dict(self.held), dict(self.unseen), dict(self.unsettled), dict(self.operations), dict(self.buckets),
            self.bucket_order, self.is_running,
        )

    def needs_no_sync(self, change: Change) -> bool:
        """Whether the sync that a change would cause is known to do nothing, so that the key need not be queued.

        The sync of a version older than an own write is skipped (VB-25); the sync of an own write does nothing if the
        flow that wrote it has left everything in place; and the first sync of a volume that is free and Available does
        nothing (VB-74), which matters as there may be a million of them.
        """
        new = change.new
        if new is None:
            return False
        held = self.held.get(change.key)
        if held is not None:
            behind = held.metadata.resource_version - new.metadata.resource_version
            return behind > 0 or (behind == 0 and change.key not in self.unsettled)
        return not self.is_running and isinstance(new, PersistentVolume) and is_free(new)

    def allows(self, operation: str, now: Micros) -> bool:
        """Whether a background operation may start: it is not under way, and its back-off is over (VB-27)."""
        known = self.operations.get(operation)
        return known is None or not (known.is_running or now < known.not_before)


# --- what can be remembered -----------------------------------------------------------------------------------------


class Learned(Struct, frozen=True):
    """A worker has come to a key, and takes over what the watch has brought.

    Attributes
    ----------
    old, new : the object in the controller's own cache, before and after.
    touched : other keys whose sync may do something now.
    """

    key: Key
    old: Object | None
    new: Object | None
    touched: tuple[Key, ...] = ()


class Stored(Struct, frozen=True):
    """The controller has written an object; this is what the API server answered."""

    obj: Object


class Settled(Struct, frozen=True):
    """A sync of this key would do nothing, until this version of the object or its partner changes."""

    key: Key
    version: int


class Listed(Struct, frozen=True):
    """The volumes that are there when the controller starts, in its order."""

    volumes: tuple[PersistentVolume, ...]


class OperationStarted(Struct, frozen=True):
    """A background operation is under way."""

    name: str


class OperationEnded(Struct, frozen=True):
    """A background operation is over; after an error it may not start again for a while."""

    name: str
    failed: bool


def remember(memory: Memory, what: Any, now: Micros) -> None:
    """Carry out one change of the memory."""
    match what:
        case Change():
            _observed(memory, what)
        case Learned():
            _learned(memory, what)
        case Stored():
            key = what.obj.key
            memory.held[key] = what.obj
            if memory.unsettled.get(key) != ANY:  # else its partner has changed since its sync began
                memory.unsettled[key] = what.obj.metadata.resource_version
            if (partner := partner_of(what.obj)) is not None:
                memory.unsettled.setdefault(partner, ANY)
        case Settled():
            if memory.unsettled.get(what.key) == what.version:
                del memory.unsettled[what.key]
        case Listed():
            for volume in what.volumes:
                _file(memory, None, volume)
        case OperationStarted():
            known = memory.operations.get(what.name)
            memory.operations[what.name] = Operation(True, delay=known.delay if known is not None else 0)
        case OperationEnded():
            known = memory.operations.pop(what.name, None)
            if what.failed:
                delay = min(2 * known.delay, LAST_DELAY) if known is not None and known.delay else FIRST_DELAY
                memory.operations[what.name] = Operation(False, now + delay, delay)


def _observed(memory: Memory, change: Change) -> None:
    """The watch has brought a change; the controller's own cache stays as it is until the worker comes to the key."""
    key = change.key
    held = memory.held.get(key)
    if held is not None:
        if change.new is not None and change.new.metadata.resource_version == held.metadata.resource_version:
            del memory.held[key]  # the watch has caught up with the controller's own write
    elif key in memory.unseen:
        pass
    elif not memory.is_running:
        _file(memory, change.old, change.new)
    elif change.old is None:
        memory.unseen[key] = None
    else:
        memory.held[key] = change.old


def _learned(memory: Memory, learned: Learned) -> None:
    key, old, new = learned.key, learned.old, learned.new
    memory.is_running = True
    memory.held.pop(key, None)
    memory.unseen.pop(key, None)
    if new is not None:
        memory.unsettled[key] = new.metadata.resource_version
    else:
        memory.unsettled.pop(key, None)
    for touched in learned.touched:
        memory.unsettled[touched] = ANY
    if old is new:
        return
    for version in (old, new):
        if version is not None and (partner := partner_of(version)) is not None:
            memory.unsettled[partner] = ANY
    _file(memory, old, new)


def is_free(volume: PersistentVolume) -> bool:
    """Whether a volume is Available, and rightly so, whatever becomes of claims (VB-74)."""
    reference = volume.spec.claim_ref
    return volume.status.phase == "Available" and (reference is None or not reference.uid)


def partner_of(obj: Object) -> Key | None:
    """The other end of an object's pointer: the claim of a volume, the volume of a claim (VB-1)."""
    if isinstance(obj, PersistentVolume):
        reference = obj.spec.claim_ref
        return Key("PersistentVolumeClaim", reference.namespace, reference.name) if reference is not None else None
    if isinstance(obj, PersistentVolumeClaim) and obj.spec.volume_name:
        return Key("PersistentVolume", "", obj.spec.volume_name)
    return None


# --- the maps over volumes ------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def bucket_name(modes: tuple[str, ...]) -> str:
    """The name of the bucket of volumes with these access modes."""
    return ",".join(sorted(set(modes)))


def _file(memory: Memory, old: Object | None, new: Object | None) -> None:
    """Keep the order of the buckets' maps: a volume keeps its slot while it is there, bound or not."""
    before = bucket_name(old.spec.access_modes) if isinstance(old, PersistentVolume) else None
    after = bucket_name(new.spec.access_modes) if isinstance(new, PersistentVolume) else None
    if before == after:
        return
    if before is not None and old is not None:
        slots = memory.buckets.get(before)
        if slots is not None:
            slots = remove(slots, old.name)
            if slots:
                memory.buckets[before] = slots
            else:
                memory.buckets.pop(before, None)
                memory.bucket_order = remove(memory.bucket_order, before)
    if after is not None and new is not None:
        slots = memory.buckets.get(after, ())
        if slots is None:
            return
        if not slots:
            memory.bucket_order = insert(memory.bucket_order, after)
        memory.buckets[after] = insert(slots, new.name) if len(slots) < TRACKED else None


# --- reading the cache ----------------------------------------------------------------------------------------------


class OwnCache:
    """The volume controller's own cache, as its memory and its view show it."""

    __slots__ = ("_memory", "_view")

    def __init__(self, view: View) -> None:
        self._view = view
        self._memory: Memory = view.memory

    def find(self, key: Key) -> Object | None:
        """The object at a key, or None."""
        held = self._memory.held.get(key)
        if held is not None:
            return held
        return None if key in self._memory.unseen else self._view.get(key)

    def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        """The claim of that name, or None."""
        found = self.find(Key("PersistentVolumeClaim", namespace, name))
        return found if isinstance(found, PersistentVolumeClaim) else None

    def volume(self, name: str) -> PersistentVolume | None:
        """The volume of that name, or None."""
        found = self.find(Key("PersistentVolume", "", name))
        return found if isinstance(found, PersistentVolume) else None

    def volumes_of_class(self, name: str) -> list[PersistentVolume]:
        """All volumes of a class; O(volumes of the class)."""
        return self._select(self._view.by("volumes-by-class", name), lambda volume: class_of(volume) == name)

    def volumes_for(self, namespace: str, name: str) -> list[PersistentVolume]:
        """All volumes whose claimRef has a name, whatever its uid."""

        def is_for(volume: PersistentVolume) -> bool:
            reference = volume.spec.claim_ref
            return reference is not None and (reference.namespace, reference.name) == (namespace, name)

        return self._select(self._view.by("volumes-by-claim", (namespace, name)), is_for)

    def _select(
        self, watched: list[PersistentVolume], belongs: Callable[[PersistentVolume], bool]
    ) -> list[PersistentVolume]:
        """What belongs in the controller's own cache, given what belongs in the watch's."""
        held, unseen = self._memory.held, self._memory.unseen
        if not held and not unseen:
            return watched
        own = [volume for volume in watched if volume.key not in held and volume.key not in unseen]
        own += [version for version in held.values() if isinstance(version, PersistentVolume) and belongs(version)]
        return own
