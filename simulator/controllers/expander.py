"""The expand controller: of storage that Kubernetes cannot grow itself it only says that somebody else should."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.cluster.component import Change, Periodic, View
from simulator.flows import DONE, Emit, Enqueue, Flow, Poll, Retry, Tell, Told
from simulator.units import Micros


class ExpandController:
    """The component ``persistentvolume-expander``. Nothing it knows of can be expanded in-tree, so it never writes."""

    name = "persistentvolume-expander"
    queues: Mapping[str, int] = {"claims": 10}
    watches = frozenset({"PersistentVolumeClaim", "PersistentVolume"})
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> None:
        """It remembers nothing."""

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Queue a bound claim that is new here, or whose request or capacity has grown."""
        old, new = change.old, change.new
        if not isinstance(new, PersistentVolumeClaim) or new.status.phase != "Bound":
            return ()
        if isinstance(old, PersistentVolumeClaim) and not _has_grown(old, new):
            return ()
        return (Enqueue("claims", change.key),)

    def remember(self, memory: Any, what: Any, now: Micros) -> None:
        """It remembers nothing."""

    def check(self, poll: Poll, view: View) -> Any:
        """It polls nothing."""
        return None

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Say once that a claim asks for more than it has; for local volumes it stays so (VB-180, VB-181)."""
        claim = view.get(PersistentVolumeClaim, key.name, key.namespace)
        if claim is None or not claim.spec.volume_name:
            return DONE
        volume = view.get(PersistentVolume, claim.spec.volume_name)
        reference = volume.spec.claim_ref if volume is not None else None
        if reference is None or reference.uid != claim.metadata.uid:
            return Retry("persistent Volume is not bound to PVC being updated")
        request, has = claim.request, claim.status.capacity.get("storage")
        if request is None or (has is not None and request <= has):
            return DONE
        message = "waiting for an external controller to expand this PVC"
        yield Tell(Emit(key, "Normal", "ExternalExpanding", message, "volume_expand"))
        return DONE


def _has_grown(old: PersistentVolumeClaim, new: PersistentVolumeClaim) -> bool:
    if old.spec is new.spec and old.status is new.status:
        return False
    before, after = old.request, new.request
    if before is not None and after is not None and before < after:
        return True
    had, has = old.status.capacity.get("storage"), new.status.capacity.get("storage")
    return has is not None and (had is None or had < has)
