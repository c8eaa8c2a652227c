"""The controller in a world of its own, against what the real control plane was seen to do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from simulator.api.apps import StatefulSet, StatefulSetStatus
from simulator.api.core import Condition, Namespace, Pod
from simulator.api.meta import Key, ObjectMeta, decode, encode, evolve
from simulator.choices import Seeded
from simulator.cluster.component import Change, View
from simulator.cluster.world import World
from simulator.controllers.statefulset import StatefulSetController
from simulator.drivers.timed import Timed
from simulator.eventlog import LogEntry, apply_patch
from simulator.flows import DONE, Bind, Create, Delete, Enqueue, Flow, Patch, Refused, Sleep, Told, Update
from simulator.testing.builders import make_node
from simulator.units import MILLISECOND, SECOND, Micros

RECORDED = Path(__file__).parent.parent / "conformance" / "recorded"
WEB = Key("StatefulSet", "ns", "web")


def with_status(pod: Pod, phase: str, ready: bool, now: Micros) -> Pod:
    """The edit of the stand-in kubelet."""
    conditions = (Condition(type="Ready", status="True", last_transition_time=now),) if ready else ()
    return evolve(pod, status=evolve(pod.status, phase=phase, conditions=conditions))


class StandIn:
    """Scheduler and kubelet in one, as slow as those of the recorded runs; some pods find no node."""

    name = "kubelet"
    queues = {"pods": 10}  # noqa: RUF012
    watches = frozenset({"Pod"})
    periodics = ()

    def new_memory(self) -> None:
        return None

    def remember(self, memory: Any, what: Any, now: Micros) -> None:
        return None

    def check(self, poll: Any, view: View) -> Any:
        return None

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        return [Enqueue("pods", change.key)] if change.new is not None else []

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        pod = view.get(Pod, key.name, key.namespace)
        if pod is None:
            return DONE
        uid = pod.metadata.uid
        if pod.metadata.is_terminating:
            if not pod.is_finished:
                yield Sleep("", 100 * MILLISECOND)
                yield Patch(key, with_status, ("Succeeded", False, view.now), "status", uid)
                yield Sleep("", 10 * MILLISECOND)
            yield Delete(key, uid=uid, grace=0)
        elif not pod.spec.node_name:
            if not pod.spec.node_selector and pod.name != "web-3":
                yield Bind(key, uid, "node1")
        elif pod.status.phase == "Pending":
            yield Sleep("", 120 * MILLISECOND)
            yield Patch(key, with_status, ("Running", True, view.now), "status", uid)
        return DONE


def act(world: World, action: dict[str, Any]) -> None:
    """What the recorded user did."""
    stored = world.store.find(WEB)
    match action:
        case {"apply": [manifest]}:
            answer = world.api.handle(Create(decode({**manifest, "metadata": {"name": "web", "namespace": "ns"}},
                                                    StatefulSet)), world.now)
        case {"scale": {"replicas": replicas}}:
            answer = world.api.handle(Update(patched(stored, {"spec": {"replicas": replicas}})), world.now)
        case {"patch": {"patch": patch, **rest}}:
            if rest.get("type") == "strategic":
                containers = encode(stored)["spec"]["template"]["spec"]["containers"]
                patch["spec"]["template"]["spec"]["containers"] = [
                    {**containers[0], **patch["spec"]["template"]["spec"]["containers"][0]}]
            answer = world.api.handle(Update(patched(stored, patch)), world.now)
        case {"delete": {"kind": "Pod", "name": name}}:
            answer = world.api.handle(Delete(Key("Pod", "ns", name)), world.now)
        case _:
            raise AssertionError(f"unexpected {action}")
    assert not isinstance(answer, Refused) or action.get("mayFail"), answer


def patched(stored: Any, patch: dict[str, Any]) -> StatefulSet:
    return decode(apply_patch(encode(stored), patch), StatefulSet)


def in_words(status: StatefulSetStatus) -> str:
    """A status as the recorder printed it."""
    return (f"replicas={status.replicas} ready={status.ready_replicas} available={status.available_replicas} "
            f"current={status.current_replicas} updated={status.updated_replicas}")


def simulated(entries: list[LogEntry]) -> tuple[list[str], list[str], set[str]]:
    """The set's statuses, the pods that came and went, and the set's events, in a part of a log."""
    statuses, pods, events = [], [], set()
    for entry in entries:
        if entry.verb == "event":
            assert entry.detail is not None
            events.add(f"{entry.detail['reason']} {entry.detail['message']}")
        elif entry.key.kind == "Pod" and entry.verb in ("create", "remove"):
            pods.append(f"{entry.key.name} {entry.verb}")
        elif isinstance(entry.new, StatefulSet) and isinstance(entry.old, StatefulSet):
            status = in_words(entry.new.status)
            if status != in_words(entry.old.status):
                statuses.append(status)
    return statuses, pods, events


def observed(run: dict[str, Any]) -> tuple[list[str], list[str], set[str]]:
    """The same of a stage of a recorded run."""
    sets = [fields for _, kind, _, fields in run["log"] if kind == "STS"]
    statuses = [fields["status"] for fields in sets if fields.get("status") and "added" not in fields]
    pods = [f"{name} {'create' if 'added' in fields else 'remove'}" for _, kind, name, fields in run["log"]
            if kind == "Pod" and ("added" in fields or "deleted" in fields)]
    events = {f"{reason} {message}" for reason, _, about, message, *_ in run["events"] if about.startswith("STS/")}
    return statuses, pods, events


@pytest.mark.rule("WL-34")
@pytest.mark.rule("WL-69")
@pytest.mark.rule("WL-168")
@pytest.mark.parametrize("name", ["07a-scale", "17-rolling-update"])
def test_statuses_pods_and_events_come_as_they_were_recorded(name: str) -> None:
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    world = World((StatefulSetController(), StandIn()), Seeded(1))
    assert world.load([Namespace(metadata=ObjectMeta(name="ns")), make_node("node1")]) == []
    timed = Timed(world)
    for number, stage in enumerate(recorded["stages"]):
        seen = len(world.log.entries)
        for action in stage["actions"]:
            act(world, action)
        timed.run(world.now + 60 * SECOND, lambda: False)
        assert simulated(world.log.entries[seen:]) == observed(stage["observed"]["firstRun"]), f"stage {number}"
