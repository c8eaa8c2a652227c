"""The volume controller: binds claims to volumes, releases and reclaims volumes, hands claims over to provisioners.

    claims ──▶ sync_claim ──▶ bind: claimRef, volume Bound, volumeName, claim Bound     (here)
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
from simulator.api.meta import Key, evolve
from simulator.api.storage import StorageClass
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE
from simulator.binding.reference import (
    Tier,
    class_of,
    default_class,
    has_class,
    is_delayed,
    refers,
    suitability,
    volumes_for_claim,
)
from simulator.binding.ties import go_map_weights
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.provisioning import (
    PROVISION,
    PROVISION_IN_TREE,
    PROVISION_IN_TREE_DISABLED,
    provision,
    provision_claim,
    provision_in_tree,
    refuse_in_tree,
)
from simulator.controllers.reclaim import DELETE, RECYCLE, delete_volume, recycle_volume
from simulator.controllers.volume_cache import (
    Learned,
    Listed,
    Memory,
    OperationEnded,
    OwnCache,
    Settled,
    Stored,
    bucket_name,
    remember,
)
from simulator.controllers.volume_sync import sync_volume
from simulator.controllers.volume_writes import (
    Steps,
    claim_bound,
    claim_phase,
    claim_ref,
    emit,
    volume_bound,
    volume_name,
)
from simulator.flows import DONE, Choose, Enqueue, Flow, Outcome, Poll, Refused, Remember, Retry, Tell, Told, Update
from simulator.units import SECOND, Micros

RESYNC: Final = Key("Resync", "", "")
RESYNC_PERIOD: Final[Micros] = 15 * SECOND

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
        self.tie_weights = tie_weights
        self.choose_resync_order = choose_resync_order
        self.dynamic_provisioning = dynamic_provisioning
        self.host_path_provisioning = host_path_provisioning

    def new_memory(self) -> Memory:
        """An empty cache of its own; it is filled by what is observed before the first sync."""
        return Memory()

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """A claim or volume has changed: its key is queued (VB-22). Pods, nodes and classes trigger nothing (VB-24)."""
        if change.key.kind == "PersistentVolumeClaim":
            return (Remember(change), Enqueue("claims", change.key))
        if change.key.kind == "PersistentVolume":
            return (Remember(change), Enqueue("volumes", change.key))
        return ()

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
        return (yield from sync_claim(self, view, watched))

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


# --- claim sync (section 5) -----------------------------------------------------------------------------------------


def sync_claim(binder: VolumeBinder, view: View, claim: PersistentVolumeClaim) -> Steps[Outcome]:
    """Decide what to do with a claim; its phase plays no part in it (VB-45)."""
    if BIND_COMPLETED not in claim.metadata.annotations:
        if not claim.spec.volume_name:
            return (yield from _sync_free_claim(binder, view, claim))
        else:
            return (yield from _sync_claim_with_volume_name(view, claim))
    else:
        return (yield from _sync_bound_claim(view, claim))


def _sync_free_claim(binder: VolumeBinder, view: View, claim: PersistentVolumeClaim) -> Steps[Outcome]:
    """The claim takes any volume that fits (section 5.1)."""
    name = class_of(claim)
    storage_class = view.get(StorageClass, name) if name else None
    if storage_class is not None and storage_class.volume_binding_mode is None:  # VB-46
        return Retry(f'VolumeBindingMode not set for StorageClass "{name}"')
    delay = is_delayed(storage_class)  # VB-46, VB-47
    cache = OwnCache(view)
    candidates = cache.volumes_for(claim.namespace, claim.name)
    if not delay:  # VB-49: only reserved volumes can match a claim that waits
        known = {volume.name for volume in candidates}
        candidates = candidates + [volume for volume in cache.volumes_of_class(name) if volume.name not in known]
    tiers = volumes_for_claim(claim, candidates, delay=delay)
    if tiers:  # VB-48
        volume = yield from _one_of(binder, view.memory, claim, tiers)
        return (yield from bind(claim, volume))

    if not has_class(claim):  # VB-50, VB-51
        chosen = default_class(view.list(StorageClass))
        if chosen is not None:
            defaulted = evolve(claim, spec=evolve(claim.spec, storage_class_name=chosen.name))
            answer = yield Update(defaulted, "VB-50")
            if isinstance(answer, Refused):
                return Retry(f'can\'t update PersistentVolumeClaim["{claim.namespace}/{claim.name}"]: {answer}')
            yield Tell(Remember(Stored(answer)))
            return DONE  # the update comes back as an event and starts over
        else:
            pass  # no default: the claim stays without a class

    if delay and SELECTED_NODE not in claim.metadata.annotations:  # VB-52
        reason, message = _who_is_waited_for(view, claim)
        yield emit(claim.key, "Normal", reason, message)
    elif name:  # VB-54
        return (yield from provision_claim(
            view, claim, storage_class, dynamic=binder.dynamic_provisioning, host_path=binder.host_path_provisioning,
        ))
    else:  # VB-55
        yield emit(claim.key, "Normal", "FailedBinding",
                   "no persistent volumes available for this claim and no storage class is set")
    return (yield from _set_pending(claim, "VB-56"))


def _one_of(
    binder: VolumeBinder, memory: Memory, claim: PersistentVolumeClaim, tiers: tuple[Tier, ...]
) -> Steps[PersistentVolume]:
    """One of several equally good volumes: first the bucket (ND-3), then the volume (ND-1, ND-2).

    The weights are those that Kubernetes' own map order gives (simulator.binding.ties); not every tie policy uses them.
    """
    tier = tiers[0]
    if len(tiers) > 1:
        buckets = {Key("AccessModes", "", bucket_name(tier.modes)): tier for tier in tiers}
        slots = memory.bucket_order if binder.tie_weights else ()
        names = [key.name for key in buckets]
        tier = buckets[(yield Choose("volume-bucket", claim.key, tuple(buckets), _weights(names, slots)))]
    if len(tier.volumes) == 1:
        return tier.volumes[0]
    slots = memory.buckets.get(bucket_name(tier.modes)) or ()
    place = {name: position for position, name in enumerate(slots)}
    tied = sorted(tier.volumes, key=lambda volume: place.get(volume.name, len(place)))
    options = {volume.key: volume for volume in tied}
    weights = _weights([volume.name for volume in tied], slots) if binder.tie_weights else None
    return options[(yield Choose("volume", claim.key, tuple(options), weights))]


def _weights(names: Sequence[str], slots: Sequence[str | None]) -> tuple[int, ...] | None:
    if any(name not in slots for name in names):
        return None
    return go_map_weights([slots.index(name) for name in names], len(slots))


def _who_is_waited_for(view: View, claim: PersistentVolumeClaim) -> tuple[str, str]:
    """The event of a claim that waits for its consumer: is there a pod, which ones? (VB-52, VB-53, ND-29)."""
    pods = [
        pod.name for pod in view.by("pods-by-claim", (claim.namespace, claim.name))
        if not pod.spec.node_name and pod.status.phase not in ("Succeeded", "Failed")
    ]
    if not pods:
        return "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
    if len(pods) == 1:
        return "WaitForPodScheduled", f"waiting for pod {pods[0]} to be scheduled"
    return "WaitForPodScheduled", f"waiting for pods {','.join(pods)} to be scheduled"


def _sync_claim_with_volume_name(view: View, claim: PersistentVolumeClaim) -> Steps[Outcome]:
    """The claim asks for one volume by name; binding mode and selector play no part in it (section 5.2)."""
    volume = OwnCache(view).volume(claim.spec.volume_name)
    if volume is None:  # VB-57: not there yet
        return (yield from _set_pending(claim, "VB-57"))
    elif volume.spec.claim_ref is None:
        mismatch = suitability(volume, claim)
        if mismatch is not None:  # VB-59
            yield emit(claim.key, "Warning", "VolumeMismatch",
                       f'Cannot bind to requested volume "{volume.name}": {mismatch}')
            return (yield from _set_pending(claim, "VB-59"))
        else:
            return (yield from bind(claim, volume))
    elif refers(volume, claim):  # VB-60: unchecked
        return (yield from bind(claim, volume))
    else:  # VB-61: it belongs to someone else
        taken = f'volume "{volume.name}" already bound to a different claim.'
        yield emit(claim.key, "Warning", "FailedBinding", taken)
        if BOUND_BY_CONTROLLER not in claim.metadata.annotations:
            return (yield from _set_pending(claim, "VB-61"))
        else:
            owner = volume.spec.claim_ref
            return Retry(
                f'invalid binding of claim "{claim.namespace}/{claim.name}" to volume "{volume.name}": '
                f'volume already claimed by "{owner.namespace}/{owner.name}"'
            )


def _sync_bound_claim(view: View, claim: PersistentVolumeClaim) -> Steps[Outcome]:
    """The claim has been bound before; is its volume still there, and still its own? (section 5.3)."""
    volume = OwnCache(view).volume(claim.spec.volume_name) if claim.spec.volume_name else None
    if not claim.spec.volume_name:  # VB-63
        return (yield from _set_lost(
            claim, "VB-63", "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        ))
    elif volume is None:  # VB-64
        return (yield from _set_lost(
            claim, "VB-64", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
        ))
    elif volume.spec.claim_ref is None or volume.spec.claim_ref.uid == claim.metadata.uid:
        # VB-65: a Lost claim comes back this way. VB-66: normally nothing is missing
        return (yield from bind(claim, volume))
    else:  # VB-67: the right name with an empty uid included
        return (yield from _set_lost(
            claim, "VB-67", "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        ))


def _set_pending(claim: PersistentVolumeClaim, rule: str) -> Steps[Outcome]:
    write = claim_phase(claim, "Pending", rule=rule)
    if write is None:
        return DONE
    answer = yield write
    if isinstance(answer, Refused):
        return Retry(str(answer))
    yield Tell(Remember(Stored(answer)))
    return DONE


def _set_lost(claim: PersistentVolumeClaim, rule: str, reason: str, message: str) -> Steps[Outcome]:
    """The event goes with the change of phase, and is not repeated (VB-68)."""
    if claim.status.phase == "Lost":
        return DONE
    write = claim_phase(claim, "Lost", rule=rule)
    assert write is not None
    answer = yield write
    if isinstance(answer, Refused):
        return Retry(str(answer))
    yield Tell(Remember(Stored(answer)))
    yield emit(claim.key, "Warning", reason, message)
    return DONE


# --- bind (section 6) -----------------------------------------------------------------------------------------------


def bind(claim: PersistentVolumeClaim, volume: PersistentVolume) -> Steps[Outcome]:
    """Up to four writes, each left out if it is in place already (VB-69); what was written stays (VB-70)."""
    is_in_place = True
    for missing in (claim_ref, volume_bound, volume_name, claim_bound):
        write = missing(volume, claim)
        if write is None:
            continue
        is_in_place = False
        answer = yield write
        if isinstance(answer, Refused):
            return Retry(str(answer))
        yield Tell(Remember(Stored(answer)))
        if isinstance(answer, PersistentVolume):
            volume = answer
        else:
            claim = answer
    if is_in_place:
        yield Tell(Remember(Settled(claim.key)))
    return DONE
