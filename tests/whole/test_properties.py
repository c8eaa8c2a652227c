"""What holds in every small cluster, after every change and at the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolumeClaim, Pod
from simulator.api.meta import encode, encode_json, evolve, with_meta
from simulator.cluster.store import Store
from simulator.eventlog import read_log
from simulator.explanation.state import state_at
from simulator.report.data import run_data
from simulator.report.text import run_lines
from simulator.scheduler.decision import Preparation, Question, decide, prepare
from simulator.scheduler.plugins import DEFAULT_PROFILE
from simulator.simulation import run
from simulator.testing.strategies import (
    CORDONED,
    SmallCluster,
    SmallNode,
    SmallSet,
    SmallStep,
    SmallVolume,
    small_clusters,
)
from simulator.units import HOUR
from tests.scheduler.snapshots import snapshot_of
from tests.whole.invariants import watched
from tests.whole.oracle import SELECTED_NODE, bindable, short_of_goal, why_not, why_nowhere

SEEDS = st.integers(0, 3)
EXAMPLES = settings().max_examples
LATER = 2 * HOUR + 123_457
"""Not a moment at which a timer fires."""
MANY, FEW = settings(max_examples=EXAMPLES), settings(max_examples=max(1, EXAMPLES // 2))
PAIR = (SmallVolume(), SmallVolume())
DEVIL = SmallCluster(nodes=(SmallNode(volumes=PAIR),) * 2, sets=(SmallSet(replicas=2, apart=True),))


def everything(store: Store) -> dict[str, Any]:
    """All objects in plain form, without the times at which they were last heard of."""
    found: dict[str, Any] = {}
    for kind in store.kinds():
        if kind == "Lease":
            continue
        for key, obj in store.of_kind(kind).items():
            plain = encode(with_meta(obj, resource_version=0))
            for condition in plain.get("status", {}).get("conditions", ()):
                condition.pop("lastHeartbeatTime", None)
            found[str(key)] = plain
    return found


# --- while it runs ----------------------------------------------------------------------------------------------------


@MANY
@given(cluster=small_clusters(), seed=SEEDS)
@example(cluster=DEVIL, seed=0)
@example(cluster=SmallCluster(nodes=(SmallNode(),), steps=(SmallStep(action="delete", target="Node/node1"),)), seed=0)
@pytest.mark.rule("VB-1")
@pytest.mark.rule("VB-5")
@pytest.mark.rule("VB-7")
@pytest.mark.rule("VB-20")
@pytest.mark.rule("VB-32")
@pytest.mark.rule("WL-16")
@pytest.mark.rule("WL-43")
@pytest.mark.rule("WL-48")
def test_no_change_is_one_that_kubernetes_would_not_make(cluster: SmallCluster, seed: int) -> None:
    watched(cluster, seed)


# --- how it ends ------------------------------------------------------------------------------------------------------


def waits_for_a_provisioner(store: Store) -> bool:
    """S-20: the scheduler tries again every ten minutes, for ever."""
    return any(
        SELECTED_NODE in claim.metadata.annotations and not claim.spec.volume_name
        for claim in store.list(PersistentVolumeClaim)
    )


@FEW
@given(cluster=small_clusters(), seed=SEEDS)
@example(cluster=SmallCluster(steps=(SmallStep(action="drain", target="Node/node1"),)), seed=0)
def test_a_run_ends_with_a_verdict_that_its_end_bears_out(cluster: SmallCluster, seed: int) -> None:
    result = run(cluster.scenario(), seed=seed)
    store = result.world.store
    missing = short_of_goal(store)
    assert (result.verdict == "converged") == (not missing), missing
    assert bool(result.waiting) == bool(missing)
    assert result.failures == ()
    if result.verdict == "no verdict":
        assert waits_for_a_provisioner(store) or any(step.action == "drain" for step in cluster.steps)
    else:
        assert result.verdict in ("converged", "stuck")


@FEW
@given(cluster=small_clusters(), seed=SEEDS)
@example(cluster=DEVIL, seed=0)
def test_where_a_run_is_stuck_no_node_takes_a_waiting_pod_and_no_volume_fits_a_claim(
    cluster: SmallCluster, seed: int,
) -> None:
    result = run(cluster.scenario(), seed=seed, keep_log=False)
    store = result.world.store
    if result.verdict != "stuck":
        return
    for pod in store.list(Pod):
        if pod.spec.node_name or pod.metadata.is_terminating:
            continue
        outright = why_nowhere(pod, store)
        reasons = {node.name: outright or why_not(pod, node, store) for node in store.list(Node)}
        assert all(reasons.values()), f"{pod.name} could go to one of {reasons}"
        assert not scheduled_by_kubernetes(pod, store)
    for claim in store.list(PersistentVolumeClaim):
        assert not bindable(claim, store), f"{claim.name} could be bound"
    for each in store.list(StatefulSet):
        absent = missing_pods(each, store)
        if absent and not each.metadata.is_terminating:
            assert why_not_made(each, absent[0], store), f"{each.name} could make number {absent[0]}"


def scheduled_by_kubernetes(pod: Pod, store: Store) -> list[str]:
    """Where the scheduler's own filters would put the pod, asked afresh."""
    snapshot = snapshot_of(*[obj for kind in store.kinds() for obj in store.of_kind(kind).values()])
    question = Question(DEFAULT_PROFILE, pod, snapshot)
    prepared = prepare(question)
    if not snapshot.nodes or not isinstance(prepared, Preparation):
        return []
    return [info.name for info in decide(question, prepared).feasible]


def missing_pods(each: StatefulSet, store: Store) -> list[int]:
    return [number for number in each.ordinals if store.get(Pod, each.pod_name(number), each.namespace) is None]


def why_not_made(each: StatefulSet, ordinal: int, store: Store) -> str:
    """Why a set does not make a pod: it waits for those below (WL-48), or a claim is on its way out (WL-44, WL-85)."""
    for template in each.spec.volume_claim_templates:
        claim = store.get(PersistentVolumeClaim, each.claim_name(template.name, ordinal), each.namespace)
        if claim is not None and (claim.metadata.is_terminating or claim.metadata.owner_references):
            return f"{claim.name} is in the way"
    if each.spec.pod_management_policy == "Parallel":
        return ""
    for lower in each.ordinals:
        pod = store.get(Pod, each.pod_name(lower), each.namespace)
        if lower < ordinal and pod is not None and (not pod.is_ready or pod.metadata.is_terminating):
            return f"{pod.name} is not ready"
    return ""


@FEW
@given(cluster=small_clusters(), seed=SEEDS)
@example(cluster=DEVIL, seed=0)
@example(cluster=SmallCluster(nodes=(SmallNode(volumes=PAIR),), steps=(
    SmallStep(action="fail", target="Node/node1", after=5000),)), seed=0)
def test_what_is_said_at_the_end_is_still_so_two_hours_later(cluster: SmallCluster, seed: int) -> None:
    result = run(cluster.scenario(), seed=seed, keep_log=False)
    if result.verdict == "no verdict" or runs_without_its_node(result.world.store):
        return
    later = run(cluster.scenario(), seed=seed, keep_log=False, until=result.world.now + LATER)
    assert later.verdict == result.verdict
    before, after = everything(result.world.store), everything(later.world.store)
    if result.verdict == "converged":  # volumes have no goal: one may still be on its way to Released (VB-81)
        before, after = ({key: obj for key, obj in each.items() if not key.startswith("PersistentVolume/")}
                         for each in (before, after))
    assert before == after


def runs_without_its_node(store: Store) -> bool:
    """Whether a pod is to be collected, in 40 to 80 seconds (WL-132): until then it is as ready as before."""
    return any(pod.spec.node_name and store.get(Node, pod.spec.node_name) is None for pod in store.list(Pod))


# --- when there is room -----------------------------------------------------------------------------------------------


def room(cluster: SmallCluster) -> int:
    """How many pods of the only set find their volumes under WaitForFirstConsumer; machines and volumes are plain."""
    (each,) = cluster.sets
    fitting = [sum(amount_of(volume.size) >= amount_of(each.size) for volume in node.volumes)
               for node in cluster.nodes if not node.closed]
    pods = [count // len(each.templates) for count in fitting]
    return sum(min(count, 1) for count in pods) if each.apart else sum(pods)


def amount_of(size: str) -> int:
    return int(size.removesuffix("Gi"))


def plain_clusters() -> st.SearchStrategy[SmallCluster]:
    return small_clusters(odd=False, provisioned=False, max_steps=0).map(lambda each: evolve(each, sets=each.sets[:1]))


@FEW
@given(cluster=plain_clusters(), seed=SEEDS)
@pytest.mark.rule("VB-122")
def test_waiting_for_the_first_consumer_converges_exactly_when_there_is_room(cluster: SmallCluster, seed: int) -> None:
    cluster = evolve(cluster, binding="WaitForFirstConsumer")
    result = run(cluster.scenario(), seed=seed, keep_log=False)
    assert result.verdict == ("converged" if cluster.sets[0].replicas <= room(cluster) else "stuck")
    if not cluster.sets[0].apart or cluster.sets[0].parallel:
        return
    ready = result.world.store.list(StatefulSet)[0].status.ready_replicas
    assert ready == min(room(cluster), cluster.sets[0].replicas)


@FEW
@given(cluster=plain_clusters(), seed=SEEDS)
@pytest.mark.rule("VB-43")
def test_immediate_binding_never_does_better_than_waiting(cluster: SmallCluster, seed: int) -> None:
    result = run(evolve(cluster, binding="Immediate").scenario(), seed=seed, keep_log=False)
    assert result.verdict == "stuck" or cluster.sets[0].replicas <= room(cluster)


@FEW
@given(count=st.integers(1, 4), spare=st.integers(0, 2), parallel=st.booleans(), seed=SEEDS)
def test_immediate_binding_works_where_each_machine_has_exactly_one_volume(
    count: int, spare: int, parallel: bool, seed: int,
) -> None:
    nodes = (SmallNode(volumes=(SmallVolume(),)),) * count + (SmallNode(),) * spare + (SmallNode(closed=CORDONED),)
    cluster = SmallCluster(nodes=nodes, sets=(SmallSet(replicas=min(3, count), apart=True, parallel=parallel),))
    assert run(cluster.scenario(), seed=seed, keep_log=False).verdict == "converged"


@FEW
@given(cluster=plain_clusters(), seed=SEEDS)
def test_pods_that_may_share_a_machine_are_stuck_only_for_want_of_volumes(cluster: SmallCluster, seed: int) -> None:
    """Ordered or parallel, Immediate or not: one claim for each pod, and every machine open."""
    each = evolve(cluster.sets[0], apart=False, templates=("data",))
    nodes = tuple(evolve(node, closed="") for node in cluster.nodes)
    for parallel in (False, True):
        cluster = evolve(cluster, nodes=nodes, sets=(evolve(each, parallel=parallel),))
        result = run(cluster.scenario(), seed=seed, keep_log=False)
        assert result.verdict == ("converged" if each.replicas <= room(cluster) else "stuck")


# --- what is said about it --------------------------------------------------------------------------------------------


@FEW
@given(cluster=small_clusters(), seed=SEEDS)
def test_the_log_alone_gives_the_cluster_and_every_report(cluster: SmallCluster, seed: int) -> None:
    result = run(cluster.scenario(), seed=seed)
    lines = list(result.log.lines())
    again = read_log(lines, "log")
    assert list(again.lines()) == lines
    state = state_at(again)
    for kind in result.world.store.kinds():
        stored = result.world.store.of_kind(kind)
        assert {key: encode_json(state.find(key)) for key in state.keys(kind)} == {
            key: encode_json(obj) for key, obj in stored.items()}
    assert run_lines(again) == run_lines(result.log)
    assert encode_json(run_data(again)) == encode_json(run_data(result.log))


@FEW
@given(cluster=small_clusters(), seed=SEEDS)
def test_whatever_is_short_of_its_goal_is_explained(cluster: SmallCluster, seed: int) -> None:
    result = run(cluster.scenario(), seed=seed)
    told = {reason["object"] for reason in run_data(result.log)["reasons"]}
    assert {str(key) for key in result.waiting} <= told, "\n".join(run_lines(result.log))


@FEW
@given(cluster=small_clusters(), seed=SEEDS)
def test_the_same_seed_gives_the_same_log(cluster: SmallCluster, seed: int) -> None:
    first, second = (list(run(cluster.scenario(), seed=seed).log.lines()) for _ in range(2))
    assert first == second

