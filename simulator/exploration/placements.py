"""A state seen from afar: the node of each claim's volume, and whether its pod is placed.

Nodes that have equals are told apart only by what is on them, and so are the pods of a set whose pods are all alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import TypeAlias

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.cluster.store import Store
from simulator.exploration.symmetry import Symmetry

Outline: TypeAlias = tuple[object, ...]


def outline(store: Store, symmetry: Symmetry, where: Mapping[str, str]) -> Outline:
    """The state seen from afar; equal for states that differ by names of equal things only.

    Parameters
    ----------
    where : volume → its node.

    Returns
    -------
    Something that can be compared; cost O(claims and pods).
    """
    rows = _rows(store, symmetry, where)
    return tuple(sorted(_looks(rows, symmetry).values())) if symmetry.members else _numbered(rows, symmetry)


def looks(store: Store, symmetry: Symmetry, where: Mapping[str, str]) -> dict[str, str]:
    """What each pod of a set whose pods are all alike looks like, by name: those that look the same can be exchanged.

    Only for pods with at most one claim each, where what is around a pod is a tree; nothing for others.
    """
    rows = _rows(store, symmetry, where)
    if any(sum(what != _PLACED for what, _ in held) > 1 for held in rows.values()):
        return {}
    return _looks(rows, symmetry)


_PLACED = "placed"


def _rows(store: Store, symmetry: Symmetry, where: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """For each pod its claims with the places of their volumes, and its own place."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for claim in store.list(PersistentVolumeClaim):
        place = claim.spec.volume_name and (where.get(claim.spec.volume_name) or claim.spec.volume_name)
        if place:
            owner = symmetry.members.get(claim.name)
            name = f"{owner[0]}-{owner[1]}" if owner is not None else f"{claim.namespace}/{claim.name}"
            rows.setdefault(name, []).append((claim.name.rpartition("-")[0] if owner is not None else "", place))
    for pod in store.list(Pod):
        if pod.spec.node_name:
            owner = symmetry.members.get(pod.name)
            name = f"{owner[0]}-{owner[1]}" if owner is not None else f"pod {pod.namespace}/{pod.name}"
            rows.setdefault(name, []).append((_PLACED, pod.spec.node_name))
    return rows


def _numbered(rows: Mapping[str, list[tuple[str, str]]], symmetry: Symmetry) -> Outline:
    """Nodes that have equals, numbered in the order in which they turn up."""
    numbers: dict[str, str] = {}
    counts: Counter[str] = Counter()
    found: list[object] = []
    for name in sorted(rows):
        for what, node in sorted(rows[name]):
            place = symmetry.nodes.get(node)
            if place is not None and node not in numbers:
                counts[place.sort] += 1
                numbers[node] = f"{place.sort} #{counts[place.sort]}"
            found.append((name, what, numbers.get(node, node)))
    return tuple(found)


def _looks(rows: Mapping[str, list[tuple[str, str]]], symmetry: Symmetry) -> dict[str, str]:
    """Nodes by what is on them, pods by where they are: what each looks like from the other, a few steps far."""
    sorts = {f"{sts}-{ordinal}": sts for sts, ordinal in symmetry.members.values()}
    looks: dict[str, str] = {name: sorts.get(name, name) for name in rows}
    for _ in range(3):
        on: dict[str, list[str]] = {}
        for name, held in rows.items():
            for what, node in held:
                on.setdefault(node, []).append(f"{what} of {looks[name]}")
        nodes = _short({
            node: (place.sort if (place := symmetry.nodes.get(node)) is not None else node, *sorted(mine))
            for node, mine in on.items()
        })
        looks = _short({
            name: (sorts.get(name, name), *sorted(f"{what} on {nodes[node]}" for what, node in held))
            for name, held in rows.items()
        })
    return looks


def _short(looks: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Texts of a fixed length that stand for what things look like."""
    return {name: blake2b(repr(look).encode(), digest_size=8).hexdigest() for name, look in looks.items()}
