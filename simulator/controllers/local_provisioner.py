"""The local static provisioner: finds directories on nodes, offers them as volumes, and wipes what was released (8.3).

    pass of a node: released volumes ─▶ wipe ─▶ (a later pass) delete the object ─▶ find the directory anew

Each node has an instance that goes round every 10 s (VB-111). One component stands for all of them: a node's key is
queued for the next time its instance comes round, and only if there is something for it to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import (
    LocalVolumeSource,
    Node,
    NodeSelector,
    NodeSelectorTerm,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from simulator.api.meta import Key, ObjectMeta, OwnerReference
from simulator.api.selectors import NodeSelectorRequirement
from simulator.api.storage import StorageClass
from simulator.binding.names import LOCAL_PROVISIONER, PROVISIONED_BY
from simulator.binding.reference import class_of
from simulator.cluster.component import Change, Periodic, View
from simulator.flows import (
    DONE,
    Create,
    Delete,
    Done,
    Emit,
    Enqueue,
    Flow,
    Poll,
    Refused,
    Remember,
    Sleep,
    Spawn,
    Tell,
    Told,
)
from simulator.latency import Latency, constant
from simulator.units import SECOND, Micros, Quantity, format_duration

PERIOD: Final[Micros] = 10 * SECOND
HOSTNAME: Final = "kubernetes.io/hostname"
LATENCIES: Final[Mapping[str, Latency]] = {"wipe": constant(SECOND)}  # cleaning a directory
_GI: Final = 1 << 30
_MI: Final = 1 << 20
_MANY: Final = 1_000_000


class Directory(Struct, frozen=True):
    """A discovery directory: what is found below it becomes volumes of one class.

    Attributes
    ----------
    files : node → name of the file or directory found there → its size.
    host_path : where it is on each node.
    """

    storage_class: str
    files: Mapping[str, Mapping[str, Quantity]]
    host_path: str = "/mnt/disks"


class Settings(Struct, frozen=True, kw_only=True):
    """How the provisioners are set up, and what is on the disks.

    Attributes
    ----------
    absent : nodes whose instance does not run.
    uid_in_name : whether volumes are marked with the node's uid too, as by default (VB-115).
    owned : whether volumes have their node as an owner.
    labels : labels of the node that its volumes get.
    wipe_error : why directories cannot be cleaned; "" if they can.
    cleanup_after : how long after its node a claim is deleted, by the node-cleanup controller; None without one (VB-116).
    """

    directories: tuple[Directory, ...] = ()
    absent: frozenset[str] = frozenset()
    uid_in_name: bool = True
    owned: bool = False
    labels: tuple[str, ...] = ()
    wipe_error: str = ""
    cleanup_after: Micros | None = None


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

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings

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
            host = _host_of(volume)
            if host and PROVISIONED_BY in volume.metadata.annotations and (new is None or _is_over(volume)):
                return (self._next_round(view, host),)
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
        last = view.memory.rounds.get(name)
        yield Tell(Remember(Round(name)))
        if last is not None and (view.now - last) % PERIOD:
            return Done(requeue_after=PERIOD - (view.now - last) % PERIOD)
        mark = provisioner_name(node, settings)
        found = {volume.name: volume for volume in self._found(settings, node, view)}
        present = [volume for volume in view.list(PersistentVolume) if _host_of(volume) == name]
        mine = [volume for volume in present if volume.metadata.annotations.get(PROVISIONED_BY) == mark]  # VB-115
        is_busy = False
        for volume in mine:
            if volume.spec.persistent_volume_reclaim_policy != "Delete" or volume.metadata.is_terminating:
                continue  # VB-114: Retain is left alone
            if volume.status.phase == "Released":
                is_busy = True
                yield from self._clean(settings, volume, view)
            elif volume.status.phase == "Available" and volume.name not in found:
                yield Delete(volume.key, rule="VB-114")
        names = {volume.name for volume in present}
        for volume in found.values():
            if volume.name not in names:  # VB-115: be it that somebody else has that name
                yield Create(volume, "VB-113")
        return Done(requeue_after=PERIOD) if is_busy else DONE

    def _clean(self, settings: Settings, volume: PersistentVolume, view: View) -> Flow:
        """Clean in the background; a later round sees that it is done, and deletes the object (VB-114)."""
        uid, wiping = volume.metadata.uid, view.memory.wiping
        if uid not in wiping:
            yield Tell(Remember(Wiping(uid)))
            yield Tell(Spawn("wipes", volume.key, uid))
        elif wiping[uid]:
            yield Tell(Remember(Wiping(uid, None)))
            if settings.wipe_error:
                text = f'Error cleaning PV "{volume.name}": {settings.wipe_error}'
                yield Tell(Emit(volume.key, "Warning", "VolumeFailedDelete", text, LOCAL_PROVISIONER))
            else:
                yield Delete(volume.key, uid=uid, rule="VB-114")
        return DONE

    def _wipe(self, view: View) -> Flow:
        yield Sleep("wipe")
        yield Tell(Remember(Wiping(view.argument, True)))
        return DONE

    def _found(self, settings: Settings, node: Node, view: View) -> Iterable[PersistentVolume]:
        """What discovery makes of the directories of a node; a class that is missing, or recycles, makes nothing."""
        for directory in settings.directories:
            storage_class = view.get(StorageClass, directory.storage_class)
            if storage_class is None or storage_class.reclaim_policy == "Recycle":
                continue
            for file, size in directory.files.get(node.name, {}).items():
                yield volume_of(settings, node, storage_class, f"{directory.host_path}/{file}", size)

    # --- nodes that are gone ----------------------------------------------------------------------------------------

    def _clean_up(self, view: View) -> Flow:
        """Delete claims and volumes of nodes that do not come back (VB-116)."""
        delay = self._of(view).cleanup_after
        if delay is None:
            return DONE
        hosts = {node.metadata.labels.get(HOSTNAME, node.name) for node in view.list(Node)}
        doomed: dict[str, Micros] = dict(view.memory.doomed)
        orphans = [volume for volume in view.list(PersistentVolume)
                   if volume.spec.local is not None and (host := _host_of(volume)) and host not in hosts]
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
                text = (f"PVC is tied to a deleted Node. PVC will be cleaned up in {format_duration(delay)} "
                        "if the Node doesn't come back")
                yield Tell(Emit(claim.key, "Warning", "ReferencedNodeDeleted", text, LOCAL_PROVISIONER))
                yield Tell(Remember(Doomed(uid, view.now + delay)))
            elif doomed[uid] <= view.now:
                yield Tell(Remember(Doomed(uid, None)))
                answer = yield Delete(claim.key, uid=uid, rule="VB-116")
                if isinstance(answer, Refused):
                    continue
        for uid in doomed:
            if uid not in seen:
                yield Tell(Remember(Doomed(uid, None)))
        return Done(requeue_after=PERIOD) if orphans else DONE


def provisioner_name(node: Node, settings: Settings) -> str:
    """The mark by which a node's instance knows its volumes (VB-113, VB-115)."""
    name = f"{LOCAL_PROVISIONER}-{node.name}"
    return f"{name}-{node.metadata.uid}" if settings.uid_in_name else name


def volume_of(
    settings: Settings, node: Node, storage_class: StorageClass, path: str, size: Quantity
) -> PersistentVolume:
    """The volume that is made of what was found at a path (VB-112, VB-113)."""
    host = node.metadata.labels.get(HOSTNAME, node.name)
    term = NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key=HOSTNAME, operator="In", values=(host,)),))
    owner = OwnerReference(api_version="v1", kind="Node", name=node.name, uid=node.metadata.uid)
    return PersistentVolume(
        metadata=ObjectMeta(
            name=volume_name(path.rpartition("/")[2], node.name, storage_class.name),
            annotations={PROVISIONED_BY: provisioner_name(node, settings)},
            labels={name: node.metadata.labels[name] for name in settings.labels if name in node.metadata.labels},
            owner_references=(owner,) if settings.owned else (),
        ),
        spec=PersistentVolumeSpec(
            capacity={"storage": rounded(size)}, access_modes=("ReadWriteOnce",),
            persistent_volume_reclaim_policy=storage_class.reclaim_policy or "Delete",
            storage_class_name=storage_class.name, mount_options=storage_class.mount_options,
            local=LocalVolumeSource(path=path),
            node_affinity=VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,))),
        ),
    )


def volume_name(file: str, node: str, storage_class: str) -> str:
    """The name of a volume: the same again when it is found again (VB-112).

    Examples
    --------
    >>> volume_name("vol1", "node1", "local")
    'local-pv-a5a93c31'
    """
    value = 2_166_136_261
    for byte in (file + node + storage_class).encode():
        value = (value ^ byte) * 16_777_619 & 0xFFFFFFFF
    return f"local-pv-{value:x}"


def rounded(size: Quantity) -> Quantity:
    """A size in whole GiB from 10 GiB on, else in MiB from 10 MiB on (VB-113)."""
    total = size.value
    for unit, name in ((_GI, "Gi"), (_MI, "Mi")):
        if total >= 10 * unit:
            return Quantity.parse(f"{total // unit}{name}")
    return size


def _host_of(volume: PersistentVolume) -> str:
    """The hostname to which a local volume is tied; "" if it is not tied to one."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return ""
    for term in affinity.required.node_selector_terms:
        for expression in term.match_expressions:
            if expression.key == HOSTNAME and expression.operator == "In" and len(expression.values) == 1:
                return expression.values[0]
    return ""


def _is_over(volume: PersistentVolume) -> bool:
    return volume.status.phase in ("Released", "Available")


def _claim_of(volume: PersistentVolume, view: View) -> PersistentVolumeClaim | None:
    reference = volume.spec.claim_ref
    if reference is None:
        return None
    claim = view.get(PersistentVolumeClaim, reference.name, reference.namespace)
    return claim if claim is not None and claim.metadata.uid == reference.uid else None
