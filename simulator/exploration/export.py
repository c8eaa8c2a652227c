"""The graph of states for other tools: networkx, GraphML, DOT, pictures. The same graph gives the same bytes.

In all of it `good` are states in which the goal is reached. Each state has its `fate` (`paths.FATES`) and what its mark
says; each edge its label, its chance as a fraction where chance decides, and whether it is a point of no return.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from simulator.errors import SimulatorError
from simulator.exploration.graph import START, StateGraph
from simulator.exploration.paths import fatal_edges, fates

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.exploration.picture import TooLarge

TEXTS: Final = (".graphml", ".dot", ".gv")
PICTURES: Final = (".png", ".svg", ".pdf")

_STYLES: Final = {
    "converged": 'shape=doublecircle, style=filled, fillcolor="#0072b2", fontcolor="#ffffff"',
    "stuck": 'shape=box, style=filled, fillcolor="#d55e00", fontcolor="#ffffff"',
    "sure": 'shape=circle, style=filled, fillcolor="#cfe6f5"',
    "doomed": 'shape=box, style=filled, fillcolor="#fbe0cc"',
    "undecided": "shape=circle",
    "open": 'shape=circle, style="dashed"',
}
_TYPES: Final = {bool: "boolean", int: "long", float: "double"}
_UNKNOWN: Final = "\ufffd"
_SURROGATES: Final = range(0xD800, 0xE000)
_XML: Final = dict.fromkeys((*range(32), *_SURROGATES, 0xFFFE, 0xFFFF), _UNKNOWN) | str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_DOT: Final = dict.fromkeys((0, *_SURROGATES), _UNKNOWN) | str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n"})


class _Line(Struct, frozen=True):
    """An edge as other tools are told of it."""

    number: int
    source: int
    target: int
    label: str
    chance: Fraction | None
    group: int | str | None
    is_point_of_no_return: bool


def export(graph: StateGraph, path: Path, good: Collection[int]) -> TooLarge | None:
    """Write the graph in the format that the file's suffix names.

    Parameters
    ----------
    path : ends in .graphml, .dot or .gv, or, for a picture, in .png, .svg or .pdf.

    Returns
    -------
    What is in the way of a picture, which is then not written; None if all is well.

    Raises
    ------
    SimulatorError
        If the suffix names no format.
    OSError
        If the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        from simulator.exploration.picture import draw

        return draw(graph, path, good)
    if suffix not in TEXTS:
        known = ", ".join((*TEXTS, *PICTURES))
        raise SimulatorError(f"{path}: that name says no format for a graph of states. Let it end in one of {known}.")
    lines = graphml(graph, good) if suffix == ".graphml" else dot(graph, good)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
    return None


def to_networkx(graph: StateGraph, good: Collection[int]) -> Any:
    """The graph as a ``networkx.MultiDiGraph`` with the numbers of states as nodes and those of edges as keys.

    Chances are fractions, and None where scheduling decides; ``graph["start"]`` is the start.
    """
    import networkx  # type: ignore[import-untyped]

    found = networkx.MultiDiGraph(start=START)
    for state, about in _nodes(graph, good):
        found.add_node(state, **about)
    for line in _lines(graph, good):
        found.add_edge(
            line.source, line.target, key=line.number, label=line.label, chance=line.chance, group=line.group,
            is_point_of_no_return=line.is_point_of_no_return,
        )
    return found


def graphml(graph: StateGraph, good: Collection[int]) -> Iterator[str]:
    """The lines of a GraphML file, which Gephi, yEd, Cytoscape and networkx read.

    A chance is there twice: as a fraction, exactly (``chance``), and as a number (``probability``).
    """
    types: dict[str, str] = {}
    for _, about in _nodes(graph, good):
        for name, value in about.items():
            own = _TYPES.get(type(value), "string")
            types[name] = own if types.get(name, own) == own else "string"
    keys = {name: f"n{number}" for number, name in enumerate(types)}
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for name, key in keys.items():
        yield f'  <key id="{key}" for="node" attr.name="{name.translate(_XML)}" attr.type="{types[name]}"/>'
    for key, name, kind in (
        ("label", "label", "string"), ("chance", "chance", "string"), ("probability", "probability", "double"),
        ("group", "group", "string"), ("fatal", "is_point_of_no_return", "boolean"),
    ):
        yield f'  <key id="{key}" for="edge" attr.name="{name}" attr.type="{kind}"/>'
    yield '  <graph id="states" edgedefault="directed">'
    for state, about in _nodes(graph, good):
        data = "".join(f'<data key="{keys[name]}">{_xml(value)}</data>' for name, value in about.items())
        yield f'    <node id="{state}">{data}</node>'
    for line in _lines(graph, good):
        data = f'<data key="label">{_xml(line.label)}</data>'
        if line.chance is not None:
            data += f'<data key="chance">{line.chance}</data><data key="probability">{float(line.chance)!r}</data>'
            data += f'<data key="group">{_xml(line.group)}</data>'
        data += f'<data key="fatal">{_xml(line.is_point_of_no_return)}</data>'
        yield f'    <edge id="e{line.number}" source="{line.source}" target="{line.target}">{data}</edge>'
    yield "  </graph>"
    yield "</graphml>"


def dot(graph: StateGraph, good: Collection[int]) -> Iterator[str]:
    """The lines of a DOT file, which Graphviz reads."""
    yield "digraph states {"
    yield "  rankdir=LR;"
    yield '  node [fontname="sans-serif", fontsize=10];'
    yield '  edge [fontname="sans-serif", fontsize=9, color="#595959"];'
    yield "  begin [shape=point];" if graph.states else ""
    for state, about in _nodes(graph, good):
        fate = about.pop("fate")
        label = "\n".join((str(state), *(f"{name}: {value}" for name, value in about.items())))
        yield f'  {state} [label="{label.translate(_DOT)}", {_STYLES[fate]}];'
    yield f"  begin -> {START};" if graph.states else ""
    for line in _lines(graph, good):
        label = line.label if line.chance is None else f"{line.label} ({line.chance})"
        fatal = ', color="#d55e00", penwidth=3' if line.is_point_of_no_return else ""
        yield f'  {line.source} -> {line.target} [label="{label.translate(_DOT)}"{fatal}];'
    yield "}"


def _nodes(graph: StateGraph, good: Collection[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each state with its fate and the plain values of its mark."""
    for state, fate in enumerate(fates(graph, good)):
        mark = graph.marks[state]
        if not isinstance(mark, Mapping):
            mark = {} if mark is None else {"mark": mark}
        about = {
            str(name): value if isinstance(value, bool | int | float) else str(value)
            for name, value in mark.items() if value is not None
        }
        yield state, {**about, "fate": fate}


def _lines(graph: StateGraph, good: Collection[int]) -> Iterator[_Line]:
    fatal = frozenset(fatal_edges(graph, good))
    for state in graph.states:
        shares = {edge: chance for choice in graph.choices(state) for edge, chance in choice}
        for edge in graph.out(state):
            group = graph.group(edge)
            yield _Line(
                edge, state, graph.target(edge), str(graph.label(edge)), None if group is None else shares[edge], group,
                edge in fatal,
            )


def _xml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).translate(_XML)
