"""The odds on paper: how likely a set comes up whose claims are bound before its pods are scheduled, as a fraction.

Claims that are bound at once, each to a random one of the smallest volumes that fit, draw volumes one after another
without replacement: any order of the volumes is as likely as any other. With node-local volumes, and pods that may not
share a node, the set comes up if and only if each pod's volumes are on one node that can run it and these nodes differ.
So the favourable draws are counted and divided by all draws. [x]_j is the falling factorial x (x-1) … (x-j+1).

    N nodes with m volumes each, r pods with k claims each     [N]_r ([m]_k)^r / [Nm]_{rk}
    unequal m_j, M volumes in all                              r! e_r([m_1]_k, …, [m_N]_k) / [M]_{rk}
    c classes, a claim of each for every pod                   [N]_r ∏_c (m_c^r / [N m_c]_r)
    several capacities                                         level by level, the smallest that fit first

e_r is the elementary symmetric polynomial: the sum over all choices of r nodes of the product of their terms. Nodes
that cannot run the pods have no term, but their volumes are among the M. OrderedReady and Parallel give the same.
Durations do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from math import factorial, perm, prod
from typing import Final

from msgspec import Struct

LARGEST: Final = 500_000
"""Steps of `level_by_level` that are worth their while."""


def equal_nodes(nodes: int, volumes: int, replicas: int, claims: int = 1) -> Fraction:
    """How likely the set comes up: [N]_r ([m]_k)^r / [Nm]_{rk}.

    Parameters
    ----------
    nodes : N, nodes that can run the pods; all volumes are there.
    volumes : m, on each node, all equally good.
    replicas : r, pods.
    claims : k, of each pod, all alike.

    Examples
    --------
    >>> equal_nodes(3, 3, 3), equal_nodes(3, 2, 3), equal_nodes(3, 4, 3)
    (Fraction(9, 28), Fraction(2, 5), Fraction(16, 55))
    """
    return _share(perm(nodes, replicas) * perm(volumes, claims) ** replicas, perm(nodes * volumes, replicas * claims))


def unequal_nodes(volumes: Sequence[int], replicas: int, claims: int = 1, elsewhere: int = 0) -> Fraction:
    """How likely the set comes up: r! e_r([m_1]_k, …, [m_N]_k) / [M]_{rk}. O(nodes x replicas).

    Parameters
    ----------
    volumes : m_1 … m_N, on the nodes that can run the pods.
    elsewhere : volumes on other nodes.

    Examples
    --------
    >>> unequal_nodes([3, 3, 3], 3), unequal_nodes([2, 2], 2, elsewhere=2)
    (Fraction(9, 28), Fraction(4, 15))
    """
    chosen = elementary_symmetric([perm(count, claims) for count in volumes], replicas)
    return _share(factorial(replicas) * chosen, perm(sum(volumes) + elsewhere, replicas * claims))


def several_classes(nodes: int, volumes: Sequence[int], replicas: int) -> Fraction:
    """How likely the set comes up whose pods have a claim of each of several classes: [N]_r ∏_c (m_c^r / [N m_c]_r).

    Parameters
    ----------
    volumes : m_c, on each node, for each class.

    Examples
    --------
    >>> several_classes(3, [3], 3), several_classes(2, [2, 2], 2)
    (Fraction(9, 28), Fraction(2, 9))
    """
    return _share(perm(nodes, replicas) * prod(count**replicas for count in volumes),
                  prod(perm(nodes * count, replicas) for count in volumes))


def elementary_symmetric(terms: Sequence[int], degree: int) -> int:
    """The sum over all choices of `degree` terms of their product.

    Examples
    --------
    >>> elementary_symmetric([1, 2, 3], 2)
    11
    """
    sums = [1] + [0] * degree
    for term in terms:
        for size in range(degree, 0, -1):
            sums[size] += term * sums[size - 1]
    return sums[degree]


class Level(Struct, frozen=True):
    """Volumes of one capacity.

    Attributes
    ----------
    on_nodes : how many on each node that can run the pods, always in the same order of the nodes.
    elsewhere : how many on other nodes.
    """

    on_nodes: tuple[int, ...]
    elsewhere: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.on_nodes) + self.elsewhere


class Pool(Struct, frozen=True):
    """What the claims of one class draw from.

    Attributes
    ----------
    claims : how many of them each pod has, all alike.
    levels : the volumes that are large enough, the smallest capacity first.
    """

    claims: int
    levels: tuple[Level, ...]

    def drawn(self, replicas: int) -> list[int]:
        """How many volumes of each level are drawn in all; a level is used up before the next one is begun (VB-33)."""
        left = replicas * self.claims
        taken = []
        for level in self.levels:
            taken.append(min(left, level.total))
            left -= taken[-1]
        return taken

    def shares(self, replicas: int) -> list[tuple[int, ...]]:
        """For each pod, how many of its claims fall to each level, if the claims come pod by pod."""
        left, rows = self.drawn(replicas), []
        for _ in range(replicas):
            wanted, row = self.claims, []
            for place, there in enumerate(left):
                row.append(min(wanted, there))
                left[place] -= row[-1]
                wanted -= row[-1]
            rows.append(tuple(row))
        return rows


def level_by_level(replicas: int, pools: Sequence[Pool]) -> Fraction | None:
    """How likely the set comes up, whatever the numbers of nodes, volumes, capacities and classes.

    The claims come pod by pod, as they do under OrderedReady. Then it is known beforehand how many claims of each pod
    fall to each level, and the draws within a level are a random order of its volumes. Counted are the ways to give
    each pod a node of its own with its volumes there: pods that draw from the same levels count as one sort, and one
    node after another takes a pod of some sort, or none.

    Returns
    -------
    None if counting would take more than `LARGEST` steps.
    """
    if any(sum(pool.drawn(replicas)) < replicas * pool.claims for pool in pools):
        return Fraction(0)
    rows = zip(*(pool.shares(replicas) for pool in pools), strict=True)
    sorts = [(row, len(list(alike))) for row, alike in groupby(rows)]
    nodes = len(pools[0].levels[0].on_nodes)
    if nodes * prod(count + 1 for _, count in sorts) * len(sorts) > LARGEST:
        return None
    ways = {(0,) * len(sorts): 1}
    for node in range(nodes):
        hosting = [prod(perm(level.on_nodes[node], taken) for pool, share in zip(pools, row, strict=True)
                        for level, taken in zip(pool.levels, share, strict=True)) for row, _ in sorts]
        further = dict(ways)
        for hosted, number in ways.items():
            for sort, (_, most) in enumerate(sorts):
                if hosting[sort] and hosted[sort] < most:
                    more = (*hosted[:sort], hosted[sort] + 1, *hosted[sort + 1:])
                    further[more] = further.get(more, 0) + number * hosting[sort]
        ways = further
    placed = ways.get(tuple(count for _, count in sorts), 0) * prod(factorial(count) for _, count in sorts)
    return _share(placed, prod(perm(level.total, taken) for pool in pools
                               for level, taken in zip(pool.levels, pool.drawn(replicas), strict=True)))


def _share(favourable: int, all_draws: int) -> Fraction:
    """With fewer volumes than claims there is no draw at all, and the set does not come up."""
    return Fraction(favourable, all_draws) if all_draws else Fraction(0)
