"""The space of states of a scenario: the moment it begins at, and what may come after any moment.

A tie is broken inside the step that meets it: the step is taken again for each option, or for one option of each sort of
equal ones, with their number as its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.choices import TIE_POLICIES
from simulator.cluster.component import Component
from simulator.cluster.faults import NONE as NO_FAULT
from simulator.cluster.faults import POINT as FAULT
from simulator.cluster.faults import Calls
from simulator.cluster.steps import Deliver, Fire, Resume, Start, Tick
from simulator.cluster.store import Store
from simulator.cluster.world import World
from simulator.eventlog import Log, NoLog
from simulator.explanation.verdict import shortfall
from simulator.exploration.engine import Calm, Grain, Look, Moment, Move, Untimed, Wake
from simulator.exploration.fingerprint import Fingerprints
from simulator.exploration.identity import ByIdentity
from simulator.exploration.placements import looks
from simulator.exploration.symmetry import NONE, Symmetry, find_symmetry
from simulator.flows import Bind, Create, Delete, Evict, Get, ListLive, Patch, Poll, Sleep, Update, UpdateStatus
from simulator.latency import Latency
from simulator.scenario.load import Scenario
from simulator.scheduler.failure import CYCLE
from simulator.simulation import Cluster
from simulator.units import Micros

TIES: Final = frozenset({"volume", "node", "preemption", "volume-bucket", "provision-owner", FAULT})
"""Points at which Kubernetes leaves open who wins; at all others the natural order is taken."""

QUIET: Final = frozenset({
    "kubelet", "protection", "persistentvolume-expander", "disruption-controller", "garbage-collector-controller", "pod-garbage-collector",
    "node-lifecycle-controller", "taint-eviction-controller", "namespace-controller",
})
"""Components whose steps, once they can be taken, take place before others (see `Space`)."""


NATURAL: Final = Grain()


class Label(Struct, frozen=True):
    """What a transition does: the step, in a few words, and how the ties in it were broken."""

    actor: str
    what: str
    about: Key | None = None
    chosen: tuple[tuple[str, Key, Key], ...] = ()

    def __str__(self) -> str:
        about = f" {self.about.name or self.about.kind}" if self.about is not None else ""
        chosen = ", ".join(f"{option.name} for {about.name}" for _, about, option in self.chosen)
        return f"{self.actor}: {self.what}{about}" + (f" → {chosen}" if chosen else "")


class Turn(NamedTuple):
    """How a step is found again: its place among those that can come, and what is chosen in it.

    Attributes
    ----------
    sort : MOVE, LOOK, TICK or TIMER.
    """

    sort: str
    place: int
    chosen: tuple[Key, ...] = ()


MOVE, LOOK, TICK, TIMER = "move", "look", "tick", "timer"


class Transition(NamedTuple):
    """A step that may come next, with one way of breaking its ties.

    Attributes
    ----------
    group : tells the step from the others that may come next; a call that fails is a step of its own, not a matter of
        chance.
    chance : of breaking the ties this way.
    turns : how to take it again.
    touched : the names that it has to do with.
    """

    label: Label
    group: str
    chance: Fraction
    turns: tuple[Turn, ...]
    after: Moment
    touched: frozenset[str] = frozenset()


class Unmet:
    """What has not reached its goal, told from the store as it is."""

    has_any = True

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def unmet(self) -> dict[Key, str]:
        """Key → what it is short of."""
        found: dict[Key, str] = {}
        for kind in (StatefulSet, Pod, PersistentVolumeClaim):
            for obj in self._store.list(kind):
                why = shortfall(obj, self._store)
                if why is not None:
                    found[obj.key] = why
        return found


class Branching:
    """Answers with a given list of options, then with the first ones; remembers what else there was.

    Attributes
    ----------
    asked : (point, about, chosen, number of sorts, position taken, chance), one for each tie.
    """

    def __init__(self, ties: str, symmetry: Symmetry, points: Collection[str]) -> None:
        self._policy = TIE_POLICIES[ties]
        self._symmetry = symmetry
        self._points = points
        self._script: Sequence[int] = ()
        self.touched: frozenset[str] = frozenset()
        self._told: list[Key] = []
        self.asked: list[tuple[str, Key, Key, int, int, Fraction]] = []

    def begin(self, script: Sequence[int], touched: frozenset[str]) -> None:
        """A step begins, in a state that knows more of these names than was there at the start."""
        self._script, self.touched = script, touched
        self.asked = []
        self._told = []

    def tell(self, chosen: Sequence[Key]) -> None:
        """A step begins in which these options are to be chosen."""
        self.begin((), frozenset())
        self._told = list(chosen)

    def next_script(self) -> list[int] | None:
        """The next way to break the ties of the step, in lexical order; None after the last."""
        for turn in range(len(self.asked) - 1, -1, -1):
            if self.asked[turn][4] + 1 < self.asked[turn][3]:
                return [*(position for *_, position, _ in self.asked[:turn]), self.asked[turn][4] + 1]
        return None

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """The scripted option, or the first."""
        size = len(options)
        if size == 1 or point not in self._points:
            return options[0]
        if self._told:
            return self._told.pop(0)
        shares = self._policy(point, size, weights)
        sorts: dict[str, list[int]] = {}
        for place, option in enumerate(options):
            if shares is None or shares[place]:
                sorts.setdefault(self._symmetry.sort_of(option, self.touched), []).append(place)
        groups = list(sorts.values())
        turn = len(self.asked)
        position = self._script[turn] if turn < len(self._script) else 0
        taken = groups[position]
        total = sum(shares) if shares is not None else size
        weight = sum(shares[place] for place in taken) if shares is not None else len(taken)
        chosen = options[taken[0]]
        chance = Fraction(weight, total) if point != FAULT else Fraction(1)
        self.asked.append((point, about, chosen, len(groups), position, chance))
        volume = self._symmetry.volumes.get(chosen.name)
        self.touched |= {chosen.name, volume.node} if volume is not None else {chosen.name}
        return chosen

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """Latencies are not simulated."""
        return 0


class Space:
    """All states of a scenario.

    Parameters
    ----------
    ties : the tie policy.
    grain : how fine the steps are, and in which order they may come.
    faults : so many API calls may fail, or lose their answer.
    is_symmetric : whether states that differ only in the names of equal things are one.
    is_reduced : whether a step that commutes with all others that can come is taken at once, alone.
    log : what happens is written here; only for those who go one way.

    Notes
    -----
    Some steps are taken at once, since it comes to the same when they are taken later, or one of several is enough:

    - those of the components in `QUIET`: nobody who binds or schedules reads what they write. A set does read whether its
      pods are ready, but that a pod is not ready yet only makes it wait. Where API calls are single steps the protection
      controller is not among them, as its writes make those of others conflict;
    - the binding of a pod that the scheduler counts on its node already, and conditions that nobody decides by;
    - what a set creates, as everybody may be late to look at it; and a sync that changes nothing but the set's status;
    - a sync of the volume controller that does nothing, and would not before something changes that queues it again;
    - an attempt to schedule a pod in vain: it waits for something that queues it again. Of pods that came at the same
      moment any may be tried first (SC/ND-7), of those that look the same, one;
    - what a component with nothing to do is shown: nothing goes by what it sees before it has.
    """

    def __init__(
        self, scenario: Scenario, *, ties: str = "uniform", grain: Grain = NATURAL, faults: int = 0,
        is_symmetric: bool = True, is_reduced: bool = True, components: Sequence[Component] = (),
        log: Log | None = None,
    ) -> None:
        self.grain = grain
        self._calm = Calm()
        self._here: Moment | None = None
        self._prints: ByIdentity[tuple[bytes, frozenset[str]]] = ByIdentity(most=256)
        self._followed: dict[bytes, tuple[tuple[Turn, ...], Moment, frozenset[str]]] = {}
        drivers: list[Untimed] = []

        def driver(world: World) -> Untimed:
            drivers.append(Untimed(world, grain, self._calm))
            return drivers[0]

        chooser = Branching(ties, NONE, TIES)
        self.cluster = Cluster(scenario, chooser, driver, log if log is not None else NoLog(), components)
        self.world = self.cluster.world
        self._driver = drivers[0]
        self.world.watchers.clear()
        self.goals = Unmet(self.world.store)
        self.cluster.goals = self.goals  # type: ignore[assignment]
        self._driver.advance = self.cluster.script.advance
        if faults:
            self.world.faults.calls.append(Calls(times=faults, fate=NO_FAULT))
        shelves = self.world.store.save().shelves
        keeps_slots = ties == "go-map"
        self.symmetry = find_symmetry(scenario, shelves, is_symmetric and ties == "uniform")
        self._where = {name: place.node for name, place in self.symmetry.volumes.items()}
        self._chooser = Branching(ties, self.symmetry, TIES)
        self.world.chooser = self._chooser
        self._fingerprints = Fingerprints(
            shelves, tuple(self.world.runtimes), self.symmetry, grain.is_natural, keeps_slots,
        )
        self._quiet = QUIET if grain.is_whole else QUIET - {"protection"}
        self._is_reduced = is_reduced and not grain.is_natural
        self._driver.begin()
        self.start = self._save()

    def fingerprint(self, moment: Moment) -> tuple[bytes, frozenset[str]]:
        """What tells a state from all others, and the names that it knows more of than was there at the start."""
        known = self._prints.get(moment)
        return known if known is not None else self._prints.put(moment, self._fingerprints.of(moment))

    @property
    def failures(self) -> tuple[str, ...]:
        """Entries of the timeline that went wrong, and a condition that has not come true."""
        script = self.cluster.script
        never = script.waiting_for
        return (*script.failures, *((f'"{never}" never came true',) if never is not None else ()))

    def is_at_rest(self, moment: Moment) -> bool:
        """Whether nothing can come without waiting."""
        self.restore(moment)
        return not self._driver.moves()

    def restore(self, moment: Moment) -> None:
        """Be where a moment was."""
        if self._here is not moment:
            self._driver.restore(moment)
            self.cluster.script.restore(moment.script)
            self._here = moment

    def _save(self) -> Moment:
        self._here = self._driver.save(self.cluster.script.save())
        return self._here

    def _take(self, move: Move, due: Micros | None = None) -> None:
        self._here = None
        self._driver.take(move, due)

    # --- what comes next --------------------------------------------------------------------------------------------

    def after(self, moment: Moment, touched: frozenset[str]) -> list[Transition]:
        """All that may come next; nothing if the run is over.

        Parameters
        ----------
        touched : as `fingerprint` gave it.
        """
        self.restore(moment)
        moves = self._driver.moves()
        if not moves:
            return self._at_rest(moment, touched)
        return self._expand(moment, touched, moves)[0]

    def follow(self, found: Iterable[Transition], passing: Callable[[], None] = lambda: None) -> Iterator[Transition]:
        """Transitions, each prolonged by the steps that come after it without an alternative, up to the next rest.

        Parameters
        ----------
        passing : called at each moment that is passed.
        """
        for transition in found:
            moment, touched = transition.after, transition.touched
            turns = list(transition.turns)
            at, _ = self.fingerprint(moment)
            known = self._followed.get(at)
            if known is not None:
                more, moment, touched = known
                yield transition._replace(turns=transition.turns + more, after=moment, touched=touched)
                continue
            self.restore(moment)
            while moves := self._driver.moves():
                passing()
                ways, is_alone = self._expand(moment, touched, moves, is_alone_only=True)
                if not is_alone or len(ways) > 1:
                    break
                moment, touched = ways[0].after, ways[0].touched
                turns += ways[0].turns
                self.restore(moment)
            if len(self._followed) >= _MOST_FOLLOWED:
                self._followed.clear()
            self._followed[at] = (tuple(turns[1:]), moment, touched)
            yield transition._replace(turns=tuple(turns), after=moment, touched=touched)

    def _expand(
        self, moment: Moment, touched: frozenset[str], moves: Sequence[Move], is_alone_only: bool = False
    ) -> tuple[list[Transition], bool]:
        """What these steps lead to; or only one of them, if it is to be taken alone, which is said too."""
        if len(moves) == 1:
            return list(self._ways(moment, touched, moves[0], 0)), True
        tried: dict[int, list[Transition]] = {}
        again = self._equals(moves)
        if self._is_reduced:
            for group, move in enumerate(moves):
                if self._is_quiet(move):
                    return list(self._ways(moment, touched, move, group)), True
            if self.grain.lag and (shown := self._unheeded(moves)):
                return [way for group in shown for way in self._ways(moment, touched, moves[group], group)], True
            for group, move in enumerate(moves):
                if group in again:
                    continue
                if isinstance(move, Start) and (is_idle := _IDLE.get(move.runtime.component.name)) is not None:
                    found = list(self._ways(moment, touched, move, group))
                    if len(found) == 1 and is_idle(moment, found[0].after, move):
                        return found, True
                    tried[group] = found
        if is_alone_only:
            return [], False
        found = []
        for group, move in enumerate(moves):
            if group in again:
                continue
            found += tried.get(group) or self._ways(moment, touched, move, group)
        return found, False

    def _unheeded(self, moves: Sequence[Move]) -> list[int]:
        """The changes on their way to one component that has nothing to do, so that nothing goes by what it sees."""
        busy = {move.runtime.component.name for move in moves if isinstance(move, Start)}
        busy |= {move.task.runtime.component.name for move in moves
                 if isinstance(move, Resume) and isinstance(move.task.intent, (Poll, Sleep))}
        first = next((move.targets[0] for move in moves
                      if isinstance(move, Deliver) and move.targets[0].component.name not in busy), None)
        return [place for place, move in enumerate(moves) if isinstance(move, Deliver) and move.targets[0] is first]

    def _equals(self, moves: Sequence[Move]) -> frozenset[int]:
        """Of the pods that may be tried next, those that look like one before them."""
        if not self.symmetry.members:
            return frozenset()
        tried = [(place, move.key) for place, move in enumerate(moves)
                 if isinstance(move, Start) and move.key is not None and move.queue == CYCLE
                 and move.key.name in self.symmetry.members]
        if len(tried) < 2:
            return frozenset()
        seen = looks(self.world.store, self.symmetry, self._where)
        first: dict[str, int] = {}
        return frozenset(place for place, key in tried
                         if (look := seen.get(key.name)) is not None and first.setdefault(look, place) != place)

    def _is_quiet(self, move: Move) -> bool:
        if isinstance(move, Start):
            return move.runtime.component.name in self._quiet
        if isinstance(move, Deliver):
            return move.targets[0].component.name in QUIET
        if isinstance(move, Resume):
            task, intent = move.task, move.task.intent
            name = task.runtime.component.name
            if name in self._quiet or isinstance(intent, Bind):
                return True
            if name == "scheduler":
                return isinstance(intent, Patch) and intent.subresource == "status"
            return name == "statefulset" and isinstance(intent, (Create, UpdateStatus))
        return False

    def _ways(
        self, moment: Moment, touched: frozenset[str], move: Move, group: int, sort: str = MOVE,
        due: Micros | None = None,
    ) -> Iterator[Transition]:
        """A step, with each way of breaking its ties."""
        script: list[int] | None = []
        chooser = self._chooser
        while script is not None:
            self.restore(moment)
            label = _label(move)
            chooser.begin(script, touched)
            self._take(move, due)
            chance = Fraction(1)
            for *_, share in chooser.asked:
                chance *= share
            chosen = tuple((point, about, option) for point, about, option, *_ in chooser.asked)
            fates = "".join(option.name[0] for point, _, option in chosen if point == FAULT)
            turn = Turn(sort, group, tuple(option for _, _, option in chosen))
            yield Transition(
                Label(label.actor, label.what, label.about, chosen), f"{group}{fates}", chance, (turn,), self._save(),
                chooser.touched,
            )
            script = chooser.next_script()

    def repeat(self, turns: Iterable[Turn]) -> None:
        """Take these steps again, from where it is."""
        for turn in turns:
            if turn.sort in (TICK, TIMER):
                self._take(Look())  # as the timeline sets a timer for its next entry then
            self._chooser.tell(turn.chosen)
            match turn.sort:
                case "move":
                    self._take(self._driver.moves()[turn.place])
                case "tick":
                    self._take(self._driver.ticks[turn.place])
                case "timer":
                    due, step = self._driver.due()[turn.place]
                    self._take(step, due)
                case _:
                    self._calm.is_over = bool(turn.place)
                    self._take(Look())
                    self._calm.is_over = False

    # --- at rest ----------------------------------------------------------------------------------------------------

    def _at_rest(self, moment: Moment, touched: frozenset[str]) -> list[Transition]:
        """Nothing can come without waiting: the timeline, a resync, or the timer that is due first."""
        script = self.cluster.script
        found = self._timeline(moment, touched)
        if found:
            return found
        moment = self._save()  # the timeline may have set a timer for its next entry
        if script.is_done and not self.goals.unmet and not self._driver.has_timers:
            return []
        for place, tick in enumerate(self._driver.ticks):
            if self._does_anything(moment, touched, tick):
                return list(self._ways(moment, touched, tick, place, TICK))
        self.restore(moment)
        timers = self._driver.due()
        if script.waiting_for is not None and not self._calm.is_over and self._is_over(moment, touched):
            self._calm.is_over = True
            found = self._timeline(moment, touched)
            self._calm.is_over = False
            if found:
                return found
        return [way for group, (due, step) in enumerate(timers)
                for way in self._ways(moment, touched, step, group, TIMER, due)]

    def _timeline(self, moment: Moment, touched: frozenset[str]) -> list[Transition]:
        """The timeline's next entry, if its turn has come."""
        self.restore(moment)
        before = self.cluster.script.save()
        self._chooser.begin((), touched)
        self._take(Look())
        after = self.cluster.script.save()
        if (after.next, after.running) == (before.next, before.running) and not self._driver.moves():
            return []
        words = "; ".join(entry.words for entry in after.running) or "goes on"
        return [Transition(Label("timeline", words), "0", Fraction(1), (Turn(LOOK, int(self._calm.is_over)),), self._save(),
                           touched)]

    def _does_anything(self, moment: Moment, touched: frozenset[str], tick: Tick) -> bool:
        """Whether a periodic timer changes the state, now or by what follows from it."""
        self.restore(moment)
        self._chooser.begin((), touched)
        self._take(tick)
        for _ in range(_MOST_STEPS):
            moves = self._driver.moves()
            if not moves or self._chooser.asked:
                break
            self._take(moves[0])
        after = self._save()
        return bool(self._chooser.asked) or self.fingerprint(after)[0] != self.fingerprint(moment)[0]

    def _is_over(self, moment: Moment, touched: frozenset[str]) -> bool:
        """Whether the timers that are left come round again without anything coming of it."""
        self.restore(moment)
        self._chooser.begin((), touched)
        seen = {self.fingerprint(moment)[0]}
        here = moment
        for _ in range(_MOST_STEPS):
            timers = self._driver.due()
            if not timers:
                break
            due, step = timers[0]
            self._take(step, due)
            while moves := self._driver.moves():
                self._take(moves[0])
            here = self._save()
            print_ = self.fingerprint(here)[0]
            if self._chooser.asked:
                self.restore(moment)
                return False
            if print_ in seen:
                break
            seen.add(print_)
        self.restore(moment)
        return True


_MOST_STEPS: Final = 1000
_MOST_FOLLOWED: Final = 5000
"""So many ways are kept in mind, lest they keep all their states alive."""


def _changes_status_only(before: Moment, after: Moment, move: Start) -> bool:
    """Whether a sync of a set changed nothing but its status, and is not about to."""
    return _only_changes("StatefulSet", before, after) and all(
        isinstance(flight.intent, UpdateStatus) for flight in after.flights
        if flight.task.runtime is move.runtime and flight.task.key == move.key
    )


def _is_settled(before: Moment, after: Moment, move: Start) -> bool:
    """Whether a sync of a claim or volume changed nothing, and would not before something else changes."""
    if before.world.store.version != after.world.store.version or len(after.timers) > len(before.timers):
        return False
    return move.key not in move.runtime.memory.unsettled


def _has_failed(before: Moment, after: Moment, move: Start) -> bool:
    """Whether a pod was tried in vain, so that it waits for something that would make it come again anyway."""
    if move.queue != CYCLE or move.key is None or not _only_changes("Pod", before, after):
        return False
    pods = after.world.store.shelves["Pod"].objects
    pod = pods.get(move.key)
    memory = move.runtime.memory
    return (isinstance(pod, Pod) and not pod.spec.node_name and not pod.status.nominated_node_name
            and move.key in memory.queue.unschedulable)


def _only_changes(kind: str, before: Moment, after: Moment) -> bool:
    old, new = before.world.store.shelves, after.world.store.shelves
    return all(new[other] is old.get(other) for other in new if other != kind)


_IDLE: Final[dict[str, Callable[[Moment, Moment, Start], bool]]] = {
    "statefulset": _changes_status_only, "persistentvolume-binder": _is_settled, "scheduler": _has_failed,
}
"""Syncs that come to the same whenever they take place, by component."""


_CALLS: Final[dict[type, str]] = {
    Create: "creates", Update: "updates", UpdateStatus: "updates the status of", Patch: "patches", Delete: "deletes",
    Bind: "binds", Evict: "evicts", Get: "reads", ListLive: "lists", Poll: "has waited for", Sleep: "goes on with",
}


def _label(move: Move) -> Label:
    match move:
        case Start():
            queue = move.runtime.queues[move.queue]
            key = move.key if move.key is not None else next(iter(queue.ready), None)
            if move.runtime.component.name == "scheduler" and move.queue == "cycle":
                if key is not None and key.kind != "Pod":
                    head = move.runtime.memory.queue.head(0)
                    key = head.key if head is not None else None
                return Label("scheduler", "schedules", key)
            return Label(move.runtime.component.name, "looks at", key)
        case Resume():
            intent = move.task.intent
            target = getattr(intent, "key", None) or getattr(getattr(intent, "obj", None), "key", None) or move.task.key
            return Label(move.task.runtime.component.name, _CALLS.get(type(intent), "goes on with"), target)
        case Deliver():
            return Label(move.targets[0].component.name, "sees", move.change.key)
        case Fire():
            return Label(move.runtime.component.name, "tries again" if move.queue != "cycle" else "wakes", move.key)
        case Tick():
            return Label(move.runtime.component.name, move.periodic.name)
        case Wake():
            return Label("timeline", "has waited")
        case _:
            return Label("timeline", "goes on")
