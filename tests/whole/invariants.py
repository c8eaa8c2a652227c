"""What must hold after every single change of a run, told from the specification: a watcher that stops the run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.cluster.component import Change
from simulator.simulation import Cluster, Run, run
from simulator.testing.strategies import SmallCluster
from simulator.units import MILLISECOND, Micros
from tests.whole.checks import Checks
from tests.whole.checks_pods import PodChecks
from tests.whole.checks_storage import check_claim, check_volume

SLACK = 100 * MILLISECOND
"""A few API calls and a watch: how old what a component acts on may be, if no watch is late."""


class Invariants:
    """A watcher of a cluster's world that looks at every change.

    Parameters
    ----------
    slack : how long what a component has seen may be out of date by the time it is written.
    """

    def __init__(self, cluster: Cluster, slack: Micros = SLACK) -> None:
        self.checks = Checks(cluster, slack)
        self._pods = PodChecks(self.checks, cluster)
        self._last_version = cluster.store.version
        self._uids: dict[str, Key] = {}

    def __call__(self, change: Change) -> None:
        """Look at a change."""
        self._check_metadata(change)
        match change.new or change.old:
            case PersistentVolume():
                check_volume(self.checks, change)
            case PersistentVolumeClaim():
                check_claim(self.checks, change)
            case Pod():
                self._pods.check_pod(change)
            case Node():
                self._pods.check_node(change)

    def _check_metadata(self, change: Change) -> None:
        """Versions grow, identities last, deletion is for good, and spec and status are written apart."""
        require, version, old, new = self.checks.require, self.checks.store.version, change.old, change.new
        require(version > self._last_version, "VB-20", change, "the version did not grow")
        self._last_version = version
        if new is None:
            return
        after = new.metadata
        require(after.resource_version == version, "VB-20", change, "has an old version")
        if old is None:
            require(bool(after.uid), "WL-95", change, "has no uid")
            require(self._uids.setdefault(after.uid, new.key) == new.key, "WL-95", change, "has somebody else's uid")
            return
        before = old.metadata
        require(before.uid == after.uid, "WL-95", change, "has another uid")
        require(before.creation_timestamp == after.creation_timestamp, "WL-95", change, "was created at another time")
        require(before.generation <= after.generation, "WL-4", change, "has a smaller generation")
        require(not before.is_terminating or after.is_terminating, "WL-90", change, "is no longer being deleted")
        if not isinstance(new, Pod):  # a pod's binding sets a condition too (SC-103)
            is_one = _part(old, "spec") == _part(new, "spec") or _part(old, "status") == _part(new, "status")
            require(is_one, "WL-4", change, "spec and status change in one write")


def _part(obj: Object, name: str) -> Any:
    return getattr(obj, name, None)


def watched(cluster: SmallCluster, seed: int) -> tuple[Run, Counter[str]]:
    """A run that fails at the first change that Kubernetes would not make, and how often each rule was looked at."""
    watchers: list[Invariants] = []

    def prepare(ready: Cluster) -> None:
        watchers.append(Invariants(ready, cluster.lag * MILLISECOND + SLACK))
        ready.world.watchers.append(watchers[0])

    result = run(cluster.scenario(), seed=seed, prepare=prepare)
    return result, watchers[0].checks.seen
