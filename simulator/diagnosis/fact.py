"""A fact of a stuck cluster that could be otherwise: what it says, whose it is, and how an experiment takes it away."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from simulator.api.meta import Key
from simulator.diagnosis.draft import Draft

Edit = Callable[[Draft], None]
"""Changes a draft; edits of several facts can be combined in any order."""


def take_away(draft: Draft, facts: Iterable[Fact]) -> None:
    """Take facts away from a draft, always in the same order."""
    for fact in sorted(facts, key=lambda fact: fact.name):
        fact.take_away(draft)


class Fact(Struct, frozen=True):
    """Something that holds at the end of the run, and that may keep an object from its goal.

    Attributes
    ----------
    name : tells it from the others of one diagnosis.
    text : a clause: ``data-web-1 is bound to pv-3``.
    about : the objects that it speaks of; the first is the one in whose manifest it stands.
    without : what an experiment supposes when it takes the fact away: ``if it were not bound``.
    take_away : the edit that does so.
    field : where in the manifest of the first object it is written, such as ``spec.accessModes``.
    nodes : the nodes that it closes; empty: it is not about single nodes.
    ties : it leaves the pod to some nodes, and closes all others.
    kind : what sort of fact it is, for those who look for repairs.
    rule : the scheduler's plug-in that looks at it, if one does.
    detail : what is special about it, such as the resource that is asked for.
    """

    name: str
    text: str
    about: tuple[Key, ...]
    without: str
    take_away: Edit
    field: str = ""
    nodes: tuple[str, ...] = ()
    ties: bool = False
    kind: str = ""
    rule: str = ""
    detail: tuple[str, ...] = ()
