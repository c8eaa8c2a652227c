"""Template changes: which pods are replaced, in which order, and by what."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.apps import ControllerRevision
from simulator.api.core import Pod
from simulator.api.meta import with_meta
from simulator.controllers.statefulset import StatefulSetController
from simulator.flows import Done, Retry
from simulator.testing.builders import make_set
from tests.controllers.set_bench import Bench


def make(replicas: int, *, controller: StatefulSetController | None = None, **spec: Any) -> Bench:
    """A settled set at image "old"."""
    bench = Bench(make_set("web", replicas=replicas, **spec), controller=controller)
    bench.roll("old")
    bench.settle()
    for recorded in (bench.created, bench.deleted, bench.intents, bench.events):
        recorded.clear()
    return bench


def images(bench: Bench) -> dict[str, str]:
    return {pod.name: pod.spec.containers[0].image for pod in sorted(bench.store.list(Pod), key=lambda pod: pod.name)}


def rolling(**block: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": block}}


@pytest.mark.rule("WL-58")
def test_pods_are_replaced_from_the_top_each_after_its_successor_is_available() -> None:
    bench = make(3)
    bench.roll("new")
    bench.sync()
    bench.sync()
    assert bench.deleted == ["web-2"]
    bench.remove(bench.pod("web-2"))
    bench.sync()
    bench.sync()
    assert bench.deleted == ["web-2"] and bench.created == ["web-2"]
    bench.set_pod("web-2", phase="Running", ready=True)
    bench.sync()
    assert bench.deleted == ["web-2", "web-1"]
    bench.settle()
    assert images(bench) == {"web-0": "new", "web-1": "new", "web-2": "new"}


@pytest.mark.rule("WL-58")
def test_an_update_waits_for_an_unavailable_pod_above() -> None:
    bench = make(3, podManagementPolicy="Parallel")
    bench.roll("new")
    bench.sync()
    bench.remove(bench.pod("web-2"))
    bench.sync()
    bench.set_pod("web-2", phase="Running", ready=False)
    bench.sync()
    assert bench.deleted == ["web-2"]


@pytest.mark.rule("WL-59")
def test_an_outdated_pod_is_deleted_whatever_its_health_in_a_parallel_set() -> None:
    bench = make(3, podManagementPolicy="Parallel")
    bench.set_pod("web-2", ready=False)
    bench.set_pod("web-0", ready=False)
    bench.roll("new")
    bench.sync()
    assert bench.deleted == ["web-2"]


@pytest.mark.rule("WL-60")
@pytest.mark.parametrize(("management", "unstuck"), [("OrderedReady", False), ("Parallel", True)])
def test_a_bad_template_sticks_in_an_ordered_set_until_the_broken_pod_is_deleted(
    management: str, unstuck: bool
) -> None:
    bench = make(2, podManagementPolicy=management, **rolling(partition=0))
    bench.roll("bad")
    bench.sync()
    bench.remove(bench.pod("web-1"))
    bench.sync()
    bench.set_pod("web-1", phase="Running", ready=False)
    bench.roll("old")
    bench.sync()
    assert (bench.deleted == ["web-1", "web-1"]) == unstuck
    bench.remove(bench.pod("web-1"))
    bench.settle()
    assert images(bench) == {"web-0": "old", "web-1": "old"}


@pytest.mark.rule("WL-61")
@pytest.mark.rule("WL-29")
def test_pods_below_the_partition_are_not_updated_and_come_back_at_the_current_revision() -> None:
    bench = make(3, **rolling(partition=2))
    bench.roll("new")
    bench.settle()
    bench.remove(bench.pod("web-0"))
    bench.settle()
    assert images(bench) == {"web-0": "old", "web-1": "old", "web-2": "new"}
    bench.patch(rolling(partition=0))
    bench.settle()
    assert images(bench) == {"web-0": "new", "web-1": "new", "web-2": "new"}


@pytest.mark.rule("WL-61")
def test_a_partition_of_all_replicas_updates_nothing() -> None:
    bench = make(2, **rolling(partition=2))
    bench.roll("new")
    bench.settle()
    assert images(bench) == {"web-0": "old", "web-1": "old"}


@pytest.mark.rule("WL-58")
@pytest.mark.rule("WL-29")
def test_the_partition_counts_from_the_first_ordinal() -> None:
    bench = make(3, ordinals={"start": 5}, **rolling(partition=1))
    bench.roll("new")
    bench.settle()
    assert images(bench) == {"web-5": "old", "web-6": "new", "web-7": "new"}
    bench.remove(bench.pod("web-5"))
    bench.settle()
    assert images(bench)["web-5"] == "old"


@pytest.mark.rule("WL-2")
@pytest.mark.rule("WL-29")
def test_without_a_rolling_update_block_lost_pods_come_back_by_the_count_of_current_ones() -> None:
    bench = make(3, updateStrategy={"type": "RollingUpdate"})
    bench.roll("new")
    bench.sync()  # takes web-2
    assert bench.sts().status.current_replicas == 2
    bench.remove(bench.pod("web-0"))
    bench.sync()
    assert images(bench)["web-0"] == "old"
    bench.remove(bench.pod("web-2"))
    bench.set_pod("web-0", phase="Running", ready=True)
    bench.sync()
    assert images(bench)["web-2"] == "new"


@pytest.mark.rule("WL-62")
@pytest.mark.rule("WL-29")
def test_on_delete_replaces_nothing_and_makes_new_pods_at_the_update_revision() -> None:
    bench = make(2, updateStrategy={"type": "OnDelete"})
    bench.roll("new")
    bench.settle()
    assert bench.deleted == []
    bench.remove(bench.pod("web-0"))
    bench.remove(bench.pod("web-1"))
    bench.settle()
    assert images(bench) == {"web-0": "new", "web-1": "new"}
    status = bench.sts().status
    assert status.current_revision != status.update_revision and status.updated_replicas == 2


@pytest.mark.rule("WL-65")
def test_an_update_completes_when_all_pods_are_updated_and_ready_though_not_available() -> None:
    bench = make(1, minReadySeconds=600)
    bench.roll("new")
    bench.sync()
    bench.remove(bench.pod("web-0"))
    bench.sync()
    bench.set_pod("web-0", phase="Running", ready=True, ready_for=1)
    bench.sync()
    status = bench.sts().status
    assert status.current_revision == status.update_revision
    assert (status.available_replicas, status.current_replicas) == (0, 1)


@pytest.mark.rule("WL-65")
def test_with_no_replicas_an_update_completes_at_once() -> None:
    bench = make(0)
    bench.roll("new")
    bench.sync()
    status = bench.sts().status
    assert status.current_revision == status.update_revision and len(bench.store.list(ControllerRevision)) == 2


@pytest.mark.rule("WL-66")
@pytest.mark.parametrize(("written", "deleted"), [
    (None, ["web-9"]), (3, ["web-9", "web-8", "web-7"]), ("25%", ["web-9", "web-8"]), ("5%", ["web-9"]),
])
def test_with_the_gate_on_several_pods_may_be_replaced_at_a_time(written: Any, deleted: list[str]) -> None:
    bench = make(10, controller=StatefulSetController(max_unavailable=True), **rolling(maxUnavailable=written))
    bench.roll("new")
    bench.sync()
    assert bench.deleted == deleted
    assert bench.sts().status.current_replicas == 10 - len(deleted)


@pytest.mark.rule("WL-66")
def test_with_the_gate_on_unavailable_pods_count_even_below_the_partition() -> None:
    bench = make(5, podManagementPolicy="Parallel", controller=StatefulSetController(max_unavailable=True),
                 **rolling(maxUnavailable=2, partition=2))
    bench.set_pod("web-0", ready=False)
    bench.roll("new")
    bench.sync()
    assert bench.deleted == ["web-4"]
    bench.sync()
    assert bench.deleted == ["web-4"]


@pytest.mark.rule("WL-66")
@pytest.mark.rule("WL-3")
def test_with_the_gate_off_a_stored_limit_has_no_effect() -> None:
    bench = make(3, **rolling(maxUnavailable=3))
    bench.roll("new")
    bench.sync()
    assert bench.deleted == ["web-2"]


@pytest.mark.rule("WL-67")
def test_a_second_change_replaces_intermediate_pods_too_and_its_count_may_be_refused() -> None:
    bench = make(2, podManagementPolicy="Parallel")
    bench.roll("new")
    bench.sync()
    bench.remove(bench.pod("web-1"))
    bench.sync()
    bench.set_pod("web-1", phase="Running", ready=True)
    bench.sync()
    bench.remove(bench.pod("web-0"))
    bench.sync()  # both pods are at "new" now
    bench.set_pod("web-0", phase="Running", ready=False)
    bench.roll("newer")
    assert isinstance(bench.sync(), Retry)  # currentReplicas would become -1
    assert bench.deleted == ["web-1", "web-0", "web-1"]
    assert isinstance(bench.sync(), Done)
    bench.settle()
    assert images(bench) == {"web-0": "newer", "web-1": "newer"}


@pytest.mark.rule("WL-34")
def test_a_deleted_set_only_reports() -> None:
    bench = make(2)
    bench.roll("new")
    sts = bench.sts()
    bench.put(with_meta(sts, deletion_timestamp=bench.now, finalizers=("foregroundDeletion",)))
    bench.set_pod("web-0", ready=False)
    bench.sync()
    kinds = {type(intent).__name__ for intent in bench.intents}
    assert kinds == {"UpdateStatus"} and bench.sts().status.ready_replicas == 1
