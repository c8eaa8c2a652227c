"""Small graphs for the tests, known and drawn."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from simulator.exploration.graph import StateGraph


def graph_of(states: int, *edges: tuple[int, int] | tuple[int, int, int] | tuple[int, int, int, str]) -> StateGraph:
    """(source, target) is a choice of its own; (source, target, weight[, group]) belongs to a group."""
    graph = StateGraph()
    for _ in range(states):
        graph.add_state()
    for edge in edges:
        source, target, *more = edge
        graph.add_edge(
            source, target, f"{source} to {target}",
            Fraction(more[0]) if more else None, more[1] if len(more) > 1 else 0,
        )
    return graph


def gamblers_ruin(stakes: int, win: int, lose: int) -> StateGraph:
    """State 0 is the start with one unit; state s < `stakes` has s + 1 units; then ruin, then the bank broken."""
    edges: list[tuple[int, int, int]] = []
    ruined, rich = stakes - 1, stakes
    for state in range(stakes - 1):
        edges.append((state, state + 1 if state + 1 < stakes - 1 else rich, win))
        edges.append((state, state - 1 if state else ruined, lose))
    return graph_of(stakes + 1, *edges)


@st.composite
def drawn_graphs(draw: st.DrawFn, is_chain: bool = False, is_acyclic: bool = False, most: int = 8) -> StateGraph:
    """Graphs with choices and chances; every state can be reached from the start."""
    count = draw(st.integers(1, most))
    graph = StateGraph()
    for state in range(count):
        graph.add_state({"n": state})
    for state in range(1, count):  # the tree that makes all reachable: weight 1 in group 0, or a choice
        chance = None if not is_chain and draw(st.booleans()) else 1
        graph.add_edge(draw(st.integers(0, state - 1)), state, "tree", chance)
    for _ in range(draw(st.integers(0, 2 * count))):
        source = draw(st.integers(0, count - 1))
        low = source + 1 if is_acyclic else 0
        if low >= count:
            continue
        target = draw(st.integers(low, count - 1))
        if is_chain:
            graph.add_edge(source, target, "more", draw(st.integers(1, 3)))
        else:
            graph.add_edge(source, target, "more", draw(st.sampled_from([None, 1, 2])), draw(st.integers(0, 1)))
    return graph
