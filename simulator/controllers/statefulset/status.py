"""What a set reports back: counts, revisions, and when they are written (WL-65, WL-69 to WL-73)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.api.apps import StatefulSet, StatefulSetStatus
from simulator.api.meta import evolve
from simulator.controllers.statefulset.pods import NEVER, Replica, available_at, revision_of
from simulator.controllers.statefulset.revisions import Versions
from simulator.controllers.statefulset.sync import Failure, Steps, wait, write
from simulator.flows import Get, Refused, UpdateStatus
from simulator.units import MILLISECOND, Micros

_WAIT: Final = 10 * MILLISECOND
_ATTEMPTS: Final = 5


def count(sts: StatefulSet, pods: Iterable[Replica], versions: Versions) -> StatefulSetStatus:
    """The status of a set with these pods (WL-69, WL-74); conditions are never kept (WL-72)."""
    replicas = ready = available = current = updated = 0
    current_name, update_name = versions.current.name, versions.update.name
    for replica in pods:
        pod = replica.pod
        if pod is None or not pod.status.phase:
            continue
        replicas += 1
        ready += replica.is_ready
        available += replica.is_ready and replica.is_available
        if not pod.metadata.is_terminating:
            revision = revision_of(pod)
            current += revision == current_name
            updated += revision == update_name
    return StatefulSetStatus(
        observed_generation=sts.metadata.generation, replicas=replicas, ready_replicas=ready,
        available_replicas=available, current_replicas=current, updated_replicas=updated,
        current_revision=current_name, update_revision=update_name, collision_count=versions.collision_count,
    )


def completed(sts: StatefulSet, status: StatefulSetStatus) -> StatefulSetStatus:
    """The status after a rolling update that has come to its end (WL-65)."""
    wanted = sts.replicas
    if sts.spec.update_strategy.type == "OnDelete":
        return status  # WL-62
    if status.updated_replicas == status.ready_replicas == status.replicas == wanted:
        return evolve(status, current_replicas=status.updated_replicas, current_revision=status.update_revision)
    return status


def is_worth_writing(old: StatefulSetStatus, new: StatefulSetStatus) -> bool:
    """Whether one of the fields differs for which a status is written (WL-71)."""
    return (
        new.observed_generation > old.observed_generation
        or new.replicas != old.replicas
        or new.ready_replicas != old.ready_replicas
        or new.available_replicas != old.available_replicas
        or new.current_replicas != old.current_replicas
        or new.updated_replicas != old.updated_replicas
        or new.current_revision != old.current_revision
        or new.update_revision != old.update_revision
    )


def next_check(sts: StatefulSet, pods: Iterable[Replica], now: Micros) -> Micros | None:
    """How long until the next ready pod becomes available; None if no ready pod waits for it (WL-37)."""
    seconds = sts.spec.min_ready_seconds
    if seconds == 0:
        return None
    waiting = (replica.pod for replica in pods if replica.is_ready and not replica.is_available)
    due = (available_at(pod, seconds) for pod in waiting if pod is not None)
    return min((moment - now for moment in due if moment is not None and moment < NEVER), default=None)


def write_status(sts: StatefulSet, status: StatefulSetStatus) -> Steps[Failure | None]:
    """Write the status if it is worth it, with retries on conflict (WL-71)."""
    status = completed(sts, status)
    if not is_worth_writing(sts.status, status):
        return None
    base = sts
    for attempt in range(1, _ATTEMPTS + 1):
        answer = yield from write(sts.key, UpdateStatus(evolve(base, status=status), rule="WL-71"))
        if not isinstance(answer, Refused):
            return None
        if answer.reason != "Conflict" or attempt == _ATTEMPTS:
            break
        fresh = yield Get(sts.key)
        if isinstance(fresh, StatefulSet):
            base = fresh
        yield from wait(_WAIT)
    return Failure.of(answer)
