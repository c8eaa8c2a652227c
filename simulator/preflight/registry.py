"""The lints by name: one function each, pure over the inventory; what it finds first stands in its docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import Struct

from simulator.manifests.origin import line_of
from simulator.preflight.inventory import Inventory, Item
from simulator.preflight.result import SEVERITIES, Finding


class Found(Struct, frozen=True):
    """What a lint yields; the registry adds its name and the place.

    Attributes
    ----------
    path : the field that it is about, from the root of the object.
    """

    severity: str
    item: Item[Any]
    what: str
    why: str
    mend: str
    path: str = ""


class Lint(Struct, frozen=True):
    """A lint.

    Attributes
    ----------
    about : what it looks for, in a sentence.
    """

    name: str
    about: str
    find: Callable[[Inventory], Iterator[Found]]


LINTS: Final[dict[str, Lint]] = {}
"""All lints by name; `simulator.preflight.lints` fills it."""


def lint(find: Callable[[Inventory], Iterator[Found]]) -> Callable[[Inventory], Iterator[Found]]:
    """Register a lint under its function's name, with dashes."""
    name = find.__name__.replace("_", "-")
    LINTS[name] = Lint(name, (find.__doc__ or "").partition("\n")[0].rstrip("."), find)
    return find


def run_lints(inventory: Inventory) -> list[Finding]:
    """Everything that the lints find: errors first, what is to be applied before what is there."""
    findings = [_finding(each.name, found) for each in LINTS.values() for found in each.find(inventory)]
    return sorted(findings, key=lambda one: (not one.is_new, SEVERITIES.index(one.severity)))


def _finding(name: str, found: Found) -> Finding:
    """With the line of the field; of an object in a dump the line where it begins."""
    item, origin = found.item, found.item.origin
    line = line_of(origin, found.path) if found.path and item.is_new and not origin.base else origin.line
    return Finding(lint=name, severity=found.severity, object=item.title, where=f"{origin.file}:{line}",
                   what=found.what, why=found.why, mend=found.mend, is_new=item.is_new)
