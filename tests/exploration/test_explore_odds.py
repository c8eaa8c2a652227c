"""Exact chances out of the graph, against paper, an enumeration, and what the timed engine draws."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import perm, prod, sqrt

import pytest

from simulator.api.meta import Object
from simulator.choices import Seeded
from simulator.exploration.explore import explore
from simulator.simulation import run
from simulator.testing.builders import make_class, make_node, make_set, make_volume
from tests.exploration.scenes import WAITING, Cluster, Workload, even, parallel, uneven
from tests.whole.small_worlds import apply, plain, small_scenario


def on_paper(counts: Sequence[int], replicas: int, claims: int) -> Fraction:
    """r! · e_r([m_1]_k, …, [m_N]_k) / [M]_rk; with equal m it is [N]_r · ([m]_k)^r / [Nm]_rk (design.md)."""
    ways = sum(prod(perm(m, claims) for m in chosen) for chosen in combinations(counts, replicas))
    return Fraction(perm(replicas) * ways, perm(sum(counts), replicas * claims))


def one_after_another(volumes: Sequence[Sequence[int]], replicas: int, claims: int, request: int) -> Fraction:
    """The chance to converge where each claim takes any of the smallest volumes that fit: all draws, enumerated."""

    @cache
    def go_on(left: tuple[tuple[int, ...], ...], used: frozenset[int], here: int | None, drawn: int) -> Fraction:
        if drawn == replicas * claims:
            return Fraction(1)
        fitting = [size for sizes in left for size in sizes if size >= request]
        if not fitting:
            return Fraction(0)
        best, chance = min(fitting), Fraction(0)
        for place, sizes in enumerate(left):
            count = sizes.count(best)
            is_first = drawn % claims == 0
            if count and (place not in used if is_first else place == here):
                rest = list(sizes)
                rest.remove(best)
                chance += Fraction(count, fitting.count(best)) * go_on(
                    (*left[:place], tuple(rest), *left[place + 1:]), used | {place}, place, drawn + 1)
        return chance

    return go_on(tuple(map(tuple, volumes)), frozenset(), None, 0)


def test_the_figures_of_the_design_come_from_the_formula() -> None:
    assert 1 - on_paper((3,) * 3, 3, 1) == Fraction(19, 28)
    assert 1 - on_paper((2,) * 3, 3, 1) == Fraction(3, 5)
    assert 1 - on_paper((4,) * 3, 3, 1) == Fraction(39, 55)
    assert one_after_another([(1,) * 3] * 3, 3, 1, 1) == Fraction(9, 28)
    assert one_after_another([(1,) * 2, (1,) * 3], 1, 2, 1) == on_paper((2, 3), 1, 2)


@pytest.mark.parametrize("volumes", [2, 3, 4])
@pytest.mark.parametrize("one", [Workload(3), Workload(3, is_parallel=True)], ids=["OrderedReady", "Parallel"])
def test_the_devil_is_stuck_exactly_as_often_as_is_written_down(volumes: int, one: Workload) -> None:
    found = explore(even(3, volumes, one).scenario())
    known = {2: Fraction(3, 5), 3: Fraction(19, 28), 4: Fraction(39, 55)}
    assert (found.verdict, found.is_complete, found.stuck) == ("may get stuck", True, known[volumes])
    assert sum(end.chance or 0 for end in found.ends) == 1


@pytest.mark.parametrize("is_parallel", [False, True], ids=["OrderedReady", "Parallel"])
@pytest.mark.parametrize(("counts", "replicas", "claims"), [
    ((2, 2), 2, 1), ((1, 1, 1), 3, 1), ((1, 2, 3), 2, 1), ((1, 2, 3), 3, 1), ((0, 2, 2), 2, 1), ((4, 1), 2, 1),
    ((2, 2), 1, 2), ((2, 3), 1, 2), ((2, 2), 2, 2), ((3, 2), 2, 2), ((2, 2, 2), 2, 2), ((4, 4, 4, 4, 4), 3, 1),
], ids=str)
def test_the_closed_form_holds(counts: tuple[int, ...], replicas: int, claims: int, is_parallel: bool) -> None:
    cluster = uneven(counts, Workload(replicas, claims, is_parallel=is_parallel))
    found = explore(cluster.scenario())
    assert found.is_complete and found.stuck == 1 - on_paper(counts, replicas, claims)


@pytest.mark.parametrize("is_parallel", [False, True], ids=["OrderedReady", "Parallel"])
def test_orders_of_syncs_do_not_change_the_odds_of_the_devil(is_parallel: bool) -> None:
    found = explore(even(3, 3, Workload(3, is_parallel=is_parallel)).scenario(), interleavings="syncs")
    if found.stuck is not None:
        assert found.stuck == Fraction(19, 28)
    else:
        assert found.bounds is not None
        assert (found.bounds.least, found.bounds.greatest) == (Fraction(19, 28), Fraction(19, 28))


@pytest.mark.parametrize("is_parallel", [False, True], ids=["OrderedReady", "Parallel"])
@pytest.mark.parametrize(("volumes", "replicas", "claims", "request_"), [
    (((10, 20), (10, 20)), 2, 1, 1), (((10, 20), (10,)), 2, 1, 1), (((10, 20), (20,), (20, 20)), 2, 1, 15),
    (((10, 10, 20), (10, 20)), 2, 1, 1), (((10, 20, 20), (20, 20)), 1, 2, 1), (((10, 20), (10, 20), (20,)), 3, 1, 1),
], ids=str)
def test_smaller_volumes_go_first(
    volumes: tuple[tuple[int, ...], ...], replicas: int, claims: int, request_: int, is_parallel: bool
) -> None:
    sizes = tuple(tuple(f"{size}Gi" for size in each) for each in volumes)
    cluster = Cluster(sizes, (Workload(replicas, claims, f"{request_}Gi", is_parallel),))
    assert explore(cluster.scenario()).stuck == 1 - one_after_another(volumes, replicas, claims, request_)


@pytest.mark.parametrize("is_parallel", [False, True], ids=["OrderedReady", "Parallel"])
@pytest.mark.parametrize(("nodes", "per_class", "replicas"), [(2, (1, 2), 2), (2, (2, 2), 2), (3, (1, 2), 2)], ids=str)
def test_claims_of_two_classes(nodes: int, per_class: tuple[int, int], replicas: int, is_parallel: bool) -> None:
    """One claim of each class per pod: [N]_r · Π_c m_c^r / [N·m_c]_r (performance-notes, section 4)."""
    wanted = plain(make_set(
        "a", replicas=replicas, templates=("t0", "t1"), storage_class="c0",
        podManagementPolicy="Parallel" if is_parallel else "OrderedReady"))
    wanted["spec"]["volumeClaimTemplates"][1]["spec"]["storageClassName"] = "c1"
    objects: list[Object] = [make_class(f"c{number}") for number in range(2)]
    objects += [make_node(f"n{node}") for node in range(nodes)]
    objects += [make_volume(f"v{node}-{number}-{turn}", node=f"n{node}", storage_class=f"c{number}")
                for node in range(nodes) for number, count in enumerate(per_class) for turn in range(count)]
    found = explore(small_scenario(objects, [apply(wanted, at="1s")]))
    converges = perm(nodes, replicas) * prod(Fraction(m**replicas, perm(nodes * m, replicas)) for m in per_class)
    assert found.stuck == 1 - converges


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
@pytest.mark.parametrize("cluster", [
    even(3, 2, mode=WAITING), even(3, 3, mode=WAITING), even(2, 2, Workload(2, is_parallel=True), mode=WAITING),
    even(2, 2, Workload(2, claims=2), mode=WAITING), uneven((1, 2, 3), Workload(3), mode=WAITING),
    even(3, 1, Workload(2, is_parallel=True), mode=WAITING),
], ids=str)
def test_waiting_for_the_first_consumer_always_converges(cluster: Cluster, interleavings: str) -> None:
    found = explore(cluster.scenario(), interleavings=interleavings)
    assert found.is_complete and found.verdict == "always converges"
    assert {end.verdict for end in found.ends} == {"converged"}
    for end in found.ends:
        assert len(set(end.placements.values())) == len(end.placements) == cluster.sets[0].replicas
        for pod, node in end.placements.items():
            name = pod.rpartition("/")[2]
            mine = {volume for claim, volume in end.bindings.items() if claim.endswith(f"-{name}")}
            assert {volume.partition("-")[0].replace("v", "n") for volume in mine} == {node}


# --- other tie policies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("round_robin", [False, True], ids=["node by node", "round-robin"])
@pytest.mark.parametrize("ties", ["first", "last"])
@pytest.mark.parametrize("cluster", [even(2, 2, Workload(2)), even(3, 2), even(3, 2, parallel(Workload(3)))], ids=str)
def test_first_and_last_leave_nothing_to_chance(cluster: Cluster, ties: str, round_robin: bool) -> None:
    """Made node by node, the first two volumes are one node's; made by turns, they are two nodes'."""
    cluster = Cluster(cluster.volumes, cluster.sets, cluster.mode, round_robin)
    scenario = cluster.scenario(ties=ties)
    found = explore(scenario)
    assert found.ties == ties and found.stuck == (0 if round_robin else 1)
    assert [end.chance for end in found.ends] == [1]
    assert cluster.looks(found) == {cluster.look_of(run(scenario))}


@pytest.mark.parametrize(("cluster", "converges", "within"), [
    (even(3, 2, Workload(2)), 0.670, 0.0105), (even(3, 2, Workload(2), round_robin=True), 0.847, 0.0105),
    (even(3, 2), 0.232, 0.0105), (even(3, 2, round_robin=True), 0.530, 0.0105),
    (even(3, 3), 0.208, 0.02), (even(3, 3, round_robin=True), 0.378, 0.02),
], ids=str)
def test_gos_map_order_gives_what_the_real_function_gave(cluster: Cluster, converges: float, within: float) -> None:
    """20 000 runs each; with nine volumes the map's own hash, which is not simulated, makes up to two hundredths."""
    found = explore(cluster.scenario(), ties="go-map")
    assert found.is_complete and found.stuck is not None
    assert float(1 - found.stuck) == pytest.approx(converges, abs=within)


def test_gos_map_order_is_that_of_the_timed_engine() -> None:
    cluster, runs = even(3, 2), 400
    scenario = cluster.scenario()
    found = explore(scenario, ties="go-map")
    assert found.stuck is not None
    share = float(found.stuck)
    stuck = sum(
        run(scenario, chooser=Seeded(seed, "go-map"), keep_log=False).verdict == "stuck" for seed in range(runs))
    assert abs(stuck / runs - share) < 4 * sqrt(share * (1 - share) / runs)
