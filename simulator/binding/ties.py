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
from typing import Final

GROUP: Final = 8
TRACKED: Final = 128
"""Larger maps are not tracked: their ties count as uniform."""

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
    expectations over all hashes, as if the map were hashed anew for every choice, and entries that did not fit into
    their group are left aside; sets converge with a probability within 0.03 of the measured one. Cost: O(size).

    Examples
    --------
    >>> go_map_weights([0, 1, 2], 3), go_map_weights([1, 2], 3)
    ((6, 1, 1), (7, 1))
    """
    if size <= GROUP:
        return _gaps(positions)
    return _expected_gaps(positions, size) if size <= TRACKED else None


def _gaps(slots: Sequence[int]) -> tuple[int, ...]:
    """For each slot the distance from the one before it, around the end: the starting points that lead to it."""
    ordered = sorted(slots)
    gap = {slot: (slot - ordered[turn - 1]) % GROUP or GROUP for turn, slot in enumerate(ordered)}
    return tuple(gap[slot] for slot in slots)


def _expected_gaps(positions: Sequence[int], size: int) -> tuple[int, ...]:
    """The same in a map of several groups, on average over all hashes, in millionths.

    An earlier entry is in the group of a later one with probability 1/groups. So the gap before an entry is, in its own
    group, one more than the uninteresting entries since the last interesting one; and if there was none, the free end
    of the group before comes on top, which is the same for all, and known because all gaps together make the whole map.
    """
    capacity = 2 * GROUP
    while capacity * 7 // 8 < size:  # a map doubles when seven eighths are full
        capacity *= 2
    share = GROUP / capacity
    wanted = set(positions)
    in_group: dict[int, float] = {}
    is_first: dict[int, float] = {}
    between, none_yet = 0.0, 1.0
    for entry in range(size):
        if entry in wanted:
            in_group[entry], is_first[entry] = 1 + between, none_yet
            between *= 1 - share
            none_yet *= 1 - share
        else:
            between += share
    free_end = (capacity - sum(in_group.values())) / sum(is_first.values())
    return tuple(round((in_group[entry] + is_first[entry] * free_end) * 1_000_000) for entry in positions)
