"""What a set reports, when it is written, and when the set is looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.apps import StatefulSet, StatefulSetStatus
from simulator.api.core import Condition, Pod
from simulator.api.meta import evolve, with_meta
from simulator.flows import Create, Done, Intent, Refused, Retry, UpdateStatus
from simulator.testing.builders import make_set
from simulator.units import SECOND
from tests.controllers.set_bench import Bench, conflict


def make(replicas: int, **spec: Any) -> Bench:
    bench = Bench(make_set("web", replicas=replicas, **spec))
    bench.settle()
    bench.intents.clear()
    return bench


def counts(bench: Bench) -> dict[str, int]:
    status = bench.sts().status
    return {"replicas": status.replicas, "ready": status.ready_replicas, "available": status.available_replicas,
            "current": status.current_replicas, "updated": status.updated_replicas}


def written(bench: Bench) -> list[StatefulSetStatus]:
    return [intent.obj.status for intent in bench.intents
            if isinstance(intent, UpdateStatus) and isinstance(intent.obj, StatefulSet)]


@pytest.mark.rule("WL-69")
def test_terminating_pods_count_as_replicas_and_as_ready_but_not_as_current_or_updated() -> None:
    bench = make(3)
    bench.set_pod("web-1", terminating=True)
    bench.sync()
    assert counts(bench) == {"replicas": 3, "ready": 3, "available": 3, "current": 2, "updated": 2}


@pytest.mark.rule("WL-69")
def test_condemned_pods_count() -> None:
    bench = make(3)
    bench.scale(1)
    bench.sync()
    assert counts(bench)["replicas"] == 3


@pytest.mark.rule("WL-36")
@pytest.mark.rule("WL-69")
@pytest.mark.parametrize(("phase", "ready", "counted"), [
    ("Running", True, (1, 1)), ("Running", False, (0, 0)), ("Pending", True, (0, 0)),
])
def test_ready_means_running_and_ready(phase: str, ready: bool, counted: tuple[int, int]) -> None:
    bench = make(1)
    bench.set_pod("web-0", phase=phase, ready=ready)
    bench.sync()
    assert (counts(bench)["ready"], counts(bench)["available"]) == counted


@pytest.mark.rule("WL-36")
@pytest.mark.parametrize(("ready_for", "available"), [(29, 0), (30, 1)])
def test_available_means_ready_for_long_enough(ready_for: int, available: int) -> None:
    bench = make(1, minReadySeconds=30)
    bench.set_pod("web-0", ready=True, ready_for=ready_for)
    bench.sync()
    assert counts(bench)["available"] == available


@pytest.mark.rule("WL-36")
def test_a_ready_condition_without_a_time_is_never_old_enough() -> None:
    bench = make(1, minReadySeconds=1)
    pod = bench.pod("web-0")
    bench.put(evolve(pod, status=evolve(pod.status, conditions=(Condition(type="Ready", status="True"),))))
    assert bench.sync() == Done() and counts(bench)["available"] == 0


@pytest.mark.rule("WL-70")
def test_a_pod_created_in_a_sync_is_counted_in_a_later_one() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.sync()
    assert counts(bench)["replicas"] == 0
    bench.sync()
    assert counts(bench) == {"replicas": 1, "ready": 0, "available": 0, "current": 1, "updated": 1}


@pytest.mark.rule("WL-70")
def test_a_pod_deleted_for_update_leaves_current_at_once_but_not_updated() -> None:
    bench = make(3)
    bench.roll("new")
    bench.sync()
    assert counts(bench) == {"replicas": 3, "ready": 3, "available": 3, "current": 2, "updated": 0}


@pytest.mark.rule("WL-71")
def test_a_status_that_says_nothing_new_is_not_written() -> None:
    bench = make(2)
    bench.sync()
    assert written(bench) == []


@pytest.mark.rule("WL-71")
def test_a_new_generation_is_worth_a_write() -> None:
    bench = make(2)
    bench.patch({"revisionHistoryLimit": 3})
    bench.sync()
    (status,) = written(bench)
    assert status.observed_generation == bench.sts().metadata.generation


@pytest.mark.rule("WL-71")
def test_a_status_write_that_loses_its_lock_is_tried_five_times_with_equal_waits() -> None:
    bench = make(1)
    bench.set_pod("web-0", ready=False)
    lost = conflict(bench.sts())
    refusals = [lost] * 4
    bench.interfere = lambda intent: refusals.pop() if isinstance(intent, UpdateStatus) and refusals else None
    began = bench.now
    assert isinstance(bench.sync(), Done)
    assert bench.now - began == 4 * 10_000 and counts(bench)["ready"] == 0
    bench.set_pod("web-0", ready=True)
    refusals += [lost] * 5
    assert bench.sync() == Retry(lost.message)


@pytest.mark.rule("WL-71")
def test_a_conflict_is_mended_with_the_newest_set() -> None:
    bench = make(1)
    bench.set_pod("web-0", ready=False)
    touched = []

    def label_first(intent: Intent) -> Any:
        if isinstance(intent, UpdateStatus) and not touched:
            touched.append(bench.put(with_meta(bench.sts(), labels={"new": "label"})))

    bench.interfere = label_first
    assert isinstance(bench.sync(), Done)
    assert bench.sts().metadata.labels == {"new": "label"} and counts(bench)["ready"] == 0


@pytest.mark.rule("WL-72")
def test_conditions_are_wiped_by_every_write() -> None:
    bench = make(1)
    sts = bench.sts()
    bench.put(evolve(sts, status=evolve(sts.status, conditions=(Condition(type="Odd", status="True"),))))
    bench.set_pod("web-0", ready=False)
    bench.sync()
    assert bench.sts().status.conditions == ()


@pytest.mark.rule("WL-73")
def test_the_status_is_written_after_an_error_in_the_phases() -> None:
    bench = Bench(make_set("web", replicas=1))
    refused = Refused("Forbidden", 403, "no")
    bench.interfere = lambda intent: refused if isinstance(intent, Create) and isinstance(intent.obj, Pod) else None
    assert bench.sync() == Retry("no")
    assert bench.sts().status.update_revision


@pytest.mark.rule("WL-73")
def test_the_status_is_not_written_if_revisions_fail() -> None:
    bench = Bench(make_set("web", replicas=1))
    refused = Refused("Forbidden", 403, "no")
    bench.interfere = lambda intent: refused if isinstance(intent, Create) else None
    assert bench.sync() == Retry("no")
    assert written(bench) == [] and bench.created == []


@pytest.mark.rule("WL-37")
def test_a_sync_comes_back_when_the_next_ready_pod_becomes_available() -> None:
    bench = make(3, minReadySeconds=30, podManagementPolicy="Parallel")
    bench.set_pod("web-0", ready=True, ready_for=25)
    bench.set_pod("web-1", ready=True, ready_for=10)
    assert bench.sync() == Done(requeue_after=5 * SECOND)
    bench.now += 5 * SECOND
    assert bench.sync() == Done(requeue_after=15 * SECOND)
    bench.now += 15 * SECOND
    assert bench.sync() == Done()


@pytest.mark.rule("WL-37")
def test_a_pod_that_turns_ready_queues_its_set_for_later() -> None:
    bench = make(1, minReadySeconds=30)
    bench.set_pod("web-0", ready=False)
    bench.queued.clear()
    bench.set_pod("web-0", ready=True)
    assert bench.queued == [("web", 0), ("web", 30 * SECOND)]


@pytest.mark.rule("WL-74")
def test_a_lost_ready_condition_is_enough() -> None:
    bench = make(1)
    bench.set_pod("web-0", ready=False)
    bench.sync()
    assert counts(bench)["ready"] == 0 and bench.pod("web-0").status.phase == "Running"
