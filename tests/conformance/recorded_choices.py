"""Choosers that want what was recorded: of several equal things they take the one that the recording shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.api.core import PersistentVolume
from simulator.api.meta import Key
from simulator.choices import Chooser
from simulator.cluster.component import Change
from simulator.controllers import kubelet, node_lifecycle, pod_gc
from simulator.latency import Latency, parse_latency
from simulator.units import Micros

NOISE: Mapping[str, Latency] = {
    **node_lifecycle.RANGES, **pod_gc.RANGES, "lease-renewal": kubelet.RANGES["lease-renewal"],
    "api": parse_latency({"0": "2ms", "0.9": "14ms", "1": "60ms"}),
    "watch": parse_latency({"0": "1ms", "0.9": "12ms", "1": "60ms"}),
    "work": parse_latency({"0": "0ms", "0.9": "4ms", "1": "40ms"}),
    "work/scheduler": parse_latency({"0": "1ms", "0.7": "12ms", "1": "120ms"}),
    "operation": parse_latency({"0": "0ms", "0.9": "5ms", "1": "40ms"}),
}
"""How slow the recorded control plane was, with everything on one machine; and when its periodic passes were."""
SHORT_KINDS = {"PersistentVolumeClaim": "PVC", "Pod": "Pod"}


class Wishes:
    """What is wanted: for each claim its volumes and for each pod its nodes, one after another; and orders.

    Attributes
    ----------
    volumes, nodes : by name of claim or pod; the first is the one wanted now.
    order : creations and deletions of claims and pods that are still to come: kind, name, whether it is a creation.
    mounts : by pod, its claims in order, once for each incarnation.
    """

    def __init__(self) -> None:
        self.volumes: dict[str, list[str]] = {}
        self.nodes: dict[str, list[str | None]] = {}
        self.order: list[tuple[str, str, bool]] = []
        self.mounts: dict[str, list[Sequence[str]]] = {}

    def watch(self, change: Change) -> None:
        """Cross off what has come true."""
        key, new, old = change.key, change.new, change.old
        if isinstance(new, PersistentVolume) and isinstance(old, PersistentVolume):
            mine, before = new.spec.claim_ref, old.spec.claim_ref
            if mine is not None and before is None:
                wanted = self.volumes.get(mine.name, [])
                if key.name in wanted:
                    del wanted[: wanted.index(key.name) + 1]
        elif key.kind == "Pod" and new is None:
            del self.nodes.get(key.name, [])[:1]
            del self.mounts.get(key.name, [])[:1]
        if key.kind in SHORT_KINDS:
            begun = (SHORT_KINDS[key.kind], key.name, old is None)
            if begun in self.order and (old is None or (new is not None and new.metadata.is_terminating)):
                self.order.remove(begun)

    def pick(self, point: str, about: Key, options: Sequence[Key]) -> Key | None:
        """The wanted one of several, None if there is no wish."""
        match point:
            case "volume":
                return self._volume(about.name, options)
            case "node" | "preemption":
                wanted = self.nodes.get(about.name, [])[:1]
                return next((option for option in options if option.name in wanted), None)
            case "resync":
                wanting = [option for option in options if self.volumes.get(option.name)]
                return wanting[0] if wanting else None
            case "volume-order" if self.mounts.get(about.name):
                return self._mount(self.mounts[about.name][0], options)
            case _:
                return self._next(options)

    def _volume(self, claim: str, options: Sequence[Key]) -> Key | None:
        wanted = self.volumes.get(claim, [])
        for name in wanted:
            for option in options:
                if option.name == name:
                    return option
        others = {name for other, names in self.volumes.items() if other != claim for name in names[:1]}
        free = [option for option in options if option.name not in others]
        return free[0] if free and len(free) < len(options) else None

    def _next(self, options: Sequence[Key]) -> Key | None:
        for kind, name, _ in self.order:
            for option in options:
                if name == option.name or (kind == "PVC" and name.endswith(f"-{option.name}")):
                    return option
        return None

    def _mount(self, mounts: Sequence[str], options: Sequence[Key]) -> Key | None:
        for claim in mounts:
            for option in options:
                if claim == option.name or claim.startswith(option.name + "-"):
                    return option
        return None


def wishes_of_log(stages: Sequence[Mapping[str, Any]]) -> Wishes:
    """What the first run did, stage after stage."""
    wishes = Wishes()
    for stage in stages:
        for _, kind, name, changed in stage["observed"]["firstRun"]["log"]:
            if kind == "PV" and changed.get("claim") and not changed.get("added"):
                wishes.volumes.setdefault(changed["claim"].partition("/")[2], []).append(name)
            elif kind == "Pod":
                _wish_of_pod(wishes, name, changed)
            if kind in ("PVC", "Pod") and (changed.get("added") or changed.get("deleting")):
                wishes.order.append((kind, name, bool(changed.get("added"))))
    return wishes


def _wish_of_pod(wishes: Wishes, name: str, changed: Mapping[str, Any]) -> None:
    nodes = wishes.nodes.setdefault(name, [])
    if changed.get("added"):
        nodes.append(None)
        wishes.mounts.setdefault(name, []).append(changed.get("claims", ()))
    where = changed.get("node") or changed.get("nominated")
    if where:
        nodes[-1:] = [where]


_POD = re.compile(
    r"(?:pod )?(?P<name>\S+) (?P<how>ok|not ready|pending|absent)(?:@(?P<node>\S+))?(?: \[(?P<claims>.*)\])?")
_CLAIM = re.compile(r"claim (?P<name>\S+) Bound=(?P<volume>\S+)")


def wishes_of_outcome(outcomes: Sequence[str], templates: Mapping[str, Sequence[str]]) -> Wishes:
    """What one outcome says, stage after stage (`observed.full`).

    Parameters
    ----------
    templates : by set, the names of its claim templates in order.
    """
    wishes = Wishes()
    for outcome in outcomes:
        for part in re.split(r"; | \| ", outcome):
            if found := _CLAIM.match(part):
                _want(wishes.volumes, found["name"], found["volume"])
            elif (found := _POD.fullmatch(part)) is not None:
                if found["node"]:
                    _want(wishes.nodes, found["name"], found["node"])
                base = found["name"].rpartition("-")[0]
                volumes = (found["claims"] or "").split(",")
                for template, volume in zip(templates.get(base, ()), volumes, strict=False):
                    if volume not in ("none", "unbound"):
                        _want(wishes.volumes, f"{template}-{found['name']}", volume)
    return wishes


def _want(wanted: dict[str, Any], name: str, what: str) -> None:
    row = wanted.setdefault(name, [])
    if row[-1:] != [what]:
        row.append(what)


class Preferring:
    """Takes what is wished for, and draws what is not."""

    def __init__(self, wishes: Wishes, fallback: Chooser) -> None:
        self._wishes = wishes
        self._fallback = fallback

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """The wanted option, else the fallback's."""
        if len(options) == 1:
            return options[0]
        wanted = self._wishes.pick(point, about, options)
        return wanted if wanted is not None else self._fallback.choose(point, about, options, weights)

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """The fallback's."""
        return self._fallback.delay(point, about, latency)
