from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scenario_files import POD, actions, play

from simulator.api.core import Node, Pod
from simulator.api.meta import Key


def evicted(pod: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**pod, "metadata": {**pod["metadata"], **fields}}


def pod_of(result: Any, name: str = "web-0") -> Pod | None:
    found: Pod | None = result.world.store.get(Pod, name, "default")
    return found


def test_apply_creates_an_object_and_changes_it_when_it_is_there(tmp_path: Path) -> None:
    again = evicted(POD, labels={"tier": "front"})
    result = play(tmp_path, {"apply": POD}, {"apply": again})
    pod = pod_of(result)
    assert pod is not None and dict(pod.metadata.labels) == {"tier": "front"}  # what is not written any more goes
    assert result.failures == ()
    assert actions(result) == [("apply", "Pod/default/web-0", None)] * 2


def test_apply_leaves_alone_what_others_have_set(tmp_path: Path) -> None:
    patch = {"patch": "Pod/web-0", "to": {"metadata": {"labels": {"mine": "1"}}}}
    pod = pod_of(play(tmp_path, {"apply": POD}, patch, {"apply": POD}))
    assert pod is not None and pod.metadata.labels["mine"] == "1"


def test_create_of_an_object_that_exists_is_refused_and_the_scenario_fails(tmp_path: Path) -> None:
    result = play(tmp_path, {"create": POD}, {"create": POD})
    assert result.failures == ('timeline entry 2: pods "web-0" already exists',)


def test_a_refusal_that_is_allowed_for_is_no_failure(tmp_path: Path) -> None:
    result = play(tmp_path, {"delete": "Pod/web-0", "mayFail": True})
    assert result.failures == ()
    assert actions(result) == [("delete", "Pod/default/web-0", 'pods "web-0" not found')]


def test_several_objects_are_deleted_one_after_another_and_a_refusal_does_not_keep_the_next(tmp_path: Path) -> None:
    result = play(tmp_path, {"apply": POD}, {"delete": ["Pod/nobody", "Pod/web-0"]})
    assert result.failures == ('timeline entry 2: pods "nobody" not found',)
    assert pod_of(result) is None


@pytest.mark.rule("WL-100")
def test_only_a_forced_deletion_does_without_the_kubelet(tmp_path: Path) -> None:
    def deleted(**how: Any) -> list[str]:
        result = play(tmp_path, {"apply": POD}, {"when": "Pod/web-0 is ready", "delete": "Pod/web-0", **how})
        return [e.verb for e in result.log.entries
                if e.actor == "kubectl" and e.key.kind == "Pod" and e.verb in ("delete", "remove")]

    assert "remove" in deleted(force=True)
    assert deleted(grace=0) == ["delete"]  # it is sent as 1 second
    assert deleted() == ["delete"]


def test_cordon_uncordon_and_taint_change_the_node(tmp_path: Path) -> None:
    def node(*timeline: dict[str, Any]) -> Node:
        found = play(tmp_path, *timeline, until="5s").world.store.get(Node, "node1")
        assert found is not None
        return found

    assert node({"cordon": "Node/node1"}).spec.unschedulable
    assert not node({"cordon": "node1"}, {"uncordon": "node1"}).spec.unschedulable
    tainted = {"taint": "node1", "taints": ["a=1:NoSchedule", "b:NoExecute"]}
    assert [(t.key, t.value, t.effect) for t in node(tainted).spec.taints] == [
        ("a", "1", "NoSchedule"), ("b", "", "NoExecute")]
    changed = node(tainted, {"taint": "node1", "taints": ["a=2:NoSchedule"]})
    assert [(t.key, t.value) for t in changed.spec.taints] == [("b", ""), ("a", "2")]
    assert node(tainted, {"taint": "node1", "taints": ["a:NoSchedule-", "b-"]}).spec.taints == ()


def test_a_patch_of_a_wrong_type_is_a_bad_request_and_not_a_crash(tmp_path: Path) -> None:
    result = play(tmp_path, {"patch": "Node/node1", "to": {"spec": {"taints": 3}}})
    assert len(result.failures) == 1 and "spec.taints" in result.failures[0]


def test_an_evicted_pod_is_deleted(tmp_path: Path) -> None:
    assert pod_of(play(tmp_path, {"apply": POD}, {"when": "Pod/web-0 is ready", "evict": "web-0"})) is None


# --- drain ----------------------------------------------------------------------------------------------------------

OWNED = {"ownerReferences": [
    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-1", "controller": True}]}


def drained(tmp_path: Path, pod: dict[str, Any], **how: Any) -> Any:
    return play(tmp_path, {"apply": pod}, {"when": "Pod/web-0 is ready", "drain": "node1", **how}, nodes=1)


@pytest.mark.rule("WL-138")
def test_a_drain_cordons_and_ends_when_the_pods_are_gone(tmp_path: Path) -> None:
    result = drained(tmp_path, POD, force=True)
    assert result.failures == () and pod_of(result) is None
    node = result.world.store.get(Node, "node1")
    assert node is not None and node.spec.unschedulable


@pytest.mark.rule("WL-138")
@pytest.mark.parametrize(("pod", "flag", "words"), [
    (POD, "force", "use --force to override"),
    ({**evicted(POD, **OWNED), "spec": {**POD["spec"], "volumes": [{"name": "tmp", "emptyDir": {}}]}},
     "deleteEmptydirData", "use --delete-emptydir-data to override"),
])
def test_a_drain_evicts_nothing_while_a_pod_needs_a_flag(
    tmp_path: Path, pod: dict[str, Any], flag: str, words: str
) -> None:
    refused = drained(tmp_path, pod)
    assert pod_of(refused) is not None and words in refused.failures[0] and "default/web-0" in refused.failures[0]
    assert pod_of(drained(tmp_path, pod, **{flag: True})) is None


@pytest.mark.rule("WL-138")
def test_pods_of_daemon_sets_stop_a_drain_or_are_skipped(tmp_path: Path) -> None:
    (owner,) = OWNED["ownerReferences"]
    daemon = evicted(POD, ownerReferences=[{**owner, "kind": "DaemonSet"}])
    assert "use --ignore-daemonsets to ignore" in drained(tmp_path, daemon).failures[0]
    skipped = drained(tmp_path, daemon, ignoreDaemonsets=True)
    assert skipped.failures == () and pod_of(skipped) is not None


@pytest.mark.rule("WL-139")
def test_a_drain_that_a_budget_blocks_asks_again_every_five_seconds(tmp_path: Path) -> None:
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
              "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    result = play(tmp_path, {"apply": [evicted(POD, **OWNED), budget]},
                  {"at": "10s", "drain": "node1"}, nodes=1, until="1m")
    blocked = [e.time for e in result.log.entries if e.verb == "evict-blocked"]
    assert len(blocked) >= 9
    assert {round((b - a) / 1e6) for a, b in pairwise(blocked)} == {5}
    assert result.verdict == "no verdict" and "entry 2 (drain)" in result.why


def test_a_set_is_scaled(tmp_path: Path) -> None:
    from simulator.api.apps import StatefulSet
    from simulator.api.meta import encode
    from simulator.testing.builders import make_set

    raw = {"apiVersion": "apps/v1", "kind": "StatefulSet", **encode(make_set("web", replicas=1, templates=()))}
    result = play(tmp_path, {"apply": raw}, {"when": "StatefulSet/web is ready", "scale": "web", "replicas": 2})
    sts = result.world.store.get(StatefulSet, "web", "default")
    assert sts is not None and sts.status.ready_replicas == 2 and result.verdict == "converged"
    assert Key("Pod", "default", "web-1") in result.world.store.of_kind("Pod")
