"""Systems of linear equations of Markov chains, solved exactly."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Final

Row = dict[int, Fraction]

MOST_STEPS: Final = 1_000_000
"""Products of fractions that a system may cost: some seconds. Enough for 500 variables of which each depends on any
three others; where each depends on its neighbours, for many thousands."""


def solve(
    rows: Sequence[Row], constants: Sequence[Fraction], most_steps: int = MOST_STEPS
) -> list[Fraction] | None:
    """Solve ``x[i] = constants[i] + sum(rows[i][j] * x[j])`` by elimination, sparsest variable first.

    Parameters
    ----------
    rows : the chances to go from state to state among transient states (or transposed), every one of which is left at
        some time; so there is exactly one solution, and no pivot is zero.

    Returns
    -------
    The solution; None if it would take more than `most_steps` products to find.

    Examples
    --------
    >>> solve([{1: Fraction(1, 2)}, {0: Fraction(1, 2)}], [Fraction(0), Fraction(1, 2)])
    [Fraction(1, 3), Fraction(2, 3)]
    """
    left = [dict(row) for row in rows]
    x = list(constants)
    users: list[set[int]] = [set() for _ in left]  # the rows that mention a variable
    for i, row in enumerate(left):
        for j in row:
            users[j].add(i)
    eliminated: list[int] = []
    is_done = [False] * len(left)
    queue = [(len(row) * len(users[k]), k) for k, row in enumerate(left)]
    heapify(queue)
    while queue:
        fill, k = heappop(queue)
        if is_done[k]:
            continue
        now = len(left[k]) * len(users[k])
        if now > fill:  # it filled up since it was queued
            heappush(queue, (now, k))
            continue
        most_steps -= len(left[k]) * len(users[k])
        if most_steps < 0:
            return None
        _eliminate(k, left, x, users)
        is_done[k] = True
        eliminated.append(k)
    for k in reversed(eliminated):
        for j, factor in left[k].items():
            x[k] += factor * x[j]
    return x


def _eliminate(k: int, rows: list[Row], x: list[Fraction], users: list[set[int]]) -> None:
    """Make row k free of x[k], and put what it says into all rows that mention x[k] and are not eliminated."""
    row = rows[k]
    loop = row.pop(k, None)
    users[k].discard(k)
    if loop is not None:
        scale = 1 / (1 - loop)
        x[k] *= scale
        for j in row:
            row[j] *= scale
    for j in row:
        users[j].discard(k)
    for i in sorted(users[k]):
        factor = rows[i].pop(k)
        x[i] += factor * x[k]
        for j, share in row.items():
            if j in rows[i]:
                rows[i][j] += factor * share
            else:
                rows[i][j] = factor * share
                users[j].add(i)
    users[k] = set()
