"""What becomes of a volume whose claim is gone: kept, deleted or recycled (section 7.1), as background operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from simulator.api.core import PersistentVolume
from simulator.api.meta import Object, with_meta
from simulator.api.storage import StorageClass
from simulator.binding.names import MIGRATED_TO, PROTECTS_IN_TREE_ASSET, PROVISIONED_BY
from simulator.cluster.component import View
from simulator.controllers.volume_cache import Memory, OperationStarted, OwnCache, Settled, Stored
from simulator.controllers.volume_writes import Steps, emit, unbound, volume_phase
from simulator.flows import DONE, Delete, Get, Outcome, Refused, Remember, Retry, Sleep, Spawn, Tell, Update
from simulator.latency import Latency, constant
from simulator.units import MILLISECOND, SECOND

IN_TREE: Final = "kubernetes.io/"
HOST_PATH: Final = "kubernetes.io/host-path"
NFS: Final = "kubernetes.io/nfs"

DELETE: Final = "delete"
RECYCLE: Final = "recycle"

LATENCIES: Final[Mapping[str, Latency]] = {
    "operation": constant(2 * MILLISECOND),  # from a background operation's last write to its end
    "recycle": constant(10 * SECOND),  # a recycler's pod
}
"""How long background operations of the volume controller take."""

_DELETABLE_PATH: Final = re.compile(r"/tmp/.+")


class Background(Struct, frozen=True):
    """What a background operation is handed.

    Attributes
    ----------
    name : two operations of one name never run together (VB-27).
    run : provision, provision-in-tree, delete or recycle.
    subject : the claim or volume, as the sync that started the operation saw it.
    storage_class : for provisioning.
    """

    name: str
    run: str
    subject: Object
    storage_class: StorageClass | None = None


class Deleter(Struct, frozen=True):
    """Who deletes what is behind a volume: an in-tree plugin, somebody outside, or nobody.

    Attributes
    ----------
    plugin : the in-tree plugin; "" if it is left to somebody outside (VB-88).
    error : why there is nobody.
    """

    plugin: str = ""
    error: str = ""


def start(view: View, operation: Background) -> Steps[None]:
    """Start a background operation, unless one of that name is under way or backing off (VB-27)."""
    memory: Memory = view.memory
    if memory.allows(operation.name, view.now):
        yield Tell(Remember(OperationStarted(operation.name)))
        yield Tell(Spawn("operations", operation.subject.key, operation))


def reclaim(view: View, volume: PersistentVolume) -> Steps[Outcome]:
    """Do what a released volume's policy says; asked on every sync of it (VB-76)."""
    policy = volume.spec.persistent_volume_reclaim_policy
    if MIGRATED_TO in volume.metadata.annotations or policy == "Retain":  # VB-82, VB-83
        yield Tell(Remember(Settled(volume.key, volume.metadata.resource_version)))
        return DONE
    elif policy == "Recycle":  # VB-85
        yield from start(view, Background(f"recycle-{volume.name}[{volume.metadata.uid}]", RECYCLE, volume))
        return DONE
    elif policy == "Delete":
        deleter = deleter_of(volume)
        is_external = not deleter.plugin and not deleter.error
        if is_external or (deleter.error and volume.status.phase == "Failed"):
            # VB-88: the operation leaves it to somebody outside. VB-89: it fails once more, and writes nothing twice
            yield Tell(Remember(Settled(volume.key, volume.metadata.resource_version)))
            return DONE
        else:
            yield from start(view, Background(f"delete-{volume.name}[{volume.metadata.uid}]", DELETE, volume))
            return DONE
    else:  # VB-92
        return (yield from fail(volume, "VolumeUnknownReclaimPolicy",
                                "Volume has unrecognized PersistentVolumeReclaimPolicy", "VB-92"))


def deleter_of(volume: PersistentVolume) -> Deleter:
    """Who deletes what is behind a volume (VB-86, VB-87)."""
    provisioner = volume.metadata.annotations.get(PROVISIONED_BY, "")
    if provisioner:
        if provisioner == HOST_PATH:
            return Deleter(HOST_PATH)
        if provisioner == NFS:
            return Deleter(error="no deletable volume plugin matched")
        if provisioner.startswith(IN_TREE):
            return Deleter(error=f"no volume plugin matched name: {provisioner}")  # VB-90
        return Deleter()
    if MIGRATED_TO in volume.metadata.annotations or volume.spec.csi is not None:
        return Deleter()
    if volume.spec.host_path is not None:
        return Deleter(HOST_PATH)
    why = "no deletable volume plugin matched" if volume.spec.nfs is not None else "no volume plugin matched"
    return Deleter(error=f'error getting deleter volume plugin for volume "{volume.name}": {why}')  # VB-89, VB-90


def delete_volume(view: View, operation: Background) -> Steps[bool]:
    """The background operation of policy Delete; returns whether it has to back off."""
    volume = operation.subject
    assert isinstance(volume, PersistentVolume)
    newest = yield Get(volume.key)
    if newest is None or not is_released(view, newest):  # VB-91, ND-26
        return False
    deleter = deleter_of(volume)
    if deleter.error:  # VB-89: tried again with every sync, without back-off
        yield from fail(volume, "VolumeFailedDelete", deleter.error, "VB-89")
        return False
    path = volume.spec.host_path.path if volume.spec.host_path is not None else ""
    if not _DELETABLE_PATH.fullmatch(path):  # VB-90
        error = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        yield from fail(volume, "VolumeFailedDelete", error, "VB-90")
        return True
    kept = tuple(name for name in newest.metadata.finalizers if name != PROTECTS_IN_TREE_ASSET)
    if kept != newest.metadata.finalizers:
        answer = yield Update(with_meta(newest, finalizers=kept), "VB-91")
        if isinstance(answer, Refused):
            return True
        yield Tell(Remember(Stored(answer)))
    yield Delete(volume.key, rule="VB-91")  # if this is refused, the next sync tries again
    return False


def recycle_volume(view: View, operation: Background) -> Steps[bool]:
    """The background operation of policy Recycle (VB-85); it never backs off."""
    volume = yield Get(operation.subject.key)
    if volume is None or not is_released(view, volume):
        return False
    reference = volume.spec.claim_ref
    users = [
        f"{pod.namespace}/{pod.name}" for pod in view.by("pods-by-claim", (reference.namespace, reference.name))
        if pod.status.phase not in ("Succeeded", "Failed")
    ]
    if users and OwnCache(view).claim(reference.namespace, reference.name) is None:
        yield emit(volume.key, "Normal", "VolumeFailedRecycle", f"Volume is used by pods: {','.join(users)}")
        return False
    if volume.spec.host_path is None and volume.spec.nfs is None:  # VB-87
        yield from fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!", "VB-85")
        return False
    yield Sleep("recycle")
    yield emit(volume.key, "Normal", "VolumeRecycled", "Volume recycled")
    yield from unbind(volume)  # if this is refused, the next sync recycles again
    return False


def is_released(view: View, volume: PersistentVolume) -> bool:
    """Whether a volume, read just now, still has a claimRef whose claim is gone or bound elsewhere."""
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        return False
    claim = OwnCache(view).claim(reference.namespace, reference.name)
    if claim is None or claim.metadata.uid != reference.uid:
        return True
    return claim.spec.volume_name not in ("", volume.name)


def fail(volume: PersistentVolume, reason: str, message: str, rule: str) -> Steps[Outcome]:
    """A volume that cannot be reclaimed is Failed; the event goes with the change of phase (VB-5)."""
    write = volume_phase(volume, "Failed", message, rule)
    if write is None:
        return DONE
    answer = yield write
    if isinstance(answer, Refused):
        return Retry(str(answer))
    yield Tell(Remember(Stored(answer)))
    yield emit(volume.key, "Warning", reason, message)
    return DONE


def unbind(volume: PersistentVolume) -> Steps[Outcome]:
    """Take the pointer back, then the phase (VB-72)."""
    answer = yield unbound(volume)
    if isinstance(answer, Refused):
        return Retry(str(answer))
    yield Tell(Remember(Stored(answer)))
    write = volume_phase(answer, "Available", rule="VB-72")
    if write is None:
        return DONE
    answer = yield write
    if isinstance(answer, Refused):
        return Retry(str(answer))
    yield Tell(Remember(Stored(answer)))
    return DONE

