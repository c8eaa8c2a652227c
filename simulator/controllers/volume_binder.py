"""The volume controller: binds claims to volumes, releases and reclaims volumes, hands claims over to provisioners.

    claims ──▶ sync_claim ──▶ bind: claimRef, volume Bound, volumeName, claim Bound     (claim_sync)
    volumes ─▶ sync_volume ─▶ phase; reclaim                                            (volume_sync)
    background operations: provision, delete, recycle                                   (provisioning, reclaim)

One worker for claims and one for volumes: two claim syncs never overlap, but a claim sync and a volume sync interleave
at every write (VB-21, ND-7). A sync looks at the controller's own cache (volume_cache), and finishes what an earlier
one left half done; nothing is rolled back. Each branch is written out, those that do nothing included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.claim_sync import Settings, sync_claim
from simulator.controllers.provisioning import (
    PROVISION,
    PROVISION_IN_TREE,
    PROVISION_IN_TREE_DISABLED,
    provision,
    provision_in_tree,
    refuse_in_tree,
)
from simulator.controllers.reclaim import DELETE, RECYCLE, delete_volume, recycle_volume
from simulator.controllers.volume_cache import Learned, Listed, Memory, OperationEnded, OwnCache, remember
from simulator.controllers.volume_sync import sync_volume
from simulator.flows import DONE, Choose, Enqueue, Flow, Poll, Remember, Tell, Told
from simulator.units import SECOND, Micros

RESYNC: Final = Key("Resync", "", "")
RESYNC_PERIOD: Final[Micros] = 15 * SECOND

_QUEUES: Final = {"PersistentVolumeClaim": "claims", "PersistentVolume": "volumes"}
_OPERATIONS: Final = {
    DELETE: delete_volume, RECYCLE: recycle_volume, PROVISION: provision, PROVISION_IN_TREE: provision_in_tree,
    PROVISION_IN_TREE_DISABLED: refuse_in_tree,
}


class VolumeBinder:
    """The component ``persistentvolume-binder``.

    Parameters
    ----------
    tie_weights : whether ties between volumes carry the weights that Kubernetes' own map order gives them. The tie
        policy decides whether they count, so they may be left out where it ignores them.
    choose_resync_order : whether the order in which a resync queues claims is a choice (ND-6); else oldest first.
    dynamic_provisioning : VB-94.
    host_path_provisioning : whether the in-tree plugin ``kubernetes.io/host-path`` makes volumes.
    """

    name = "persistentvolume-binder"
    queues: Mapping[str, int] = {"claims": 1, "volumes": 1, "resync": 1}  # VB-21
    watches = frozenset({"PersistentVolume", "PersistentVolumeClaim", "StorageClass", "Pod"})
    periodics: Sequence[Periodic] = (Periodic("resync", RESYNC_PERIOD, 0, "resync", RESYNC),)  # VB-23

    def __init__(
        self, *, tie_weights: bool = True, choose_resync_order: bool = False, dynamic_provisioning: bool = True,
        host_path_provisioning: bool = False,
    ) -> None:
        self.settings = Settings(tie_weights, dynamic_provisioning, host_path_provisioning)
        self.choose_resync_order = choose_resync_order

    def new_memory(self) -> Memory:
        """An empty cache of its own; it is filled by what is observed before the first sync."""
        return Memory()

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """A claim or volume has changed: its key is queued (VB-22). Pods, nodes and classes trigger nothing (VB-24)."""
        queue = _QUEUES.get(change.key.kind)
        if queue is None:
            return ()
        if view.memory.needs_no_sync(change):
            return (Remember(change),)
        return (Remember(change), Enqueue(queue, change.key))

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Change the cache, or note an operation."""
        remember(memory, what, now)

    def check(self, poll: Poll, view: View) -> Any:
        """The volume controller polls nothing."""
        return None

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow for a claim, a volume, the resync, or a background operation handed over by `Spawn`."""
        if queue == "claims":
            return self._claim(key, view)
        if queue == "volumes":
            return self._volume(key, view)
        if queue == "resync":
            return self._resync(view)
        return self._operation(view)

    # --- from keys to objects ---------------------------------------------------------------------------------------

    def _claim(self, key: Key, view: View) -> Flow:
        own, watched = OwnCache(view).find(key), view.get(key)
        if not isinstance(watched, PersistentVolumeClaim):
            yield Tell(Remember(Learned(key, own, None)))
            if isinstance(own, PersistentVolumeClaim) and own.spec.volume_name:
                # VB-22: only if the own copy names a volume, hence VB-81
                yield Tell(Enqueue("volumes", Key("PersistentVolume", "", own.spec.volume_name)))
            return DONE
        if own is not None and watched.metadata.resource_version < own.metadata.resource_version:
            return DONE  # VB-25: the watch is behind an own write
        reserved: tuple[Key, ...] = ()
        if own is None or own.metadata.uid != watched.metadata.uid:
            # whoever waits for a claim of this name must look again
            reserved = tuple(volume.key for volume in view.by("volumes-by-claim", (key.namespace, key.name)))
        yield Tell(Remember(Learned(key, own, watched, reserved)))
        return (yield from sync_claim(self.settings, view, watched))

    def _volume(self, key: Key, view: View) -> Flow:
        own, watched = OwnCache(view).find(key), view.get(key)
        if not isinstance(watched, PersistentVolume):
            yield Tell(Remember(Learned(key, own, None)))
            if isinstance(own, PersistentVolume) and (reference := own.spec.claim_ref) is not None:  # VB-22, VB-93
                yield Tell(Enqueue("claims", Key("PersistentVolumeClaim", reference.namespace, reference.name)))
            return DONE
        if own is not None and watched.metadata.resource_version < own.metadata.resource_version:
            return DONE  # VB-25
        yield Tell(Remember(Learned(key, own, watched)))
        return (yield from sync_volume(view, watched))

    def _resync(self, view: View) -> Flow:
        """Queue all claims, then all volumes (VB-23); those that provably need nothing are left out."""
        memory: Memory = view.memory
        if memory.is_running:
            claims = _oldest_first(view, "PersistentVolumeClaim", memory.unsettled)
            volumes = _oldest_first(view, "PersistentVolume", memory.unsettled)
        else:
            present = tuple(view.list(PersistentVolume))
            yield Tell(Remember(Listed(present)))
            claims = [claim.key for claim in view.list(PersistentVolumeClaim)]
            volumes = [volume.key for volume in present]
        while self.choose_resync_order and len(claims) > 1:
            first = yield Choose("resync", RESYNC, tuple(claims))
            claims.remove(first)
            yield Tell(Enqueue("claims", first))
        for key in claims:
            yield Tell(Enqueue("claims", key))
        for key in volumes:
            yield Tell(Enqueue("volumes", key))
        return DONE

    def _operation(self, view: View) -> Flow:
        """Run a background operation to its end; whether it failed decides when it may start again (VB-27)."""
        what = view.argument
        failed = yield from _OPERATIONS[what.run](view, what)
        yield Tell(Remember(OperationEnded(what.name, failed)))
        return DONE


def _oldest_first(view: View, kind: str, keys: Iterable[Key]) -> list[Key]:
    found = [obj for key in keys if key.kind == kind and (obj := view.get(key)) is not None]
    return [obj.key for obj in sorted(found, key=lambda obj: obj.metadata.creation_timestamp or 0)]
