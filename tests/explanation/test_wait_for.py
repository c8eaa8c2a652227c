"""The deadlock criterion of wait-for graphs, against its definition, and the knots at the bottom of them."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st

from simulator.explanation.wait_for import ALL, ANY, CONSTRAINT, GROUP, OBJECT, Vertex, WaitFor


def vertex(name: str, needs: str, *waits_for: str, kind: str = OBJECT) -> Vertex:
    return Vertex(name, kind, name, needs, waits_for)


def test_whoever_needs_any_is_free_as_soon_as_one_is() -> None:
    graph = WaitFor((vertex("pod", ANY, "n1", "n2"), vertex("n1", ANY), vertex("n2", ALL)))
    assert graph.deadlocked == {"n1"}


def test_whoever_needs_all_is_deadlocked_as_soon_as_one_is() -> None:
    graph = WaitFor((vertex("set", ALL, "a", "b"), vertex("a", ALL), vertex("b", ANY)))
    assert graph.deadlocked == {"set", "b"}


def test_a_cycle_is_deadlocked_unless_somebody_on_it_has_a_way_out() -> None:
    held = WaitFor((vertex("a", ALL, "b"), vertex("b", ALL, "a")))
    assert held.deadlocked == {"a", "b"}
    freed = WaitFor((vertex("a", ALL, "b"), vertex("b", ANY, "a", "c"), vertex("c", ALL)))
    assert freed.deadlocked == frozenset()


def test_what_is_not_in_the_graph_is_well() -> None:
    assert WaitFor((vertex("a", ALL, "elsewhere"),)).deadlocked == frozenset()


def test_a_knot_waits_for_no_other_object_and_all_others_wait_for_a_knot() -> None:
    graph = WaitFor((
        vertex("set", ALL, "p", "q"), vertex("p", ALL, "any"), vertex("any", ANY, "rule", kind=GROUP),
        vertex("rule", ANY, kind=CONSTRAINT), vertex("q", ALL, "c"), vertex("c", ANY, "q"),
    ))
    assert graph.knots == (("p",), ("q", "c"))
    assert graph.waiting_for(["p"]) == {"set"}


def test_the_graph_is_handed_out_for_networkx_and_graphviz() -> None:
    graph = WaitFor((vertex("a", ALL, "b"), Vertex("b", CONSTRAINT, 'the "rule"', ANY)))
    found = graph.graph()
    assert isinstance(found, networkx.DiGraph) and list(found.edges) == [("a", "b")]
    assert found.nodes["b"] == {"kind": CONSTRAINT, "text": 'the "rule"', "needs": ANY, "deadlocked": True}
    assert '"a" -> "b";' in graph.dot() and 'label="the \\"rule\\""' in graph.dot()


NAMES = "abcdefg"


@st.composite
def graphs(draw: st.DrawFn) -> WaitFor:
    return WaitFor(tuple(
        vertex(name, draw(st.sampled_from((ALL, ANY))),
               *draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)))
        for name in NAMES
    ))


@given(graphs())
def test_the_deadlocked_are_those_that_no_order_of_finishing_reaches(graph: WaitFor) -> None:
    """By definition: let vertices finish one after another, as long as any can."""
    finished: set[str] = set()
    while True:
        ready = [
            each.name for each in graph.vertices
            if each.name not in finished and (all if each.needs == ALL else any)(
                name in finished for name in each.waits_for)
        ]
        if not ready:
            break
        finished.add(ready[0])
    assert graph.deadlocked == set(NAMES) - finished


@given(graphs())
def test_every_deadlocked_object_is_in_a_knot_or_waits_for_one(graph: WaitFor) -> None:
    below = {name for knot in graph.knots for name in (*knot, *graph.waiting_for(knot))}
    assert below == graph.deadlocked
