"""Nothing is lost by what makes a search smaller: the same ends, with the same chances, as without it."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from random import Random

import pytest
from hypothesis import assume, given, settings

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.choices import Scripted
from simulator.drivers.untimed import Untimed, every_run
from simulator.eventlog import NoLog
from simulator.exploration.engine import Grain
from simulator.exploration.explore import Exploration, explore
from simulator.exploration.space import Space
from simulator.simulation import HORIZON, run
from simulator.simulation import Cluster as Simulated
from tests.exploration.scenes import WAITING, Cluster, Look, Workload, drawn_clusters, even, parallel, uneven
from tests.whole.small_worlds import small_scenario

ONE, TWO, THREE = Workload(1), Workload(2), Workload(3)
LARGE = Workload(1, request="15Gi")
CLUSTERS = [
    even(2, 2, TWO), even(2, 2, parallel(TWO)), even(2, 1, parallel(TWO)), uneven((1, 2), parallel(TWO)),
    uneven((1, 2, 3), TWO), even(2, 2, Workload(2, claims=2)), even(2, 2, parallel(Workload(2, claims=2))),
    even(2, 1, ONE, ONE), even(2, 2, parallel(TWO), ONE), even(2, 2, Workload(2, is_apart=False)),
    Cluster((("10Gi", "20Gi"), ("10Gi",)), (TWO,)), Cluster((("10Gi",), ("20Gi",)), (ONE, LARGE)),
    even(2, 2, parallel(TWO), mode=WAITING), even(3, 1, TWO, mode=WAITING), even(2, 1, ONE, ONE, mode=WAITING),
    even(1, 1, parallel(TWO), mode=WAITING), Cluster((("10Gi",), ("20Gi",)), (ONE, LARGE), WAITING),
]
TINY = [
    even(1, 1, ONE), even(1, 1, ONE, mode=WAITING), even(2, 1, ONE, mode=WAITING), even(2, 2, TWO), even(1, 0, ONE),
    Cluster((("10Gi", "20Gi"),), (ONE,)), even(2, 1, TWO), even(1, 1, TWO),
]
"""So small that every order of all steps can be gone through."""


def answers(cluster: Cluster, found: Exploration) -> tuple[object, ...]:
    """What must not depend on how the search is made smaller."""
    assert found.is_complete, found.why_incomplete
    bounds = (found.bounds.least, found.bounds.greatest) if found.bounds is not None else (found.stuck, found.stuck)
    return found.verdict, bounds, cluster.chances(found)


# --- smaller in names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", [*CLUSTERS, even(3, 2), even(3, 2, parallel(THREE))], ids=str)
def test_names_of_equal_things_do_not_matter_in_ties(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    raw = explore(scenario, is_symmetric=False, is_reduced=False)
    assert raw.stuck is not None
    for is_reduced in (True, False):
        assert answers(cluster, explore(scenario, is_reduced=is_reduced)) == answers(cluster, raw)


@pytest.mark.parametrize("cluster", [
    cluster for cluster in CLUSTERS if cluster.mode != WAITING or sum(one.replicas for one in cluster.sets) < 3
], ids=str)
def test_names_of_equal_things_do_not_matter_in_syncs(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    found, raw = (explore(scenario, interleavings="syncs", is_symmetric=with_names) for with_names in (True, False))
    assert found.verdict == raw.verdict and cluster.looks(found) == cluster.looks(raw)
    assert answers(cluster, found)[:2] == answers(cluster, raw)[:2]


@settings(max_examples=60)
@given(drawn_clusters())
def test_names_do_not_matter_in_drawn_clusters(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    found, raw = (explore(scenario, is_symmetric=with_names) for with_names in (True, False))
    assert answers(cluster, found) == answers(cluster, raw)


@settings(max_examples=25)
@given(drawn_clusters())
def test_names_do_not_matter_in_drawn_clusters_in_syncs(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    found, raw = (
        explore(scenario, interleavings="syncs", is_symmetric=with_names, most_states=600)
        for with_names in (True, False))
    assume(found.is_complete and raw.is_complete)
    assert cluster.looks(found) == cluster.looks(raw)
    assert answers(cluster, found)[:2] == answers(cluster, raw)[:2]


# --- smaller in orders ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_symmetric", [True, False], ids=["up to names", "with names"])
@pytest.mark.parametrize("cluster", TINY, ids=str)
def test_steps_that_are_not_taken_in_every_order_come_to_the_same(cluster: Cluster, is_symmetric: bool) -> None:
    """Reduced against every order of every step, in syncs."""
    scenario = cluster.scenario()
    found = explore(scenario, interleavings="syncs", is_symmetric=is_symmetric)
    raw = explore(scenario, interleavings="syncs", is_symmetric=is_symmetric, is_reduced=False, most_states=20_000)
    assert raw.states > found.states
    assert (found.verdict, cluster.looks(found)) == (raw.verdict, cluster.looks(raw))
    if raw.bounds is not None:
        assert answers(cluster, found)[1] == answers(cluster, raw)[1]


@pytest.mark.parametrize("cluster", TINY[:3], ids=str)
def test_writes_that_are_not_taken_in_every_order_come_to_the_same(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    found = explore(scenario, interleavings="writes")
    raw = explore(scenario, interleavings="writes", is_reduced=False, most_states=20_000)
    assert raw.is_complete, raw.why_incomplete
    assert (found.verdict, cluster.looks(found)) == (raw.verdict, cluster.looks(raw))


@settings(max_examples=30)
@given(drawn_clusters())
def test_random_walks_through_all_orders_end_where_the_search_says(cluster: Cluster) -> None:
    """A walk knows no fingerprint: it takes any step that can come, until it is at rest and all timers are in vain."""
    scenario = cluster.scenario()
    found = explore(scenario, interleavings="syncs", most_states=1500)
    assume(found.is_complete)
    known = {look[1:] for look in cluster.looks(found)}
    for seed in range(3):
        assert walk(cluster, Grain(is_natural=False), seed) in known


@pytest.mark.parametrize("cluster", [
    even(2, 1, ONE, ONE), even(2, 2, parallel(TWO)), Cluster((("10Gi",), ("20Gi",)), (ONE, LARGE)),
    Cluster((("10Gi",), ("20Gi",)), (ONE, ONE)), Cluster((("10Gi",), ("20Gi",)), (ONE, LARGE), WAITING),
], ids=str)
def test_random_walks_write_by_write_end_where_the_search_says(cluster: Cluster) -> None:
    found = explore(cluster.scenario(), interleavings="writes")
    assert found.is_complete
    known = {look[1:] for look in cluster.looks(found)}
    assert {walk(cluster, Grain(is_natural=False, is_whole=False), seed) for seed in range(8)} <= known


MOST_STEPS = 400


def walk(cluster: Cluster, grain: Grain, seed: int) -> Look:
    """Any one run, step after step, each taken at random among those that can come."""
    space = Space(cluster.scenario(), grain=grain, is_symmetric=False, is_reduced=False)
    draw, here = Random(seed), space.start
    seen: list[bytes] = []
    for _ in range(MOST_STEPS):
        is_at_rest = space.is_at_rest(here)
        ways = space.after(here, frozenset())
        print_ = space.fingerprint(here)[0]
        if not ways or (is_at_rest and seen.count(print_) > 2):
            space.restore(here)
            return look_of_world(cluster, space)
        if is_at_rest:
            seen.append(print_)
        here = draw.choice(ways).after
    raise AssertionError("it does not come to an end")


def look_of_world(cluster: Cluster, space: Space) -> Look:
    store = space.world.store
    waiting = {str(key): why for key, why in space.goals.unmet.items()}
    return cluster.look(
        "stuck" if waiting else "converged", waiting,
        {str(pod.key): pod.spec.node_name for pod in store.list(Pod)},
        {str(claim.key): claim.spec.volume_name for claim in store.list(PersistentVolumeClaim)},
    )


# --- finer steps, and other engines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", CLUSTERS, ids=str)
def test_what_comes_about_in_natural_order_does_so_in_any_order(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    ties, syncs = explore(scenario), explore(scenario, interleavings="syncs")
    assert ties.is_complete and syncs.is_complete
    assert cluster.looks(ties) <= cluster.looks(syncs)


@pytest.mark.parametrize("cluster", [
    *TINY, even(2, 1, ONE, ONE), even(2, 1, parallel(TWO)), even(2, 2, parallel(TWO)),
    Cluster((("10Gi",), ("20Gi",)), (ONE, ONE)), Cluster((("10Gi",), ("20Gi",)), (ONE, LARGE)),
    Cluster((("10Gi",), ("20Gi",)), (ONE, LARGE), WAITING),
], ids=str)
def test_what_comes_about_sync_by_sync_does_so_write_by_write(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    syncs, writes = (explore(scenario, interleavings=grain) for grain in ("syncs", "writes"))
    assert syncs.is_complete and writes.is_complete
    assert cluster.looks(syncs) <= cluster.looks(writes)


@pytest.mark.parametrize("cluster", TINY[:3], ids=str)
def test_caches_that_may_lag_need_not(cluster: Cluster) -> None:
    scenario = cluster.scenario()
    fresh, late = (explore(scenario, interleavings="writes", lag=lag) for lag in (0, 1))
    assert fresh.is_complete and late.is_complete
    assert cluster.looks(fresh) <= cluster.looks(late)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=str)
def test_every_timed_run_ends_in_an_end_that_is_listed(cluster: Cluster) -> None:
    known = cluster.looks(explore(cluster.scenario(), interleavings="syncs"))
    for seed in range(30):
        assert cluster.look_of(run(cluster.scenario(), seed=seed, keep_log=False)) in known


@settings(max_examples=60)
@given(drawn_clusters())
def test_every_timed_run_of_a_drawn_cluster_ends_in_an_end_that_is_listed(cluster: Cluster) -> None:
    """In natural order, or else in any order of syncs, or at last of writes."""
    scenario = cluster.scenario()
    missing = {cluster.look_of(run(scenario, seed=seed, keep_log=False)) for seed in range(5)}
    for grain in ("ties", "syncs", "writes"):
        found = explore(scenario, interleavings=grain, most_states=1000)
        assume(found.is_complete)
        missing -= cluster.looks(found)
        if not missing:
            break
    assert not missing


@settings(max_examples=40)
@given(drawn_clusters())
def test_the_chances_are_those_of_trying_every_run(cluster: Cluster) -> None:
    """By re-execution, without going back, fingerprints or symmetry: run, advance the last answer, run again."""
    scenario = cluster.scenario()
    looks: dict[str, Look] = {}

    def run_once(chooser: Scripted) -> str:
        simulated = Simulated(scenario, chooser, Untimed, NoLog())
        verdict, _ = simulated.run(HORIZON)
        store = simulated.store
        look = (False, *cluster.look(
            verdict, {str(key): why for key, why in simulated.goals.unmet.items()},
            {str(pod.key): pod.spec.node_name for pod in store.list(Pod)},
            {str(claim.key): claim.spec.volume_name for claim in store.list(PersistentVolumeClaim)},
        ))
        looks[repr(look)] = look
        return repr(look)

    chances: dict[Look, Fraction] = {}
    for number, (end, chance) in enumerate(every_run(run_once)):
        assume(number < 200)
        chances[looks[end]] = chances.get(looks[end], Fraction(0)) + chance
    found = explore(scenario)
    assert found.is_complete
    assert cluster.chances(found) == chances


# --- the same again -------------------------------------------------------------------------------------------------


PROGRAM = """
from simulator.exploration.explore import explore
from tests.exploration.scenes import Workload, even, parallel
for grain in ("ties", "syncs"):
    found = explore(even(3, 2, parallel(Workload(3))).scenario(), interleavings=grain)
    labels = [str(found.graph.label(edge)) for edge in found.graph.edges]
    print(found.verdict, found.stuck, found.bounds, found.states, found.transitions, found.outlines, labels)
    for end in found.ends:
        print(end, [step.text for step in found.path(end)])
"""


def test_the_same_exploration_gives_the_same_whatever_the_hash_seed() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout for seed in ("0", "1", "4711")
    }
    assert len(said) == 1 and "may get stuck" in said.pop()


@pytest.mark.parametrize("interleavings", ["ties", "syncs", "writes"])
def test_the_same_exploration_twice_gives_the_same(interleavings: str) -> None:
    scenario = even(2, 2, TWO).scenario()
    first, second = (explore(scenario, interleavings=interleavings) for _ in range(2))
    assert (first.ends, first.states, first.transitions, first.outlines) == (
        second.ends, second.states, second.transitions, second.outlines)
    assert [first.graph.edge(edge) for edge in first.graph.edges] == [
        second.graph.edge(edge) for edge in second.graph.edges]


def test_a_scenario_without_anything_to_do_converges() -> None:
    for grain in ("ties", "syncs", "writes"):
        found = explore(small_scenario(even(2, 2).objects()), interleavings=grain)
        assert (found.verdict, found.is_complete, [end.verdict for end in found.ends]) == (
            "always converges", True, ["converged"])
