"""A core in words: what is required, and because of what, causes before effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simulator.api.meta import Key
from simulator.diagnosis.data import Core, Member
from simulator.diagnosis.table import PodTable
from simulator.explanation.words import listing, short

_PLACES = frozenset({"there", "size", "taint", "cordon", "down", "no volume", "limit", "uses", "released"})
"""Kinds of facts that are about one node each; a rule with such facts closes only their nodes."""


def ordered(core: Core, tables: Sequence[PodTable]) -> Core:
    """The same core with its members in the order in which the story comes to them."""
    if not tables:
        return core
    groups = _groups(core, [answers.node for answers in tables[0].nodes])
    places = dict.fromkeys(core.members.index(member) for _, members in groups for member in members)
    rest = [place for place in range(len(core.members)) if place not in places]
    return Core(tuple(core.members[place] for place in (*places, *rest)))


def tell(keys: Sequence[Key], shorts: Sequence[str], core: Core, tables: Sequence[PodTable]) -> tuple[str, ...]:
    """The story of a core, one line each; numbers in brackets stand for its members, in their order."""
    subject = _subject(keys, shorts)
    if not tables or len(core.members) == 1:
        return (f"{subject}, required because", *(f"  {_numbered(core, member)}" for member in core.members))
    lines = [f"{subject}: no node will do"]
    groups = _groups(core, [answers.node for answers in tables[0].nodes])
    told: set[int] = set()
    for nodes, members in groups:
        lines.append(f"  {_will_not_do(nodes, len(tables[0].nodes))}, required because")
        lines += [f"    {_numbered(core, member)}" for member in members]
        told |= {core.members.index(member) for member in members}
    rest = [member for place, member in enumerate(core.members) if place not in told]
    if rest:
        lines.append("  and besides, required because" if groups else "  required because")
        lines += [f"    {_numbered(core, member)}" for member in rest]
    return tuple(lines)


def _subject(keys: Sequence[Key], shorts: Sequence[str]) -> str:
    said = [f"{short(key)} {why}" for key, why in zip(keys, shorts, strict=True)]
    return " and ".join(said) + (", each for the other" if len(keys) > 1 else "")


def _numbered(core: Core, member: Member) -> str:
    return f"[{core.members.index(member) + 1}] {member.text}"


def _will_not_do(nodes: Sequence[str], total: int) -> str:
    return f"{listing(nodes)} will not do" if len(nodes) < total or total == 1 else "no node will do"


def _groups(core: Core, nodes: Sequence[str]) -> list[tuple[list[str], list[Member]]]:
    """Nodes that the same members close, each node told once; what ties the pod to some nodes comes first."""
    found: dict[tuple[int, ...], list[str]] = {}
    for node in nodes:
        members = next(_closing(core, node), None)
        if members is not None:
            found.setdefault(tuple(core.members.index(member) for member in members), []).append(node)
    return [(names, [core.members[place] for place in places]) for places, names in found.items()]


def _goes_with(member: Member, named: Sequence[Member]) -> bool:
    """Whether a fact that is about no single node belongs to those that are: how a claim is bound, or why it is not."""
    is_bound = any(other.kind in ("reach", "zone", "gone node", "label") for other in named)
    return (member.kind in ("bound", "zone", "gone node", "label")) == is_bound


def _closing(core: Core, node: str) -> Iterator[list[Member]]:
    """The members by which a rule closes a node, rule by rule."""
    rules = dict.fromkeys(member.rule for member in core.members if member.rule)
    for rule in sorted(rules, key=lambda rule: rule not in ("VolumeBinding", "VolumeZone", "NodeAffinity")):
        members = [member for member in core.members if member.rule == rule]
        named = [member for member in members if node in member.nodes]
        here = [member for member in members if member in named or (not member.nodes and _goes_with(member, named))]
        placed = [member for member in members if member.kind in _PLACES or member.kind.startswith("volume ")]
        if named and (not placed or any(member in placed for member in named)
                      or any(member.ties for member in named)):
            yield here
