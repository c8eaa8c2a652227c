"""How many states there are, what the bounds do, and every scenario that is shipped."""

from __future__ import annotations

from pathlib import Path

import networkx as nx  # type: ignore[import-untyped]
import pytest

from simulator.errors import ScenarioError
from simulator.exploration.explore import Exploration, explore
from simulator.exploration.search import Progress
from simulator.scenario.file import ExpectedRun
from simulator.scenario.load import load_scenario
from simulator.simulation import run
from tests.exploration.scenes import WAITING, Cluster, Workload, even, parallel

SCENARIOS = sorted(Path("scenarios").rglob("scenario.yaml"))


@pytest.mark.parametrize(("cluster", "outlines"), [
    (even(3, 3, parallel(Workload(3))), 18), (even(5, 4, parallel(Workload(5))), 72), (even(100, 4, Workload(8)), 45),
], ids=["3x3x3 Parallel", "5x4x5 Parallel", "100x4x8 OrderedReady"])
def test_the_states_seen_from_afar_are_as_many_as_is_known(cluster: Cluster, outlines: int) -> None:
    """(node of each claim, pod placed or not), up to equal volumes, nodes, and ordinals under Parallel (design.md)."""
    found = explore(cluster.scenario(), interleavings="syncs")
    assert found.is_complete and found.outlines == outlines


@pytest.mark.parametrize("nodes", [3, 5, 8])
def test_nodes_that_are_never_reached_add_no_states_once_there_are_enough(nodes: int) -> None:
    """Of more nodes than pods the rest are like each other: as many states as with 100."""
    counts = [explore(even(count, 2, Workload(3)).scenario()).outlines for count in (nodes, nodes + 1)]
    assert counts[0] == counts[1]


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interleavings", ["ties", "syncs", "writes"])
@pytest.mark.parametrize("cluster", [
    even(2, 2, Workload(2)), even(3, 1, Workload(2), mode=WAITING), even(1, 1, Workload(2)),
], ids=["may get stuck", "always converges", "always gets stuck"])
def test_what_is_said_before_all_is_explored_is_never_wrong(cluster: Cluster, interleavings: str) -> None:
    whole = explore(cluster.scenario(), interleavings=interleavings)
    assert whole.is_complete and whole.why_incomplete == ""
    for most in (1, 2, 3, 5, 8, 13, 21, 34):
        part = explore(cluster.scenario(), interleavings=interleavings, most_states=most)
        if part.is_complete:
            assert (part.verdict, part.ends) == (whole.verdict, whole.ends)
            continue
        assert part.why_incomplete and part.stuck is None and part.bounds is None
        assert part.verdict in {"no verdict", "may get stuck"} and part.verdict in {"no verdict", whole.verdict}
        assert cluster.looks(part) <= cluster.looks(whole)
        assert {end.verdict for end in part.ends} <= {end.verdict for end in whole.ends}


def test_one_end_of_each_sort_proves_that_it_may_get_stuck() -> None:
    cluster = even(3, 3)
    said = {explore(cluster.scenario(), most_states=most).verdict for most in range(4, 25)}
    assert said == {"no verdict", "may get stuck"}


def test_chances_of_an_unfinished_search_are_at_most_the_true_ones() -> None:
    cluster = even(3, 3)
    whole = cluster.chances(explore(cluster.scenario()))
    for most in range(4, 25, 3):
        part = explore(cluster.scenario(), most_states=most)
        for look, chance in cluster.chances(part).items():
            assert chance is not None and chance <= (whole[look] or 0)


def test_it_stops_when_it_must() -> None:
    asked = 0

    def must_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    found = explore(even(3, 3).scenario(), must_stop=must_stop)
    assert not found.is_complete and found.why_incomplete and asked == 6
    assert found.verdict == "no verdict" and found.states < 25
    assert list(found.graph.open_states)


def test_an_interruption_gives_what_is_known() -> None:
    def must_stop() -> bool:
        raise KeyboardInterrupt

    found = explore(even(3, 3).scenario(), must_stop=must_stop)
    assert not found.is_complete and found.verdict == "no verdict" and found.why_incomplete


def test_progress_is_told() -> None:
    told: list[Progress] = []
    explore(even(5, 3, parallel(Workload(4))).scenario(), interleavings="syncs", progress=told.append)
    assert told and [one.states for one in told] == sorted(one.states for one in told)


@pytest.mark.parametrize("wrong", [
    {"ties": "fair"}, {"interleavings": "all"}, {"lag": 1}, {"interleavings": "syncs", "lag": 2},
])
def test_what_there_is_not_is_an_error_for_people(wrong: dict[str, object]) -> None:
    with pytest.raises(ScenarioError):
        explore(even(1, 1).scenario(), **wrong)  # type: ignore[arg-type]


# --- all scenarios --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_every_scenario_can_be_explored_and_ends_as_it_says(path: Path, interleavings: str) -> None:
    scenario = load_scenario(path)
    found = explore(scenario, interleavings=interleavings, most_states=3000)
    assert found.is_complete
    expect = scenario.spec.expect
    expected = expect.run if expect is not None and expect.run is not None else ExpectedRun()
    one = run(scenario, seed=expected.seed, ties=expected.ties)
    assert one.verdict in {end.verdict for end in found.ends}
    assert expected.verdict in {None, one.verdict}
    if expect is not None and expect.every_run is not None:
        assert expect.every_run.verdict in {None, found.verdict}
    if expect is not None and expect.odds is not None and interleavings == "ties" and found.ties == expect.odds.ties:
        assert str(found.stuck) == str(expect.odds.stuck)
    lists_a_run(found, one.waiting.keys())
    sound_graph(found)


def lists_a_run(found: Exploration, waiting: object) -> None:
    """Whether the kinds of what a run waits for are those of an end."""
    kinds = sorted(key.kind for key in waiting)  # type: ignore[attr-defined]
    assert kinds in [sorted(key.partition("/")[0] for key in end.waiting) for end in found.ends]


def sound_graph(found: Exploration) -> None:
    """Every state can be reached, and from each an end can be."""
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(found.graph.states)
    graph.add_edges_from((found.graph.source(edge), found.graph.target(edge)) for edge in found.graph.edges)
    assert nx.descendants(graph, 0) | {0} == set(found.graph.states)
    final = {state for end in found.ends for state in end.states}
    backwards = graph.reverse(copy=False)
    reached = set(final).union(*(nx.descendants(backwards, state) for state in final))
    assert reached == set(found.graph.states)
    for end in found.ends:
        for state in end.states:
            assert nx.descendants(graph, state) <= set(end.states)
