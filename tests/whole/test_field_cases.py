"""Threads of Kubernetes' own tracker, replayed: what was seen there comes about here by the rules alone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Pod
from simulator.api.meta import Object
from simulator.choices import Scripted
from simulator.cluster.faults import LOST, NONE, POINT, Calls
from simulator.drivers.untimed import every_run
from simulator.testing.builders import apart, make_claim, make_node, make_pod, make_set, make_volume
from tests.whole.small_worlds import CLASSES, STUCK, Played, apply, nodes, play

NA = "node(s) didn't match PersistentVolume's node affinity"
NB = "node(s) didn't find available persistent volumes to bind"
APART = "node(s) didn't match pod anti-affinity rules"
SPREAD = "node(s) didn't match pod topology spread constraints"
NO_ANSWER = "etcdserver: request timed out"
ZONE = "topology.kubernetes.io/zone"


def local(name: str, node: str) -> Object:
    return make_volume(name, node=node, storage_class="wait")


def pool(count: int, each: int) -> list[Object]:
    """So many local volumes on each of some nodes: v1a, v1b, … on n1."""
    return [local(f"v{node}{letter}", f"n{node}") for node in range(1, count + 1) for letter in "abc"[:each]]


def claim(name: str, **fields: Any) -> Object:
    return make_claim(name, storage_class="wait", **fields)


def binding_of(pod: str, **fields: Any) -> Calls:
    """The call that binds a pod to its node."""
    return Calls("scheduler", "bind", "Pod", name=pod, **fields)


def ended(played: Played) -> tuple[str, set[str]]:
    """The verdict, and the pods without a node."""
    pods = played.run.world.store.list(Pod)
    return played.run.verdict, {pod.name for pod in pods if not pod.spec.node_name}


def errors(played: Played, pod: str) -> list[str]:
    return [text for text in played.events(pod, "FailedScheduling") if not text.startswith("0/")]


# --- kubernetes#73263: the first of two claims is bound, the second is lost to another pod --------------------------

TWO_CLAIMS = [*CLASSES, *nodes(2), local("v1", "n1"), local("v2", "n1"), local("v3", "n2")]
BOTH_PODS = [apply(claim("a"), claim("b"), claim("d"), make_pod("p", claims=("a", "b")), at="1s"),
             apply(make_pod("q", claims=("d",)), at="1.2s")]


@pytest.mark.rule("VB-146", "VB-154", "VB/ND-16")
def test_73263_a_pod_of_two_claims_loses_the_second_volume_after_the_first_is_written() -> None:
    """In all runs with at most one failed or unanswered call for a volume: half bound is what the thread tells of."""

    def run_once(chooser: Scripted) -> str:
        asked = Calls("scheduler", "update", "PersistentVolume", fate=NONE)
        played = play(TWO_CLAIMS, BOTH_PODS, faults=[asked], chooser=also_asked_for_faults(chooser))
        verdict, waiting = ended(played)
        if verdict == "converged":
            return verdict
        assert waiting == {"p"} and errors(played, "p") == [f'running PreBind plugin "VolumeBinding": {NO_ANSWER}']
        bound = [name for name in "ab" if played.phase("PersistentVolumeClaim", name) == "Bound"]
        assert played.refusal("p") == (f"1 {NB}, 1 {NA}" if bound else f"2 {NB}")
        return ("nothing", "half")[len(bound)] + " bound"

    ends = [end for end, _ in every_run(run_once)]
    assert len(ends) > 20 and set(ends) == {"converged", "half bound", "nothing bound"}


def test_73263_does_not_happen_while_all_calls_succeed() -> None:
    def run_once(chooser: Scripted) -> str:
        return play(TWO_CLAIMS, BOTH_PODS, chooser=chooser).run.verdict

    assert {end for end, _ in every_run(run_once)} == {"converged"}


def also_asked_for_faults(chooser: Scripted) -> Scripted:
    """The same script, for a chooser that branches where calls may fail too."""
    twin = Scripted(chooser.script, ("volume", "node", POINT))
    twin.asked = chooser.asked
    return twin


# --- kubernetes#108560: claims are bound, then binding the pod fails, and a sibling takes its place -----------------


@pytest.mark.rule("VB-153", "VB-154", "SC-105")
def test_108560_after_a_time_out_of_etcd_two_volumes_of_a_set_are_on_one_node() -> None:
    """db-0 and db-2, as in the thread."""
    played = play(
        [*CLASSES, *nodes(3), *pool(3, 2)],
        [apply(make_set("db", storage_class="wait", podManagementPolicy="Parallel"), at="1s")],
        faults=[binding_of("db-0"), Calls("scheduler", "update", "PersistentVolume", name="v3a")], ties="first",
    )
    assert errors(played, "db-0") == [f'running Bind plugin "DefaultBinder": {NO_ANSWER}']
    assert played.volume_of("data-db-0")[:2] == played.volume_of("data-db-2")[:2] == "v1"
    assert ended(played) == ("stuck", {"db-0"})
    assert played.refusal("db-0") == f"1 {APART}, 2 {NA}"


@pytest.mark.parametrize(("calls", "verdict"), [
    ([], "converged"), ([binding_of("web-0")], "stuck"), ([binding_of("web-0", fate=LOST)], "converged"),
])
def test_108560_one_failed_call_is_enough_if_the_sibling_comes_then_and_a_lost_answer_does_no_harm(
    calls: list[Calls], verdict: str
) -> None:
    played = play(
        [*CLASSES, *nodes(2), *pool(2, 2)],
        [apply(make_set("web", replicas=1, storage_class="wait", podManagementPolicy="Parallel"), at="1s"),
         {"at": "2.5s", "scale": "StatefulSet/web", "replicas": 2}],
        faults=calls, ties="first",
    )
    assert played.run.verdict == verdict
    assert played.volume_of("data-web-1") == ("v1b" if verdict == "stuck" else "v2a")


# --- kubernetes#65131: three pods that must stand apart are created quickly; all claims are bound, one pod runs -----

PODS = [
    apply(claim(f"c{number}"), make_pod(f"p{number}", claims=(f"c{number}",), labels={"app": "x"}, affinity=apart("x")),
          at=moment)
    for number, moment in enumerate(("1s", "2.5s", "3.6s"), 1)
]


@pytest.mark.rule("VB-154")
def test_65131_all_claims_are_bound_on_one_node_and_one_pod_runs() -> None:
    """A pod counts for anti-affinity from Reserve on; since then it takes failing calls to get there."""
    played = play([*CLASSES, *nodes(3), *pool(3, 3)], PODS, faults=[binding_of("p1"), binding_of("p2")], ties="first")
    assert {played.volume_of(f"c{number}")[:2] for number in (1, 2, 3)} == {"v1"}
    assert {played.phase("PersistentVolumeClaim", f"c{number}") for number in (1, 2, 3)} == {"Bound"}
    assert ended(played) == ("stuck", {"p1", "p2"})
    assert played.refusal("p1") == played.refusal("p2") == f"1 {APART}, 2 {NA}"


@pytest.mark.parametrize("seed", range(10))
def test_65131_does_not_happen_while_all_calls_succeed(seed: int) -> None:
    played = play([*CLASSES, *nodes(3), *pool(3, 3)], PODS, seed=seed)
    assert ended(played) == ("converged", set())


# --- kubernetes#65604: a pod that names its node never gets its WaitForFirstConsumer claim --------------------------


@pytest.mark.rule("VB-53", "VB-182", "VB-183")
def test_65604_a_claim_never_binds_whose_pod_names_its_node() -> None:
    played = play(
        [*CLASSES, *nodes(1), local("v1", "n1")],
        [apply(claim("c"), make_pod("p", claims=("c",), nodeName="n1"), at="1s"),
         {"when": STUCK, "delete": "Pod/p"}, apply(make_pod("p", claims=("c",)), when="Pod/p is gone")],
    )
    then = played.before(2)
    assert set(then.events("c")) == {"waiting for first consumer to be created before binding"}
    unbound = "error processing PVC default/c: PVC is not bound"
    assert [text.endswith(unbound) for text in then.events("p", "FailedMount")][:1] == [True]
    assert not then.events("p", "FailedScheduling") and then.phase("PersistentVolume", "v1") == "Available"
    assert ended(played) == ("converged", set())


# --- kubernetes#121436: the pod is another one by the time it is bound; its claim stays where a sibling goes --------


@pytest.mark.rule("VB-151", "VB-154", "VB/ND-28")
def test_121436_a_uid_precondition_fails_at_bind_and_the_claim_stays_in_a_zone_that_a_sibling_took() -> None:
    zones = [make_node(f"n{number}", labels={ZONE: zone}) for number, zone in enumerate("abc", 1)]
    spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule",
              "labelSelector": {"matchLabels": {"app": "web"}}}
    web = make_set("web", storage_class="wait", podManagementPolicy="Parallel", anti_affinity=False,
                   pod_spec={"topologySpreadConstraints": [spread]})
    played = play(
        [*CLASSES, *zones, *pool(2, 2)], [apply(web, at="1s"), {"at": "1.5s", "delete": "Pod/web-1"}], ties="first",
    )
    refused, = (entry.detail for entry in played.entries if entry.verb == "refused" and entry.actor == "scheduler")
    assert refused is not None and refused["verb"] == "bind"
    assert "Precondition failed: UID in precondition" in refused["message"]
    assert played.phase("PersistentVolumeClaim", "data-web-1") == "Bound" and played.volume_of("data-web-1") == "v2a"
    assert played.node_of("web-2") == "n2"
    assert ended(played) == ("stuck", {"web-1"})
    assert played.refusal("web-1") == f"1 {SPREAD}, 2 {NA}"
