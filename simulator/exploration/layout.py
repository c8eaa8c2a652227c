"""A layered layout of a directed graph, from left to right, as Sugiyama has it.

Edges that close a cycle are turned round; a vertex stands one layer after the last of those that lead to it; edges over
several layers bend in every layer between; the order within a layer is by barycentres, and the heights are so chosen
that edges are as straight as a least distance allows. All of it deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

SWEEPS: Final = 24
BEND: Final = 0.45
"""The room that a passing edge takes in a layer, where a vertex takes 1."""

Point = tuple[float, float]


class Layout(Struct, frozen=True):
    """Where everything is: x is the number of the layer, y a height; the lowest is 0.

    Attributes
    ----------
    points : by vertex.
    routes : by edge, from its source to its target, bends included.
    """

    points: list[Point]
    routes: list[list[Point]]
    layers: int
    height: float


def lay_out(count: int, edges: Sequence[tuple[int, int]], last: Collection[int] = ()) -> Layout:
    """Lay out vertices 0 to `count` - 1; no edge may lead from a vertex to itself.

    Parameters
    ----------
    last : vertices that nothing leaves and that shall stand in the last layer.
    """
    forward = _without_cycles(count, edges)
    layer = _layers(count, forward, last)
    # bends are vertices too, numbered from `count`
    chains: list[list[int]] = []
    for source, target in forward:
        chain = [source]
        for between in range(layer[source] + 1, layer[target]):
            chain.append(len(layer))
            layer.append(between)
        chains.append([*chain, target])
    left: list[list[int]] = [[] for _ in layer]
    right: list[list[int]] = [[] for _ in layer]
    for chain in chains:
        for one, other in pairwise(chain):
            right[one].append(other)
            left[other].append(one)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for vertex, at in enumerate(layer):
        rows[at].append(vertex)
    rows = _ordered(rows, left, right)
    heights = _heights(rows, left, right, count)
    points = [(float(at), height) for at, height in zip(layer, heights, strict=True)]
    routes = [[points[vertex] for vertex in chain] for chain in chains]
    for number, (edge, turned) in enumerate(zip(edges, forward, strict=True)):
        if edge != turned:
            routes[number].reverse()
    return Layout(points[:count], routes, len(rows), max(heights, default=0.0))


def _without_cycles(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges, those turned round that lead back to a vertex on the way to them (depth first)."""
    out: list[list[int]] = [[] for _ in range(count)]
    for number, (source, _) in enumerate(edges):
        out[source].append(number)
    turned = list(edges)
    untouched, on_the_way, done = 0, 1, 2
    state = [untouched] * count
    for root in range(count):
        if state[root] != untouched:
            continue
        state[root] = on_the_way
        path = [(root, iter(out[root]))]
        while path:
            vertex, rest = path[-1]
            number = next(rest, -1)
            if number < 0:
                state[vertex] = done
                path.pop()
                continue
            target = edges[number][1]
            if state[target] == on_the_way:
                turned[number] = (target, vertex)
            elif state[target] == untouched:
                state[target] = on_the_way
                path.append((target, iter(out[target])))
    return turned


def _layers(count: int, edges: Sequence[tuple[int, int]], last: Collection[int]) -> list[int]:
    """By vertex, the length of the longest way to it."""
    out: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for source, target in edges:
        out[source].append(target)
        missing[target] += 1
    layer = [0] * count
    ready = [vertex for vertex in range(count) if not missing[vertex]]
    for vertex in ready:  # grows
        for target in out[vertex]:
            layer[target] = max(layer[target], layer[vertex] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for vertex in last:
        if not out[vertex]:
            layer[vertex] = max(layer)
    return layer


def _ordered(rows: list[list[int]], left: list[list[int]], right: list[list[int]]) -> list[list[int]]:
    """The rows in the order with the fewest crossings that the sweeps come by."""
    best, fewest = [list(row) for row in rows], _crossings(rows, right)
    for sweep in range(SWEEPS):
        is_rightwards = sweep % 2 == 0
        beside = left if is_rightwards else right
        place: dict[int, int] = {}
        for row in rows if is_rightwards else reversed(rows):
            own = {vertex: at for at, vertex in enumerate(row)}
            row.sort(key=_barycentre(beside, place, own))
            place = {vertex: at for at, vertex in enumerate(row)}
        crossings = _crossings(rows, right)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _barycentre(beside: list[list[int]], place: dict[int, int], own: dict[int, int]) -> Callable[[int], float]:
    def key(vertex: int) -> float:
        neighbours = beside[vertex]
        return sum(place[other] for other in neighbours) / len(neighbours) if neighbours else own[vertex]

    return key


def _crossings(rows: Sequence[Sequence[int]], right: list[list[int]]) -> int:
    total = 0
    for row, following in pairwise(rows):
        place = {vertex: at for at, vertex in enumerate(following)}
        ends = [at for vertex in row for at in sorted(place[other] for other in right[vertex])]
        total += _inversions(ends)[1]
    return total


def _inversions(values: list[int]) -> tuple[list[int], int]:
    if len(values) < 2:
        return values, 0
    middle = len(values) // 2
    one, in_one = _inversions(values[:middle])
    other, in_other = _inversions(values[middle:])
    merged: list[int] = []
    total, at = in_one + in_other, 0
    for value in other:
        while at < len(one) and one[at] <= value:
            merged.append(one[at])
            at += 1
        total += len(one) - at
        merged.append(value)
    return merged + one[at:], total


def _heights(rows: list[list[int]], left: list[list[int]], right: list[list[int]], count: int) -> list[float]:
    """Heights by vertex: each as near to the mean of its neighbours as the order and the distances allow."""
    heights = [0.0] * sum(map(len, rows))
    for row in rows:
        offsets = _offsets(row, count)
        for vertex, offset in zip(row, offsets, strict=True):
            heights[vertex] = offset - offsets[-1] / 2
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for vertex in row:
                beside = left[vertex] + right[vertex]
                mean = sum(heights[other] for other in beside) / len(beside) if beside else heights[vertex]
                wanted.append(mean)
            for vertex, height in zip(row, _spread(wanted, _offsets(row, count)), strict=True):
                heights[vertex] = height
    lowest = min(heights, default=0.0)
    return [round(height - lowest, 6) for height in heights]


def _offsets(row: Sequence[int], count: int) -> list[float]:
    """How far from the first of a row each must be at least."""
    room = [1.0 if vertex < count else BEND for vertex in row]
    offsets = [0.0]
    for one, other in pairwise(room):
        offsets.append(offsets[-1] + (one + other) / 2)
    return offsets


def _spread(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The heights nearest to those wanted (least squares) that keep their distances: pool adjacent violators."""
    pools: list[tuple[float, int]] = []  # mean, size
    for height, offset in zip(wanted, offsets, strict=True):
        mean, size = height - offset, 1
        while pools and pools[-1][0] > mean:
            earlier, members = pools.pop()
            mean = (earlier * members + mean * size) / (members + size)
            size += members
        pools.append((mean, size))
    bases = [mean for mean, size in pools for _ in range(size)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]
