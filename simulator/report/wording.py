"""How happenings name things: kinds with their numbers, targets of commands, sizes."""

from __future__ import annotations

from typing import Final

from simulator.api.apps import StatefulSet
from simulator.api.meta import Key, Object
from simulator.explanation.words import count, short

GIVEN: Final = {"Node": "node", "StorageClass": "storage class", "PersistentVolume": "volume",
                "PersistentVolumeClaim": "claim", "Pod": "pod", "StatefulSet": "set", "ResourceQuota": "quota",
                "PodDisruptionBudget": "budget"}
"""Kinds of the initial objects that are worth telling, in words."""
_NOUNS: Final = {"PersistentVolumeClaim": "claim ", "PersistentVolume": "volume ", "StatefulSet": "set ", "Pod": "",
                 "Node": "node ", "Namespace": "namespace "}


def kind_count(kind: str, number: int) -> str:
    """So many objects of a kind: ``4 nodes``, ``1 storage class``."""
    noun = GIVEN.get(kind, kind)
    return count(number, noun, noun + "es" if noun.endswith("s") else "")


def first_sentence(message: str) -> str:
    """A FailedScheduling message without what preemption says."""
    for tail in (" no new claims to deallocate", " not found", " preemption:"):
        head, found, _ = message.partition("." + tail)
        if found:
            return head
    return message.rstrip(".")


def target_text(key: Key) -> str:
    """An object as kubectl's commands name it."""
    return f"{key.kind}/{short(key)}"


def named(obj: Object) -> str:
    """An object with its kind, where that is not plain: ``set web``, ``claim data-web-0``, ``web-0``."""
    return f"{_NOUNS.get(obj.KIND, obj.KIND + ' ')}{short(obj)}"


def set_wants(obj: StatefulSet) -> str:
    """What a set wants: ``(3 replicas, OrderedReady)``."""
    return f"({count(obj.replicas, 'replica')}, {obj.spec.pod_management_policy or 'OrderedReady'})"


def size_text(size: int) -> str:
    """A size in the largest unit that divides it."""
    for suffix, unit in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
