"""Claim sync: finds a volume for a claim, binds the two, or says what the claim waits for (sections 5 and 6)."""

from __future__ import annotations

from msgspec import Struct

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
from simulator.binding.ties import Slots, go_map_weights
from simulator.cluster.component import View
from simulator.controllers.provisioning import provision_claim
from simulator.controllers.volume_cache import Memory, OwnCache, Settled, Stored, bucket_name
from simulator.controllers.volume_writes import (
    Steps,
    claim_bound,
    claim_phase,
    claim_ref,
    emit,
    volume_bound,
    volume_name,
)
from simulator.flows import DONE, Choose, Outcome, Refused, Remember, Retry, Tell, Update


class Settings(Struct, frozen=True):
    """What can be set about the volume controller; see `VolumeBinder`."""

    tie_weights: bool = True
    dynamic_provisioning: bool = True
    host_path_provisioning: bool = False


def sync_claim(settings: Settings, view: View, claim: PersistentVolumeClaim) -> Steps[Outcome]:
    """Decide what to do with a claim; its phase plays no part in it (VB-45)."""
    if BIND_COMPLETED not in claim.metadata.annotations:
        if not claim.spec.volume_name:
            return (yield from _sync_free_claim(settings, view, claim))
        else:
            return (yield from _sync_claim_with_volume_name(view, claim))
    else:
        return (yield from _sync_bound_claim(view, claim))


def _sync_free_claim(settings: Settings, view: View, claim: PersistentVolumeClaim) -> Steps[Outcome]:
    """The claim takes any volume that fits (section 5.1)."""
    name = class_of(claim)
    storage_class = view.get(StorageClass, name) if name else None
    if storage_class is not None and storage_class.volume_binding_mode is None:  # VB-46
        return Retry(f'VolumeBindingMode not set for StorageClass "{name}"')
    delay = is_delayed(storage_class)  # VB-46, VB-47
    cache = OwnCache(view)
    candidates = cache.volumes_for(claim.namespace, claim.name)
    if not delay:  # VB-49, VB-122: only reserved volumes can match a claim that waits; the scheduler reserves one
        known = {volume.name for volume in candidates}
        candidates = candidates + [volume for volume in cache.volumes_of_class(name) if volume.name not in known]
    tiers = volumes_for_claim(claim, candidates, delay=delay)
    if tiers:  # VB-48
        volume = yield from _one_of(settings, view.memory, claim, tiers)
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
        if settings.dynamic_provisioning:
            return (yield from provision_claim(view, claim, storage_class, settings.host_path_provisioning))
        else:  # VB-94
            return DONE
    else:  # VB-55
        yield emit(claim.key, "Normal", "FailedBinding",
                   "no persistent volumes available for this claim and no storage class is set")
    return (yield from _set_pending(claim, "VB-56"))


def _one_of(
    settings: Settings, memory: Memory, claim: PersistentVolumeClaim, tiers: tuple[Tier, ...]
) -> Steps[PersistentVolume]:
    """One of several equally good volumes: first the bucket (ND-3), then the volume (ND-1, ND-2).

    The weights are those that Kubernetes' own map order gives (`binding.ties`); not every tie policy uses them.
    """
    tier = tiers[0]
    if len(tiers) > 1:
        buckets = {Key("AccessModes", "", bucket_name(tier.modes)): tier for tier in tiers}
        options, weights = _as_in_the_map(tuple(buckets), memory.bucket_order, settings.tie_weights)
        tier = buckets[(yield Choose("volume-bucket", claim.key, options, weights))]
    if len(tier.volumes) == 1:
        return tier.volumes[0]
    volumes = {volume.key: volume for volume in tier.volumes}
    slots = memory.buckets.get(bucket_name(tier.modes)) or ()
    options, weights = _as_in_the_map(tuple(volumes), slots, settings.tie_weights)
    return volumes[(yield Choose("volume", claim.key, options, weights))]


def _as_in_the_map(
    tied: tuple[Key, ...], slots: Slots, weighted: bool
) -> tuple[tuple[Key, ...], tuple[int, ...] | None]:
    """Options in the order of a map's slots, with their weights; as they come, without, where the map is not known."""
    place = {name: position for position, name in enumerate(slots)}
    if any(key.name not in place for key in tied):
        return tied, None
    options = tuple(sorted(tied, key=lambda key: place[key.name]))
    return options, go_map_weights([place[key.name] for key in options], len(slots)) if weighted else None


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
    """The claim asks for one volume by name; binding mode and selector play no part in it (section 5.2).

    Nor do other volumes, be one of them reserved for the claim (VB-62).
    """
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
        # VB-65: a Lost claim comes back this way. VB-66: normally nothing is missing. VB-181: sizes are not compared
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
    for missing in (claim_ref, volume_bound, volume_name, claim_bound):
        write = missing(volume, claim)
        if write is None:
            continue
        answer = yield write
        if isinstance(answer, Refused):
            return Retry(str(answer))
        yield Tell(Remember(Stored(answer)))
        if isinstance(answer, PersistentVolume):
            volume = answer
        else:
            claim = answer
    yield Tell(Remember(Settled(claim.key, claim.metadata.resource_version)))
    yield Tell(Remember(Settled(volume.key, volume.metadata.resource_version)))
    return DONE
