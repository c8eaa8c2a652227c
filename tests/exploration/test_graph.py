from __future__ import annotations

from fractions import Fraction

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.exploration.components import components, ends, is_at_rest, split_ends
from simulator.exploration.graph import Edge, StateGraph
from simulator.exploration.paths import (
    can_reach,
    doomed,
    fatal_edges,
    fates,
    point_of_no_return,
    shortest_path,
    sure,
)
from tests.exploration.graphs import drawn_graphs, graph_of


def plain(graph: StateGraph) -> networkx.MultiDiGraph:
    found = networkx.MultiDiGraph()
    found.add_nodes_from(graph.states)
    found.add_edges_from((graph.source(edge), graph.target(edge), edge) for edge in graph.edges)
    return found


def test_edges_of_a_group_are_one_choice_and_edges_without_a_chance_are_choices_of_their_own() -> None:
    graph = graph_of(4, (0, 1, 1, "a"), (0, 2), (0, 2, 2, "a"), (0, 3, 5, "b"), (0, 1))
    assert graph.choices(0) == (
        ((0, Fraction(1, 3)), (2, Fraction(2, 3))),
        ((1, Fraction(1)),),
        ((3, Fraction(1)),),
        ((4, Fraction(1)),),
    )
    assert graph.choices(3) == ()
    assert not graph.is_chain
    assert graph.edge(2) == Edge(0, 2, "0 to 2", Fraction(2, 3), "a")
    assert graph.edge(1) == Edge(0, 2, "0 to 2", None, None)


def test_groups_1_and_text_1_are_different_choices() -> None:
    graph = graph_of(3)
    graph.add_edge(0, 1, chance=1, group=1)
    graph.add_edge(0, 2, chance=1, group="1")
    assert len(graph.choices(0)) == 2


def test_edges_added_in_any_order_are_found_at_both_ends() -> None:
    graph = graph_of(3, (2, 0), (0, 1), (1, 2), (0, 2), (0, 0))
    assert list(graph.out(0)) == [1, 3, 4]
    assert list(graph.into(2)) == [2, 3]
    assert list(graph.into(0)) == [0, 4]


def test_what_was_derived_is_forgotten_when_the_graph_grows() -> None:
    graph = graph_of(2, (0, 1))
    assert ends(graph) == ((1,),)
    assert graph.is_chain
    new = graph.add_state()
    graph.add_edge(1, new)
    graph.add_edge(1, 0)
    assert ends(graph) == ((2,),)
    assert not graph.is_chain
    graph.leave_open(new)
    assert ends(graph) == ()


@pytest.mark.parametrize(("source", "target", "chance"), [(0, 2, 1), (-1, 0, 1), (0, 1, 0), (0, 1, Fraction(-1, 2))])
def test_edges_that_cannot_be_are_refused(source: int, target: int, chance: Fraction) -> None:
    with pytest.raises(ValueError, match=f"edge {source} -> {target}"):
        graph_of(2).add_edge(source, target, chance=chance)


@given(drawn_graphs(most=12))
def test_components_are_those_of_networkx_with_successors_first(graph: StateGraph) -> None:
    found = components(graph)
    expected = sorted(tuple(sorted(states)) for states in networkx.strongly_connected_components(plain(graph)))
    assert sorted(found.members) == expected
    assert all(state in found.members[found.of[state]] for state in graph.states)
    assert all(found.of[graph.source(edge)] >= found.of[graph.target(edge)] for edge in graph.edges)


@given(drawn_graphs(most=12))
def test_ends_are_the_leaves_of_the_condensation(graph: StateGraph) -> None:
    condensed = networkx.condensation(networkx.DiGraph(plain(graph)))
    leaves = [condensed.nodes[node]["members"] for node in condensed if not condensed.out_degree(node)]
    assert sorted(ends(graph)) == sorted(tuple(sorted(states)) for states in leaves)


def test_a_deep_graph_needs_no_recursion() -> None:
    graph = graph_of(50_000, *((state, state + 1) for state in range(49_999)))
    assert len(components(graph).members) == 50_000
    graph.add_edge(49_999, 0)
    assert ends(graph) == (tuple(range(50_000)),)


def test_an_end_is_one_state_at_rest_or_a_cycle() -> None:
    graph = graph_of(5, (0, 1), (0, 2), (2, 3), (3, 2), (0, 4), (4, 4))
    assert ends(graph) == ((1,), (2, 3), (4,))
    assert [is_at_rest(graph, end) for end in ends(graph)] == [True, False, False]


def test_an_end_is_good_if_the_goal_is_reached_in_it_and_what_does_not_last_does_not_count() -> None:
    graph = graph_of(5, (0, 1), (1, 2), (2, 1), (0, 3), (3, 4))
    assert split_ends(graph, good=[2, 3]) == ((1, 2), (4,))


@given(drawn_graphs(), st.data())
def test_doomed_is_what_cannot_reach_a_good_end_and_sure_what_cannot_reach_another(
    graph: StateGraph, data: st.DataObject
) -> None:
    good = data.draw(st.sets(st.sampled_from(list(graph.states))))
    kept, others = split_ends(graph, good)
    states = frozenset(graph.states)
    assert doomed(graph, good) == states - can_reach(graph, kept)
    assert sure(graph, good) == states - can_reach(graph, others)
    assert doomed(graph, good).isdisjoint(sure(graph, good))
    for target in graph.states:
        assert can_reach(graph, [target]) == networkx.ancestors(plain(graph), target) | {target}


@given(drawn_graphs(), st.data())
def test_a_shortest_path_is_one_and_leads_there(graph: StateGraph, data: st.DataObject) -> None:
    targets = data.draw(st.sets(st.sampled_from(list(graph.states))))
    path = shortest_path(graph, targets)
    lengths = networkx.single_source_shortest_path_length(plain(graph), 0)
    expected = min((lengths[target] for target in targets), default=None)
    if path is None:
        assert expected is None
        return
    assert len(path) == expected
    at = 0
    for edge in path:
        assert graph.source(edge) == at
        at = graph.target(edge)
    assert at in targets


def test_of_shortest_paths_the_one_with_the_oldest_edges_is_taken() -> None:
    graph = graph_of(4, (0, 2), (0, 1), (1, 3), (2, 3), (0, 2))
    assert shortest_path(graph, [3]) == (0, 3)
    assert shortest_path(graph, [0]) == ()
    assert shortest_path(graph, [0], source=1) is None


def test_the_point_of_no_return_is_the_first_edge_after_which_nothing_helps() -> None:
    #   0 -> 1 -> 2 -> 3 (stuck);  1 -> 4 (converged)
    graph = graph_of(5, (0, 1), (1, 2), (2, 3), (1, 4))
    assert point_of_no_return(graph, (0, 1, 2), good=[4]) == 1
    assert point_of_no_return(graph, (0, 3), good=[4]) is None
    assert point_of_no_return(graph, (0, 1, 2), good=[]) is None, "lost from the start: no step is to blame"
    assert fatal_edges(graph, good=[4]) == (1,)
    assert fates(graph, good=[4]) == ["undecided", "undecided", "doomed", "stuck", "converged"]
    assert fates(graph, good=[3, 4]) == ["sure", "sure", "sure", "converged", "converged"]


def test_nothing_is_claimed_of_what_follows_an_open_state() -> None:
    graph = graph_of(4, (0, 1), (0, 2), (2, 3))
    graph.leave_open(1)
    assert ends(graph) == ((3,),)
    assert doomed(graph, good=[]) == {2, 3}
    assert sure(graph, good=[3]) == {2, 3}
    assert fates(graph, good=[3]) == ["undecided", "open", "sure", "converged"]
