"""Every run of a scenario: all ends that it can come to, how likely each is, and the shortest way into it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.choices import TIE_POLICIES
from simulator.errors import ScenarioError
from simulator.eventlog import Log, LogEntry
from simulator.explanation.verdict import CONVERGED, NO_VERDICT, STUCK
from simulator.exploration.chances import Bounds, chance_bounds, end_chances
from simulator.exploration.components import ends as ends_of
from simulator.exploration.engine import Grain, Moment
from simulator.exploration.graph import START, StateGraph
from simulator.exploration.paths import doomed, point_of_no_return, shortest_path
from simulator.exploration.placements import Outline, outline
from simulator.exploration.space import Space
from simulator.exploration.symmetry import find_symmetry
from simulator.exploration.turns import Turn
from simulator.exploration.upkeep import rare_collections
from simulator.scenario.header import header_of
from simulator.scenario.load import Scenario
from simulator.simulation import RUN, conclude

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.exploration.picture import TooLarge

NO_RETURN: Final = "no-return"
"""The verb of a log's entry that says: from here on every run gets stuck."""

ALWAYS, MAY, NEVER = "always converges", "may get stuck", "always gets stuck"

INTERLEAVINGS: Final = ("ties", "syncs", "writes")
"""How fine the steps are: `simulator.exploration.engine.Grain`."""


class Progress(Struct, frozen=True):
    """How far an exploration has come."""

    states: int
    transitions: int
    waiting: int
    ends: int


class End(Struct, frozen=True):
    """One end that runs can come to; those that differ only in the names of equal things are one.

    Attributes
    ----------
    verdict : converged or stuck.
    is_livelock : whether things go on for ever; otherwise it is at rest.
    chance : how likely it is, if only chance decides; with an unfinished exploration, at least so likely.
    bounds : otherwise how likely it is at least and at most, over all orders of steps, where that was worked out.
    waiting : what is short of its goal → of what; of one such end.
    placements, bindings, claims : pod → node, claim → volume, pod → its claims; of one such end.
    failures : entries of the timeline that went wrong, in words.
    states : its states in the graph.
    """

    verdict: str
    is_livelock: bool
    chance: Fraction | None
    waiting: dict[str, str]
    placements: dict[str, str]
    bindings: dict[str, str]
    failures: tuple[str, ...]
    states: tuple[int, ...]
    claims: dict[str, tuple[str, ...]] = {}
    bounds: Bounds | None = None


class Step(Struct, frozen=True):
    """A step of a run, in words.

    Attributes
    ----------
    is_fatal : whether from here on every run gets stuck, and before it did not.
    """

    text: str
    is_fatal: bool


class Exploration(Struct):
    """What came out of it.

    Attributes
    ----------
    verdict : always converges, may get stuck, always gets stuck, or no verdict.
    ties, interleavings, lag, faults : what was explored.
    is_complete : whether there is no state that was not explored; `why_incomplete` says why not.
    stuck : the chance to get stuck, if only chance decides and all is explored.
    bounds : the least and greatest chance to get stuck, over all orders in which steps may come.
    ends : the ends, the likeliest first.
    graph : the states.
    is_symmetric : whether what differs only in the names of equal things is taken as one.
    outlines : how many states there are when one looks only at the node of each claim, and whether its pod is placed.
    """

    scenario: Scenario
    verdict: str
    ties: str
    interleavings: str
    lag: int
    faults: int
    is_symmetric: bool
    is_complete: bool
    why_incomplete: str
    stuck: Fraction | None
    bounds: Bounds | None
    ends: tuple[End, ...]
    graph: StateGraph
    states: int
    transitions: int
    outlines: int
    found: Search

    def path(self, end: End) -> list[Step]:
        """The shortest way into an end, step by step."""
        edges = shortest_path(self.graph, end.states) or ()
        fatal = point_of_no_return(self.graph, edges, self.good)
        return [Step(str(self.graph.label(edge)), place == fatal) for place, edge in enumerate(edges)]

    @property
    def foremost(self) -> End | None:
        """The stuck end that takes the fewest steps; the first end if none is stuck; None if there is no end."""
        stuck = [end for end in self.ends if end.verdict == STUCK]
        if stuck:
            return min(stuck, key=lambda end: len(shortest_path(self.graph, end.states) or ()))
        return self.ends[0] if self.ends else None

    def export(self, path: Path) -> TooLarge | None:
        """Write the graph of states in the format that the suffix names: see `simulator.exploration.export.export`."""
        from simulator.exploration.export import PICTURES, export

        for number, end in enumerate(self.ends, 1):
            for state in end.states:
                self.graph.marks[state] = {"end": number, "waiting": ", ".join(end.waiting)}
        if path.suffix.lower() in PICTURES:
            from simulator.exploration.picture import MOST_CAPTIONS, draw

            captions = {state: f"end {number}" + (f": {end.chance}" if end.chance is not None else "")
                        for number, end in enumerate(self.ends, 1) for state in end.states}
            title = ": ".join(part for part in (self.scenario.name, self.verdict) if part)
            return draw(self.graph, path, self.good, title=title,
                        captions=captions if len(captions) <= MOST_CAPTIONS else {})
        return export(self.graph, path, self.good)

    @property
    def good(self) -> frozenset[int]:
        """States in which everything has reached its goal, for good."""
        return frozenset(state for end in self.ends if end.verdict == CONVERGED for state in end.states)

    def trace(self, end: End) -> Log:
        """The shortest run into an end, with its log: every report works on it. Time is nominal: latencies are nil.

        Where the run passes its point of no return, the log has an entry of the verb `NO_RETURN`.
        """
        return self.found.trace(end, doomed(self.graph, self.good))


def never() -> bool:
    """The exploration goes on to its end."""
    return False


def explore(
    scenario: Scenario,
    *,
    ties: str | None = None,
    interleavings: str = "ties",
    lag: int = 0,
    faults: int = 0,
    most_states: int = 100_000,
    is_symmetric: bool = True,
    is_reduced: bool = True,
    must_stop: Callable[[], bool] = never,
    progress: Callable[[Progress], None] | None = None,
) -> Exploration:
    """Explore every run of a scenario.

    Parameters
    ----------
    ties : the tie policy that weighs the ways of breaking a tie; the scenario's own if not given.
    interleavings : ``ties`` (first come, first served, ties branched), ``syncs`` (any component that can act comes
        next, a whole sync is one step), or ``writes`` (each API call is a step).
    lag : with ``writes``, so many changes a cache may be behind on each of its watches.
    faults : so many API calls may fail, or succeed with the answer lost.
    most_states : the bound.
    is_symmetric, is_reduced : False explores states apart that differ only in the names of equal things, and steps in
        every order that come to the same in all; for those who want to see that it makes no difference.
    must_stop : asked after each state; what is known then is the result.
    progress : told now and then.

    Raises
    ------
    ScenarioError
        If there is no such tie policy or granularity.
    """
    ties = scenario.spec.ties if ties is None else ties
    if ties not in TIE_POLICIES:
        raise ScenarioError(f'"{ties}" is not a tie policy; there is {", ".join(TIE_POLICIES)}.')
    if interleavings not in INTERLEAVINGS:
        raise ScenarioError(f'"{interleavings}" is not a granularity; there is {", ".join(INTERLEAVINGS)}.')
    if lag and interleavings != "writes":
        raise ScenarioError("--lag: caches can lag only where each write is a step. Add --interleavings writes.")
    grain = Grain(is_natural=interleavings == "ties", is_whole=interleavings != "writes", lag=lag)
    search = Search(scenario, ties, grain, faults, is_symmetric, is_reduced)
    with rare_collections():
        why = search.run(most_states, must_stop, progress) or search.restless()
    ends = search.ends()
    graph = search.graph
    verdicts = {end.verdict for end in ends}
    is_complete = not why
    if is_complete or len(verdicts) > 1:
        verdict = MAY if len(verdicts) > 1 else ALWAYS if verdicts == {CONVERGED} else NEVER
    else:
        verdict = NO_VERDICT
    stuck = None
    bounds = None
    good = frozenset(state for end in ends if end.verdict == CONVERGED for state in end.states)
    if graph.is_chain and is_complete and not faults:
        stuck = sum((end.chance or Fraction(0) for end in ends if end.verdict == STUCK), Fraction(0))
    elif is_complete and not faults and len(graph.states) <= _MOST_FOR_BOUNDS:
        fine = chance_bounds(graph, good)
        bounds = Bounds(1 - fine.greatest, 1 - fine.least, fine.is_exact)
        if len(graph.states) * len(ends) <= _MOST_FOR_EACH:
            ends = tuple(replace(end, bounds=chance_bounds(graph, end.states)) for end in ends)
    return Exploration(
        scenario, verdict, ties, interleavings, lag, faults, is_symmetric, is_complete, why, stuck, bounds, ends, graph,
        len(graph.states), len(graph.edges), len(search.outlines), search,
    )


_MOST_FOR_BOUNDS: Final = 5_000
"""Beyond so many states the least and greatest chances are not computed."""
_MOST_FOR_EACH: Final = 20_000
"""Up to so many states times ends they are computed for each end."""
_OFTEN: Final = 64
"""Progress is told after so many states."""


class Rest(Struct, frozen=True):
    """What is the case in a state at rest."""

    waiting: Mapping[str, str]
    outline: Outline
    placements: Mapping[str, str]
    bindings: Mapping[str, str]
    claims: Mapping[str, tuple[str, ...]]
    failures: tuple[str, ...]


class Search:
    """Goes through the states of a scenario, breadth first."""

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
        self._rests: dict[int, Rest] = {}
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
        try:
            while waiting and not why:
                state, moment, touched = waiting.popleft()
                try:
                    found = list(space.follow(space.after(moment, touched), self._pass))
                except BaseException:
                    waiting.appendleft((state, moment, touched))
                    raise
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
                if len(states) > most_states:
                    why = f"the bound of {most_states} states was met"
                elif must_stop():
                    why = "time was up"
                elif progress is not None and state % _OFTEN == 0:
                    progress(Progress(len(states), len(graph.edges), len(waiting), len(self._rests)))
        except KeyboardInterrupt:
            why = "it was interrupted"
        for state, _, _ in waiting:
            graph.leave_open(state)
        return why if waiting else ""

    def _pass(self) -> None:
        """A moment is passed on the way from one state to another."""
        self.outlines.setdefault(outline(self._store, self._symmetry, self._where))

    def _note(self, state: int, moment: Moment) -> None:
        """Keep what is the case in a state at rest: it may turn out to be an end."""
        self._space.restore(moment)
        self._pass()
        store = self._store
        self._rests[state] = Rest(
            {str(key): why for key, why in self._space.goals.unmet.items()},
            outline(store, self._symmetry, self._where),
            {str(pod.key): pod.spec.node_name for pod in store.list(Pod) if pod.spec.node_name},
            {str(claim.key): claim.spec.volume_name for claim in store.list(PersistentVolumeClaim)
             if claim.spec.volume_name},
            {str(pod.key): tuple(f"PersistentVolumeClaim/{pod.namespace}/{name}" for name in pod.claim_names)
             for pod in store.list(Pod)},
            self._space.failures,
        )

    def restless(self) -> str:
        """Why nothing can be said of some runs although all is explored; "" if there are none."""
        if all(any(state in self._rests for state in states) for states in ends_of(self.graph)):
            return ""
        return "some runs go on for ever without once coming to rest, and these are not judged"

    def ends(self) -> tuple[End, ...]:
        """The ends, those that look the same from afar together; the likeliest first."""
        graph = self.graph
        chances: Sequence[Fraction | None]
        found = ends_of(graph)
        is_chance = graph.is_chain and not self._faults  # nobody knows how likely it is that a call fails
        chances = end_chances(graph).ends if is_chance else [None] * len(found)
        together: dict[object, End] = {}
        for states, chance in zip(found, chances, strict=True):
            rests = [self._rests[state] for state in states if state in self._rests]
            if not rests:
                continue  # see `restless`
            best = min(rests, key=lambda rest: len(rest.waiting))
            verdict = STUCK if best.waiting else CONVERGED
            is_livelock = verdict == STUCK and len({(rest.outline, tuple(rest.waiting.items())) for rest in rests}) > 1
            look = (verdict, is_livelock, best.outline, best.failures, _shortfalls(best.waiting))
            known = together.get(look)
            if known is None:
                together[look] = End(
                    verdict, is_livelock, chance, dict(best.waiting), dict(best.placements), dict(best.bindings),
                    best.failures, states, dict(best.claims),
                )
            else:
                chance = known.chance + chance if known.chance is not None and chance is not None else None
                together[look] = End(
                    verdict, is_livelock, chance, known.waiting, known.placements, known.bindings, known.failures,
                    (*known.states, *states), known.claims,
                )
        return tuple(sorted(together.values(), key=lambda end: (-(end.chance or 0), end.verdict, end.states)))

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


def _shortfalls(waiting: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(f"{key.partition('/')[0]} {why}" for key, why in waiting.items()))

