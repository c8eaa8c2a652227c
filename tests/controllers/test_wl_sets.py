"""The StatefulSet controller alone: clauses of its rules that only show in special places."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolumeClaim, Pod, Taint
from simulator.api.meta import Key, OwnerReference, evolve, with_meta
from simulator.controllers.statefulset.pods import REVISION_LABEL
from simulator.controllers.taint_eviction import TaintEviction
from simulator.flows import Create, Delete, Intent, Refused, Retry, Update
from simulator.testing.builders import make_claim, make_node, make_set
from simulator.units import MINUTE, SECOND
from tests.controllers.cluster_bench import Cluster, running_on
from tests.controllers.set_bench import Bench

BLOCK = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


def revision(bench: Bench, pod: str) -> str:
    return bench.pod(pod).metadata.labels[REVISION_LABEL]


def mid_rollout(strategy: dict[str, Any], replicas: int = 3, **spec: Any) -> Bench:
    """A set whose highest pod alone has been updated, and whose lowest was lost just now."""
    bench = Bench(make_set("web", replicas=replicas, updateStrategy=strategy, **spec))
    bench.settle()
    bench.roll("registry.example.com/main:2")
    bench.sync()
    highest = max(bench.pods())
    bench.remove(bench.pod(highest))
    bench.sync()
    bench.set_pod(highest, phase="Running", ready=True, ready_for=0)
    bench.remove(bench.pod(min(bench.pods())))
    return bench


@pytest.mark.rule("WL-2")
@pytest.mark.rule("WL-29")
@pytest.mark.parametrize(("strategy", "which"), [(BLOCK, "update"), ({"type": "RollingUpdate"}, "current")])
def test_a_pod_lost_during_a_rollout_comes_back_as_the_spelling_of_the_strategy_has_it(
    strategy: dict[str, Any], which: str,
) -> None:
    bench = mid_rollout(strategy, minReadySeconds=3600)
    bench.sync()
    status = bench.sts().status
    assert status.current_revision != status.update_revision
    assert revision(bench, "web-0") == (status.update_revision if which == "update" else status.current_revision)


@pytest.mark.rule("WL-29")
@pytest.mark.rule("WL-18")
def test_the_partition_is_counted_from_the_start_also_for_a_lost_pod() -> None:
    bench = mid_rollout({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, ordinals={"start": 5},
                        podManagementPolicy="Parallel")
    bench.remove(bench.pod("web-6"))
    bench.sync()
    status = bench.sts().status
    assert [revision(bench, name) for name in ("web-5", "web-6", "web-7")] == [
        status.current_revision, status.update_revision, status.update_revision]


@pytest.mark.rule("WL-35")
def test_batches_grow_to_five_hundred_calls_and_no_further() -> None:
    replicas = 1200
    bench = Bench(make_set("web", replicas=replicas, templates=(), podManagementPolicy="Parallel"))

    def interfere(intent: Intent) -> Any:
        if isinstance(intent, Create) and intent.obj.key == Key("Pod", "default", "web-511"):
            return Refused("Forbidden", 403, "exceeded quota")
        return None

    bench.interfere = interfere
    assert isinstance(bench.sync(), Retry)
    # 1 + 2 + 4 + … + 256 = 511 before the batch that fails; it lets its 500 finish.
    assert len(bench.created) == 511 + 500 - 1


@pytest.mark.rule("WL-57")
@pytest.mark.parametrize(("name", "fate"), [("web-1", "rolled"), ("web-7", "condemned"), ("web-x", "left alone")])
def test_a_hand_made_pod_of_the_right_name_and_labels_is_taken_over(name: str, fate: str) -> None:
    bench = Bench(make_set("web", replicas=2, templates=()))
    bench.settle()
    if name == "web-1":
        bench.remove(bench.pod(name))
    bench.deleted.clear()
    pod = running_on("n1", name)
    labels = {"app": "web", "statefulset.kubernetes.io/pod-name": name}
    bench.put(with_meta(pod, labels=labels))
    bench.sync()
    owner = bench.pod(name).metadata.controller
    assert (owner is not None) == (fate != "left alone")
    assert bench.deleted == ([name] if owner is not None else [])


@pytest.mark.rule("WL-46")
@pytest.mark.rule("WL-43")
def test_an_existing_claim_is_taken_whatever_it_is() -> None:
    mine = make_claim("data-web-0", request="1Ti", modes=("ReadOnlyMany",), storage_class="odd")
    bench = Bench(mine, make_set("web", replicas=1))
    bench.sync()
    (claim,) = bench.store.list(PersistentVolumeClaim)
    assert claim.spec == mine.spec and not claim.metadata.labels and bench.pods() == ["web-0"]


@pytest.mark.rule("WL-86")
@pytest.mark.parametrize("management", ["OrderedReady", "Parallel"])
def test_a_claim_lost_in_scaling_down_and_up_blocks_its_pod_until_something_else_happens(management: str) -> None:
    bench = Bench(make_set("web", replicas=3, podManagementPolicy=management, persistentVolumeClaimRetentionPolicy={
        "whenDeleted": "Retain", "whenScaled": "Delete"}))
    bench.settle()
    bench.scale(2)
    bench.sync()
    bench.scale(3)
    bench.sync()
    owners = bench.claim("data-web-2").metadata.owner_references
    assert [owner.kind for owner in owners] == (["Pod"] if management == "OrderedReady" else [])
    bench.remove(bench.pod("web-2"))
    bench.events.clear()
    bench.sync()
    is_blocked = "web-2" not in bench.pods()
    assert is_blocked == (management == "OrderedReady") and (not is_blocked or not bench.events)


@pytest.mark.rule("WL-124")
def test_an_eviction_for_a_taint_is_told_once() -> None:
    cluster = Cluster(TaintEviction(), objects=[make_node("n1"), running_on("n1")])
    cluster.run(SECOND)
    for number in range(3):
        node = cluster.node("n1")
        taints = tuple(Taint(key=f"t{each}", effect="NoExecute") for each in range(number + 1))
        cluster.put(evolve(node, spec=evolve(node.spec, taints=taints)))
        cluster.run(MINUTE)
    assert len(cluster.events("TaintManagerEviction")) == 1
    assert isinstance(cluster.pod("web-0"), Pod)


@pytest.mark.rule("WL-58")
@pytest.mark.rule("WL-70")
def test_a_refused_deletion_for_update_fails_the_sync_and_is_not_subtracted() -> None:
    bench = Bench(make_set("web", replicas=2))
    bench.settle()
    bench.roll("registry.example.com/main:2")
    bench.interfere = lambda intent: Refused("Forbidden", 403, "no") if isinstance(intent, Delete) else None
    bench.events.clear()
    assert bench.sync() == Retry("no")
    assert bench.sts().status.current_replicas == 2
    assert bench.events == [
        ("Warning", "FailedDelete", "Delete Pod web-1 in StatefulSet web failed error: no")]


# --- claims and their owners ----------------------------------------------------------------------------------------

BOTH = {"whenDeleted": "Delete", "whenScaled": "Delete"}
RETAIN = {"whenDeleted": "Retain", "whenScaled": "Retain"}


def owned_by(*owners: tuple[str, str, str]) -> tuple[OwnerReference, ...]:
    """Controller references, each as (kind, name, uid)."""
    versions = {"StatefulSet": "apps/v1"}
    return tuple(OwnerReference(api_version=versions.get(kind, "v1"), kind=kind, name=name, uid=uid, controller=True,
                                block_owner_deletion=True) for kind, name, uid in owners)


@pytest.mark.rule("WL-77")
def test_a_missing_claim_of_a_condemned_pod_is_skipped_in_silence() -> None:
    bench = Bench(make_set("web", replicas=2, persistentVolumeClaimRetentionPolicy=BOTH))
    bench.settle()
    bench.remove(bench.claim("data-web-1"))
    bench.events.clear()
    bench.scale(1)
    bench.sync()
    assert bench.deleted == ["web-1"] and [reason for _, reason, _ in bench.events] == ["SuccessfulDelete"]


@pytest.mark.rule("WL-83")
def test_a_claim_that_names_an_earlier_pod_is_left_alone_even_beside_a_right_owner() -> None:
    bench = Bench(make_set("web", replicas=1, persistentVolumeClaimRetentionPolicy=BOTH))
    bench.settle()
    owners = owned_by(("StatefulSet", "web", bench.sts().metadata.uid), ("Pod", "web-0", "an earlier one"))
    bench.put(with_meta(bench.claim("data-web-0"), owner_references=owners))
    bench.intents.clear()
    bench.sync()
    assert bench.claim("data-web-0").metadata.owner_references == owners
    assert not [intent for intent in bench.intents if isinstance(intent, Update)]


@pytest.mark.rule("WL-84")
@pytest.mark.parametrize(("policy", "warned"), [(RETAIN, False), (BOTH, True)])
def test_under_retain_nobody_minds_who_controls_the_claim_of_a_pending_pod(
    policy: dict[str, str], warned: bool,
) -> None:
    bench = Bench(make_set("web", replicas=1, persistentVolumeClaimRetentionPolicy=policy))
    bench.sync()
    bench.put(with_meta(bench.claim("data-web-0"), owner_references=owned_by(("Backup", "nightly", "b"))))
    bench.events.clear()
    bench.sync()
    assert ("ConflictingController" in [reason for _, reason, _ in bench.events]) == warned


@pytest.mark.rule("WL-42")
def test_only_a_lost_lock_is_tried_again_in_the_same_sync() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.settle()
    bench.put(with_meta(bench.pod("web-0"), labels={**bench.pod("web-0").metadata.labels,
                                                    "statefulset.kubernetes.io/pod-name": "x"}))
    tries = []

    def interfere(intent: Intent) -> Any:
        if isinstance(intent, Update) and isinstance(intent.obj, Pod):
            tries.append(intent)
            return Refused("Forbidden", 403, "no")
        return None

    bench.interfere = interfere
    assert bench.sync() == Retry("no") and len(tries) == 1
