"""What the invariants of `tests.whole.invariants` share: the world that is watched, and how a breach is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from simulator.api.meta import Key, Object
from simulator.cluster.component import Change
from simulator.simulation import Cluster
from simulator.units import Micros


class Breach(AssertionError):
    """Something happened that Kubernetes does not do."""


class Checks:
    """A watcher of a cluster's world.

    Parameters
    ----------
    slack : how long what a component has seen may be out of date by the time it is written.

    Attributes
    ----------
    seen : how often each rule had something to look at.
    deleted_claims : when each claim was last seen to be deleted.
    """

    def __init__(self, cluster: Cluster, slack: Micros) -> None:
        self.world = cluster.world
        self.store = cluster.store
        self.slack = slack
        self.seen: Counter[str] = Counter()
        self.deleted_claims: dict[Key, Micros] = {}

    def require(self, holds: bool, rule: str, change: Change, says: str) -> None:
        """A breach of a rule, if it does not hold."""
        self.seen[rule] += 1
        if not holds:
            raise Breach(f"{rule}: at {self.world.now} µs, {change.key}: {says}")

    def phase(self, change: Change, rule: str, allowed: Mapping[str, set[str]]) -> str:
        """The phase that the change leads to, "" if it stays as it is."""
        old, new = phase_of(change.old), phase_of(change.new)
        if change.new is None or old == new:
            return ""
        if change.old is None:
            self.require(new == "Pending", rule, change, f"is created as {new}")
            return ""
        self.require(new in allowed[old], rule, change, f"goes from {old} to {new}")
        return new

    def is_recent(self, moment: Micros | None) -> bool:
        """Whether somebody may not have seen yet what happened then."""
        return moment is not None and self.world.now - moment <= self.slack


def phase_of(obj: Object | None) -> str:
    status: Any = getattr(obj, "status", None)
    return str(getattr(status, "phase", ""))
