"""The controller as a component: which sets to look at, and one sync of a set from its beginning (WL-30 to WL-34)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key, OwnerReference
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.statefulset.adoption import (
    adopt_pods,
    adopt_revisions,
    adoptable,
    release_pods,
    selects,
    sort_out,
)
from simulator.controllers.statefulset.claims import claims_of
from simulator.controllers.statefulset.control import Control, Roster, max_unavailable
from simulator.controllers.statefulset.revisions import history_to_delete, in_order, resolve_revisions, truncate_history
from simulator.controllers.statefulset.status import next_check, write_status
from simulator.controllers.statefulset.sync import Failure, Memory, Saw, Sync, Wrote, join
from simulator.flows import DONE, Done, Enqueue, Flow, Poll, Remember, Retry, Told
from simulator.units import SECOND, Micros

QUEUE = "sets"


class StatefulSetController:
    """Keeps for every StatefulSet the pods and claims that it asks for.

    Parameters
    ----------
    max_unavailable : the feature gate ``MaxUnavailableStatefulSet``, off by default (WL-66).
    """

    name = "statefulset"
    queues: Mapping[str, int] = {QUEUE: 5}
    watches = frozenset({StatefulSet.KIND, Pod.KIND, ControllerRevision.KIND, PersistentVolumeClaim.KIND})
    periodics: Sequence[Periodic] = ()

    def __init__(self, *, max_unavailable: bool = False) -> None:
        self.max_unavailable = max_unavailable

    # --- memory -----------------------------------------------------------------------------------------------------

    def new_memory(self) -> Memory:
        """Nothing written yet."""
        return Memory()

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Keep an own write until the caches show it (WL-33)."""
        if isinstance(what, Wrote):
            memory.unseen[what.version] = what.sts
        elif isinstance(what, Saw):
            memory.unseen.pop(what.version, None)

    def check(self, poll: Poll, view: View) -> Any:
        """Never asked: this controller does not poll."""
        return None

    # --- what queues a set ------------------------------------------------------------------------------------------

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Sets and pods queue a set; claims, volumes, nodes and revisions never do (WL-30)."""
        told: list[Told] = []
        new = change.new
        if new is not None and new.metadata.resource_version in view.memory.unseen:
            told.append(Remember(Saw(new.metadata.resource_version)))
        if change.key.kind == StatefulSet.KIND:
            told.append(Enqueue(QUEUE, change.key))
        elif change.key.kind == Pod.KIND:
            told.extend(_of_pod(change, view))
        return told

    # --- one sync ---------------------------------------------------------------------------------------------------

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Bring a set one step nearer to what it asks for (WL-34)."""
        sts = view.get(StatefulSet, key.name, key.namespace)
        if sts is None:
            return DONE
        if key in view.memory.unseen.values():
            return Retry(f"the caches do not show the last write for {key} yet")  # WL-33

        # All that the sync reads from its caches, before its first write.
        uid, namespace, now = sts.metadata.uid, sts.metadata.namespace, view.now
        owned = [each for each in view.by("revisions-by-controller", uid) if selects(sts, each.metadata.labels)]
        orphaned = [each for each in view.by("orphan-revisions", namespace) if selects(sts, each.metadata.labels)]
        members, strangers = sort_out(sts, view.by("pods-by-controller", uid))
        orphans = adoptable(sts, view.by("orphan-pods", (namespace, key.name)))
        roster = Roster.of(sts, (*members, *orphans), now)
        claims = {ordinal: claims_of(sts, ordinal, view) for ordinal in roster.within_reach(sts)}

        # Whose is what.
        if orphaned:
            adopted = yield from adopt_revisions(sts, orphaned)
            if isinstance(adopted, Failure):
                return Retry(adopted.message)
            owned += adopted
        if strangers or orphans:
            unreleased = yield from release_pods(sts, strangers)
            newcomers, unadopted = yield from adopt_pods(sts, orphans)
            if (failed := join(unreleased, unadopted)) is not None:
                return Retry(failed.message)
            members += newcomers
            roster = Roster.of(sts, members, now)
        revisions = in_order(owned)
        versions = yield from resolve_revisions(sts, revisions)
        if isinstance(versions, Failure):
            return Retry(versions.message)  # WL-73: without a status

        # What is to be done, and what came of it.
        limit = max_unavailable(sts) if self.max_unavailable else None
        status, failure = yield from Control(Sync(sts, now, claims), roster, versions, limit).run()
        unwritten = yield from write_status(sts, status)
        untruncated = yield from truncate_history(history_to_delete(sts, members, revisions, versions))
        if (failed := join(failure or unwritten, untruncated)) is not None:
            return Retry(failed.message)
        return Done(requeue_after=next_check(sts, (*roster.replicas, *roster.condemned), now))


def _of_pod(change: Change, view: View) -> Iterator[Told]:
    """What a change of a pod queues (WL-30)."""
    old, new = change.old, change.new
    before = old.metadata.controller if old is not None else None
    after = new.metadata.controller if new is not None else None
    moved = before != after
    if moved and before is not None and (left := _resolve(change.key.namespace, before, view)) is not None:
        yield Enqueue(QUEUE, left.key)  # deleted, released, or handed to another owner
    if not isinstance(new, Pod):
        return
    if after is not None:
        sts = _resolve(change.key.namespace, after, view)
        if sts is None:
            return
        yield Enqueue(QUEUE, sts.key)
        if sts.spec.min_ready_seconds and new.is_ready and isinstance(old, Pod) and not old.is_ready:
            yield Enqueue(QUEUE, sts.key, after=sts.spec.min_ready_seconds * SECOND)  # WL-37
    elif old is None and new.metadata.is_terminating:
        return  # after a restart: an orphan on its way out is nobody's
    elif old is None or moved or old.metadata.labels != new.metadata.labels:
        for sts in view.list(StatefulSet, change.key.namespace):
            if selects(sts, new.metadata.labels):
                yield Enqueue(QUEUE, sts.key)


def _resolve(namespace: str, reference: OwnerReference, view: View) -> StatefulSet | None:
    """The set that a controller reference means, by name and uid (WL-30)."""
    if reference.kind != StatefulSet.KIND:
        return None
    sts = view.get(StatefulSet, reference.name, namespace)
    return sts if sts is not None and sts.metadata.uid == reference.uid else None
