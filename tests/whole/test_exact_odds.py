"""Every run of a small cluster with its exact probability, by the untimed driver over the timed driver's own flows.

The closed forms are worked out on paper: under uniform ties the claims of r pods, k each, draw rk of M volumes one
after another, and a run succeeds if each pod's volumes are on one node and the r nodes differ.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from math import perm, prod

import pytest

from simulator.choices import Scripted
from simulator.drivers.untimed import Untimed, every_run, odds
from simulator.eventlog import NoLog
from simulator.simulation import HORIZON, Cluster, run
from simulator.testing.strategies import SmallCluster, SmallNode, SmallSet, SmallVolume

WAIT = "WaitForFirstConsumer"


def equal_volumes(
    counts: tuple[int, ...], replicas: int, templates: tuple[str, ...] = ("data",), *, binding: str = "Immediate",
    parallel: bool = False, round_robin: bool = False,
) -> SmallCluster:
    """Machines with so many equal volumes each, and a set whose pods must be apart."""
    pods = SmallSet(replicas=replicas, templates=templates, apart=True, parallel=parallel)
    nodes = tuple(SmallNode(volumes=(SmallVolume(),) * count) for count in counts)
    return SmallCluster(nodes=nodes, sets=(pods,), binding=binding, round_robin=round_robin)


def untimed(cluster: SmallCluster) -> Callable[[Scripted], str]:
    """Runs the cluster once, to the end that a list of answers leads to."""
    scenario = cluster.scenario()
    return lambda chooser: Cluster(scenario, chooser, Untimed, NoLog()).run(HORIZON)[0]


def stuck(cluster: SmallCluster, ties: str = "uniform") -> Fraction:
    ends = odds(untimed(cluster), ties)
    assert sum(ends.values()) == 1 and ends.keys() <= {"converged", "stuck"}
    return ends.get("stuck", Fraction(0))


def converges_on_paper(counts: tuple[int, ...], replicas: int, k: int) -> Fraction:
    """r! · e_r([m_1]_k, …, [m_N]_k) / [M]_rk: e_r the elementary symmetric polynomial, [x]_j falling factorials."""
    ways = sum(prod(perm(m, k) for m in chosen) for chosen in combinations(counts, replicas))
    return Fraction(perm(replicas) * ways, perm(sum(counts), replicas * k))


def test_the_formula_gives_the_numbers_that_are_written_down() -> None:
    assert converges_on_paper((3, 3, 3), 3, 1) == Fraction(9, 28)
    assert converges_on_paper((3, 3, 3), 3, 2) == Fraction(3, 140)
    assert converges_on_paper((4,) * 5, 3, 1) == Fraction(32, 57)
    assert float(converges_on_paper((1, 2, 3, 4, 5), 3, 1)) == pytest.approx(0.494505, abs=1e-6)
    assert float(converges_on_paper((2, 2, 3, 4, 5), 2, 2)) == pytest.approx(0.026923, abs=1e-6)


@pytest.mark.parametrize(("counts", "replicas", "expected"), [
    ((2, 2), 2, Fraction(1, 3)), ((2, 2, 2), 3, Fraction(3, 5)), ((3, 3, 3), 3, Fraction(19, 28)),
], ids=str)
def test_immediate_binding_is_stuck_exactly_as_often_as_is_known(
    counts: tuple[int, ...], replicas: int, expected: Fraction,
) -> None:
    assert stuck(equal_volumes(counts, replicas)) == expected


@pytest.mark.parametrize("parallel", [False, True], ids=["OrderedReady", "Parallel"])
@pytest.mark.parametrize(("counts", "replicas", "k"), [
    ((1, 1, 1), 3, 1), ((2, 1), 2, 1), ((3, 1), 2, 1), ((1, 2, 2), 2, 1), ((0, 2, 2), 2, 1), ((1, 1, 2), 3, 1),
    ((2, 2), 1, 2), ((2, 3), 1, 2), ((2, 2), 2, 2),
], ids=str)
def test_other_small_clusters_have_the_odds_of_the_closed_form(
    counts: tuple[int, ...], replicas: int, k: int, parallel: bool,
) -> None:
    cluster = equal_volumes(counts, replicas, ("data", "wal")[:k], parallel=parallel)
    assert stuck(cluster) == 1 - converges_on_paper(counts, replicas, k)


@pytest.mark.parametrize(("counts", "replicas"), [((2, 2), 2), ((3, 3, 3), 2), ((1, 3, 2), 3), ((2, 2, 2), 3)], ids=str)
def test_waiting_for_the_first_consumer_is_never_stuck(counts: tuple[int, ...], replicas: int) -> None:
    assert stuck(equal_volumes(counts, replicas, binding=WAIT)) == 0


def test_waiting_is_stuck_in_every_run_if_there_are_fewer_machines_than_pods() -> None:
    assert stuck(equal_volumes((3, 3), 3, binding=WAIT)) == 1


REAL_ERROR = 0.0035
"""Kubernetes' own function was run 20 000 times for each of the numbers below: the largest standard error."""


@pytest.mark.parametrize(("replicas", "round_robin", "converges"), [
    (2, False, 0.670), (2, True, 0.847), (3, False, 0.232), (3, True, 0.530),
], ids=str)
def test_gos_map_order_gives_the_odds_of_the_real_function(replicas: int, round_robin: bool, converges: float) -> None:
    """Six volumes: a map of up to eight entries is known exactly."""
    cluster = equal_volumes((2, 2, 2), replicas, round_robin=round_robin)
    assert float(1 - stuck(cluster, "go-map")) == pytest.approx(converges, abs=3 * REAL_ERROR)


@pytest.mark.parametrize(("replicas", "round_robin", "converges"), [
    (2, False, 0.628), (2, True, 0.788), (3, False, 0.208), (3, True, 0.378),
], ids=str)
def test_known_limit_a_larger_map_is_met_within_two_hundredths(
    replicas: int, round_robin: bool, converges: float,
) -> None:
    """Nine volumes: the choices of one run share the map's hash in Go, and do not here."""
    cluster = equal_volumes((3, 3, 3), replicas, round_robin=round_robin)
    assert float(1 - stuck(cluster, "go-map")) == pytest.approx(converges, abs=0.02)


@pytest.mark.parametrize("ties", ["first", "last"])
def test_first_and_last_leave_one_run(ties: str) -> None:
    cluster = equal_volumes((2, 2), 2)
    ends = [end for end, chance in every_run(untimed(cluster), ties) if chance]
    assert ends == ["stuck"]  # both of the first two volumes are node1's, both of the last two node2's
    assert run(cluster.scenario(), ties=ties).verdict == "stuck"


def test_the_number_of_runs_is_the_number_of_injections() -> None:
    """Two claims of six volumes: 6 · 5 runs under Immediate, all equally likely; those of one machine are stuck."""
    runs = list(every_run(untimed(equal_volumes((2, 2, 2), 2))))
    assert len(runs) == 30 and {chance for _, chance in runs} == {Fraction(1, 30)}
    assert sum(end == "stuck" for end, _ in runs) == 6
