"""Who waits for whom: a graph in which a vertex needs all, or any, of those that it waits for.

An object waits for what its goal takes; a pod, for instance, for all of its claims and for *any* node, and each node
for *all* rules to admit the pod. A constraint that nobody is about to change waits for any of nothing: it never yields.

**Deadlock.** A vertex can still finish if it needs all and all it waits for can, or needs any and any can; the least
solution of these equations holds exactly the vertices that can. All others are deadlocked: on cycles, or behind
something that never yields. That is necessary and sufficient, for graphs with both kinds of vertices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

ALL: Final = "all"
ANY: Final = "any"
OBJECT: Final = "object"
GROUP: Final = "group"
CONSTRAINT: Final = "constraint"


class Vertex(Struct, frozen=True, rename="camel"):
    """Something that waits.

    Attributes
    ----------
    name : unique in its graph; for an object KIND/NAMESPACE/NAME.
    kind : object, constraint, or group (of those that something needs).
    needs : whether it needs all or any of those that it waits for; any of nothing never comes.
    """

    name: str
    kind: str
    text: str
    needs: str
    waits_for: tuple[str, ...] = ()


class WaitFor(Struct, frozen=True, rename="camel"):
    """A wait-for graph; what a vertex waits for and is not in it is well."""

    vertices: tuple[Vertex, ...] = ()

    @property
    def deadlocked(self) -> frozenset[str]:
        """The vertices that can never finish; see the module's docstring. O(vertices + edges)."""
        waiting_on: dict[str, list[str]] = {}
        missing: dict[str, int] = {}
        for vertex in self.vertices:
            missing[vertex.name] = len(vertex.waits_for) if vertex.needs == ALL else 1
        free = [vertex.name for vertex in self.vertices if not missing[vertex.name]]
        for vertex in self.vertices:
            for other in vertex.waits_for:
                if other in missing:
                    waiting_on.setdefault(other, []).append(vertex.name)
                else:
                    _count_down(missing, vertex.name, free)
        for name in free:  # grows while it is gone through
            for other in waiting_on.get(name, ()):
                _count_down(missing, other, free)
        return frozenset(missing) - frozenset(free)

    @property
    def knots(self) -> tuple[tuple[str, ...], ...]:
        """The objects at the bottom of it all: each waits for no deadlocked object outside its knot.

        Several objects in one knot wait for each other; whoever else is deadlocked waits, in the end, for a knot.
        """
        deadlocked = self.deadlocked
        by_name = {vertex.name: vertex for vertex in self.vertices}
        behind = {
            vertex.name: _objects_behind(vertex, by_name, deadlocked)
            for vertex in self.vertices if vertex.kind == OBJECT and vertex.name in deadlocked
        }
        reached = {name: _closure(name, behind) for name in behind}
        found: dict[tuple[str, ...], None] = {}
        for name in behind:
            mates = tuple(other for other in behind if other == name or (
                other in reached[name] and name in reached[other]))
            if all(other in mates for other in reached[name]):
                found[mates] = None
        return tuple(found)

    def waiting_for(self, names: Collection[str]) -> frozenset[str]:
        """The deadlocked objects that wait for some vertices, directly or not; these themselves left out."""
        deadlocked = self.deadlocked
        waiting: dict[str, list[str]] = {}
        for vertex in self.vertices:
            for other in vertex.waits_for:
                waiting.setdefault(other, []).append(vertex.name)
        found: set[str] = set()
        ahead = list(names)
        while ahead:
            for other in waiting.get(ahead.pop(), ()):
                if other in deadlocked and other not in found:
                    found.add(other)
                    ahead.append(other)
        objects = {vertex.name for vertex in self.vertices if vertex.kind == OBJECT}
        return frozenset(found & objects) - frozenset(names)

    def graph(self) -> Any:
        """The graph for networkx (a DiGraph): an edge goes from who waits to what it waits for.

        Vertices have the attributes ``kind``, ``text``, ``needs`` and ``deadlocked``.
        """
        import networkx  # type: ignore[import-untyped]

        graph = networkx.DiGraph()
        deadlocked = self.deadlocked
        for vertex in self.vertices:
            graph.add_node(vertex.name, kind=vertex.kind, text=vertex.text, needs=vertex.needs,
                           deadlocked=vertex.name in deadlocked)
        for vertex in self.vertices:
            graph.add_edges_from((vertex.name, other) for other in vertex.waits_for if other in graph)
        return graph

    def dot(self) -> str:
        """The graph for Graphviz: objects are boxes, constraints are plain, diamonds need any one."""
        deadlocked = self.deadlocked
        lines = ["digraph waits_for {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
        for vertex in self.vertices:
            shape = {OBJECT: "box", CONSTRAINT: "plaintext"}.get(vertex.kind, "ellipse")
            if vertex.kind == GROUP and vertex.needs == ANY:
                shape = "diamond"
            colour = ', color="firebrick"' if vertex.name in deadlocked else ""
            lines.append(f"  {_quoted(vertex.name)} [shape={shape}, label={_quoted(vertex.text)}{colour}];")
        names = {vertex.name for vertex in self.vertices}
        lines.extend(
            f"  {_quoted(vertex.name)} -> {_quoted(other)};"
            for vertex in self.vertices for other in vertex.waits_for if other in names
        )
        return "\n".join([*lines, "}"]) + "\n"


def _count_down(missing: dict[str, int], name: str, free: list[str]) -> None:
    if missing[name] > 0:
        missing[name] -= 1
        if not missing[name]:
            free.append(name)


def _objects_behind(
    vertex: Vertex, by_name: Mapping[str, Vertex], deadlocked: Collection[str]
) -> tuple[str, ...]:
    """The deadlocked objects that a vertex waits for, groups and constraints gone through."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    ahead = list(vertex.waits_for)
    while ahead:
        name = ahead.pop(0)
        other = by_name.get(name)
        if other is None or name in seen or name not in deadlocked:
            continue
        seen.add(name)
        if other.kind == OBJECT:
            found[name] = None
        else:
            ahead.extend(other.waits_for)
    return tuple(found)


def _closure(start: str, behind: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    ahead = list(behind[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(behind[name])
    return frozenset(found)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


