"""The space of states of a scenario: the moment it begins at, and what may come after any moment.

A tie is broken inside the step that meets it: the step is taken again for each option, or for one option of each sort
of equal ones, with their number as its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.cluster.component import Component
from simulator.cluster.faults import NONE as NO_FAULT
from simulator.cluster.faults import POINT as FAULT
from simulator.cluster.faults import Calls
from simulator.cluster.steps import Start, Tick
from simulator.cluster.store import Store
from simulator.cluster.world import World
from simulator.eventlog import Log, NoLog
from simulator.explanation.verdict import shortfall
from simulator.exploration.branching import Branching
from simulator.exploration.engine import Calm, Explorer, Grain, Look, Moment, Move
from simulator.exploration.fingerprint import Fingerprints
from simulator.exploration.identity import ByIdentity
from simulator.exploration.reduction import IDLE, equals, is_quiet, unheeded
from simulator.exploration.symmetry import NONE, find_symmetry
from simulator.exploration.turns import LOOK, MOVE, TICK, TIMER, Label, Transition, Turn, label_of
from simulator.scenario.load import Scenario
from simulator.simulation import Cluster
from simulator.units import Micros

NATURAL: Final = Grain()


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


class Space:
    """All states of a scenario.

    Parameters
    ----------
    ties : the tie policy.
    grain : how fine the steps are, and in which order they may come.
    faults : so many API calls may fail, or lose their answer.
    is_symmetric : whether states that differ only in the names of equal things are one.
    is_reduced : whether a step that commutes with all others that can come is taken at once, alone (`reduction`).
    log : what happens is written here; only for those who go one way.

    Attributes
    ----------
    pause : called before each step; it may raise.
    """

    def __init__(
        self, scenario: Scenario, *, ties: str = "uniform", grain: Grain = NATURAL, faults: int = 0,
        is_symmetric: bool = True, is_reduced: bool = True, components: Sequence[Component] = (),
        log: Log | None = None,
    ) -> None:
        self.grain = grain
        self._calm = Calm()
        self.pause: Callable[[], None] = lambda: None
        self._here: Moment | None = None
        self._prints: ByIdentity[tuple[bytes, frozenset[str]]] = ByIdentity(most=256)
        self._followed: dict[bytes, tuple[tuple[Turn, ...], Moment, frozenset[str]]] = {}
        drivers: list[Explorer] = []

        def driver(world: World) -> Explorer:
            drivers.append(Explorer(world, grain, self._calm))
            return drivers[0]

        chooser = Branching(ties, NONE)
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
        self._chooser = Branching(ties, self.symmetry)
        self.world.chooser = self._chooser
        self._is_reduced = is_reduced and not grain.is_natural
        self._fingerprints = Fingerprints(
            shelves, tuple(self.world.runtimes), self.symmetry, grain.is_natural, keeps_slots,
            keeps_idle=not self._is_reduced,
        )
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
        if never is not None:
            return (*script.failures, f'"{never}" never came true')
        return (*script.failures, *(() if script.is_done else (script.place,)))

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
            for _ in range(_MOST_STEPS):
                moves = self._driver.moves()
                if not moves:
                    break
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
        if self._is_reduced:
            for group, move in enumerate(moves):
                if is_quiet(move, self.grain.is_whole):
                    return list(self._ways(moment, touched, move, group)), True
            if self.grain.lag and (shown := unheeded(moves)):
                return [way for group in shown for way in self._ways(moment, touched, moves[group], group)], True
        again = equals(moves, self.world.store, self.symmetry, self._where)
        if self._is_reduced:
            for group, move in enumerate(moves):
                if group in again:
                    continue
                if isinstance(move, Start) and (is_idle := IDLE.get(move.runtime.component.name)) is not None:
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

    def _ways(
        self, moment: Moment, touched: frozenset[str], move: Move, group: int, sort: str = MOVE,
        due: Micros | None = None,
    ) -> Iterator[Transition]:
        """A step, with each way of breaking its ties."""
        script: list[int] | None = []
        chooser = self._chooser
        while script is not None:
            self.pause()
            self.restore(moment)
            label = label_of(move)
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
        turn = Turn(LOOK, int(self._calm.is_over))
        return [Transition(Label("timeline", words), "0", Fraction(1), (turn,), self._save(), touched)]

    def _does_anything(self, moment: Moment, touched: frozenset[str], tick: Tick) -> bool:
        """Whether a periodic timer changes the state, now or by what follows from it."""
        self.restore(moment)
        self._chooser.begin((), touched)
        self._chooser.is_orderly = True  # where nothing comes of it in one order, nothing does in any
        self._take(tick)
        for _ in range(_MOST_STEPS):
            moves = self._driver.moves()
            if not moves or self._chooser.asked:
                break
            self._take(moves[0])
        self._chooser.is_orderly = False
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
