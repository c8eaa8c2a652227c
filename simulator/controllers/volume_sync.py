"""Volume sync: what phase a volume is in, whom it belongs to, and what becomes of it when its claim is gone."""

from __future__ import annotations

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.binding.names import PROVISIONED_BY
from simulator.binding.reference import volume_mode
from simulator.cluster.component import View
from simulator.controllers.reclaim import reclaim, unbind
from simulator.controllers.volume_cache import OwnCache, Settled, Stored
from simulator.controllers.volume_writes import Steps, emit, volume_phase
from simulator.flows import DONE, Enqueue, Get, Outcome, Refused, Remember, Retry, Tell


def sync_volume(view: View, volume: PersistentVolume) -> Steps[Outcome]:
    """Decide what to do with a volume."""
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:  # VB-74, VB-84: free, or reserved by a human; its claim finds it
        return (yield from _set_phase(volume, "Available", "VB-74"))

    claim = yield from _claim_of(view, volume)
    if claim is None:  # VB-76
        if volume.status.phase not in ("Released", "Failed"):  # VB-6
            write = volume_phase(volume, "Released", rule="VB-76")
            assert write is not None
            answer = yield write
            if isinstance(answer, Refused):
                return Retry(str(answer))
            yield Tell(Remember(Stored(answer)))
            volume = answer
        return (yield from reclaim(view, volume))

    elif not claim.spec.volume_name:  # VB-77
        if volume_mode(volume) != volume_mode(claim):
            yield emit(volume.key, "Warning", "VolumeMismatch",
                       f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{claim.name}" '
                       "due to incompatible volumeMode.")
            yield emit(claim.key, "Warning", "VolumeMismatch",
                       f'Cannot bind PersistentVolume "{volume.name}" to requested PersistentVolumeClaim '
                       "due to incompatible volumeMode.")
            return DONE
        else:  # the binding is under way, or a scheduler or provisioner began it: the claim's sync goes on
            yield Tell(Enqueue("claims", claim.key))
            return DONE

    elif claim.spec.volume_name == volume.name:  # VB-78
        return (yield from _set_phase(volume, "Bound", "VB-78"))

    elif PROVISIONED_BY in volume.metadata.annotations and volume.spec.persistent_volume_reclaim_policy == "Delete":
        # VB-79: it was made for this claim, which got another one. VB-80: or it was found by a local provisioner
        if volume.status.phase not in ("Released", "Failed"):
            write = volume_phase(volume, "Released", rule="VB-79")
            assert write is not None
            answer = yield write
            if isinstance(answer, Refused):
                return Retry(str(answer))
            yield Tell(Remember(Stored(answer)))
            volume = answer
        return (yield from reclaim(view, volume))

    else:  # VB-79, VB-80: a controller reserved it in vain, or a human did
        return (yield from unbind(volume))


def _claim_of(view: View, volume: PersistentVolume) -> Steps[PersistentVolumeClaim | None]:
    """The claim that a volume's claimRef means, by uid; a volume must not be released by mistake (VB-75)."""
    reference = volume.spec.claim_ref
    assert reference is not None
    key = Key("PersistentVolumeClaim", reference.namespace, reference.name)
    claim = OwnCache(view).claim(key.namespace, key.name)
    if claim is None and volume.status.phase not in ("Released", "Failed"):
        watched = view.get(key)
        claim = watched if isinstance(watched, PersistentVolumeClaim) else (yield Get(key))
    if claim is not None and claim.metadata.uid != reference.uid:
        claim = yield Get(key)
        if claim is not None and claim.metadata.uid != reference.uid:
            claim = None
    return claim


def _set_phase(volume: PersistentVolume, phase: str, rule: str) -> Steps[Outcome]:
    write = volume_phase(volume, phase, rule=rule)
    if write is not None:
        answer = yield write
        if isinstance(answer, Refused):
            return Retry(str(answer))
        yield Tell(Remember(Stored(answer)))
        volume = answer
    yield Tell(Remember(Settled(volume.key, volume.metadata.resource_version)))
    return DONE
