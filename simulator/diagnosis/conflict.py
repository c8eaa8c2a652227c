"""The irreducible core of a conflict, found by deletion and certified by running each claim that it makes.

Facts are taken away by experiments that begin at the end of the run. Two sets of facts explain why an object is stuck:

core
    a smallest set that holds it: with every *other* fact taken away the object is stuck in every run; with any one
    member taken away as well, some run resolves it. So each member is needed, and together they are enough.
way out
    a smallest set that frees it: with these facts taken away, and all others in place, some run resolves the object;
    put any one of them back, and no run does.

Both are irreducible in the sense of design decision 10: the way out word for word, the core as its mirror image. Every
way out takes at least one member from each core. If each member of the core is a way out by itself, the core is all
there is to say; if not, there are other cores beside it, and they are looked for too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from simulator.diagnosis.fact import Fact

CORES: Final = 3
"""No more cores than this are looked for."""

Resolves = Callable[[Iterable[Fact]], bool]
"""Whether some run resolves the object once these facts are taken away."""


class Conflict(Struct, frozen=True):
    """Why an object is stuck, in facts.

    Attributes
    ----------
    cores : the first is the one to tell; each stands beside the others.
    ways_out : smallest sets of facts, each of which frees the object; all that have one fact, then some with more.
    is_certified : whether there is a core. What it claims has been borne out by experiments.
    """

    cores: tuple[tuple[Fact, ...], ...] = ()
    ways_out: tuple[tuple[Fact, ...], ...] = ()
    is_certified: bool = False


def find_conflict(facts: Sequence[Fact], resolves: Resolves) -> Conflict:
    """Find the cores and ways out among some facts.

    Parameters
    ----------
    facts : those that come first are preferred as members.
    resolves : asks an experiment; it is asked the same things again.
    """
    if not facts or not resolves(facts):
        return Conflict()  # what holds the object is not among the facts
    if resolves(()):
        return Conflict()  # nothing in the objects does
    first = find_core(facts, (), resolves)
    if not is_core(first, facts, resolves):
        first = shrink(facts, resolves)
    cores = [first]
    alone = [fact for fact in first if resolves((fact,))]
    ways_out: list[tuple[Fact, ...]] = [(fact,) for fact in alone]
    rest = [fact for fact in facts if fact not in alone]
    for fact in first:
        if fact in alone:
            continue
        others = [other for other in facts if other is not fact]
        if len(cores) < CORES:
            other = find_core(others, (fact,), resolves)
            if set(_names(other)) not in [set(_names(core)) for core in cores] and is_core(other, facts, resolves):
                cores.append(other)
        if resolves(rest):
            way_out = find_way_out([*(other for other in rest if other is not fact), fact], resolves)
            if set(_names(way_out)) not in [set(_names(known)) for known in ways_out]:
                ways_out.append(way_out)
    return Conflict(tuple(cores), tuple(sorted(ways_out, key=len)), True)


def find_core(facts: Sequence[Fact], taken: Sequence[Fact], resolves: Resolves) -> tuple[Fact, ...]:
    """A core among facts, by QuickXplain: halves are put in place together, so that few experiments are needed.

    Parameters
    ----------
    taken : facts that stay taken away.
    """
    everything = [*facts, *taken]

    def is_held(kept: Sequence[Fact]) -> bool:
        names = set(_names(kept))
        return not resolves([fact for fact in everything if fact.name not in names])

    def search(background: list[Fact], is_new: bool, candidates: list[Fact]) -> list[Fact]:
        if is_new and is_held(background):
            return []
        if len(candidates) == 1:
            return candidates
        middle = len(candidates) // 2
        early, late = candidates[:middle], candidates[middle:]
        from_late = search([*background, *early], True, late)
        from_early = search([*background, *from_late], bool(from_late), early)
        return [*from_early, *from_late]

    found = set(_names(search([], False, list(facts))))
    return tuple(fact for fact in facts if fact.name in found)


def shrink(facts: Sequence[Fact], resolves: Resolves) -> tuple[Fact, ...]:
    """A core by plain deletion, pass after pass until nothing can be left out: true by the very way it is found.

    QuickXplain takes it that whatever holds the object still does so together with more. Facts can undo each other, and
    then it is mistaken.
    """
    kept = list(facts)
    is_shrinking = True
    while is_shrinking:
        is_shrinking = False
        for fact in reversed(tuple(kept)):
            rest = [other for other in kept if other is not fact]
            names = set(_names(rest))
            if not resolves([other for other in facts if other.name not in names]):
                kept, is_shrinking = rest, True
    return tuple(kept)


def is_core(core: Sequence[Fact], facts: Sequence[Fact], resolves: Resolves) -> bool:
    """Whether a set of facts is a core: enough to hold the object, and no member too many."""
    names = set(_names(core))
    others = [fact for fact in facts if fact.name not in names]
    return bool(core) and not resolves(others) and all(resolves([*others, member]) for member in core)


def find_way_out(facts: Sequence[Fact], resolves: Resolves) -> tuple[Fact, ...]:
    """A smallest set of facts that frees the object: as many as possible are put back, those that come first before."""
    taken = list(facts)
    is_shrinking = True
    while is_shrinking:
        is_shrinking = False
        for fact in tuple(taken):
            rest = [other for other in taken if other is not fact]
            if resolves(rest):
                taken, is_shrinking = rest, True
    return tuple(taken)


def is_way_out(way_out: Sequence[Fact], resolves: Resolves) -> bool:
    """Whether a set of facts frees the object, and no member is too many."""
    return resolves(way_out) and not any(
        resolves([other for other in way_out if other is not member]) for member in way_out
    )


def _names(facts: Iterable[Fact]) -> list[str]:
    return [fact.name for fact in facts]
