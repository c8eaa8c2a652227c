"""The kinds of Kubernetes 1.36 and the types of their fields, read from ``kinds.json`` when first needed."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

RELEASE: Final = "1.36"
_OLD_GROUPS: Final = frozenset(("extensions", "apps", "batch", "policy", "autoscaling", ""))


class KindEntry(NamedTuple):
    """A kind in one version: the name of its type in the table, and whether its objects live in a namespace."""

    type_name: str
    namespaced: bool


class Table(msgspec.Struct, frozen=True):
    """All of ``kinds.json``.

    Attributes
    ----------
    kinds : by apiVersion, then kind.
    types : by name; each is the fields by name, with the code of their type ("s" text, "[V1Container" a list, …).
    custom : groups that end in k8s.io and hold custom resources.
    """

    note: str
    release: str
    custom: frozenset[str]
    kinds: dict[str, dict[str, tuple[str, int]]]
    types: dict[str, dict[str, str]]

    def find(self, api_version: str, kind: str) -> KindEntry | None:
        """The entry of a kind, if that version has it."""
        found = self.kinds.get(api_version, {}).get(kind)
        return KindEntry(found[0], bool(found[1])) if found is not None else None

    def is_built_in(self, api_version: str) -> bool:
        """Whether kinds of this group are Kubernetes' own, so that an unknown one is an error."""
        group = group_of(api_version)
        return group in _OLD_GROUPS or (group.endswith(".k8s.io") and group not in self.custom)

    def versions_of(self, kind: str) -> list[str]:
        """The apiVersions that have this kind, stable ones first."""
        versions = [version for version, kinds in self.kinds.items() if kind in kinds]
        return sorted(versions, key=lambda name: ("alpha" in name, "beta" in name, name == "events.k8s.io/v1"))

    def kind_names(self) -> list[str]:
        """Every kind once."""
        return sorted({kind for kinds in self.kinds.values() for kind in kinds})


def group_of(api_version: str) -> str:
    """The group of an apiVersion; "" for the core group, ``v1``."""
    group, slash, _ = api_version.partition("/")
    return group if slash else ""


@lru_cache(maxsize=1)
def table() -> Table:
    """The table, read once (about a millisecond)."""
    with open(os.path.join(os.path.dirname(__file__), "kinds.json"), "rb") as file:
        return msgspec.json.decode(file.read(), type=Table)
