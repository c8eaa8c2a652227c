"""Flows that can be taken up again at any point they have been at, although Python cannot copy a generator.

A flow is determined by what it saw and what it was answered. So a point of a flow is remembered as the answers up to
there, and for each part that ran in one go the world as it was then. A live generator is used where it happens to stand
at the right point; otherwise it is made again: the world goes back to each of these moments in turn, the flow is sent
the answers it was sent then, and the world returns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

from simulator.api.meta import Key, Object
from simulator.cluster.cache import CacheView
from simulator.cluster.steps import Runtime
from simulator.cluster.world import SavedWorld, World
from simulator.errors import InvariantViolated
from simulator.flows import Choose, Flow, Intent, Outcome, Remember, Tell
from simulator.units import Micros


class Watched:
    """A view that keeps in mind which objects were looked at."""

    __slots__ = ("_view", "seen")

    def __init__(self, view: CacheView) -> None:
        self._view = view
        self.seen: list[Object] = []

    @property
    def now(self) -> Micros:
        """Simulated time."""
        return self._view.now

    @property
    def memory(self) -> Any:
        """The component's memory."""
        return self._view.memory

    @property
    def argument(self) -> Any:
        """What `Spawn` handed over."""
        return self._view.argument

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The object as this component sees it."""
        found = self._view.get(*args, **kwargs)
        if found is not None:
            self.seen.append(found)
        return found

    def list(self, *args: Any, **kwargs: Any) -> Any:
        """All objects of a kind as this component sees them."""
        found = self._view.list(*args, **kwargs)
        self.seen.extend(found)
        return found

    def by(self, index: str, value: Any) -> Any:
        """Objects that an index files under `value`."""
        found = self._view.by(index, value)
        self.seen.extend(found)
        return found


class Origin(NamedTuple):
    """What a flow began as."""

    runtime: Runtime
    queue: str
    key: Key
    view: Watched

    def begin(self) -> Flow:
        """The flow from its start."""
        return self.runtime.component.sync(self.queue, self.key, self.view)


class Point:
    """A point of a flow: the answer sent last, in which world, and the point before.

    Attributes
    ----------
    origin : what the flow began as.
    intent : what the flow asked for then; None if it ended.
    seen : the objects that it looked at since the point before.
    """

    __slots__ = ("answer", "before", "intent", "origin", "seen", "world")

    def __init__(self, origin: Origin, before: Point | None, answer: Any, world: SavedWorld) -> None:
        self.origin = origin
        self.before = before
        self.seen: Sequence[Object] = ()
        self.answer = answer
        self.world = world
        self.intent: Intent | None = None

    def path(self) -> list[Point]:
        """All points up to this one, first one first."""
        points: list[Point] = []
        point: Point | None = self
        while point is not None:
            points.append(point)
            point = point.before
        points.reverse()
        return points


class Resumable(Generator[Intent, Any, Outcome]):
    """A flow with a memory of how it got where it is.

    Parameters
    ----------
    begin : the world as it was when the flow began.
    moment : gives the world as it was when the step under way began.

    Attributes
    ----------
    number : tells it from all other flows.
    at : where it stands; set it to go back.
    """

    __slots__ = ("_begin", "_flow", "_flow_at", "_memory", "_moment", "_world", "at", "number", "origin")

    def __init__(
        self, world: World, number: int, begin: SavedWorld, moment: Callable[[], SavedWorld], origin: Origin
    ) -> None:
        self.number = number
        self.origin = origin
        self._world, self._begin, self._moment = world, begin, moment
        self._memory = origin.runtime.memory
        self._flow: Flow | None = origin.begin()
        self._flow_at: Point | None = None
        self.at: Point | None = None

    def send(self, answer: Any) -> Intent:
        """Go on with an answer, from wherever it stands."""
        is_there = self._flow is not None and self._flow_at is self.at
        # a flow holds on to the memory; one from before a restart holds on to another
        is_live = is_there and self._memory is self.origin.runtime.memory
        flow = self._flow if is_live and self._flow is not None else self._made_again()
        point = Point(self.origin, self.at, answer, self._world_at(self.at))
        seen = self.origin.view.seen
        if self.at is not None:
            seen.clear()
        self._flow = None  # a flow that ends, by whatever, is of no further use
        intent = flow.send(answer)
        point.intent, point.seen = intent, tuple(seen)
        self.at = self._flow_at = point
        self._flow = flow
        return intent

    def _world_at(self, before: Point | None) -> SavedWorld:
        """The world in which the next part runs: that of the part before, as long as no step lies between."""
        if before is None:
            return self._begin
        return before.world if isinstance(before.intent, (Tell, Choose)) else self._moment()

    def throw(self, *problem: Any) -> Intent:
        """Nobody throws into a flow."""
        raise InvariantViolated(f"{problem} was thrown into a flow")

    def _made_again(self) -> Flow:
        """A live flow that stands where this one does. Cost: that of the flow so far."""
        world, runtime = self._world, self.origin.runtime
        self._memory = runtime.memory
        now = world.save()
        flow: Flow | None = None
        last: SavedWorld | None = None
        for point in self.at.path() if self.at is not None else ():
            if point.world is not last:
                last = point.world
                world.restore(last)
            if flow is None:
                flow = self.origin.begin()
            try:
                intent: Intent | None = flow.send(point.answer)
            except StopIteration:
                intent = None
            if type(intent) is not type(point.intent):
                raise InvariantViolated(
                    f"{runtime.component.name} asked for {point.intent!r} before, and for {intent!r} when made again"
                )
            if isinstance(intent, Tell) and isinstance(intent.change, Remember):
                runtime.component.remember(runtime.own_memory(), intent.change.what, world.now)
        if flow is None:
            world.restore(self._begin)
            flow = self.origin.begin()
        world.restore(now)
        return flow
