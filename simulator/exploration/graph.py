"""The graph of states that an exploration found: a Markov decision process, stored in flat arrays.

A state has *choices*: which step goes next is up to the scheduling, not to chance. A step that breaks a tie leads to
several states, each with its chance; these edges form one choice. So a graph in which no state has more than one
choice is a Markov chain.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any, Final, TypeVar

from msgspec import Struct

T = TypeVar("T")

Choice = tuple[tuple[int, Fraction], ...]
"""One step that may go next: its edges, each with its chance; the chances sum to 1."""

START: Final = 0
_NONE: Final = -1
_CERTAIN: Final = Fraction(1)


class Edge(Struct, frozen=True):
    """One transition.

    Attributes
    ----------
    label : what happened; rendered with ``str``.
    chance : the chance among the edges of its choice; None where the step has one outcome only by its nature.
    group : what tells its choice from others of the same source; None for an edge that is a choice by itself.
    """

    source: int
    target: int
    label: Hashable
    chance: Fraction | None
    group: int | str | None


class Adjacency(Struct, frozen=True):
    """Edges sorted by one of their ends: those of state s are ``edges[offsets[s]:offsets[s + 1]]``, oldest first."""

    offsets: Sequence[int]
    edges: Sequence[int]


class StateGraph:
    """States and edges, numbered from 0 in the order in which they are added; state 0 is the start.

    Every state should be reachable from the start, as in a search it is. What is derived from the graph is kept until
    the graph changes.

    Attributes
    ----------
    marks : what is known of each state, by state: a mapping of plain values, or anything that renders with ``str``.

    Examples
    --------
    >>> graph = StateGraph()
    >>> start, good, bad = graph.add_state(), graph.add_state({"verdict": "converged"}), graph.add_state()
    >>> _ = graph.add_edge(start, good, "pv-1 for data-web-0", chance=1, group="bind")
    >>> _ = graph.add_edge(start, bad, "pv-2 for data-web-0", chance=2, group="bind")
    >>> graph.choices(start)
    (((0, Fraction(1, 3)), (1, Fraction(2, 3))),)
    """

    __slots__ = ("_chances", "_derived", "_groups", "_interned", "_labels", "_open", "_sources", "_targets", "marks")

    def __init__(self) -> None:
        self.marks: list[Any] = []
        self._sources = array("i")
        self._targets = array("i")
        self._labels: list[Hashable] = []
        self._groups: list[int | str | None] = []
        self._chances: list[Fraction | None] = []
        self._open: dict[int, None] = {}
        # labels, groups and chances recur: equal ones share one object; the type keeps 1 apart from Fraction(1)
        self._interned: dict[tuple[type, Any], Any] = {}
        self._derived: dict[str, Any] = {}

    def add_state(self, mark: Any = None) -> int:
        """A new state; its number."""
        if self._derived:
            self._derived.clear()
        self.marks.append(mark)
        return len(self.marks) - 1

    def add_edge(
        self, source: int, target: int, label: Hashable = "",
        chance: Fraction | int | None = None, group: int | str = 0,
    ) -> int:
        """A new edge; its number.

        Parameters
        ----------
        chance : None for a step with one outcome: the edge is a choice of its own. Otherwise its weight among the edges
            of the same source and group, which together are one choice; weights need not sum to 1.
        group : the choice that the edge belongs to; without meaning if there is no `chance`.

        Raises
        ------
        ValueError
            If a state does not exist, or a chance is not positive.
        """
        if not (0 <= source < len(self.marks) and 0 <= target < len(self.marks)):
            raise ValueError(f"edge {source} -> {target}: the graph has {len(self.marks)} states")
        if chance is not None and chance <= 0:
            raise ValueError(f"edge {source} -> {target}: a chance of {chance}; what cannot happen is no edge")
        if self._derived:
            self._derived.clear()
        self._sources.append(source)
        self._targets.append(target)
        self._labels.append(self._intern(label))
        self._chances.append(None if chance is None else self._intern(Fraction(chance)))
        self._groups.append(None if chance is None else self._intern(group))
        return len(self._sources) - 1

    def _intern(self, value: T) -> T:
        found: T = self._interned.setdefault((type(value), value), value)
        return found

    def leave_open(self, state: int) -> None:
        """Say that a state's edges are not all known, since a bound was met: nothing is claimed of what follows it."""
        self._derived.clear()
        self._open[state] = None

    @property
    def states(self) -> range:
        """All states."""
        return range(len(self.marks))

    @property
    def edges(self) -> range:
        """All edges."""
        return range(len(self._sources))

    @property
    def open_states(self) -> Sequence[int]:
        """States whose edges are not all known."""
        return tuple(self._open)

    def is_open(self, state: int) -> bool:
        """Are the state's edges not all known?"""
        return state in self._open

    def source(self, edge: int) -> int:
        """Where an edge begins."""
        return self._sources[edge]

    def target(self, edge: int) -> int:
        """Where an edge leads."""
        return self._targets[edge]

    def label(self, edge: int) -> Hashable:
        """What happens on an edge."""
        return self._labels[edge]

    def group(self, edge: int) -> int | str | None:
        """What tells an edge's choice from others of its source; None if the edge is a choice by itself."""
        return self._groups[edge]

    def edge(self, edge: int) -> Edge:
        """All about an edge."""
        chance = self._chances[edge]
        if chance is not None:
            chance = next(
                share for choice in self.choices(self._sources[edge]) for number, share in choice if number == edge
            )
        return Edge(self._sources[edge], self._targets[edge], self._labels[edge], chance, self._groups[edge])

    def out(self, state: int) -> Sequence[int]:
        """The edges that begin at a state, oldest first."""
        beside = self.outgoing
        return beside.edges[beside.offsets[state] : beside.offsets[state + 1]]

    def into(self, state: int) -> Sequence[int]:
        """The edges that lead to a state, oldest first."""
        beside = self.incoming
        return beside.edges[beside.offsets[state] : beside.offsets[state + 1]]

    def choices(self, state: int) -> tuple[Choice, ...]:
        """The steps that may go next, each with its outcomes, oldest first."""
        edges = self.out(state)
        if len(edges) == 1:
            return (((edges[0], _CERTAIN),),)
        choices: list[list[int]] = []
        known: dict[tuple[type, int | str], list[int]] = {}
        for edge in edges:
            group = self._groups[edge]
            if group is None:
                choices.append([edge])
                continue
            found = known.get((type(group), group))
            if found is None:
                found = known[type(group), group] = []
                choices.append(found)
            found.append(edge)
        return tuple(self._shares(choice) for choice in choices)

    def _shares(self, edges: Sequence[int]) -> Choice:
        if len(edges) == 1:
            return ((edges[0], _CERTAIN),)
        weights = [self._chances[edge] or _CERTAIN for edge in edges]
        if len(set(weights)) == 1:
            return tuple((edge, Fraction(1, len(edges))) for edge in edges)
        total = sum(weights)
        return tuple((edge, weight / total) for edge, weight in zip(edges, weights, strict=True))

    @property
    def is_chain(self) -> bool:
        """Is everything up to chance, nothing to scheduling: has no state more than one choice?"""
        return self.derive("is_chain", lambda: all(len(self.choices(state)) <= 1 for state in self.states))

    @property
    def outgoing(self) -> Adjacency:
        """Edges by source."""
        return self.derive("outgoing", lambda: self._sorted(self._sources))

    @property
    def incoming(self) -> Adjacency:
        """Edges by target."""
        return self.derive("incoming", lambda: self._sorted(self._targets))

    def _sorted(self, ends: Sequence[int]) -> Adjacency:
        offsets = array("i", [0]) * (len(self.marks) + 1)
        for end in ends:
            offsets[end + 1] += 1
        for state in self.states:
            offsets[state + 1] += offsets[state]
        return Adjacency(offsets, array("i", sorted(range(len(ends)), key=ends.__getitem__)))

    def derive(self, name: str, make: Callable[[], T]) -> T:
        """What `make` finds out about the graph, kept under a name until the graph changes."""
        if name not in self._derived:
            self._derived[name] = make()
        found: T = self._derived[name]
        return found
