"""Every run of a scenario: all ends that it can come to, how likely each is, and the shortest way into it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.choices import TIE_POLICIES
from simulator.errors import ScenarioError
from simulator.eventlog import Log
from simulator.explanation.verdict import CONVERGED, NO_VERDICT, STUCK
from simulator.exploration.chances import Bounds, chance_bounds
from simulator.exploration.ends import End, ends_in, restless
from simulator.exploration.engine import Grain
from simulator.exploration.graph import StateGraph
from simulator.exploration.paths import doomed, point_of_no_return, shortest_path
from simulator.exploration.search import Progress, Search
from simulator.exploration.upkeep import rare_collections
from simulator.scenario.load import Scenario

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.exploration.picture import TooLarge

ALWAYS, MAY, NEVER = "always converges", "may get stuck", "always gets stuck"

INTERLEAVINGS: Final = ("ties", "syncs", "writes")
"""How fine the steps are: `simulator.exploration.engine.Grain`."""


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

        Where the run passes its point of no return, the log has an entry of the verb `search.NO_RETURN`.
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
    must_stop : asked before each step; what is known when it says so is the result.
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
        why = search.run(most_states, must_stop, progress) or restless(search.graph, search.rests)
    graph = search.graph
    # nobody knows how likely it is that a call fails
    ends = ends_in(graph, search.rests, is_chance=graph.is_chain and not faults)
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
