"""Recorded cases as scenarios: the same actions at the times at which a timed run of the case comes to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import Any

from simulator.api.core import PersistentVolume
from simulator.api.meta import Key, decode, evolve
from simulator.choices import Seeded
from simulator.exploration.ends import End
from simulator.manifests.origin import Origin
from simulator.scenario.file import Spec
from simulator.scenario.initial import Initial, from_plain, together, with_namespaces
from simulator.scenario.kubectl import Apply
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import Entry, FailNode, NeverReady
from simulator.units import SECOND, Micros
from tests.conformance.recorded_case import SPACE, in_space
from tests.conformance.recorded_outcomes import templates_of
from tests.conformance.recorded_repeated import plain
from tests.conformance.recorded_run import PROVISIONER, Stages, _meaning, _place, _provisioners, objects_of

ORIGIN = Origin("case", 1)


class CannotTell(Exception):
    """A case has an action that a timeline has no word for."""


def times_of(case: Mapping[str, Any]) -> list[Micros]:
    """When the setup and each stage begin."""
    world = Stages(case, Seeded(0))
    moments = [10 * SECOND]
    for stage in case["stages"]:
        moments.append(world.world.now)
        world.stage(stage)
    return moments


def scenario_of(case: Mapping[str, Any], stages: int) -> Scenario:
    """A case up to the end of one of its stages.

    Parameters
    ----------
    stages : so many of them.

    Raises
    ------
    CannotTell
        If it has an action that a timeline has no word for.
    """
    begins = times_of(case)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
    entries: list[Entry] = []
    for begin, actions in zip(begins, [case["setup"], *(stage["actions"] for stage in case["stages"][:stages])],
                              strict=False):
        at: Micros | None = begin
        for action in actions:
            entry = _entry(len(entries) + 1, at, action)
            if entry.actions and entries and entries[-1].actions and at is None:
                before = entries.pop()  # one client does them, one after another, without waiting in between
                entry = evolve(before, actions=before.actions + entry.actions, given=together([before.given, entry.given]))
            entries.append(entry)
            at = None
    found = sorted(set(_provisioners(case)))
    spec = {"provisioners": [
        {"name": name, "topology": "kubernetes.io/hostname"} if name == PROVISIONER else {"name": name, "absent": True}
        for name in found if not name.startswith("kubernetes.io/")
    ]}
    initial = with_namespaces(from_plain([space, *case["nodes"]], ORIGIN))
    return Scenario(name=case["id"], path="", spec=decode(spec, Spec), initial=initial, timeline=tuple(entries))


def _entry(number: int, at: Micros | None, action: Mapping[str, Any]) -> Entry:
    (name,) = set(action) - {"mayFail"}
    what = in_space(action[name])
    bare = {"number": number, "words": name, "at": at, "when": (), "may_fail": True}
    match name:
        case "sleepSeconds":
            return Entry(**bare, pause=round(what * SECOND))
        case "stopNode" | "startNode":
            return Entry(**bare, faults=(FailNode(what, name == "stopNode"),))
        case "neverReady":
            return Entry(**bare, faults=(NeverReady(tuple(Key("Pod", SPACE, pod) for pod in what)),))
        case "removeNode" | "addNode" | "provisionerFullOn" | "provisionerImmediateNode" | "taint":
            raise CannotTell(name)
        case _:
            given = Initial()
            if name == "apply":
                given = from_plain([dict(raw) for raw in what], ORIGIN, SPACE)
            return Entry(**bare, actions=_meaning(name, what, None), given=given)  # type: ignore[arg-type]
