"""A cluster that can be anywhere in its space of states: which steps may come next, what each leads to, and back.

The flows are the timed driver's own. Time is only what timers are nominally due at:

- what needs no waiting goes before any timer, and latencies are not simulated: a step that takes some time may come
  before or after any other that can come;
- a poll can go on as soon as its check says so;
- at rest, when nothing else can come, the timeline goes on; then the volume controller's resync takes place, if it
  would do anything; then the timer that is due first.

How fine the steps are is the `Grain`: in ``ties`` and ``syncs`` a whole sync, all its API calls included, and every
cache shows at once what was written; in ``writes`` each API call and each live read, with caches that may lag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from simulator.api.core import Pod
from simulator.api.meta import Key
from simulator.cluster.cache import CacheView
from simulator.cluster.steps import Deliver, Fire, Resume, Runtime, Start, Step, Task, Tick
from simulator.cluster.world import SavedWorld, World
from simulator.errors import InvariantViolated
from simulator.exploration.resumable import Origin, Point, Resumable, Watched
from simulator.flows import Flow, Intent, Poll, Remember, Sleep
from simulator.scenario.script import SavedScript
from simulator.scheduler.component import FLUSH
from simulator.scheduler.failure import CYCLE
from simulator.scheduler.memory import Preferred
from simulator.scheduler.queue import LEFTOVER_AGE
from simulator.units import SECOND, Micros


class Grain(Struct, frozen=True):
    """How fine the steps are, and in which order they may come.

    Attributes
    ----------
    is_natural : first come, first served; otherwise any step that can come may come next.
    is_whole : a sync is one step, with all its API calls.
    lag : so many changes, at most, a cache may be behind on each of its watches.
    """

    is_natural: bool = True
    is_whole: bool = True
    lag: int = 0


class Flight(NamedTuple):
    """A task under way, as it was at a moment."""

    task: Task
    intent: Intent | None
    deadline: Micros
    at: Point | None


class Watch(NamedTuple):
    """What brings the changes of a kind to a component."""

    component: str
    kind: str


class Moment(NamedTuple):
    """Everything about a state; nothing in it changes any more.

    Attributes
    ----------
    ready : steps that can be taken, oldest first.
    polls : tasks that wait until their check says otherwise.
    timers : what is due when, earliest first; the number tells those due at the same time apart.
    late : changes on their way to a component, by watch, oldest first.
    """

    world: SavedWorld
    ready: tuple[Step, ...]
    polls: tuple[Resume, ...]
    timers: tuple[tuple[Micros, int, Step | Wake], ...]
    late: tuple[tuple[Watch, tuple[Deliver, ...]], ...]
    flights: tuple[Flight, ...]
    script: SavedScript


class Wake(Struct, frozen=True):
    """A time that the timeline waits for has come."""


class Look(Struct, frozen=True):
    """The timeline goes on."""


Move = Step | Wake | Look


class Calm:
    """What a cluster asks about rest, answered by whoever drives it."""

    def __init__(self) -> None:
        self.is_over = False

    def is_calm(self) -> bool:
        """Whether nothing is under way; it is asked at rest only."""
        return True

    def is_reached(self) -> bool:
        """Whether nothing can come any more."""
        return self.is_over


class Explorer:
    """The driver of a cluster that goes forth and back.

    Attributes
    ----------
    world : the world that it drives.
    grain : how fine the steps are.
    """

    def __init__(self, world: World, grain: Grain, rest: Calm) -> None:
        self.world = world
        self.rest = rest
        self.grain = grain
        self.advance: Callable[[], bool] = lambda: False
        self._ready: list[Step] = []
        self._polls: list[Resume] = []
        self._timers: list[tuple[Micros, int, Step | Wake]] = []
        self._late: dict[Watch, list[Deliver]] = {}
        self._ticks: list[Tick] = []
        self._armed = self._flows = 0
        self._begun: SavedWorld = world.save()
        world.new_flow = self._new_flow

    # --- going forth and back ---------------------------------------------------------------------------------------

    def run(self, until: Micros, is_over: Callable[[], bool]) -> bool:
        """Nobody runs it from outside."""
        raise InvariantViolated("the driver of an exploration does not run by itself")

    def save(self, script: SavedScript) -> Moment:
        """Where it is."""
        flights: dict[int, Flight] = {}
        for step in (*self._ready, *self._polls, *(step for _, _, step in self._timers)):
            if isinstance(step, Resume):
                task, flow = step.task, _flow(step.task)
                flights[flow.number] = Flight(task, task.intent, task.deadline, flow.at)
        return Moment(
            self.world.save(), tuple(self._ready), tuple(self._polls), tuple(self._timers),
            tuple((watch, tuple(late)) for watch, late in self._late.items() if late), tuple(flights.values()), script,
        )

    def restore(self, moment: Moment) -> None:
        """Go back to where it was."""
        self.world.restore(moment.world)
        self.world.enabled.clear()
        self._ready, self._polls, self._timers = list(moment.ready), list(moment.polls), list(moment.timers)
        self._late = {watch: list(late) for watch, late in moment.late}
        for task, intent, deadline, at in moment.flights:
            task.intent, task.deadline = intent, deadline
            _flow(task).at = at

    def begin(self) -> None:
        """Take in what became possible when the world began."""
        self._begun = self.world.save()
        self._absorb(-1)

    # --- what can come ----------------------------------------------------------------------------------------------

    def moves(self) -> list[Move]:
        """The steps that may come next, in their natural order; of those that come to the same, one."""
        found = list(self._possible())
        if found:
            return found[:1] if self.grain.is_natural else found
        return []

    def _possible(self) -> Iterator[Move]:
        seen = set()
        for step in self._ready:
            if isinstance(step, Start):
                for key in self._takeable(step):
                    if (step.runtime.component.name, step.queue, key) not in seen:
                        seen.add((step.runtime.component.name, step.queue, key))
                        yield Start(step.runtime, step.queue, key)
            else:
                yield step
        for poll in self._polls:
            task = poll.task
            if task.incarnation != task.runtime.incarnation or self._answer(task) is not None:
                yield poll
        for late in self._late.values():
            if late:
                yield late[0]

    def _takeable(self, step: Start) -> list[Key]:
        """The keys that a free worker may take: as many of the oldest as there are free workers."""
        queue = step.runtime.queues[step.queue]
        keys = list(queue.ready)
        if step.queue == CYCLE and not self.grain.is_natural:
            return step.runtime.memory.queue.peers(self.world.now) or keys[:1]
        return keys[:1] if self.grain.is_natural else keys[:max(1, queue.starting)]

    def _answer(self, task: Task) -> Any:
        assert isinstance(task.intent, Poll)
        return task.runtime.component.check(task.intent, task.view)

    def due(self) -> list[tuple[Micros, Move]]:
        """The timers that are due first; in natural order the one that was set first."""
        first = [timer for timer in self._timers if timer[0] == self._timers[0][0]] if self._timers else []
        flush = self._flush_due()
        if flush is not None and (not first or flush < first[0][0]):
            return [(flush, next(tick for tick in self._ticks if tick.periodic.queue == FLUSH))]
        return [(due, step) for due, _, step in (first[:1] if self.grain.is_natural else first)]

    @property
    def ticks(self) -> Sequence[Tick]:
        """The periodic timers that may do something at any time."""
        return [tick for tick in self._ticks if tick.periodic.queue != FLUSH]

    @property
    def has_timers(self) -> bool:
        """Whether a timer is left that is not periodic."""
        return bool(self._timers)

    def _flush_due(self) -> Micros | None:
        """When the scheduler next tries a pod again that no event has helped (SC-13)."""
        scheduler = self.world.runtimes.get("scheduler")
        waiting = scheduler.memory.queue.unschedulable.values() if scheduler is not None else ()
        oldest = min((record.timestamp for record in waiting if not record.gate), default=None)
        return oldest + LEFTOVER_AGE + SECOND if oldest is not None else None

    # --- taking steps -----------------------------------------------------------------------------------------------

    def take(self, move: Move, due: Micros | None = None) -> None:
        """Carry out a step, and with it whatever belongs to it at this grain.

        Parameters
        ----------
        due : of a timer; time moves on to it.
        """
        world = self.world
        mine = -1
        if due is not None:
            world.now = max(world.now, due)
        if isinstance(move, Start) and move.queue == CYCLE:
            if move.key is not None and move.key.kind == Pod.KIND:
                world.tell(move.runtime.component.name, Remember(Preferred(move.key)))
            move = Start(move.runtime, move.queue)
        self._begun = world.save()
        match move:
            case Look():
                self.advance()
            case Wake():
                self._drop(move)
            case Start():
                self._drop_start(move)
                mine = self._flows
                world.take(move)
            case Resume():
                self._drop(move)
                mine = _flow(move.task).number
                world.take(move)
            case Deliver():
                watch = Watch(move.targets[0].component.name, move.change.key.kind)
                self._late[watch].pop(0)
                if not self._late[watch]:
                    del self._late[watch]  # lest the watches stand in another order than when it comes back here
                world.take(move)
            case Fire():
                self._drop(move)
                world.take(move)
            case Tick():
                world.take(move)
        self._absorb(mine)

    def wake(self, moment: Micros) -> None:
        """The timeline waits for a moment."""
        self._arm(moment - self.world.now, Wake())

    def _new_flow(self, runtime: Runtime, queue: str, key: Key, view: CacheView) -> Flow:
        number = self._flows
        self._flows += 1
        # what is spawned in the middle of a step begins with a memory that has moved on since the step began
        begin = self._begun if view is runtime.view else self.world.save()
        return Resumable(self.world, number, begin, lambda: self._begun, Origin(runtime, queue, key, Watched(view)))

    def _drop_start(self, move: Start) -> None:
        for place, step in enumerate(self._ready):
            if isinstance(step, Start) and step.runtime is move.runtime and step.queue == move.queue:
                del self._ready[place]
                return
        raise InvariantViolated(f"no worker of {move.queue} is about to start")

    def _drop(self, step: Move) -> None:
        """Take a step off the agenda; a poll stands there twice, since it may go on or time out."""
        self._ready = [other for other in self._ready if other is not step]
        self._polls = [other for other in self._polls if other is not step]
        self._timers = [timer for timer in self._timers if timer[2] is not step]

    def _absorb(self, mine: int) -> None:
        """Put on the agenda what has become possible, and go on with what belongs to the step that was taken.

        Parameters
        ----------
        mine : the number of the flow that the step was about.
        """
        world = self.world
        while world.enabled:
            enabled, world.enabled = world.enabled, []
            for new in enabled:
                step = new.step
                match step:
                    case Deliver():
                        self._deliver(step)
                    case Tick():
                        self._tick(step, new.delay)
                    case Fire():
                        self._arm(new.delay, step)
                    case Resume():
                        self._resume(step, new.delay, mine)
                    case _:
                        self._ready.append(step)

    def _deliver(self, step: Deliver) -> None:
        """Show a change to those who watch; with a lag, each gets it when its turn comes."""
        if not self.grain.lag:
            self.world.take(step)
            return
        for runtime in step.targets:
            late = self._late.setdefault(Watch(runtime.component.name, step.change.key.kind), [])
            late.append(Deliver(step.change, (runtime,)))
            if len(late) > self.grain.lag:
                self.world.take(late.pop(0))

    def _tick(self, step: Tick, delay: Micros) -> None:
        if all(known.periodic is not step.periodic for known in self._ticks):
            self._ticks.append(step)
            if not delay:
                self.world.take(step)

    def _resume(self, step: Resume, delay: Micros, mine: int) -> None:
        task = step.task
        intent = task.intent
        if isinstance(intent, Poll):
            self._polls.append(step)
            self._arm(task.deadline - self.world.now, step)
        elif isinstance(intent, Sleep) and delay:
            self._arm(delay, step)
        elif self.grain.is_whole and _flow(task).number == mine and not isinstance(intent, Sleep):
            self.world.take(step)
        else:
            self._ready.append(step)

    def _arm(self, delay: Micros, step: Step | Wake) -> None:
        self._armed += 1
        self._timers.append((self.world.now + max(0, delay), self._armed, step))
        self._timers.sort(key=lambda timer: timer[:2])


def _flow(task: Task) -> Resumable:
    flow = task.flow
    assert isinstance(flow, Resumable)
    return flow
