"""Threads of Kubernetes' own tracker, replayed: what was seen there comes about here by the rules alone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.meta import Key, Object
from simulator.choices import Scripted
from simulator.cluster.faults import FAILED, LOST, NONE, POINT, Calls
from simulator.testing.builders import apart, make_claim, make_node, make_pod, make_set, make_volume
from tests.whole.small_worlds import CLASSES, HOSTNAME, STUCK, Played, apply, nodes, play

NA = "node(s) didn't match PersistentVolume's node affinity"
NB = "node(s) didn't find available persistent volumes to bind"
APART = "node(s) didn't match pod anti-affinity rules"
NO_ANSWER = "etcdserver: request timed out"


def local(name: str, node: str, size: str = "10Gi") -> Object:
    return make_volume(name, node=node, capacity=size, storage_class="wait")


def pool(count: int, each: int) -> list[Object]:
    """So many local volumes on each of some nodes."""
    return [local(f"v{node}{letter}", f"n{node}") for node in range(1, count + 1) for letter in "abc"[:each]]


def binding_of(pod: str, **fields: Any) -> Calls:
    """The call that binds a pod to its node."""
    return Calls("scheduler", "bind", "Pod", name=pod, **fields)
