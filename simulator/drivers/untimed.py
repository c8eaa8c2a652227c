"""The untimed driver in small: every run of a cluster, ties branched, with its exact probability.

The flows are the timed driver's own. Steps are taken in their natural order, first come first served; what needs no
waiting goes before any timer, and timers go by their nominal times. Runs are told apart by the answers to choices
alone, so all of them are found by re-execution: run, advance the last answer that has another option, run again.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction

from simulator.choices import TIE_POLICIES, Scripted
from simulator.cluster.steps import Fire, Resume, Step, Tick
from simulator.cluster.world import World
from simulator.drivers.rest import Rest
from simulator.flows import Poll, Sleep
from simulator.units import Micros


class Untimed:
    """Runs a world without a clock: time is only what timers are nominally due at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rest = Rest(world)
        self._ready: deque[Step] = deque()
        self._timers: list[tuple[Micros, int, Step]] = []
        self._armed = 0

    def run(self, until: Micros, is_over: Callable[[], bool]) -> bool:
        """Take steps until `is_over`, which is asked at rest, or until no timer is due before the horizon."""
        world = self.world
        while True:
            while world.enabled or self._ready:
                self._plan()
                if self._ready:
                    world.take(self._ready.popleft())
            if is_over():
                return True
            if world.enabled:
                continue
            if not self._timers or self._timers[0][0] > until:
                world.now = until
                return False
            world.now, _, step = heapq.heappop(self._timers)
            if isinstance(step, (Fire, Tick)):
                self.rest.fire(step)
            self._ready.append(step)

    def wake(self, moment: Micros) -> None:
        """Nothing to do: `is_over` is asked at every rest."""

    def _plan(self) -> None:
        enabled, self.world.enabled = self.world.enabled, []
        for new in enabled:
            step = new.step
            waits = isinstance(step, (Fire, Tick)) or (
                isinstance(step, Resume) and isinstance(step.task.intent, (Poll, Sleep))
            )
            self.rest.arm(step)
            if waits and new.delay > 0:
                self._armed += 1
                heapq.heappush(self._timers, (self.world.now + new.delay, self._armed, step))
            else:
                self._ready.append(step)


def every_run(run_once: Callable[[Scripted], str], ties: str = "uniform") -> Iterator[tuple[str, Fraction]]:
    """All runs that can happen, one for each sequence of answers.

    Parameters
    ----------
    run_once : runs the cluster from its start with the chooser given, and names the end that it reached.
    ties : the policy that weighs the answers.

    Yields
    ------
    (end, probability); the probabilities sum to 1. Cost: one run each.
    """
    script: list[int] | None = []
    while script is not None:
        chooser = Scripted(script)
        end = run_once(chooser)
        chance = Fraction(1)
        for point, _, options, weights, taken in chooser.asked:
            shares = TIE_POLICIES[ties](point, len(options), weights)
            chance *= Fraction(1, len(options)) if shares is None else Fraction(shares[taken], sum(shares))
        if chance:
            yield end, chance
        script = _advance(chooser)


def _advance(chooser: Scripted) -> list[int] | None:
    """The next sequence of answers in lexical order, or None after the last."""
    taken = [position for *_, position in chooser.asked]
    for turn in range(len(taken) - 1, -1, -1):
        if taken[turn] + 1 < len(chooser.asked[turn][2]):
            return [*taken[:turn], taken[turn] + 1]
    return None


def odds(run_once: Callable[[Scripted], str], ties: str = "uniform") -> dict[str, Fraction]:
    """How likely each end is, exactly; in order of first appearance."""
    found: dict[str, Fraction] = {}
    for end, chance in every_run(run_once, ties):
        found[end] = found.get(end, Fraction(0)) + chance
    return found
