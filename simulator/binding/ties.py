"""How Go's map order breaks ties: the slots of a map, and how likely each of several entries is met first.

Kubernetes keeps its volumes in Go maps, one for each set of access modes, and takes the first smallest one that a walk
over the map meets. A Go map (since Go 1.24) of up to eight entries is one group of eight slots: a new entry takes the
first free slot and keeps it, and a walk starts at a random slot and wraps around. So of several entries the one with
the widest gap of uninteresting slots before it is met first most often, and the odds are exact. A larger map has
several groups; the hash of a key, drawn anew for every map, says which group it goes to, and there it takes the first
free slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

GROUP: Final = 8
TRACKED: Final = 128
"""Larger maps are not tracked: their ties count as uniform."""

_SAMPLES: Final = 64
_MASK: Final = (1 << 64) - 1

Slots = tuple[str | None, ...]
"""A map as far as its order goes: up to eight entries by slot, None for a slot that is free again; more than eight in
order of insertion. A map that has shrunk to eight again is taken as one that was never larger."""


def insert(slots: Slots, name: str) -> Slots:
    """The map with an entry more; unchanged if it has it."""
    if name in slots:
        return slots
    if None in slots:
        free = slots.index(None)
        return (*slots[:free], name, *slots[free + 1:])
    return (*slots, name)


def remove(slots: Slots, name: str) -> Slots:
    """The map without an entry."""
    if name not in slots:
        return slots
    at = slots.index(name)
    if len(slots) > GROUP:
        return (*slots[:at], *slots[at + 1:])
    kept: list[str | None] = list(slots)
    kept[at] = None
    while kept and kept[-1] is None:
        kept.pop()
    return tuple(kept)


def go_map_weights(positions: Sequence[int], size: int) -> tuple[int, ...] | None:
    """How likely a walk over a Go map meets each of some entries before the others.

    Parameters
    ----------
    positions : where the entries stand in `Slots`.
    size : the length of the `Slots`.

    Returns
    -------
    Integer weights in the order of `positions`, or None where nothing better than "equal" is known.

    Up to eight entries the weights are exact: the number of slots from which the entry is the first. For more, they are
    the mean over 64 fixed hash functions, as if the map were hashed anew for every choice; a real map keeps its hash,
    so that the choices of one run are slightly more alike. Cost: O(n log n) up to eight, 64 times that beyond.

    Examples
    --------
    >>> go_map_weights([0, 1, 2], 3), go_map_weights([1, 2], 3)
    ((6, 1, 1), (7, 1))
    """
    if size <= GROUP:
        return _gaps(positions, GROUP)
    if size > TRACKED:
        return None
    return _mean_gaps(tuple(positions), size)


def _gaps(slots: Sequence[int], capacity: int) -> tuple[int, ...]:
    """For each slot the distance from the one before it, around the end: the starting points that lead to it."""
    ordered = sorted(slots)
    gap = {slot: (slot - ordered[turn - 1]) % capacity or capacity for turn, slot in enumerate(ordered)}
    return tuple(gap[slot] for slot in slots)


@lru_cache(maxsize=1024)
def _mean_gaps(positions: tuple[int, ...], size: int) -> tuple[int, ...]:
    total = [0] * len(positions)
    capacity, layouts = _layouts(size)
    for layout in layouts:
        for turn, gap in enumerate(_gaps([layout[position] for position in positions], capacity)):
            total[turn] += gap
    return tuple(total)


@lru_cache(maxsize=TRACKED)
def _layouts(size: int) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """The capacity of a map of so many entries, and the slot of each entry under each hash function."""
    grown = [_layout(size, sample) for sample in range(_SAMPLES)]
    return grown[0][0], tuple(layout for _, layout in grown)


def _layout(size: int, sample: int) -> tuple[int, tuple[int, ...]]:
    """A map filled entry by entry: it doubles when seven eighths are full (a single group, when all is)."""
    groups: list[list[int]] = [[]]
    room = GROUP
    for entry in range(size):
        if entry == room:
            doubled: list[list[int]] = [[] for _ in range(2 * len(groups))]
            for group in groups:
                for moved in group:
                    _put(doubled, moved, sample)
            groups, room = doubled, len(doubled) * GROUP * 7 // 8
        _put(groups, entry, sample)
    slot = {entry: GROUP * number + place for number, group in enumerate(groups) for place, entry in enumerate(group)}
    return GROUP * len(groups), tuple(slot[entry] for entry in range(size))


def _put(groups: list[list[int]], entry: int, sample: int) -> None:
    """Into the first group with a free slot, probed from the one that the hash names."""
    group, step = _hash(entry, sample) % len(groups), 0
    while len(groups[group]) == GROUP:
        step += 1
        group = (group + step) % len(groups)
    groups[group].append(entry)


def _hash(entry: int, sample: int) -> int:
    """One of 64 fixed hash functions (the finalizer of SplitMix64)."""
    x = (entry * 0x9E3779B97F4A7C15 + sample * 0xD1342543DE82EF95 + 1) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
