"""Recorded cases as scenarios, and recorded outcomes as what an end must say.

The actions come at the times at which a timed run of the case comes to them. What a client does without waiting in
between is one entry of the timeline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.api.meta import Key, evolve
from simulator.choices import Seeded
from simulator.exploration.ends import End
from simulator.manifests.origin import Origin
from simulator.scenario.file import Provisioner, Spec
from simulator.scenario.initial import Initial, from_plain, together, with_namespaces
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import Entry, FailNode, NeverReady
from simulator.units import SECOND, Micros
from tests.conformance.recorded_case import SPACE, in_space
from tests.conformance.recorded_repeated import LOOSE, plain
from tests.conformance.recorded_run import PROVISIONER, Stages, _meaning, _provisioners

ORIGIN = Origin("case", 1)
NO_WORDS = frozenset({"removeNode", "addNode", "provisionerFullOn", "provisionerImmediateNode", "taint"})
"""Actions that a timeline cannot express as the recordings mean them."""


class CannotTell(Exception):
    """A case has an action that a timeline has no words for."""


def times_of(case: Mapping[str, Any]) -> list[Micros]:
    """When the setup and each stage begin."""
    stages = Stages(case, Seeded(0))
    moments = [10 * SECOND]
    for stage in case["stages"]:
        moments.append(stages.world.now)
        stages.stage(stage)
    return moments


def scenario_of(case: Mapping[str, Any], begins: Sequence[Micros], stages: int) -> Scenario:
    """A case up to the end of one of its stages.

    Parameters
    ----------
    begins : as `times_of` gives them.
    stages : so many of them.

    Raises
    ------
    CannotTell
        If it has an action that a timeline has no words for.
    """
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
    entries: list[Entry] = []
    batches = [case["setup"], *(stage["actions"] for stage in case["stages"][:stages])]
    for begin, actions in zip(begins, batches, strict=False):
        at: Micros | None = begin
        for action in actions:
            entry = _entry(len(entries) + 1, at, action)
            if at is None and entry.actions and entries[-1].actions:
                before = entries.pop()
                entry = evolve(
                    before, actions=before.actions + entry.actions, given=together([before.given, entry.given]))
            entries.append(entry)
            at = None
    provisioners = tuple(
        Provisioner(name=name, topology="kubernetes.io/hostname") if name == PROVISIONER
        else Provisioner(name=name, absent=True)
        for name in _provisioners(case) if not name.startswith("kubernetes.io/")
    )
    return Scenario(
        name=case["id"], path="", spec=Spec(provisioners=provisioners),
        initial=with_namespaces(from_plain([space, *case["nodes"]], ORIGIN)), timeline=tuple(entries),
    )


def _entry(number: int, at: Micros | None, action: Mapping[str, Any]) -> Entry:
    (name,) = set(action) - {"mayFail"}
    what = in_space(action[name])
    bare = Entry(number, name, at, (), may_fail=True)
    if name in NO_WORDS:
        raise CannotTell(name)
    match name:
        case "sleepSeconds":
            return evolve(bare, pause=round(what * SECOND))
        case "stopNode" | "startNode":
            return evolve(bare, faults=(FailNode(what, name == "stopNode"),))
        case "neverReady":
            return evolve(bare, faults=(NeverReady(tuple(Key("Pod", SPACE, pod) for pod in what)),))
        case _:
            given = from_plain([dict(raw) for raw in what], ORIGIN, SPACE) if name == "apply" else Initial()
            return evolve(bare, actions=_meaning(name, what, None), given=given)  # type: ignore[arg-type]


# --- outcomes -------------------------------------------------------------------------------------------------------

_POD = re.compile(
    r"(?:pod )?(?P<name>\S+) (?P<how>ok|not ready|pending|absent)(?:@(?P<node>\S+))?(?: \[(?P<claims>.*)\])?")
_CLAIM = re.compile(r"claim (?P<name>\S+) (?P<phase>\w+)(?:=(?P<volume>\S+))?(?P<rest>.*)")
_PROVISIONED = re.compile(r"pvc-.*")

Facts = dict[str, str]
"""Pod → its node, claim → its volume; "" for none."""


def facts_of(outcome: str, templates: Mapping[str, Sequence[str]]) -> Facts:
    """What an outcome of `observed.full` says of where pods and claims are.

    Parameters
    ----------
    templates : by set, the names of its claim templates in order.
    """
    found: Facts = {}
    for part in re.split(r"; | \| ", plain(outcome)) if outcome else ():
        if part.startswith("claim "):
            claim = _CLAIM.fullmatch(part)
            assert claim is not None, part
            found[f"claim {claim['name']}"] = claim["volume"] or ""
            continue
        pod = _POD.fullmatch(part)
        assert pod is not None, part
        found[f"pod {pod['name']}"] = pod["node"] or ""
        base = pod["name"].rpartition("-")[0]
        for template, volume in zip(templates.get(base, ()), (pod["claims"] or "").split(","), strict=False):
            found[f"claim {template}-{pod['name']}"] = "" if volume in ("none", "unbound") else volume
    return found


def says(end: End, outcome: str, templates: Mapping[str, Sequence[str]]) -> bool:
    """Whether an end is what an outcome says; some recordings leave out what is not of a set."""
    wanted = facts_of(outcome, templates)
    found = {f"pod {key.rpartition('/')[2]}": node for key, node in end.placements.items()}
    found |= {
        f"claim {key.rpartition('/')[2]}": _PROVISIONED.sub("pvc-uid", volume) for key, volume in end.bindings.items()}
    if any(part.startswith(LOOSE) for part in outcome.split(" | ")):
        return {name: place for name, place in wanted.items() if place} == found
    return all(found.get(name, "") == place for name, place in wanted.items())
