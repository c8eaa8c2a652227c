"""In which order the StatefulSet controller creates, replaces and deletes pods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.api.core import PersistentVolumeClaimVolumeSource, Pod
from simulator.api.meta import OwnerReference, evolve, with_meta
from simulator.flows import Create, Delete, Done, Intent, Refused, Retry
from simulator.testing.builders import make_pod, make_set
from tests.controllers.set_bench import Bench

FORBIDDEN = Refused("Forbidden", 403, "exceeded quota")


def ordered(replicas: int, **spec: Any) -> Bench:
    """A settled ordered set."""
    bench = Bench(make_set("web", replicas=replicas, **spec))
    bench.settle()
    bench.intents.clear()
    bench.events.clear()
    return bench


def parallel(replicas: int, **spec: Any) -> Bench:
    """A settled parallel set."""
    return ordered(replicas, podManagementPolicy="Parallel", **spec)


def refuse_pods(*names: str) -> Callable[[Intent], Any]:
    """Let the API server forbid these pods."""
    def interfere(intent: Intent) -> Any:
        refused = isinstance(intent, Create) and isinstance(intent.obj, Pod) and intent.obj.name in names
        return FORBIDDEN if refused else None
    return interfere


# --- phase A --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-39")
@pytest.mark.rule("WL-48")
def test_an_ordered_sync_ends_after_one_creation() -> None:
    bench = Bench(make_set("web", replicas=3))
    for _ in range(3):
        bench.sync()
        assert bench.created == ["web-0"]
    bench.set_pod("web-0", phase="Running", ready=True)
    bench.sync()
    assert bench.created == ["web-0", "web-1"]


@pytest.mark.rule("WL-38")
@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_finished_pod_is_deleted_once_and_replaced_when_it_is_gone(phase: str, policy: str) -> None:
    bench = ordered(2, podManagementPolicy=policy)
    bench.set_pod("web-0", phase=phase, ready=False)
    bench.sync()
    assert bench.deleted == ["web-0"] and bench.created == ["web-0", "web-1"]
    assert bench.events == [("Normal", "SuccessfulDelete", "Delete Pod web-0 in StatefulSet web successful")]
    bench.sync()
    assert bench.deleted == ["web-0"] and bench.created == ["web-0", "web-1"]
    bench.remove(bench.pod("web-0"))
    bench.sync()
    assert bench.created == ["web-0", "web-1", "web-0"]


@pytest.mark.rule("WL-41")
@pytest.mark.parametrize("trouble", [
    {"ready": False}, {"terminating": True}, {"phase": "Pending"},
])
def test_an_ordered_set_waits_for_every_lower_pod(trouble: dict[str, Any]) -> None:
    bench = ordered(2)
    bench.set_pod("web-0", **trouble)
    bench.scale(3)
    bench.sync()
    assert bench.created == ["web-0", "web-1"]
    bench.scale(1)
    bench.sync()
    assert bench.deleted == []


@pytest.mark.rule("WL-41")
def test_an_ordered_set_waits_until_a_ready_pod_is_available() -> None:
    bench = ordered(1, minReadySeconds=30)
    bench.set_pod("web-0", ready=True, ready_for=29)
    bench.scale(2)
    bench.sync()
    assert bench.pods() == ["web-0"]
    bench.set_pod("web-0", ready=True, ready_for=30)
    bench.sync()
    assert bench.pods() == ["web-0", "web-1"]


@pytest.mark.rule("WL-42")
def test_a_wrong_pod_name_label_is_repaired() -> None:
    bench = ordered(1)
    label = "statefulset.kubernetes.io/pod-name"
    pod = bench.pod("web-0")
    bench.put(with_meta(pod, labels={**pod.metadata.labels, label: "wrong"}))
    bench.sync()
    assert bench.pod("web-0").metadata.labels[label] == "web-0"
    assert bench.events == [("Normal", "SuccessfulUpdate", "Update Pod web-0 in StatefulSet web successful")]


@pytest.mark.rule("WL-42")
@pytest.mark.rule("WL-98")
def test_a_pod_that_lacks_a_claim_volume_can_not_be_repaired_and_stops_everything_behind_it() -> None:
    bench = ordered(2)
    sts = bench.sts()
    bench.remove(sts)
    for pod in bench.store.list(Pod):
        bench.put(with_meta(pod, owner_references=()))
    bench.put(with_meta(make_set("web", replicas=3, templates=("data", "wal")), uid="the next web"))
    for _ in range(2):
        assert isinstance(bench.sync(), Retry)
    failed = ("Warning", "FailedUpdate", "Update Pod web-0 in StatefulSet web failed error: "
              'Pod "web-0" is invalid: spec: Forbidden')
    assert bench.events.count(failed) == 2
    assert bench.claim("wal-web-0") and sorted(bench.pods()) == ["web-0", "web-1"]


# --- creation errors ------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-45")
def test_a_refused_pod_leaves_its_claims_and_is_told() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.interfere = refuse_pods("web-0")
    assert bench.sync() == Retry("exceeded quota")
    assert bench.claim("data-web-0")
    assert bench.events == [
        ("Normal", "SuccessfulCreate", "Create Claim data-web-0 Pod web-0 in StatefulSet web success"),
        ("Warning", "FailedCreate", "Create Pod web-0 in StatefulSet web failed error: exceeded quota"),
    ]


@pytest.mark.rule("WL-45")
@pytest.mark.rule("WL-99")
def test_a_pod_of_that_name_that_is_somebody_elses_is_no_event_only_a_retry() -> None:
    bench = Bench(make_pod("web-0", labels={"app": "web"}, uid="other"), make_set("web", replicas=1))
    earlier = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="earlier", controller=True)
    bench.put(with_meta(bench.pod("web-0"), owner_references=(earlier,)))
    assert bench.sync() == Retry('pods "web-0" already exists')
    assert [event for event in bench.events if "Create Pod" in event[2]] == []
    bench.set_pod("web-0", terminating=True)
    assert bench.sync() == Retry('object is being deleted: pods "web-0" already exists')


# --- parallel -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-35")
def test_a_parallel_set_works_in_batches_that_double() -> None:
    bench = Bench(make_set("web", replicas=9, podManagementPolicy="Parallel"))
    bench.choose = lambda choice: choice.options[-1]
    bench.sync()
    assert bench.created == ["web-0", "web-2", "web-1", "web-6", "web-5", "web-4", "web-3", "web-8", "web-7"]


@pytest.mark.rule("CP-5")
def test_which_call_of_a_batch_comes_first_is_chosen() -> None:
    bench = Bench(make_set("web", replicas=3, podManagementPolicy="Parallel"))
    bench.sync()
    asked = [(intent.point, [key.name for key in intent.options])
             for intent in bench.intents if type(intent).__name__ == "Choose"]
    assert asked == [("batch-order", ["web-1", "web-2"])]
    bench.intents.clear()
    bench.sync()
    assert bench.intents == [] or all(type(intent).__name__ != "Choose" for intent in bench.intents)


@pytest.mark.rule("WL-35")
def test_an_error_lets_its_batch_finish_and_skips_what_comes_after() -> None:
    bench = Bench(make_set("web", replicas=9, podManagementPolicy="Parallel"))
    bench.interfere = refuse_pods("web-1")
    assert bench.sync() == Retry("exceeded quota")
    assert bench.created == ["web-0", "web-2"]
    assert bench.sts().status.observed_generation == bench.sts().metadata.generation  # WL-73


@pytest.mark.rule("WL-169")
def test_errors_of_one_batch_are_joined_without_duplicates() -> None:
    bench = Bench(make_set("web", replicas=7, podManagementPolicy="Parallel"))
    texts = {"web-3": "a", "web-4": "b", "web-5": "a"}

    def interfere(intent: Intent) -> Any:
        if isinstance(intent, Create) and isinstance(intent.obj, Pod) and intent.obj.name in texts:
            return Refused("Forbidden", 403, texts[intent.obj.name])
        return None

    bench.interfere = interfere
    assert bench.sync() == Retry("[a, b]")


@pytest.mark.rule("WL-35")
@pytest.mark.rule("WL-128")
def test_a_parallel_set_ignores_waits() -> None:
    bench = parallel(2)
    bench.set_pod("web-0", terminating=True)
    bench.scale(4)
    bench.sync()
    assert bench.created[-2:] == ["web-2", "web-3"]


# --- scale-down -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-50")
@pytest.mark.rule("WL-53")
@pytest.mark.rule("WL-56")
def test_an_ordered_scale_down_takes_one_pod_a_sync_from_the_top_and_waits_until_it_is_gone() -> None:
    bench = ordered(3)
    bench.scale(0)
    for name in ("web-2", "web-1", "web-0"):
        bench.sync()
        bench.sync()
        assert bench.deleted[-1] == name and bench.deleted.count(name) == 1
        bench.remove(bench.pod(name))
    assert bench.deleted == ["web-2", "web-1", "web-0"]


@pytest.mark.rule("WL-51")
@pytest.mark.parametrize(("bad", "deleted"), [
    (["web-2"], ["web-2", "web-1"]),
    (["web-1"], ["web-2", "web-1"]),
    (["web-1", "web-2"], []),
    (["web-0"], []),
])
def test_what_an_unhealthy_pod_does_to_an_ordered_scale_down(bad: list[str], deleted: list[str]) -> None:
    bench = ordered(3)
    for name in bad:
        bench.set_pod(name, ready=False)
    bench.scale(1)
    for _ in range(4):
        bench.sync()
        for pod in [pod for pod in bench.store.list(Pod) if pod.metadata.is_terminating]:
            bench.remove(pod)
    assert bench.deleted == deleted


@pytest.mark.rule("WL-52")
def test_a_parallel_scale_down_takes_all_at_once_whatever_their_health() -> None:
    bench = parallel(4)
    bench.set_pod("web-1", ready=False)
    bench.set_pod("web-3", terminating=True)
    bench.scale(1)
    bench.sync()
    assert sorted(bench.deleted) == ["web-1", "web-2"]


@pytest.mark.rule("WL-54")
def test_a_delete_has_no_precondition_and_one_that_is_gone_counts_as_deleted() -> None:
    bench = ordered(1)
    bench.scale(0)
    gone = Refused("NotFound", 404, 'pods "web-0" not found')
    bench.interfere = lambda intent: gone if isinstance(intent, Delete) else None
    assert isinstance(bench.sync(), Done)
    (delete,) = [intent for intent in bench.intents if isinstance(intent, Delete)]
    assert (delete.uid, delete.resource_version, delete.grace) == ("", 0, None)
    assert bench.events == [("Normal", "SuccessfulDelete", "Delete Pod web-0 in StatefulSet web successful")]


@pytest.mark.rule("WL-54")
def test_a_refused_delete_is_told_and_fails_the_sync() -> None:
    bench = ordered(1)
    bench.scale(0)
    bench.interfere = lambda intent: FORBIDDEN if isinstance(intent, Delete) else None
    assert bench.sync() == Retry("exceeded quota")
    assert bench.events == [
        ("Warning", "FailedDelete", "Delete Pod web-0 in StatefulSet web failed error: exceeded quota")]


@pytest.mark.rule("WL-55")
def test_an_ordered_sync_that_condemns_does_not_update() -> None:
    bench = ordered(3)
    bench.roll("new")
    bench.scale(2)
    bench.sync()
    assert bench.deleted == ["web-2"]
    bench.remove(bench.pod("web-2"))
    bench.sync()
    assert bench.deleted == ["web-2", "web-1"]


@pytest.mark.rule("WL-49")
def test_losing_pod_0_pauses_an_ordered_set_and_leaves_the_higher_pods_alone() -> None:
    bench = ordered(3)
    bench.remove(bench.pod("web-0"))
    bench.roll("new")
    bench.scale(4)
    bench.sync()
    bench.sync()
    assert bench.created[3:] == ["web-0"] and bench.deleted == []
    bench.set_pod("web-0", phase="Running", ready=True)
    bench.sync()
    assert bench.created[3:] == ["web-0", "web-3"]


@pytest.mark.rule("WL-57")
def test_a_hand_made_pod_is_adopted_and_rolled_or_condemned() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.put(make_pod("web-0", labels={"app": "web"}, claims=("data",)))
    bench.put(make_pod("web-7", labels={"app": "web"}, claims=("data",)))
    for name in ("web-0", "web-7"):
        pod = bench.pod(name)
        (volume,) = pod.spec.volumes
        claim = PersistentVolumeClaimVolumeSource(claim_name=f"data-{name}")
        bench.put(evolve(pod, spec=evolve(pod.spec, volumes=(evolve(volume, persistent_volume_claim=claim),))))
        bench.set_pod(name, phase="Running", ready=True)
    bench.sync()
    assert bench.deleted == ["web-7"]
    bench.remove(bench.pod("web-7"))
    bench.sync()
    assert bench.deleted == ["web-7", "web-0"]
