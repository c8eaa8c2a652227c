from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import SimulatorError
from simulator.exploration.export import dot, export, graphml, to_networkx
from simulator.exploration.folding import fold
from simulator.exploration.graph import StateGraph
from simulator.exploration.layout import lay_out
from simulator.exploration.paths import fates
from simulator.exploration.picture import TooLarge, draw
from tests.exploration.graphs import drawn_graphs, gamblers_ruin, graph_of


def story() -> StateGraph:
    """Chance, scheduling, a loop, a way back, parallel edges, an open state, and words that want quoting."""
    graph = StateGraph()
    pods = {"pods": 1, "is_late": True, "share": 0.5}
    marks = [None, pods, {"pods": "two"}, 'a <mark> & "more"', None, {"verdict": "stuck"}, None]
    for mark in marks:
        graph.add_state(mark)
    graph.add_edge(0, 1, 'pv-a for "data-0"', 1, "bind")
    graph.add_edge(0, 2, "pv-b\\c\nfor <data-0> & $others$", 2, "bind")
    graph.add_edge(1, 3, "resync")
    graph.add_edge(3, 1, "retry")
    graph.add_edge(3, 4, "scheduler places web-0")
    graph.add_edge(3, 4, "scheduler places web-0 elsewhere")
    graph.add_edge(2, 5, "the scheduler finds no node: node(s) had volume node affinity conflict")
    graph.add_edge(5, 5, "retry")
    graph.add_edge(1, 6, "node fails")
    graph.leave_open(6)
    return graph


GOOD = [4]


def test_networkx_gets_all_with_exact_chances() -> None:
    found = to_networkx(story(), GOOD)
    assert found.graph == {"start": 0}
    assert dict(found.nodes(data="fate")) == dict(enumerate(fates(story(), GOOD)))
    assert found.nodes[1] == {"pods": 1, "is_late": True, "share": 0.5, "fate": "undecided"}
    assert found.edges[0, 2, 1]["chance"] == Fraction(2, 3)
    assert found.edges[0, 2, 1]["is_point_of_no_return"]
    assert found.edges[1, 3, 2]["chance"] is None
    assert found.number_of_edges(3, 4) == 2


def test_graphml_says_the_same_to_networkx(tmp_path: Path) -> None:
    path = tmp_path / "states.graphml"
    assert export(story(), path, GOOD) is None
    found = networkx.read_graphml(path, node_type=int, force_multigraph=True)
    expected = to_networkx(story(), GOOD)
    assert sorted(found.edges()) == sorted(expected.edges())
    assert found.nodes[3]["mark"] == 'a <mark> & "more"'
    assert found.nodes[1] == {"pods": "1", "is_late": True, "share": 0.5, "fate": "undecided"}
    assert found.nodes[2]["pods"] == "two", "numbers and words under one name are words"
    (edge,) = found.get_edge_data(0, 2).values()
    assert edge["chance"] == "2/3"
    assert edge["probability"] == pytest.approx(2 / 3)
    assert edge["label"] == "pv-b\\c\nfor <data-0> & $others$"
    assert edge["is_point_of_no_return"] is True


@given(st.text(), drawn_graphs())
def test_any_words_make_sound_graphml(words: str, graph: StateGraph) -> None:
    graph.marks[0] = {words: words}
    graph.add_edge(0, 0, words)
    found = networkx.parse_graphml("\n".join(graphml(graph, [0])), force_multigraph=True)
    assert found.number_of_edges() == len(graph.edges)


def test_dot_is_quoted() -> None:
    lines = list(dot(story(), GOOD))
    assert lines[0] == "digraph states {"
    assert lines[-1] == "}"
    assert '  0 -> 1 [label="pv-a for \\"data-0\\" (1/3)"];' in lines
    assert (
        '  0 -> 2 [label="pv-b\\\\c\\nfor <data-0> & $others$ (2/3)", color="#d55e00", penwidth=3];' in lines
    )
    assert "  begin -> 0;" in lines
    assert any(line.startswith('  1 [label="1\\npods: 1\\nis_late: True\\nshare: 0.5", ') for line in lines)


@given(st.text())
def test_any_words_stay_within_the_quotes_of_dot(words: str) -> None:
    graph = graph_of(1)
    graph.add_edge(0, 0, words)
    (line,) = (line for line in dot(graph, []) if line.startswith("  0 -> 0"))
    inside = line.removeprefix('  0 -> 0 [label="').removesuffix('"];')
    assert "\n" not in inside
    assert '"' not in inside.replace("\\\\", "").replace('\\"', "")


def test_a_file_name_that_says_no_format_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match=r"states\.jpeg.*\.graphml.*\.png"):
        export(story(), tmp_path / "states.jpeg", GOOD)


@pytest.mark.parametrize("suffix", ["graphml", "dot", "png", "svg", "pdf"])
def test_the_same_graph_gives_the_same_bytes_in_every_process(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"one.{suffix}"
    assert export(story(), path, GOOD) is None
    script = """
        import sys
        from pathlib import Path
        import matplotlib
        matplotlib.rcParams["font.size"] = 33  # what a user may have set
        matplotlib.rcParams["lines.linewidth"] = 9
        from simulator.exploration.export import export
        from tests.exploration.test_export import GOOD, story
        export(story(), Path(sys.argv[1]), GOOD)
        assert matplotlib.rcParams["font.size"] == 33
    """
    other = tmp_path / f"other.{suffix}"
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(other)],
        check=True, env={**os.environ, "PYTHONHASHSEED": "77", "SOURCE_DATE_EPOCH": ""}, cwd=Path(__file__).parents[2],
    )
    assert path.read_bytes() == other.read_bytes()


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys; import simulator.exploration.export, simulator.exploration.picture, simulator.exploration.chances;"
        "print([m for m in ('networkx', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_graph_too_large_for_a_picture_says_so_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    said = draw(gamblers_ruin(400, 1, 1), path, [400])
    assert said == TooLarge(401, 401, 300)
    assert str(said) == (
        "The graph has 401 states; a picture shows up to 300. Write it as .graphml or .dot instead, "
        "for Gephi, yEd, Cytoscape, networkx or Graphviz."
    )
    assert not path.exists()


def test_a_long_way_without_a_branch_is_folded_and_fits(tmp_path: Path) -> None:
    graph = graph_of(2000, *((state, state + 1) for state in range(1999)))
    folded = fold(graph, [1999])
    assert folded.states == (0, 1999)
    assert folded.stretches[0].edges == tuple(range(1999))
    assert draw(graph, tmp_path / "long.png", [1999]) is None
    assert isinstance(draw(graph, tmp_path / "long.png", [1999], is_folded=False), TooLarge)


def test_a_point_of_no_return_within_a_folded_stretch_is_kept() -> None:
    #  0 -> 1 -> 2 -> 3 (stuck); 0 -> 4 (converged): 0 -> 1 dooms
    graph = graph_of(5, (0, 1, 1), (1, 2), (2, 3), (0, 4, 2))
    first, second = fold(graph, [4]).stretches
    assert (first.edges, first.chance, first.fatal) == ((0, 1, 2), Fraction(1, 3), 0)
    assert (second.edges, second.chance, second.fatal) == ((3,), Fraction(2, 3), None)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("graph", [graph_of(1), graph_of(1, (0, 0)), graph_of(2, (0, 1), (1, 0)), story()])
def test_any_small_graph_can_be_drawn(graph: StateGraph, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"one{suffix}"
    assert draw(graph, path, [0], title="A $title$ & more", captions={0: "the $only$ end"}) is None
    assert path.stat().st_size > 1000


@given(drawn_graphs(most=20))
def test_a_layout_keeps_vertices_apart_and_leads_on_but_for_cycles(graph: StateGraph) -> None:
    edges = [(graph.source(edge), graph.target(edge)) for edge in graph.edges]
    edges = [pair for pair in dict.fromkeys(edges) if pair[0] != pair[1]]
    layout = lay_out(len(graph.states), edges)
    for one in graph.states:
        for other in range(one):
            (x, y), (other_x, other_y) = layout.points[one], layout.points[other]
            assert x != other_x or abs(y - other_y) >= 0.999
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert route[0] == layout.points[source]
        assert route[-1] == layout.points[target]
        steps = {after[0] - before[0] for before, after in pairwise(route)}
        assert steps in ({1.0}, {-1.0})
    if networkx.is_directed_acyclic_graph(networkx.DiGraph(edges)):
        assert all(layout.points[source][0] < layout.points[target][0] for source, target in edges)
    assert layout == lay_out(len(graph.states), edges)
