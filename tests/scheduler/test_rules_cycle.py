"""Rules of the scheduling cycle, of preemption and of messages, from whole attempts on small clusters."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import simulator.scheduler
from simulator.api.core import Condition, Pod, set_condition
from simulator.api.meta import Key, Object, evolve, with_annotations, with_meta
from simulator.binding.names import BIND_COMPLETED
from simulator.flows import Choose, Patch, Poll, Refused
from simulator.scheduler import Scheduler
from simulator.scheduler.decision import Decision, Preparation, Profile, Question, decide, prepare
from simulator.scheduler.framework import (
    Code,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    unschedulable,
)
from simulator.scheduler.memory import Unreserved
from simulator.scheduler.plugins import DEFAULT_PROFILE
from simulator.testing.builders import HOSTNAME, apart, make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import SECOND
from tests.scheduler.bench import Bench, Running
from tests.scheduler.snapshots import on, snapshot_of

POD_KEY = Key("Pod", "default", "web-0")
LOCAL = make_class("local", mode="WaitForFirstConsumer")
UNBOUND_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
NOTHING_NEW = "no new claims to deallocate, preemption: "


def local(name: str, node: str, **fields: Any) -> Object:
    return make_volume(name, node=node, storage_class="local", phase="Available", **fields)


def bound(claim: str, node: str | None, **fields: Any) -> tuple[Object, ...]:
    """A claim with the volume that it is bound to."""
    bound_claim = with_annotations(make_claim(claim, volumeName=f"pv-{claim}", **fields), {BIND_COMPLETED: "yes"})
    return bound_claim, make_volume(f"pv-{claim}", node=node, phase="Bound")


def attempt(*objects: Object, **spec: Any) -> tuple[Bench, Running]:
    """The first attempt to place web-0 in a cluster, up to its first question or write."""
    bench = Bench(*objects)
    bench.put(make_pod("web-0", **spec))
    return bench, bench.cycle()


def said(*objects: Object, **spec: Any) -> str:
    """What FailedScheduling says after the first attempt."""
    bench, _ = attempt(*objects, **spec)
    event, = bench.events
    assert (event.type, event.reason) == ("Warning", "FailedScheduling")
    return event.message


def ask(pod: Pod, *objects: Object, **fields: Any) -> Decision:
    question = Question(DEFAULT_PROFILE, pod, snapshot_of(*objects), **fields)
    preparation = prepare(question)
    return decide(question, preparation) if isinstance(preparation, Preparation) else preparation


def names(decision: Decision) -> list[str]:
    return [info.name for info in decision.feasible]


def finish(bench: Bench, run: Running) -> None:
    """Let the write that the flow asks for succeed."""
    stored: Any = bench.store.find(run.intent.key)
    run.answer(bench.put(run.intent.edit(stored, *run.intent.args)))


# --- cache and snapshot ---------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-31")
def test_an_assumed_pod_never_expires() -> None:
    bench, _ = attempt(make_node("a", cpu="1"), cpu="1")
    bench.now = 10_000 * SECOND
    bench.put(make_pod("web-1", cpu="1"))
    bench.cycle()
    assert bench.events[-1].message.startswith("0/1 nodes are available: 1 Insufficient cpu.")


@pytest.mark.rule("SC-32")
def test_pods_and_nodes_are_as_the_attempt_began_and_claims_classes_and_budgets_as_they_are_now() -> None:
    bench = Bench(make_node("a"), make_node("b"))
    bench.put(make_pod("web-0"))
    run = bench.cycle()
    assert [key.name for key in run.intent.options] == ["a", "b"]
    bench.remove(make_node("b"))
    run.answer(run.intent.options[1])
    assert bench.spawned[0].argument.pod.spec.node_name == "b", "the attempt has its own picture of the nodes"
    pair = [make_node(name, cpu="1") for name in "ab"]
    victims = [make_pod(f"v-{name}", cpu="1", nodeName=name, labels={"app": "v"}) for name in "ab"]
    bench = Bench(*pair, *victims, make_class("made", mode="Immediate"))
    bench.put(make_pod("web-0", claims=("data",)))
    assert "persistentvolumeclaim" in bench.cycle().intent.args[0].message
    bench.put(make_claim("data", storage_class="made"))
    assert "unbound immediate" in bench.cycle().intent.args[0].message


@pytest.mark.rule("SC-33")
def test_pods_of_a_deleted_node_attract_and_repel_nobody() -> None:
    bench = Bench(make_node("a", labels={"zone": "z"}), make_node("b", labels={"zone": "z"}),
                  make_pod("there", labels={"app": "x"}, nodeName="a"))
    term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    bench.put(make_pod("web-0", affinity=affinity))
    bench.cycle()
    assert "2 node(s) didn't match pod anti-affinity rules" in bench.events[-1].message
    bench.remove(make_node("a"))
    bench.memory.queue.activate(bench.store.get(Pod, "web-0", "default"))  # type: ignore[arg-type]
    bench.cycle()
    assert bench.spawned[0].argument.pod.spec.node_name == "b"
    bench.put(make_node("a", labels={"zone": "z"}))
    assert [len(info.pods) for info in bench.memory.cache.nodes()] == [1, 1], "its pods were cached all along"


@pytest.mark.rule("SC-34")
@pytest.mark.rule("SC-35")
def test_nodes_are_grouped_by_region_and_zone_the_older_labels_first() -> None:
    beta, stable = "failure-domain.beta.kubernetes.io/", "topology.kubernetes.io/"

    def listed(*labels: dict[str, str]) -> list[str]:
        bench = Bench(*(make_node(f"n{number}", labels=each) for number, each in enumerate(labels)))
        return [info.name for info in bench.memory.cache.nodes()]

    east, west = {stable + "region": "east", stable + "zone": "z"}, {stable + "region": "west", stable + "zone": "z"}
    assert listed(east, east, west) == ["n0", "n2", "n1"], "zones of one name in two regions are two"
    old = {beta + "region": "west", beta + "zone": "z", **east}
    assert listed(east, old, east, west) == ["n0", "n1", "n2", "n3"], "n1 is in the west"
    assert listed(east, east, old) == ["n0", "n2", "n1"]
    assert listed({}, {}, east) == ["n0", "n2", "n1"], "neither label is a group of its own"


@pytest.mark.rule("SC-37")
def test_a_pod_that_is_assumed_already_is_dropped_silently() -> None:
    bench = Bench(make_node("a"), make_pod("web-0"))
    stored: Any = bench.store.find(POD_KEY)
    bench.memory.cache.assume(on(stored, "a"))
    assert bench.cycle().intent is None
    assert not bench.events and not bench.spawned and not bench.memory.queue.in_flight
    assert bench.memory.queue.find(POD_KEY) is None


# --- before the nodes -----------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-66")
@pytest.mark.parametrize(("objects", "expected"), [
    ([], 'waiting for ephemeral volume controller to create the persistentvolumeclaim "web-0-scratch"'),
    ([make_claim("web-0-scratch")],
     "PVC default/web-0-scratch was not created for pod default/web-0 (pod is not owner)"),
])
def test_what_volume_binding_says_of_an_ephemeral_claim(objects: list[Object], expected: str) -> None:
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}
    assert said(make_node("a"), *objects, volumes=[volume]) == f"0/1 nodes are available: {expected}. not found"


@pytest.mark.rule("SC-66")
@pytest.mark.parametrize(("claim", "expected"), [
    (evolve(make_claim("data", volumeName="gone"), status=evolve(make_claim("x").status, phase="Lost")),
     'persistentvolumeclaim "data" bound to non-existent persistentvolume "gone"'),
    (with_meta(make_claim("data", storage_class="local"), deletion_timestamp=1, finalizers=("f",)),
     'persistentvolumeclaim "data" is being deleted'),
    (make_claim("data"), UNBOUND_IMMEDIATE),
    (make_claim("data", storage_class=""), UNBOUND_IMMEDIATE),
    (make_claim("data", storage_class="missing"), UNBOUND_IMMEDIATE),
    (make_claim("data", storage_class="now"), UNBOUND_IMMEDIATE),
    (make_claim("data", storage_class="local", volumeName="preset"), UNBOUND_IMMEDIATE),
])
def test_what_volume_binding_says_before_any_node(claim: Object, expected: str) -> None:
    cluster = (make_node("a"), LOCAL, make_class("now"), claim)
    assert said(*cluster, claims=("data",)) == f"0/1 nodes are available: {expected}. not found"


@pytest.mark.rule("SC-66")
def test_what_volume_binding_says_of_a_node() -> None:
    csi = make_class("csi", mode="WaitForFirstConsumer", provisioner="csi.example.com", allowedTopologies=[
        {"matchLabelExpressions": [{"key": HOSTNAME, "values": ["b"]}]}])
    cluster = (make_node("a"), LOCAL, csi, *bound("here", "a"), *bound("there", "b"))
    node, volume = "1 node(s) didn't match PersistentVolume's node affinity", (
        "1 node(s) didn't find available persistent volumes to bind")
    assert f"available: {node}. " in said(*cluster, claims=("here", "there"))
    assert f"available: {volume}. " in said(*cluster, make_claim("new", storage_class="local"), claims=("here", "new"))
    assert f"available: {volume}. " in said(*cluster, make_claim("new", storage_class="csi"), claims=("new",))
    assert f"available: {volume}, {node}. " in said(
        *cluster, make_claim("new", storage_class="local"), claims=("there", "new"))


@pytest.mark.rule("SC-18")
@pytest.mark.rule("SC-66")
@pytest.mark.rule("SC-101")
@pytest.mark.rule("SC-102")
def test_an_unbound_claim_is_written_and_then_polled_each_second_for_ten_minutes() -> None:
    bench, _ = attempt(make_node("a"), LOCAL, local("pv", "a"), make_claim("data", storage_class="local"),
                       claims=("data",))
    binding = bench.run_spawned()
    asked = []
    while not isinstance(binding.intent, Poll):
        asked.append((type(binding.intent).__name__, binding.intent.key.kind if isinstance(binding.intent, Patch)
                      else binding.intent.obj.KIND))
        if isinstance(binding.intent, Patch):
            finish(bench, binding)
        else:
            binding.answer(bench.put(binding.intent.obj))
    assert asked == [("Patch", "Pod"), ("Update", "PersistentVolume")]
    assert (binding.intent.every, binding.intent.deadline) == (SECOND, 600 * SECOND)
    stored: Any = bench.store.find(POD_KEY)
    assert stored.status.nominated_node_name == "a" and not bench.memory.queue.in_flight
    assert bench.memory.queue.find(POD_KEY) is None, "an assumed pod is no business of the queue, whatever is patched"


@pytest.mark.rule("SC-67")
def test_words_of_other_releases_are_not_in_the_scheduler() -> None:
    text = "\n".join(
        node.value
        for path in sorted(Path(simulator.scheduler.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    for words in ("had volume node affinity conflict", "had taints that the pod didn't tolerate",
                  "had unknown conditions", "had untolerated taint {"):
        assert words not in text
    tainted = make_node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert said(tainted).startswith("0/1 nodes are available: 1 node(s) had untolerated taint(s). ")


@pytest.mark.rule("SC-68")
@pytest.mark.rule("SC-66")
def test_a_bound_claim_without_its_volume_is_refused_by_zone_before_volume_binding_sees_a_node() -> None:
    claim, _ = bound("data", None)
    bench, _ = attempt(make_node("a"), claim, claims=("data",))
    assert bench.events[0].message == '0/1 nodes are available: persistentvolume "pv-data" not found. not found'
    assert bench.notes[0].detail["rejectors"] == ["VolumeZone"]


@pytest.mark.rule("SC-41")
def test_only_named_nodes_are_looked_at_and_a_bound_volume_names_none() -> None:
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]} for name in ("a", "gone")]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    decision = ask(make_pod("p", uid="p", cpu="9", affinity=affinity), *(make_node(name) for name in "abc"))
    assert list(decision.statuses) == ["a"] and decision.others is not None
    assert decision.others.reasons == ("node(s) didn't satisfy plugin(s) [NodeAffinity]",)
    assert decision.rejectors == {"NodeAffinity", "NodeResourcesFit"}
    decision = ask(make_pod("p", uid="p", claims=("data",)), *(make_node(name) for name in "abc"), *bound("data", "b"))
    assert list(decision.statuses) == ["a", "c"] and decision.others is None and names(decision) == ["b"]


class Narrow(FilterDefaults):
    """Wants certain nodes, and refuses them all."""

    def __init__(self, name: str, *nodes: str) -> None:
        self.name = name
        self.nodes = frozenset(nodes)

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        return PreFilterResult(node_names=self.nodes)

    def filter(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        return unschedulable(self.name, "no")


@pytest.mark.rule("SC-41")
@pytest.mark.rule("SC-39")
def test_plug_ins_that_narrow_are_named_in_alphabetical_order() -> None:
    profile = Profile((Narrow("Z", "a", "b"), Narrow("A", "b", "c")), ())
    question = Question(profile, make_pod("p", uid="p"), snapshot_of(*(make_node(name) for name in "abc")))
    preparation = prepare(question)
    assert isinstance(preparation, Preparation)
    decision = decide(question, preparation)
    assert decision.others is not None and decision.others.reasons == ("node(s) didn't satisfy plugin(s) [A Z]",)
    assert decision.others.code is Code.UNRESOLVABLE and list(decision.statuses) == ["b"]
    assert decision.rejectors == {"A", "Z"}


class Hoping(FilterDefaults):
    """Refuses the pod for now, before any node."""

    def __init__(self, name: str) -> None:
        self.name = name

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        return PreFilterResult(unschedulable(self.name, f"not yet, says {self.name}"))

    def filter(self, state: Any, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        raise AssertionError("a pod that was refused outright is not filtered")


@pytest.mark.rule("SC-39")
@pytest.mark.rule("SC-28")
def test_of_several_refusals_that_may_pass_the_last_one_counts_and_preemption_is_tried() -> None:
    profile = Profile((Hoping("First"), Hoping("Second")), ())
    bench = Bench(make_node("a"), make_pod("lower", nodeName="a"), scheduler=Scheduler(profile))
    bench.put(make_pod("web-0", priority=5))
    run = bench.cycle()
    tried = 'expected at least one victim pod on node "a"'
    assert bench.events[0].message == f"0/1 nodes are available: not yet, says Second. {tried}"
    assert bench.notes[0].detail["rejectors"] == ["Second"] and run.intent.args[1] is None


@pytest.mark.rule("SC-40")
@pytest.mark.rule("SC-117")
def test_what_the_nominated_node_says_counts_even_where_the_search_does_not_come() -> None:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    pod = make_pod("p", uid="p", cpu="9", affinity=affinity)
    pod = evolve(pod, status=evolve(pod.status, nominated_node_name="a"))
    decision = ask(pod, *(make_node(name) for name in "abc"))
    assert {name: status.plugin for name, status in decision.statuses.items()} == {
        "a": "NodeAffinity", "b": "NodeResourcesFit"}
    assert decision.next_start == 2


# --- the nodes ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-46")
@pytest.mark.rule("SC-78")
@pytest.mark.parametrize("spec", [
    {"affinity": apart("x")},
    {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": HOSTNAME, "whenUnsatisfiable": "DoNotSchedule",
                                    "labelSelector": {"matchLabels": {"app": "x"}}}]},
])
@pytest.mark.parametrize("how", ["running", "assumed", "nominated"])
def test_running_assumed_and_nominated_pods_keep_others_away_alike(spec: dict[str, Any], how: str) -> None:
    cluster, other = [make_node(name) for name in "ab"], make_pod("other", uid="o", labels={"app": "x"})
    pod = make_pod("web-0", uid="w", labels={"app": "x"}, **spec)
    if how == "running":
        assert names(ask(pod, *cluster, on(other, "a"))) == ["b"]
    elif how == "nominated":
        assert names(ask(pod, *cluster, nominations={"a": (other,)})) == ["b"]
    else:
        bench = Bench(*cluster, other)
        run = bench.cycle()
        run.answer(run.intent.options[0])
        bench.put(pod)
        assert bench.cycle().intent is None and bench.spawned[1].argument.pod.spec.node_name == "b"


@pytest.mark.rule("SC-46")
def test_an_exclusive_claim_of_a_nominated_pod_is_not_taken_where_it_is_nominated() -> None:
    claim = make_claim("data", uid="c", modes=("ReadWriteOncePod",), volumeName="pv-data")
    claim = with_annotations(claim, {BIND_COMPLETED: "yes"})
    nodes = [make_node(name) for name in "ab"]
    user, other = make_pod("user", uid="u", claims=("data",)), make_pod("other", uid="o", claims=("data",))
    volume = make_volume("pv-data", phase="Bound", modes=("ReadWriteOncePod",))
    assert names(ask(user, *nodes, claim, volume)) == ["a", "b"]
    refused = ask(user, *nodes, claim, volume, on(other, "a"), nominations={})
    assert not refused.feasible and set(refused.statuses) == {"a", "b"}
    assert names(ask(user, *nodes, claim, volume, nominations={"a": (other,)})) == ["a", "b"], (
        "the plug-in was skipped, and with it its hooks")


@pytest.mark.rule("SC-46")
def test_nobody_may_lean_on_a_pod_that_is_only_nominated() -> None:
    friend = make_pod("friend", uid="f", labels={"app": "x"})
    pod = make_pod("p", uid="p", affinity={"podAffinity": apart("x")["podAntiAffinity"]})
    assert names(ask(pod, make_node("a"), on(friend, "a"))) == ["a"]
    refused = ask(pod, make_node("a"), nominations={"a": (friend,)})
    assert refused.statuses["a"].reasons == ("node(s) didn't match pod affinity rules",)


@pytest.mark.rule("SC-77")
def test_a_terminating_pod_still_holds_its_port_its_claim_and_its_place_at_the_driver() -> None:
    port = [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]

    def refused(there: Pod, pod: Pod, *objects: Object) -> set[str]:
        leaving = with_meta(on(there, "a"), deletion_timestamp=1, uid="leaving")
        return set(ask(pod, make_node("a"), leaving, *objects).rejectors)

    assert refused(make_pod("x", containers=port), make_pod("p", uid="p", containers=port)) == {"NodePorts"}
    exclusive = bound("data", None, modes=("ReadWriteOncePod",))
    assert refused(make_pod("x", claims=("data",)), make_pod("p", uid="p", claims=("data",)), *exclusive) == {
        "VolumeRestrictions"}
    assert refused(make_pod("x", cpu="8"), make_pod("p", uid="p", cpu="1")) == {"NodeResourcesFit"}
    assert refused(make_pod("x", labels={"app": "x"}), make_pod("p", uid="p", affinity=apart("x"))) == {
        "InterPodAffinity"}


@pytest.mark.rule("SC-48")
@pytest.mark.rule("SC-91")
@pytest.mark.rule("SC-95")
@pytest.mark.rule("SC-97")
def test_the_total_of_a_node_is_made_of_nothing_but_the_scores_that_are_not_skipped() -> None:
    there = on(make_pod("there", uid="t", cpu="1", memory="4Gi"), "a")
    cluster = [make_node(name, cpu="4", memory="16Gi") for name in "ab"]
    decision = ask(make_pod("p", uid="p", cpu="500m", memory="1Gi"), *cluster, there)
    # 3 · 100 for taints that nobody has, 65 of NodeResourcesFit and 73 of balance; nothing for the plug-ins with
    # nothing to say: affinities, spreading, volumes, images, resource claims.
    assert dict(zip(names(decision), decision.totals, strict=True))["a"] == 300 + 65 + 73


@pytest.mark.rule("SC-50")
def test_a_pod_like_the_one_before_it_is_ranked_anew() -> None:
    bench = Bench(make_node("a"), make_node("b"), *(make_pod(f"web-{number}", cpu="1") for number in range(2)))
    first = bench.cycle()
    first.answer(first.intent.options[0])
    assert bench.cycle().intent is None, "no tie: the other node is emptier now"
    assert [spawn.argument.pod.spec.node_name for spawn in bench.spawned] == ["a", "b"]


# --- Reserve, binding, failure --------------------------------------------------------------------------------------


@pytest.mark.rule("SC-99")
@pytest.mark.rule("SC-108")
@pytest.mark.rule("VB-143")
def test_a_volume_that_changed_during_the_attempt_makes_reserve_fail() -> None:
    cluster = (make_node("a"), make_node("b"), LOCAL, local("pv-a", "a"), local("pv-b", "b"))
    bench, run = attempt(*cluster, make_claim("data", storage_class="local"), claims=("data",))
    volume: Any = bench.store.find(Key("PersistentVolume", "", "pv-a"))
    seen = volume.metadata.resource_version
    newer = bench.put(with_meta(volume, labels={"new": "1"})).metadata.resource_version
    run.answer(run.intent.options[0])
    condition, nominated, _ = run.intent.args
    text = f'running Reserve plugin "VolumeBinding": "pv-a" is out of sync (stored: {newer}, assume: {seen})'
    assert (condition.reason, condition.message, nominated) == ("SchedulerError", text, "")
    assert bench.events[0].message == text, "and no tail: PostFilter does not run"
    assert not bench.spawned and not bench.memory.assumptions.objects
    assert bench.memory.cache.nodes()[0].pods == () and len(bench.memory.queue.error_backoff) == 1


@pytest.mark.rule("SC-104")
def test_an_assumption_holds_until_another_version_is_seen_or_it_is_taken_back() -> None:
    def cluster() -> Bench:
        claims = [make_claim(name, storage_class="local") for name in ("one", "two")]
        bench, _ = attempt(make_node("a"), LOCAL, local("pv", "a"), *claims, claims=("one",))
        bench.now = 5_000 * SECOND
        bench.put(make_pod("web-1", claims=("two",)))
        assert isinstance(bench.cycle().intent, Patch), "taken, and that does not wear off"
        return bench

    def retry(bench: Bench) -> Any:
        bench.memory.queue.activate(bench.store.get(Pod, "web-1", "default"))  # type: ignore[arg-type]
        return bench.cycle().intent

    bench = cluster()
    assert isinstance(retry(bench), Patch)
    bench.put(with_meta(bench.store.find(Key("PersistentVolume", "", "pv")), labels={"x": "y"}))  # type: ignore[arg-type]
    assert retry(bench) is None and len(bench.spawned) == 2, "any new version is free again"
    bench = cluster()
    plan = bench.spawned[0].argument
    Unreserved(plan.pod, plan.writes).apply(bench.memory, bench.now)
    assert retry(bench) is None and len(bench.spawned) == 2


@pytest.mark.rule("SC-125")
@pytest.mark.rule("SC-105")
def test_an_error_is_told_as_it_is_and_makes_a_scheduler_error() -> None:
    unclear = evolve(make_class("unclear"), volume_binding_mode=None)
    bench, run = attempt(make_node("a"), unclear, make_claim("data", storage_class="unclear"), claims=("data",))
    text = 'running PreFilter plugin "VolumeBinding": VolumeBindingMode not set for StorageClass "unclear"'
    condition, nominated, _ = run.intent.args
    assert (condition.reason, condition.message, nominated) == ("SchedulerError", text, "")
    assert bench.events[0].message == text and len(bench.memory.queue.error_backoff) == 1


def nominated_before(bench: Bench, **spec: Any) -> Any:
    """What becomes of an old nomination: None leaves it, "" clears it."""
    pod = make_pod("web-0", **spec)
    bench.put(evolve(pod, status=evolve(pod.status, nominated_node_name="a")))
    return bench.cycle().intent.args[1]


@pytest.mark.rule("SC-108")
def test_what_becomes_of_the_nominated_node() -> None:
    unclear = (evolve(make_class("unclear"), volume_binding_mode=None), make_claim("data", storage_class="unclear"))
    small = make_node("a", cpu="1")
    assert nominated_before(Bench(make_node("a"), *unclear), claims=("data",)) == "", "error"
    assert nominated_before(Bench()) == "", "no nodes"
    assert nominated_before(Bench(small), cpu="2", priority=1) == "", "nobody to evict"
    assert nominated_before(Bench(small), cpu="2", preemptionPolicy="Never") is None, "not eligible"
    assert nominated_before(Bench(make_node("a")), claims=("missing",)) is None, "PostFilter failed"
    bench = Bench(make_node("b", cpu="1"), make_pod("w", cpu="1", nodeName="b"))
    assert nominated_before(bench, cpu="1", priority=1) == "b", "preemption succeeded elsewhere"


@pytest.mark.rule("SC-107")
@pytest.mark.rule("SC-15")
@pytest.mark.parametrize("fate", ["bound", "finished", "gone"])
def test_a_pod_that_needs_no_node_any_more_is_told_about_and_not_put_back(fate: str) -> None:
    cluster = [make_node(name, cpu="1") for name in "ab"]
    victims = [make_pod(f"v-{name}", cpu="1", nodeName=name) for name in "ab"]
    bench, run = attempt(*cluster, *victims, cpu="1", priority=1)
    assert run.intent.point == "preemption"
    stored: Any = bench.store.find(POD_KEY)
    if fate == "bound":
        bench.put(on(stored, "a"))
    elif fate == "finished":
        bench.put(evolve(stored, status=evolve(stored.status, phase="Failed")))
    else:
        bench.remove(stored)
    run.answer(run.intent.options[0])
    assert bench.memory.queue.find(POD_KEY) is None and not bench.memory.queue.in_flight
    assert [event.reason for event in bench.events] == ["FailedScheduling"]


@pytest.mark.rule("SC-130")
def test_the_transition_time_changes_only_with_the_status() -> None:
    first = Condition(type="PodScheduled", status="False", reason="Unschedulable", message="one")
    conditions = set_condition((), first, 5)
    conditions = set_condition(conditions, evolve(first, message="two", reason="SchedulerError"), 9)
    assert [(each.last_transition_time, each.message) for each in conditions] == [(5, "two")]
    conditions = set_condition(conditions, Condition(type="PodScheduled", status="True"), 12)
    assert [(each.last_transition_time, each.reason) for each in conditions] == [(12, "")]


@pytest.mark.rule("SC-131")
@pytest.mark.rule("SC-130")
def test_every_failed_attempt_is_an_event_and_only_the_first_a_patch() -> None:
    bench, run = attempt(make_node("a", cpu="1"), cpu="2")
    finish(bench, run)
    for attempts in (2, 3, 4):
        bench.memory.queue.activate(bench.store.get(Pod, "web-0", "default"))  # type: ignore[arg-type]
        assert bench.cycle().intent is None and len(bench.events) == attempts
    assert len({event.message for event in bench.events}) == 1


@pytest.mark.rule("SC-123")
def test_the_condition_has_the_whole_message_of_which_the_event_has_the_beginning() -> None:
    many = {f"example.com/{'x' * 20}{number:02}": "1" for number in range(50)}
    bench, run = attempt(make_node("a"), containers=[{"name": "c", "resources": {"requests": many}}])
    whole, note = run.intent.args[0].message, bench.events[0].message
    assert len(whole) > 1024 and len(note) == 1024 and note == whole[:1020] + " ..."


@pytest.mark.rule("SC-128")
def test_events_are_told_in_the_name_of_the_pods_scheduler() -> None:
    bench = Bench(make_node("a", cpu="1"), scheduler=Scheduler(scheduler_name="mine"))
    bench.put(make_pod("big", cpu="2", schedulerName="mine"))
    bench.cycle()
    bench.put(make_pod("small", cpu="1", schedulerName="mine"))
    bench.cycle()
    bench.run_spawned().answer(None)
    assert [(event.type, event.reason, event.source) for event in bench.events] == [
        ("Warning", "FailedScheduling", "mine"), ("Normal", "Scheduled", "mine")]
    assert bench.events[1].message == "Successfully assigned default/small to a"


@pytest.mark.rule("SC-103")
@pytest.mark.rule("SC-106")
def test_a_binding_is_asked_for_with_the_uid_and_a_refusal_frees_the_node() -> None:
    bench, _ = attempt(make_node("a", cpu="1"), cpu="1")
    bench.put(make_pod("web-1", cpu="1"))
    bench.cycle()
    binding = bench.run_spawned()
    assert (binding.intent.key, binding.intent.uid, binding.intent.node) == (POD_KEY, "uid-web-0", "a")
    binding.answer(Refused("Conflict", 409, "no"))
    bench.run_spawned()
    assert bench.memory.cache.nodes()[0].pods == ()
    head = bench.memory.queue.head(bench.now)
    assert head is not None and head.pod.name == "web-1", "woken by the pod that went"
    assert [record.pod.name for record in bench.memory.queue.error_backoff.sorted()] == ["web-0"]


# --- preemption -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-111")
@pytest.mark.rule("SC/ND-5")
def test_beyond_a_hundred_nodes_it_is_a_choice_where_the_dry_run_starts() -> None:
    def cluster(size: int) -> Running:
        nodes = [make_node(f"n{number:03}", cpu="1") for number in range(size)]
        victims = [make_pod(f"v{number:03}", cpu="1", nodeName=f"n{number:03}") for number in range(size)]
        return attempt(*nodes, *victims, cpu="1", priority=1)[1]

    run = cluster(103)
    asked = run.intent
    assert isinstance(asked, Choose) and asked.point == "preemption-offset" and asked.about == POD_KEY
    assert [key.name for key in asked.options] == [f"n{number:03}" for number in range(103)]
    tie = run.answer(asked.options[50])
    assert tie.point == "preemption"
    assert [key.name for key in tie.options] == [f"n{(50 + turn) % 103:03}" for turn in range(100)]
    run = cluster(100)
    assert run.intent.point == "preemption" and len(run.intent.options) == 100


@pytest.mark.rule("SC-112")
def test_the_gate_is_open_if_the_last_victim_went_before_its_turn() -> None:
    victims = [make_pod(name, cpu="1", nodeName="a") for name in ("v1", "v2")]
    bench, run = attempt(make_node("a", cpu="2"), *victims, cpu="2", priority=1)
    finish(bench, run)
    eviction = bench.run_spawned()
    finish(bench, eviction)
    first, = {"v1", "v2"} - {eviction.intent.key.name}
    assert bench.memory.queue.preempting == {"uid-web-0": None}
    bench.remove(make_pod(first))
    eviction.answer(None)
    assert bench.memory.queue.preempting == {}


@pytest.mark.rule("SC-114")
def test_a_preemptor_may_land_elsewhere_before_its_victim_is_gone() -> None:
    bench, run = attempt(make_node("a", cpu="1"), make_pod("v", cpu="1", nodeName="a"), cpu="1", priority=1)
    assert run.intent.args[1] == "a"
    finish(bench, run)
    eviction = bench.run_spawned()
    eviction.answer(bench.store.find(Key("Pod", "default", "v")))
    victim: Any = bench.store.find(Key("Pod", "default", "v"))
    bench.put(with_meta(victim, deletion_timestamp=1))
    eviction.answer(None)
    assert bench.memory.queue.find(POD_KEY) is not None, "it waits"
    bench.put(make_node("b", cpu="1"))
    bench.cycle()
    assert bench.spawned[-1].argument.pod.spec.node_name == "b"
    assert bench.memory.queue.nominator.node_of("uid-web-0") == ""


HELPLESS = f"{NOTHING_NEW}0/1 nodes are available: 1 Preemption is not helpful for scheduling."


@pytest.mark.rule("SC-115")
@pytest.mark.parametrize(("objects", "spec"), [
    ([make_node("a", taints=[{"key": "k", "effect": "NoSchedule"}])], {}),
    ([make_node("a", unschedulable=True)], {}),
    ([make_node("a")], {"nodeSelector": {"x": "y"}}),
    ([make_node("a"), *bound("data", "elsewhere")], {"claims": ("data",)}),
    ([make_node("a"), LOCAL, make_claim("data", storage_class="local")], {"claims": ("data",)}),
    ([make_node("a", labels={"topology.kubernetes.io/zone": "z"}), bound("data", None)[0],
      with_meta(bound("data", None)[1], labels={"topology.kubernetes.io/zone": "y"})], {"claims": ("data",)}),
    ([make_node("a")], {"affinity": {"podAffinity": apart("x")["podAntiAffinity"]}}),
    ([make_node("a")], {"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]}),
])
def test_there_is_no_preemption_where_it_cannot_help(objects: list[Object], spec: dict[str, Any]) -> None:
    lower = make_pod("lower", nodeName="a", labels={"app": "y"})
    assert said(*objects, lower, priority=100, **spec).endswith(HELPLESS)


@pytest.mark.rule("SC-115")
@pytest.mark.parametrize(("objects", "spec"), [
    ([make_node("a", cpu="1")], {"cpu": "1"}),
    ([make_node("a")], {"affinity": apart("y")}),
    ([make_node("a")], {"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]}),
])
def test_preemption_is_tried_where_a_pod_is_in_the_way(objects: list[Object], spec: dict[str, Any]) -> None:
    lower = make_pod("lower", cpu="1", nodeName="a", labels={"app": "y"}, **(
        {"containers": spec["containers"]} if "containers" in spec else {}))
    bench, run = attempt(*objects, lower, priority=100, **spec)
    assert run.intent.args[1] == "a" and bench.notes[0].detail["victims"] == ["Pod/default/lower"]
