"""Goes through the states of a scenario, and finds its way back to each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.cluster.store import Shelf
from simulator.eventlog import Log, LogEntry
from simulator.exploration.ends import End, Rest
from simulator.exploration.engine import Grain, Moment
from simulator.exploration.graph import START, StateGraph
from simulator.exploration.paths import shortest_path
from simulator.exploration.placements import Outline, outline
from simulator.exploration.space import Space
from simulator.exploration.symmetry import find_symmetry
from simulator.exploration.turns import Turn
from simulator.scenario.header import header_of
from simulator.scenario.load import Scenario
from simulator.simulation import RUN, conclude

NO_RETURN: Final = "no-return"
"""The verb of a log's entry that says: from here on every run gets stuck."""
_OFTEN: Final = 64
"""Progress is told after so many states."""


class TimeIsUp(Exception):
    """Raised between two steps when there is no more time."""


class Progress(Struct, frozen=True):
    """How far an exploration has come."""

    states: int
    transitions: int
    waiting: int
    ends: int


class Search:
    """Goes through the states of a scenario, breadth first.

    Attributes
    ----------
    graph : what it has found.
    rests : what is the case in the states at rest.
    outlines : the states seen from afar.
    """

    def __init__(
        self, scenario: Scenario, ties: str, grain: Grain, faults: int, is_symmetric: bool, is_reduced: bool
    ) -> None:
        self._scenario, self._ties, self._grain, self._faults = scenario, ties, grain, faults
        self._is_symmetric, self._is_reduced = is_symmetric, is_reduced
        self.graph = StateGraph()
        self.outlines: dict[Outline, None] = {}
        self._space = self._new_space()
        self._store = self._space.world.store
        self._symmetry = self._space.symmetry
        # states are looked at from afar by symmetry, also where the tie policy tells equal things apart
        if is_symmetric and ties != "uniform":
            self._symmetry = find_symmetry(scenario, self._store.save().shelves, True)
        self._where = {name: place.node for name, place in self._symmetry.volumes.items()}
        self.rests: dict[int, Rest] = {}
        self._passed: tuple[Shelf | None, Shelf | None] = (None, None)
        self._came: list[tuple[int, tuple[Turn, ...]]] = []

    def _new_space(self, log: Log | None = None) -> Space:
        return Space(
            self._scenario, ties=self._ties, grain=self._grain, faults=self._faults, is_symmetric=self._is_symmetric,
            is_reduced=self._is_reduced, log=log,
        )

    def run(
        self, most_states: int, must_stop: Callable[[], bool], progress: Callable[[Progress], None] | None
    ) -> str:
        """Explore.

        Returns
        -------
        Why it ended before all was explored; "" if all was.
        """
        space, graph = self._space, self.graph
        at, touched = space.fingerprint(space.start)
        states = {at: graph.add_state()}
        self._came.append((START, ()))
        waiting: deque[tuple[int, Moment, frozenset[str]]] = deque([(START, space.start, touched)])
        why = ""

        def pause() -> None:
            if must_stop():
                raise TimeIsUp

        space.pause = pause
        try:
            while waiting and not why:
                state, moment, touched = waiting[0]
                found = list(space.follow(space.after(moment, touched), self._pass))
                if space.is_at_rest(moment):
                    self._note(state, moment)
                for way in found:
                    at, touched = space.fingerprint(way.after)
                    target = states.get(at)
                    if target is None:
                        target = states[at] = graph.add_state()
                        self._came.append((state, way.turns))
                        waiting.append((target, way.after, touched))
                    graph.add_edge(state, target, str(way.label), way.chance, way.group)
                waiting.popleft()  # if it is interrupted before, not all is known of what follows this state
                if len(states) > most_states:
                    why = f"the bound of {most_states} states was met"
                elif progress is not None and state % _OFTEN == 0:
                    progress(Progress(len(states), len(graph.edges), len(waiting), len(self.rests)))
        except KeyboardInterrupt:
            why = "it was interrupted"
        except TimeIsUp:
            why = "time was up"
        for state, _, _ in waiting:
            graph.leave_open(state)
        return why if waiting else ""

    def _pass(self) -> None:
        """A moment is passed on the way from one state to another."""
        shelves = self._store.shelf(PersistentVolumeClaim.KIND), self._store.shelf(Pod.KIND)
        if shelves == self._passed:
            return  # the same shelves: a shelf is equal to itself only
        self._passed = shelves
        self.outlines.setdefault(outline(self._store, self._symmetry, self._where))

    def _note(self, state: int, moment: Moment) -> None:
        """Keep what is the case in a state at rest: it may turn out to be an end."""
        self._space.restore(moment)
        self._pass()
        store = self._store
        self.rests[state] = Rest(
            {str(key): why for key, why in self._space.goals.unmet.items()},
            outline(store, self._symmetry, self._where),
            {str(pod.key): pod.spec.node_name for pod in store.list(Pod) if pod.spec.node_name},
            {str(claim.key): claim.spec.volume_name for claim in store.list(PersistentVolumeClaim)
             if claim.spec.volume_name},
            {str(pod.key): tuple(f"PersistentVolumeClaim/{pod.namespace}/{name}" for name in pod.claim_names)
             for pod in store.list(Pod)},
            self._space.failures,
        )

    def trace(self, end: End, lost: Collection[int]) -> Log:
        """The shortest run into an end, with its log.

        Parameters
        ----------
        lost : the states from which every run gets stuck.
        """
        header = header_of(self._scenario, 0, self._ties)
        del header["seed"]  # no seed leads there for sure
        log = Log({**header, "untimed": True})
        space = self._new_space(log)
        edges = shortest_path(self.graph, end.states) or ()
        state = self.graph.target(edges[-1]) if edges else START
        way: list[int] = []
        while state != START:
            way.append(state)
            state = self._came[state][0]
        for edge, state in zip(edges, reversed(way), strict=True):
            before, turns = self._came[state]
            if state in lost and before not in lost:
                known = len(log.entries)
                space.repeat(turns[:1])  # what follows it comes without an alternative
                deed = _deed(log.entries[known:], str(self.graph.label(edge)))
                log.append(space.world.now, "bindsim", NO_RETURN, RUN, detail=deed)
                turns = turns[1:]
            space.repeat(turns)
        conclude(log, space.world.now, end.verdict, "as found by exploring every run", space.goals.unmet, end.failures)
        return log


def _deed(entries: Sequence[LogEntry], label: str) -> dict[str, Any]:
    """A step in words: what was chosen in it, and for what, if anything; else what it is called."""
    for entry in reversed(entries):
        if entry.verb == "choose" and entry.detail and entry.detail["point"] != "fault":
            chosen = entry.detail["chosen"].rpartition("/")[2]
            return {"step": f"{entry.actor} chooses {chosen} for {entry.key.name}", "about": list(entry.key)}
    return {"step": label.partition(" → ")[0].replace(": ", " ", 1)}
