"""The local static provisioner: finds directories on nodes, offers them as volumes, and wipes what was released (8.3).

    pass of a node: released volumes ─▶ wipe ─▶ (a later pass) delete the object ─▶ find the directory anew

Each node has an instance that goes round every 10 s (VB-111). One component stands for all of them: a node's key is
queued for the next time its instance comes round, and only if there is something for it to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.api.storage import StorageClass
from simulator.binding.names import LOCAL_PROVISIONER, PROVISIONED_BY
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.local_volumes import (
    Settings,
    host_of,
    hostname,
    nodes_at,
    provisioner_name,
    volume_of,
)
from simulator.controllers.volume_writes import Steps
from simulator.flows import (
    DONE,
    Create,
    Delete,
    Done,
    Emit,
    Enqueue,
    Flow,
    Poll,
    Remember,
    Sleep,
    Spawn,
    Tell,
    Told,
)
from simulator.latency import Latency, constant
from simulator.units import SECOND, Micros

PERIOD: Final[Micros] = 10 * SECOND
LATENCIES: Final[Mapping[str, Latency]] = {"wipe": constant(SECOND)}  # cleaning a directory
_MANY: Final = 1_000_000


class Memory(Struct):
    """What the instances remember.

    Attributes
    ----------
    settings : if they were changed during the run.
    rounds : when each node's instance came round last.
    wiping : uid of a volume that is being cleaned → whether that is done.
    doomed : uid of a claim on a node that is gone → when it is deleted.
    """

    settings: Settings | None = None
    rounds: dict[str, Micros] = {}
    wiping: dict[str, bool] = {}
    doomed: dict[str, Micros] = {}

    def copy(self) -> Memory:
        """A copy that shares what never changes."""
        return Memory(self.settings, dict(self.rounds), dict(self.wiping), dict(self.doomed))


class Round(Struct, frozen=True):
    """A node's instance comes round."""

    node: str


class Wiping(Struct, frozen=True):
    """A volume is being cleaned, or clean (True), or forgotten (None)."""

    uid: str
    done: bool | None = False


class Doomed(Struct, frozen=True):
    """A claim is deleted at some time, or not any more (None)."""

    uid: str
    at: Micros | None


class LocalProvisioner:
    """The component ``local-volume-provisioner``, for all nodes at once."""

    name = LOCAL_PROVISIONER
    queues: Mapping[str, int] = {"nodes": _MANY, "wipes": _MANY, "cleanup": 1, "restart": 1}
    watches = frozenset({"Node", "PersistentVolume", "PersistentVolumeClaim", "StorageClass"})
    periodics: Sequence[Periodic] = ()

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else Settings()

    def new_memory(self) -> Memory:
        """Nothing is under way."""
        return Memory()

    def configure(self, settings: Settings) -> tuple[Told, ...]:
        """What to tell this component so that something changes on the disks or about the instances."""
        return (Remember(settings), Enqueue("restart", Key("Provisioner", "", self.name)))

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Queue nodes for whose instances there is something to do, each when it comes round next."""
        old, new = change.old, change.new
        if isinstance(new, Node):
            if not isinstance(old, Node) or old.metadata.uid != new.metadata.uid:
                return (Enqueue("nodes", change.key),)
        elif isinstance(old, Node):
            return (Enqueue("cleanup", self._key),) if self._of(view).cleanup_after is not None else ()
        elif change.key.kind == StorageClass.KIND:
            return tuple(self._next_round(view, node.name) for node in view.list(Node))
        elif change.key.kind == PersistentVolume.KIND:
            volume: Any = new if new is not None else old
            if PROVISIONED_BY in volume.metadata.annotations and (new is None or _is_over(volume)):
                return tuple(self._next_round(view, node.name) for node in nodes_at(host_of(volume), view))
        return ()

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Change the memory."""
        if isinstance(what, Settings):
            memory.settings = what
        elif isinstance(what, Round):
            memory.rounds[what.node] = now
        elif isinstance(what, Wiping):
            if what.done is None:
                memory.wiping.pop(what.uid, None)
            else:
                memory.wiping[what.uid] = what.done
        elif isinstance(what, Doomed):
            if what.at is None:
                memory.doomed.pop(what.uid, None)
            else:
                memory.doomed[what.uid] = what.at

    def check(self, poll: Poll, view: View) -> Any:
        """The provisioner polls nothing."""
        return None

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """A round of a node's instance, the cleaning of a volume, or a round of the node-cleanup controller."""
        if queue == "nodes":
            return self._round(key.name, view)
        if queue == "wipes":
            return self._wipe(view)
        if queue == "cleanup":
            return self._clean_up(view)
        return self._look_again(view)

    _key: Final = Key("Provisioner", "", LOCAL_PROVISIONER)

    def _of(self, view: View) -> Settings:
        changed: Settings | None = view.memory.settings
        return changed if changed is not None else self.settings

    def _next_round(self, view: View, node: str) -> Enqueue:
        """VB-111: an instance comes round every 10 s, each at times of its own (ND-30)."""
        last = view.memory.rounds.get(node)
        wait = 0 if last is None else PERIOD - (view.now - last) % PERIOD
        return Enqueue("nodes", Key("Node", "", node), wait)

    def _look_again(self, view: View) -> Flow:
        for node in view.list(Node):
            yield Tell(self._next_round(view, node.name))
        yield Tell(Enqueue("cleanup", self._key))
        return DONE

    # --- a round of a node's instance -------------------------------------------------------------------------------

    def _round(self, name: str, view: View) -> Flow:
        """First what was released, then what is found (VB-111); it comes round again while there is something to do."""
        settings, node = self._of(view), view.get(Node, name)
        if node is None or name in settings.absent:
            return DONE
        early = self._next_round(view, name).after % PERIOD
        if early:
            return Done(requeue_after=early)
        yield Tell(Remember(Round(name)))
        mark = provisioner_name(node, settings)
        found = {volume.name: volume for volume in self._found(settings, node, view)}
        host = hostname(node)
        present = [volume for volume in view.list(PersistentVolume) if host_of(volume) == host]
        mine = [volume for volume in present if volume.metadata.annotations.get(PROVISIONED_BY) == mark]  # VB-115
        is_busy = False
        for volume in mine:
            if volume.spec.persistent_volume_reclaim_policy != "Delete" or volume.metadata.is_terminating:
                continue  # VB-114: Retain is left alone
            if volume.status.phase == "Released":
                is_busy = True
                yield from _clean(settings, volume, view.memory)
            elif volume.status.phase == "Available" and volume.name not in found:
                yield Delete(volume.key, rule="VB-114")
        for volume in found.values():
            if view.get(PersistentVolume, volume.name) is None:  # VB-115: its own, or somebody else's of that name
                yield Create(volume, "VB-113")
        return Done(requeue_after=PERIOD) if is_busy else DONE

    def _wipe(self, view: View) -> Flow:
        yield Sleep("wipe")
        yield Tell(Remember(Wiping(view.argument, True)))
        return DONE

    def _found(self, settings: Settings, node: Node, view: View) -> Iterable[PersistentVolume]:
        """What discovery makes of the directories of a node; nothing for a class that is missing."""
        for directory in settings.directories:
            storage_class = view.get(StorageClass, directory.storage_class)
            if storage_class is None:
                continue
            for file, size in directory.files.get(node.name, {}).items():
                yield volume_of(settings, node, storage_class, f"{directory.host_path}/{file}", size)

    # --- nodes that are gone ----------------------------------------------------------------------------------------

    def _clean_up(self, view: View) -> Flow:
        """Delete claims and volumes of nodes that do not come back (VB-116)."""
        delay = self._of(view).cleanup_after
        if delay is None:
            return DONE
        hosts = {hostname(node) for node in view.list(Node)}
        doomed: dict[str, Micros] = dict(view.memory.doomed)
        orphans = [volume for volume in view.list(PersistentVolume)
                   if volume.spec.local is not None and (host := host_of(volume)) and host not in hosts]
        seen: list[str] = []
        for volume in orphans:
            if volume.status.phase == "Available" or (
                volume.status.phase == "Released" and volume.spec.persistent_volume_reclaim_policy == "Delete"
            ):
                yield Delete(volume.key, rule="VB-116")
                continue
            claim = _claim_of(volume, view)
            if claim is None or claim.metadata.is_terminating:
                continue
            uid = claim.metadata.uid
            seen.append(uid)
            if uid not in doomed:
                text = (f"PVC is tied to a deleted Node. PVC will be cleaned up in {_in_words(delay)} "
                        "if the Node doesn't come back")
                yield Tell(Emit(claim.key, "Warning", "ReferencedNodeDeleted", text, LOCAL_PROVISIONER))
                yield Tell(Remember(Doomed(uid, view.now + delay)))
            elif doomed[uid] <= view.now:
                yield Tell(Remember(Doomed(uid, None)))
                yield Delete(claim.key, uid=uid, rule="VB-116")
        for uid in doomed:
            if uid not in seen:
                yield Tell(Remember(Doomed(uid, None)))
        return Done(requeue_after=PERIOD) if orphans else DONE


def _clean(settings: Settings, volume: PersistentVolume, memory: Memory) -> Steps[None]:
    """Clean in the background; a later round sees that it is done, and deletes the object (VB-114)."""
    uid = volume.metadata.uid
    if uid not in memory.wiping:
        yield Tell(Remember(Wiping(uid)))
        yield Tell(Spawn("wipes", volume.key, uid))
    elif memory.wiping[uid]:
        yield Tell(Remember(Wiping(uid, None)))
        if settings.wipe_error:
            text = f'Error cleaning PV "{volume.name}": {settings.wipe_error}'
            yield Tell(Emit(volume.key, "Warning", "VolumeFailedDelete", text, LOCAL_PROVISIONER))
        else:
            yield Delete(volume.key, uid=uid, rule="VB-114")


def _in_words(delay: Micros) -> str:
    """A duration as Go prints it."""
    minutes, seconds = divmod(delay // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _is_over(volume: PersistentVolume) -> bool:
    return volume.status.phase in ("Released", "Available")


def _claim_of(volume: PersistentVolume, view: View) -> PersistentVolumeClaim | None:
    reference = volume.spec.claim_ref
    if reference is None:
        return None
    claim = view.get(PersistentVolumeClaim, reference.name, reference.namespace)
    return claim if claim is not None and claim.metadata.uid == reference.uid else None
