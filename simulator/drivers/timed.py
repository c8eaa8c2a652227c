"""The timed driver: one run in virtual time, on simpy's clock. A newcomer starts reading here.

    while something is enabled:  ask what it costs → put it on the agenda → let time pass → carry it out

Nothing sleeps: simulated time jumps from one step to the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import simpy

from simulator.cluster.world import Deliver, Enabled, Fire, Runtime, Step, Tick, World
from simulator.latency import Latency, default_latency
from simulator.units import MINUTE, Micros

QUIET: Micros = 6 * MINUTE
"""Longer than every periodic timer, the scheduler's 300–330 s flush included (SC-13): after so long without any change of an
object, each has fired and changed nothing."""


class Timed:
    """Runs a world on a clock.

    Parameters
    ----------
    world : with its initial objects loaded.
    latencies : by point; what is missing has Kubernetes' own (`simulator.latency`).
    """

    def __init__(self, world: World, latencies: Mapping[str, Latency] | None = None) -> None:
        self.world = world
        self.clock = simpy.Environment(initial_time=0)
        self._due: deque[Step] = deque()
        self._latencies: dict[str, Latency] = dict(latencies or {})
        self._channels: dict[tuple[Runtime, str], Micros] = {}
        self._timers: dict[tuple[str, str, object], int] = {}
        self._fired: dict[tuple[str, str, object], None] = {}
        self._fired_since: Micros = 0

    def run(self, until: Micros, is_over: Callable[[], bool]) -> None:
        """Take steps until `is_over`, asked between two moments, or until the horizon."""
        world, clock, due = self.world, self.clock, self._due
        while True:
            while world.enabled or due:
                if world.enabled:
                    self._plan()
                if due:
                    world.take(due.popleft())
            if is_over():
                return
            moment = clock.peek()
            if moment > until:
                world.now = until
                return
            world.now = int(moment)
            while clock.peek() == moment:
                clock.step()

    def at(self, moment: Micros, act: Callable[[], None]) -> None:
        """Call `act` at a moment, before the steps that fall due then."""
        timeout = self.clock.timeout(max(0, moment - self.world.now))
        assert timeout.callbacks is not None
        timeout.callbacks.append(lambda _: act())

    def is_stuck(self) -> bool:
        """Whether nothing can come any more: at rest, all one-shot timers gone, every periodic one fired in vain.

        A timer that keeps coming back for the same key without changing any object counts as periodic.
        """
        world = self.world
        if world.in_flight or world.now - world.last_change < QUIET:
            return False
        return self._fired_since == world.last_change and all(timer in self._fired for timer in self._timers)

    def _plan(self) -> None:
        """Put what has become possible on the agenda."""
        enabled, self.world.enabled = self.world.enabled, []
        for new in enabled:
            step = new.step
            if isinstance(step, Deliver):
                self._plan_delivery(step, new)
                continue
            delay = self._delay(new)
            if isinstance(step, Fire):
                timer = (step.runtime.component.name, step.queue, step.key)
                self._timers[timer] = self._timers.get(timer, 0) + 1
            self._agenda(delay, step)

    def _plan_delivery(self, step: Deliver, new: Enabled) -> None:
        """A watch keeps its order: a change is never seen before an earlier one of the same kind."""
        latency = self._latency("watch")
        if (fixed := latency.constant) is not None:
            self._agenda(fixed, step)
            return
        self.world.in_flight += len(step.targets) - 1
        for runtime in step.targets:
            channel = (runtime, step.change.key.kind)
            due = self.world.now + self.world.chooser.delay(f"watch/{runtime.component.name}", new.about, latency)
            due = max(due, self._channels.get(channel, 0))
            self._channels[channel] = due
            self._agenda(due - self.world.now, Deliver(step.change, (runtime,)))

    def _agenda(self, delay: Micros, step: Step) -> None:
        if delay <= 0:
            self._due.append(step)
            return
        timeout = self.clock.timeout(delay, step)
        assert timeout.callbacks is not None
        timeout.callbacks.append(self._arrive)

    def _arrive(self, timeout: simpy.Event) -> None:
        step = timeout.value
        if isinstance(step, (Fire, Tick)):
            self._record(step)
        self._due.append(step)

    def _record(self, step: Fire | Tick) -> None:
        """Remember which timers have fired since the last change of an object."""
        if self._fired_since != self.world.last_change:
            self._fired_since = self.world.last_change
            self._fired.clear()
        if isinstance(step, Fire):
            timer = (step.runtime.component.name, step.queue, step.key)
            self._fired[timer] = None
            self._timers[timer] -= 1
            if not self._timers[timer]:
                del self._timers[timer]

    def _delay(self, new: Enabled) -> Micros:
        if not new.point:
            return new.delay
        latency = self._latency(new.point)
        fixed = latency.constant
        return fixed if fixed is not None else self.world.chooser.delay(new.point, new.about, latency)

    def _latency(self, point: str) -> Latency:
        found = self._latencies.get(point)
        if found is None:
            found = self._latencies.get(point.partition("/")[0]) or default_latency(point)
            self._latencies[point] = found
        return found
