"""What pods write and read: volumes with contents, the nodes' own disks, and pressure on them (WL §12).

A volume of a driver or of the network has a true size. A local volume is a directory on its node's disk unless it is
known to be a filesystem of its own: its capacity is only a number to match claims with (WL-12), and all such
directories, all emptyDirs and all containers of a node share one free space (WL-162).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume
from simulator.api.meta import Key
from simulator.api.selectors import node_selector_matches
from simulator.cluster.component import View
from simulator.controllers.kubelet.config import KubeletConfig
from simulator.controllers.kubelet.memory import ALIVE, Changed, Datum, DiskKey, KubeletMemory, Scratched, Stored, Wiped
from simulator.controllers.kubelet.sync import MONITOR, PODS, SOURCE
from simulator.controllers.kubelet.volumes import claim_of
from simulator.flows import DONE, Emit, Enqueue, Flow, Note, Remember, Tell
from simulator.scheduler.resources import EPHEMERAL_STORAGE

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
NO_SPACE = "no space left on device"
WRITTEN = "ok"


class WriteData(Struct, frozen=True):
    """A pod writes: `volume` is a volume's name in the pod, a claim, a mount path, or "" for the container's own layer.

    It is written whole or not at all. `size` is in bytes; 0 means as long as `value`.
    """

    pod: Key
    volume: str
    name: str
    value: str = ""
    size: int = 0


class ReadData(Struct, frozen=True):
    """A pod reads; see `WriteData`."""

    pod: Key
    volume: str
    name: str


class WipeData(Struct, frozen=True):
    """Somebody empties a volume by hand."""

    volume: str


class Place(Struct, frozen=True):
    """Where a pod's volume really is.

    Attributes
    ----------
    disk : None for the pod's own space, which goes with it.
    limit : bytes that fit into it; None if only the node's disk is the limit.
    on_node : whether it takes room on the node's own disk.
    """

    volume: str
    disk: DiskKey | None
    limit: int | None
    on_node: bool
    claim: str = ""
    source: str = ""


# --- where things are -----------------------------------------------------------------------------------------------


def disk_of(volume: PersistentVolume, node: str) -> DiskKey:
    """The place behind a volume: volumes of one path on one node are one place; so are volumes of one handle."""
    spec = volume.spec
    if spec.local is not None:
        return DiskKey("dir", node, spec.local.path)
    if spec.host_path is not None:
        return DiskKey("dir", node, spec.host_path.path)
    if spec.csi is not None:
        return DiskKey("csi", spec.csi.driver, spec.csi.volume_handle or volume.metadata.name)
    return DiskKey("volume", "", volume.metadata.name)


def find_place(config: KubeletConfig, pod: Pod, target: str, view: View) -> Place | str:
    """Where a pod's volume is, or why there is no such place."""
    if not target:
        return Place("", None, None, on_node=True)
    volume = _volume_named(pod, target)
    if volume is None:
        return f'the pod has no volume "{target}"'
    if volume.empty_dir is not None:
        limit = volume.empty_dir.size_limit
        in_memory = volume.empty_dir.medium == "Memory"
        size = limit.value if limit is not None and in_memory else None
        return Place(volume.name, None, size, on_node=not in_memory)
    if isinstance(volume.host_path, Mapping):
        path = str(volume.host_path.get("path", ""))
        return Place(volume.name, DiskKey("dir", pod.spec.node_name, path), None, on_node=True)
    claim_name = claim_of(pod, volume)
    if claim_name is None:
        return f'"{target}" is not a volume that can be written to'
    claim = view.get(PersistentVolumeClaim, claim_name, pod.metadata.namespace)
    found = view.get(PersistentVolume, claim.spec.volume_name) if claim is not None and claim.spec.volume_name else None
    if found is None:
        return f'claim "{claim_name}" has no volume'
    disk = disk_of(found, pod.spec.node_name)
    limit_bytes = _true_size(config, found, disk)
    on_node = disk.kind == "dir" and limit_bytes is None
    return Place(volume.name, disk, limit_bytes, on_node, claim_name, found.metadata.name)


def _volume_named(pod: Pod, target: str) -> Volume | None:
    for volume in pod.spec.volumes:
        if target in (volume.name, claim_of(pod, volume)):
            return volume
    for container in pod.spec.containers:
        for mount in container.volume_mounts:
            if mount.mount_path == target:
                return next((volume for volume in pod.spec.volumes if volume.name == mount.name), None)
    return None


def _true_size(config: KubeletConfig, volume: PersistentVolume, disk: DiskKey) -> int | None:
    """How much really fits; None for a directory on the node's disk."""
    own = config.own_filesystems.get(disk.path) if disk.kind == "dir" else None
    if own is not None:
        return own
    is_device = volume.spec.volume_mode == "Block" or (volume.spec.local is not None and volume.spec.local.fs_type)
    if disk.kind == "dir" and not is_device:
        return None
    capacity = volume.capacity
    return capacity.value if capacity is not None else None


# --- how full things are --------------------------------------------------------------------------------------------


def used(data: Mapping[str, Datum]) -> int:
    """Bytes that the data take."""
    return sum(datum.size for datum in data.values())


def capacity_of(config: KubeletConfig, node: Node) -> int:
    """Size of the node's own disk."""
    stated = node.status.capacity.get(EPHEMERAL_STORAGE)
    return stated.value if stated is not None else config.nodefs_capacity


def available(config: KubeletConfig, node: Node, view: View) -> int:
    """Free bytes on the node's own disk."""
    memory: KubeletMemory = view.memory
    name = node.metadata.name
    taken = config.nodefs_used - (config.reclaimable if memory.node(name).is_reclaimed else 0)
    for disk, data in memory.disks.items():
        if disk.kind == "dir" and disk.where == name and not _is_own(config, disk, view):
            taken += used(data)
    if memory.scratch:
        for pod in view.by("pods-by-node", name):
            taken += scratch_used(memory, pod)
    return capacity_of(config, node) - taken


def scratch_used(memory: KubeletMemory, pod: Pod) -> int:
    """Ephemeral storage of a pod: its containers' layers and emptyDirs on disk; claims do not count (WL-164)."""
    in_memory = {volume.name for volume in pod.spec.volumes
                 if volume.empty_dir is not None and volume.empty_dir.medium == "Memory"}
    mine = memory.scratch.get(pod.metadata.uid, {})
    return sum(used(data) for volume, data in mine.items() if volume not in in_memory)


def _is_own(config: KubeletConfig, disk: DiskKey, view: View) -> bool:
    if disk.path in config.own_filesystems:
        return True
    return any(
        volume.spec.local is not None and volume.spec.local.path == disk.path
        and (volume.spec.volume_mode == "Block" or volume.spec.local.fs_type)
        for volume in view.list(PersistentVolume)
    )


# --- writing and reading --------------------------------------------------------------------------------------------


def write_data(config: KubeletConfig, what: WriteData, view: View) -> Flow:
    """Write something in a pod; what came of it is in the log, as a note ``write``."""
    memory: KubeletMemory = view.memory
    pod = view.get(what.pod)
    place = _place_in(config, pod, what.volume, view)
    size = what.size or len(what.value.encode())
    datum = Datum(what.value, size)
    if isinstance(place, str) or not isinstance(pod, Pod):
        yield Tell(Note("write", what.pod, _written(what, None, size, str(place))))
        return DONE
    node = view.get(Node, pod.spec.node_name)
    data = _data_at(memory, pod, place)
    grows = size - (data[what.name].size if what.name in data else 0)
    is_full = place.limit is not None and used(data) + grows > place.limit
    if place.on_node and node is not None and grows > available(config, node, view):
        is_full = True
    outcome = _written(what, place, size, NO_SPACE if is_full else WRITTEN)
    yield Tell(Note("write", what.pod, outcome, "WL-162" if place.on_node else ""))
    if is_full:
        return DONE
    if place.disk is not None:
        yield Tell(Remember(Stored(place.disk, what.name, datum)))
    else:
        excess = _excess(memory, pod, place, grows)
        yield Tell(Remember(Scratched(pod.metadata.uid, place.volume, what.name, datum)))
        if excess:
            yield from evict(pod, excess)
    if place.on_node:
        yield Tell(Enqueue(MONITOR, Key("Node", "", pod.spec.node_name)))
    return DONE


def read_data(config: KubeletConfig, what: ReadData, view: View) -> Flow:
    """Read something in a pod; what was found is in the log, as a note ``read``."""
    pod = view.get(what.pod)
    place = _place_in(config, pod, what.volume, view)
    detail: dict[str, Any] = {"volume": what.volume, "name": what.name, "value": peek(config, what, view)}
    if isinstance(place, str):
        detail["outcome"] = place
    yield Tell(Note("read", what.pod, detail))
    return DONE


def peek(config: KubeletConfig, what: ReadData, view: View) -> str | None:
    """What a pod would read now; None if nothing of that name is there, or the pod does not run."""
    pod = view.get(what.pod)
    place = _place_in(config, pod, what.volume, view)
    if isinstance(place, str) or not isinstance(pod, Pod):
        return None
    datum = _data_at(view.memory, pod, place).get(what.name)
    return datum.value if datum is not None else None


def wipe_data(what: WipeData, view: View) -> Flow:
    """Empty a volume wherever it is."""
    volume = view.get(PersistentVolume, what.volume)
    disks = disks_of(volume, view) if volume is not None else ()
    yield Tell(Note("wipe", Key("PersistentVolume", "", what.volume), {"disks": [list(disk) for disk in disks]}))
    yield Tell(Remember(Wiped(disks)))
    for node in dict.fromkeys(disk.where for disk in disks if disk.kind == "dir"):
        yield Tell(Enqueue(MONITOR, Key("Node", "", node)))
    return DONE


def disks_of(volume: PersistentVolume, view: View) -> tuple[DiskKey, ...]:
    """Every place with data that is behind a volume; a local one has a place on each node that its affinity allows."""
    memory: KubeletMemory = view.memory
    found = []
    for disk in memory.disks:
        if disk != disk_of(volume, disk.where):
            continue
        if disk.kind == "dir":
            node = view.get(Node, disk.where)
            labels = node.metadata.labels if node is not None else {}
            affinity = volume.spec.node_affinity
            required = affinity.required if affinity is not None else None
            if node is not None and required is not None and not node_selector_matches(required, labels, None):
                continue
        found.append(disk)
    return tuple(found)


def _place_in(config: KubeletConfig, pod: Any, target: str, view: View) -> Place | str:
    if not isinstance(pod, Pod):
        return "there is no such pod"
    memory: KubeletMemory = view.memory
    work = memory.pods.get(pod.key)
    if work is None or work.uid != pod.metadata.uid or work.stage not in ALIVE or memory.node(work.node).is_dead:
        return "the pod is not running"
    return find_place(config, pod, target, view)


def _data_at(memory: KubeletMemory, pod: Pod, place: Place) -> Mapping[str, Datum]:
    if place.disk is not None:
        return memory.disks.get(place.disk, {})
    return memory.scratch.get(pod.metadata.uid, {}).get(place.volume, {})


def _written(what: WriteData, place: Place | None, size: int, outcome: str) -> dict[str, Any]:
    detail: dict[str, Any] = {"volume": what.volume, "name": what.name, "value": what.value, "size": size,
                              "outcome": outcome}
    if place is not None and place.claim:
        detail |= {"claim": place.claim, "source": place.source}
    return detail


def _excess(memory: KubeletMemory, pod: Pod, place: Place, grows: int) -> str:
    """Why the pod has to go for what it has just written into its own space (WL-167); "" if it may stay."""
    for volume in pod.spec.volumes:
        if volume.name == place.volume and volume.empty_dir is not None and volume.empty_dir.size_limit is not None:
            limit = volume.empty_dir.size_limit
            if used(_data_at(memory, pod, place)) + grows > limit.value:
                return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
    limits = [one.resources.limits[EPHEMERAL_STORAGE] for one in pod.spec.containers
              if EPHEMERAL_STORAGE in one.resources.limits]
    if limits:
        total = sum(limit.value for limit in limits)
        if scratch_used(memory, pod) + grows > total:
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {bytes_text(total)}. "
    if not place.volume:  # what is written to no volume is the first container's
        first = pod.spec.containers[0]
        own = first.resources.limits.get(EPHEMERAL_STORAGE)
        if own is not None and used(_data_at(memory, pod, place)) + grows > own.value:
            return f'Container {first.name} exceeded its local ephemeral storage limit "{own}". '
    return ""


def evict(pod: Pod, message: str) -> Iterable[Tell]:
    """Have the kubelet end a pod by itself (WL-165)."""
    yield Tell(Emit(pod.key, "Warning", "Evicted", message, SOURCE))
    yield Tell(Remember(Changed(pod.key, pod.metadata.uid, {"evicted": message})))
    yield Tell(Enqueue(PODS, pod.key))


def bytes_text(amount: int) -> str:
    """Bytes as a quantity with a binary suffix.

    Examples
    --------
    >>> bytes_text(2 << 30), bytes_text(1536), bytes_text(10)
    ('2Gi', '1536', '10')
    """
    for power, suffix in ((60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")):
        if amount and amount % (1 << power) == 0:
            return f"{amount >> power}{suffix}"
    return str(amount)
