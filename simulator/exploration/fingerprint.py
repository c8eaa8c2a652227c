"""When are two states the same? When the same can come from both, whatever things are called, however they came about.

The facts of a state (`simulator.exploration.facts`) are given canonical names: an object's uid becomes the name of the
object; equal volumes, nodes and ordinals are numbered in an order that does not depend on their names; versions become
"stored now" or how many versions ago, and moments how far away they are. What is then left is the fingerprint.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.cluster.steps import Fire, Resume, Start, Step
from simulator.cluster.store import Shelf
from simulator.exploration.engine import Flight, Moment, Wake
from simulator.exploration.facts import UID, Age, Fact, Facts, Time, Token, Version
from simulator.exploration.identity import ByIdentity
from simulator.exploration.resumable import Point
from simulator.exploration.symmetry import Labels, Symmetry, in_order
from simulator.flows import Sleep
from simulator.scenario.kubectl import Kubectl
from simulator.units import MINUTE, Micros

_NAMING: Final = (PersistentVolume.KIND, PersistentVolumeClaim.KIND, Pod.KIND)
"""The kinds whose objects settle what equal things are called."""
_LONG_AGO: Final[Micros] = 6 * MINUTE
"""What is longer ago than this has had its effect, as far as it goes by age."""


class _Part:
    """The facts of a part of a state, and what has to be looked up in them.

    Attributes
    ----------
    names : the texts in it that may be called otherwise.
    open : its versions and moments.
    numbers : what its facts come to, by what the names and the open tokens stand for.
    """

    __slots__ = ("facts", "names", "numbers", "open")

    def __init__(self, facts: tuple[Fact, ...], is_name: Callable[[str], bool]) -> None:
        self.facts = facts
        self.names = tuple(dict.fromkeys(
            token for fact in facts for token in fact if type(token) is str and is_name(token)
        ))
        self.open = tuple(token for fact in facts for token in fact if type(token) in (Version, Time, Age))
        self.numbers: dict[tuple[Token, ...], tuple[int, ...]] = {}


class Fingerprints:
    """Tells the fingerprint of any state of one exploration.

    Parameters
    ----------
    base : the shelves that all states began with.
    is_natural : whether the order of what can come matters.
    keeps_slots, keeps_idle : see `Facts`.
    """

    def __init__(
        self, base: Mapping[str, Shelf], components: Sequence[str], symmetry: Symmetry, is_natural: bool,
        keeps_slots: bool, keeps_idle: bool,
    ) -> None:
        self._symmetry = symmetry
        self._components = components
        self._is_natural = is_natural
        self._facts = Facts(base, symmetry.is_name, is_natural, keeps_slots, keeps_idle)
        self._known: dict[Fact, int] = {}
        self._uids: ByIdentity[dict[str, tuple[str, str, str]]] = ByIdentity()
        self._has_uid: dict[str, bool] = {}
        self._is_called: dict[str, bool] = {}
        self._points: ByIdentity[_Part] = ByIdentity()
        self._parts: ByIdentity[_Part] = ByIdentity()
        self._names: ByIdentity[dict[str, str]] = ByIdentity()
        self._settled: ByIdentity[dict[str, str]] = ByIdentity()

    def of(self, moment: Moment) -> tuple[bytes, frozenset[str]]:
        """The fingerprint, and the names that the state knows more of than what was there at the start."""
        parts = self._gather(moment)
        symmetry = self._symmetry
        touched: set[str] = set()
        for part in parts:
            touched.update(part.names)
        names = self._called(moment, parts, touched)
        look_up = self._look_up(moment, parts)
        numbers: list[int] = []
        known = self._known
        for part in parts:
            if not part.facts:
                continue
            stand_for = (*[names[name] for name in part.names], *[look_up(token) for token in part.open])
            found = part.numbers.get(stand_for)
            if found is None:
                found = part.numbers[stand_for] = tuple(
                    known.setdefault(
                        tuple([names.get(token, token) if type(token) is str else look_up(token) for token in fact]),
                        len(known),
                    )
                    for fact in part.facts
                )
            numbers += found
        numbers.sort()
        places = {name for name in touched if symmetry.is_name(name)}
        places.update([where for name in places if name in symmetry.volumes and (where := symmetry.volumes[name].node)])
        return array("L", numbers).tobytes(), frozenset(places)

    # --- what there is ----------------------------------------------------------------------------------------------

    def _gather(self, moment: Moment) -> list[_Part]:
        found: list[_Part] = []
        for kind, shelf in moment.world.store.shelves.items():
            part = self._parts.get(shelf)
            if part is None:
                part = self._parts.put(shelf, self._part(self._facts.of_shelf(kind, shelf)))
            found.append(part)
        for name, saved in zip(self._components, moment.world.runtimes, strict=True):
            part = self._parts.get(saved)
            if part is None:
                part = self._parts.put(saved, self._part(self._facts.of_runtime(name, saved)))
            found.append(part)
        script = moment.script
        facts = list(self._agenda(moment))
        facts.append(("timeline", script.next, *(entry.number for entry in script.running), Time(script.not_before),
                      Time(script.due), len(script.failures)))
        for calls in moment.world.faults:
            facts.append(("faults", *self._facts.tokens(calls)))
        found.append(self._part(tuple(facts)))
        found += [self._task(flight) for flight in moment.flights]
        return found

    def _part(self, facts: tuple[Fact, ...]) -> _Part:
        return _Part(facts, self._may_be_called_otherwise)

    def _may_be_called_otherwise(self, text: str) -> bool:
        known = self._is_called.get(text)
        if known is None:
            known = self._is_called[text] = self._symmetry.is_name(text) or self._is_uid(text)
        return known

    def _agenda(self, moment: Moment) -> Iterator[Fact]:
        """What can come; what the tasks are that can go on is told apart from that."""
        if self._is_natural and moment.ready:
            yield ("ready", *(token for step in moment.ready for token in _steps(step)))
        for due, _, timer in moment.timers:
            yield ("timer", Time(due), *_steps(timer))
        for watch, late in moment.late:
            yield ("late", *watch, *(token for step in late for token in self._facts.tokens(step.change.key)))

    def _task(self, flight: Flight) -> _Part:
        """A task under way: where it came from, what it saw and was told; what it does follows from that."""
        point = flight.at
        part = self._points.get(point)
        if part is None:
            task = flight.task
            origin = (task.runtime.component.name, task.queue, *task.key)
            part = self._points.put(point, self._part(((*origin, *self._history(point)),)))
        return part

    def _history(self, point: Point | None) -> Iterator[Token]:
        if point is None:
            return
        path = point.path()
        parts = [tuple(self._told(each)) for each in path]
        if path[0].origin.runtime.component.name == Kubectl.name:
            parts = without_rounds(parts, [isinstance(each.intent, Sleep) for each in path])
        yield from self._facts.tokens(path[0].origin.view.argument)
        for part in parts:
            yield from part

    def _told(self, point: Point) -> Iterator[Token]:
        yield "told"  # be it nothing
        for obj in {obj.key: obj for obj in point.seen if not self._facts.is_old(obj)}.values():
            yield from self._facts.tokens(obj)
        if point.answer is not None:
            yield from self._facts.tokens(point.answer)

    # --- what it is called ------------------------------------------------------------------------------------------

    def _called(self, moment: Moment, parts: Sequence[_Part], texts: Iterable[str]) -> dict[str, str]:
        """What everything that has names is called."""
        shelves = moment.world.store.shelves
        stored = tuple(shelves.values())
        names = self._names.get_all(stored)
        if names is None:
            names = dict(self._called_by(tuple(shelves[kind] for kind in _NAMING if kind in shelves), shelves))
            inside = {name for part in parts[:len(stored)] for name in part.names if name not in names}
            self._call_uids(moment, sorted(name for name in inside if self._is_uid(name)), names)
            self._names.put_all(stored, names)
        unnamed = sorted(text for text in texts if text not in names)
        if unnamed:
            names = dict(names)
            labels = Labels(self._symmetry, names)
            labels.give(in_order([fact for part in parts for fact in part.facts], self._symmetry, names, self._is_uid))
            self._call_uids(moment, [text for text in unnamed if self._is_uid(text)], names)
        return names

    def _called_by(self, settling: tuple[Shelf, ...], shelves: Mapping[str, Shelf]) -> dict[str, str]:
        names = self._settled.get_all(settling)
        if names is None:
            facts = [fact for kind in _NAMING if kind in shelves for fact in self._facts.of_shelf(kind, shelves[kind])]
            names = self._settled.put_all(settling, self._call(facts))
        return names

    def _call(self, facts: Sequence[Fact]) -> dict[str, str]:
        symmetry = self._symmetry
        names = self._members(facts) if symmetry.members else {}
        labels = Labels(symmetry, names)
        labels.give(in_order(facts, symmetry, names, self._is_uid))
        return names

    def _call_uids(self, moment: Moment, uids: Iterable[str], names: dict[str, str]) -> None:
        """Call a uid, or a text with a uid in it, by the object that has it."""
        owners: dict[str, tuple[str, str, str]] = {}
        for shelf in moment.world.store.shelves.values():
            owners.update(self._owners(shelf))
        dead: dict[str, int] = {}

        def owner(found: Any) -> str:
            place = owners.get(found[0])
            if place is None:
                return f"dead {dead.setdefault(found[0], len(dead))}"
            return f"uid of {place[0]}/{place[1]}/{names.get(place[2], place[2])}"

        for text in uids:
            names[text] = UID.sub(owner, text)

    def _is_uid(self, text: str) -> bool:
        found = self._has_uid.get(text)
        if found is None:
            found = self._has_uid[text] = len(text) >= 36 and UID.search(text) is not None
        return found

    def _owners(self, shelf: Shelf) -> dict[str, tuple[str, str, str]]:
        known = self._uids.get(shelf)
        if known is None:
            known = {obj.metadata.uid: (key.kind, key.namespace, key.name) for key, obj in shelf.objects.items()}
            self._uids.put(shelf, known)
        return known

    def _members(self, facts: Sequence[Fact]) -> dict[str, str]:
        """New ordinals for the pods of sets whose pods are all alike, by what there is to say about each."""
        members = self._symmetry.members
        about: dict[tuple[str, int], list[Fact]] = {member: [] for member in members.values()}
        for fact in facts:
            concerned = {members[token] for token in fact if type(token) is str and token in members}
            for member in sorted(concerned):
                about[member].append(tuple(self._seen_by(member, token) for token in fact))
        first = {member: tuple(sorted(mine, key=str)) for member, mine in about.items()}
        where = self._neighbourhoods(facts)
        order = sorted(first, key=lambda member: (
            member[0], str(first[member]), sorted(str([first[other] for other in place]) for place in where[member]),
            member[1],
        ))
        place: dict[str, int] = {}
        renumbered: dict[tuple[str, int], int] = {}
        for sts, ordinal in order:
            renumbered[sts, ordinal] = place.setdefault(sts, 0)
            place[sts] += 1
        return {name: f"{name.rpartition('-')[0]}-{renumbered[member]}" for name, member in members.items()}

    def _seen_by(self, member: tuple[str, int], token: Token) -> Token:
        if type(token) is not str:
            return "moment" if isinstance(token, Time) else "version" if isinstance(token, Version) else token
        other = self._symmetry.members.get(token)
        if other is not None:
            return "mine" if other == member else "another's"
        return "" if self._symmetry.is_name(token) or self._is_uid(token) else token

    def _neighbourhoods(self, facts: Sequence[Fact]) -> dict[tuple[str, int], list[list[tuple[str, int]]]]:
        """For each pod the nodes that it has to do with, as the lists of pods that have to do with them."""
        symmetry = self._symmetry
        on: dict[str, dict[tuple[str, int], None]] = {}
        for fact in facts:
            if fact[0] != "object":
                continue
            concerned = [symmetry.members[token] for token in fact if type(token) is str and token in symmetry.members]
            for token in fact if concerned else ():
                if type(token) is str:
                    volume = symmetry.volumes.get(token)
                    node = volume.node if volume is not None else token if token in symmetry.nodes else ""
                    if node:
                        on.setdefault(node, {}).update(dict.fromkeys(concerned))
        found: dict[tuple[str, int], list[list[tuple[str, int]]]] = {member: [] for member in symmetry.members.values()}
        for members in on.values():
            for member in members:
                found[member].append(list(members))
        return found

    # --- which version, how long --------------------------------------------------------------------------------------

    def _look_up(self, moment: Moment, parts: Sequence[_Part]) -> Callable[[Token], Token]:
        now = moment.world.now
        shelves = moment.world.store.shelves
        older: dict[Any, list[int]] = {}
        for part in parts:
            for token in part.open:
                if type(token) is Version:
                    older.setdefault(token.key, []).append(token.number)

        def look_up(token: Token) -> Token:
            if type(token) is Time:
                return max(0, token.moment - now)
            if type(token) is Age:
                return max(-_LONG_AGO, token.moment - now)
            if type(token) is Version:
                shelf = shelves.get(token.key.kind)
                stored = shelf.objects.get(token.key) if shelf is not None else None
                if stored is not None and stored.metadata.resource_version == token.number:
                    return "stored"
                return f"old {sorted(set(older[token.key])).index(token.number)}"
            return token

        return look_up


def _steps(step: Step | Wake) -> Iterator[Token]:
    match step:
        case Start() | Fire():
            yield from (type(step).__name__, step.runtime.component.name, step.queue)
            if isinstance(step, Fire):
                yield from step.key
        case Resume():
            task = step.task
            is_dead = task.incarnation != task.runtime.incarnation
            yield from (task.runtime.component.name, task.queue, *task.key, is_dead)
        case _:
            yield type(step).__name__


def without_rounds(parts: list[Fact], sleeps: list[bool]) -> list[Fact]:
    """A history with each round of a waiting loop once, if it was like the one before: such loops keep no count.

    Parameters
    ----------
    sleeps : after which parts the flow sleeps; a round goes from one sleep to the next.

    >>> without_rounds([("a",), ("b",), ("c",), ("b",), ("c",), ("b",)], [True, False, True, False, True, False])
    [('a',), ('b',), ('c',), ('b',)]
    """
    kept: list[Fact] = []
    ends: list[int] = []
    for part, is_asleep in zip(parts, sleeps, strict=True):
        kept.append(part)
        if is_asleep:
            ends.append(len(kept))
            if len(ends) > 2 and kept[ends[-2]:] == kept[ends[-3]:ends[-2]]:
                ends.pop()
                del kept[ends[-1]:]
    return kept
