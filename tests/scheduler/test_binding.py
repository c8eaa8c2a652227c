"""The binding cycle, driven by hand: what it writes, what it waits for, and what is left when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, evolve, with_annotations, with_meta
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE
from simulator.flows import DONE, TIMED_OUT, Bind, Patch, Poll, Refused, Update
from simulator.scheduler.binding import BOUND
from simulator.scheduler.failure import with_nomination, with_outcome
from simulator.scheduler.memory import Cancelled
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import SECOND
from tests.scheduler.bench import Bench, Running

POD = Key("Pod", "default", "web-0")
CONFLICT = Refused("Conflict", 409, "the object has been modified; please apply your changes to the latest version")


class Cluster(Bench):
    """One node, and a pod with claims, one of them without a class of its own where none is named."""

    def __init__(self, *claims: str, volumes: tuple[str, ...] = (), **pod: Any) -> None:
        super().__init__(
            make_class("local", mode="WaitForFirstConsumer"),
            make_class("made", mode="WaitForFirstConsumer", provisioner="csi.example.com"),
            make_node("node-1"),
            *(make_volume(name, node="node-1", storage_class="local", phase="Available") for name in volumes),
            *(make_claim(name, storage_class="made" if name.startswith("new") else "local") for name in claims),
        )
        self.pod = self.put(make_pod("web-0", claims=claims, **pod))

    def start(self) -> Running:
        """Schedule the pod and start its binding cycle."""
        cycle = self.cycle()
        while cycle.intent is not None:
            cycle.answer(cycle.intent.options[0])
        return self.run_spawned()

    def write(self, flow: Running) -> Any:
        """Let the write that the flow asks for succeed; returns the next intent."""
        intent = flow.intent
        if isinstance(intent, Patch):
            stored: Any = self.store.find(intent.key)
            return flow.answer(self.put(intent.edit(stored, *intent.args)))
        return flow.answer(self.put(intent.obj))

    def up_to_wait(self) -> Running:
        """A binding cycle that has written everything and waits."""
        flow = self.start()
        while not isinstance(flow.intent, Poll):
            self.write(flow)
        return flow

    def finish_claim(self, name: str, volume: str) -> PersistentVolumeClaim:
        """What the volume controller does in the end."""
        claim: Any = self.store.find(Key("PersistentVolumeClaim", "default", name))
        claim = with_annotations(claim, {BIND_COMPLETED: "yes"})
        return self.put(evolve(claim, spec=evolve(claim.spec, volume_name=volume)))

    def check(self, flow: Running) -> Any:
        """What the wait is told now."""
        return self.scheduler.check(flow.intent, self.view())  # type: ignore[arg-type]


@pytest.mark.rule("SC-102")
@pytest.mark.rule("SC-103")
@pytest.mark.rule("SC-128")
def test_a_pod_without_unbound_claims_is_bound_with_one_call() -> None:
    at = Cluster()
    flow = at.start()
    assert flow.intent == Bind(POD, "uid-web-0", "node-1", rule="SC-103")
    assert not at.memory.queue.in_flight
    assert flow.answer(at.pod) is None and flow.outcome == DONE
    event = at.events[0]
    assert (event.type, event.reason, event.message, event.source) == (
        "Normal", "Scheduled", "Successfully assigned default/web-0 to node-1", "default-scheduler")


@pytest.mark.rule("SC-101")
@pytest.mark.rule("VB-142")
@pytest.mark.rule("VB-146")
def test_volumes_are_written_before_claims_each_on_the_version_that_was_seen() -> None:
    at = Cluster("new-1", "data", volumes=("pv-1",))
    flow = at.start()
    assert isinstance(flow.intent, Patch) and flow.intent.edit is with_nomination
    assert flow.intent.args == ("node-1",) and flow.intent.subresource == "status"
    assert "uid-web-0" in at.memory.queue.in_flight
    stored = at.store.get(PersistentVolume, "pv-1")
    intent = at.write(flow)
    assert isinstance(intent, Update) and stored is not None and "uid-web-0" not in at.memory.queue.in_flight
    volume = intent.obj
    assert isinstance(volume, PersistentVolume) and volume.spec.claim_ref is not None
    assert volume.metadata.resource_version == stored.metadata.resource_version
    assert (volume.spec.claim_ref.name, volume.spec.claim_ref.uid) == ("data", "uid-data")
    assert volume.metadata.annotations == {BOUND_BY_CONTROLLER: "yes"}
    intent = at.write(flow)
    assert intent.obj.metadata.name == "new-1" and intent.obj.metadata.annotations == {SELECTED_NODE: "node-1"}
    intent = at.write(flow)
    assert isinstance(intent, Poll) and (intent.every, intent.deadline) == (SECOND, 600 * SECOND)  # VB-147


@pytest.mark.rule("VB-145")
def test_a_refused_nomination_does_not_stop_the_binding() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.start()
    assert isinstance(flow.answer(CONFLICT), Update)


@pytest.mark.rule("VB-148")
@pytest.mark.rule("VB-150")
def test_the_wait_ends_when_claims_are_bound_be_it_to_another_volume() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.up_to_wait()
    assert at.check(flow) is None
    at.finish_claim("data", "another")
    assert at.check(flow) == BOUND
    assert flow.answer(BOUND) == Bind(POD, "uid-web-0", "node-1", rule="SC-103")
    assert not at.memory.prebinding


@pytest.mark.rule("VB-148")
def test_a_volume_older_than_what_was_written_is_waited_for() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.start()
    at.write(flow)
    written = flow.intent.obj
    flow.answer(with_meta(written, resource_version=1000))
    at.finish_claim("data", "pv-1")
    assert at.check(flow) is None
    at.store.version = 1000
    at.put(written)
    assert at.check(flow) == BOUND


@pytest.mark.rule("VB-148")
def test_what_ends_the_wait_for_a_volume_with_an_error() -> None:
    def after(change: Any) -> str:
        at = Cluster("data", volumes=("pv-1",))
        flow = at.up_to_wait()
        volume: Any = at.store.find(Key("PersistentVolume", "", "pv-1"))
        change(at, volume)
        found: str = at.check(flow)
        return found

    moved = make_volume("pv-1", node="node-2")
    assert after(lambda at, volume: at.remove(make_node("node-1"))) == (
        'binding volumes: failed to get node "node-1": node "node-1" not found')
    assert after(lambda at, volume: at.remove(at.pod)) == (
        'binding volumes: pod does not exist any more: pod "web-0" not found')
    assert after(lambda at, volume: at.remove(volume)) == (
        'binding volumes: failed to check binding: persistentvolumes "pv-1" not found')
    assert after(lambda at, volume: at.remove(make_claim("data"))) == (
        'binding volumes: failed to check binding: persistentvolumeclaims "default/data" not found')
    assert after(lambda at, volume: at.put(evolve(volume, spec=evolve(
        volume.spec, node_affinity=moved.spec.node_affinity)))) == (
        'binding volumes: pv "pv-1" node affinity doesn\'t match node "node-1": no matching NodeSelectorTerms')
    assert after(lambda at, volume: at.put(evolve(volume, spec=evolve(volume.spec, claim_ref=None)))) == (
        'binding volumes: ClaimRef got reset for pv "pv-1"')


@pytest.mark.rule("VB-151")
def test_a_pod_of_the_same_name_keeps_the_old_wait_alive() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.up_to_wait()
    at.remove(at.pod)
    at.put(make_pod("web-0", uid="another", claims=("data",)))
    assert at.check(flow) is None


@pytest.mark.rule("VB-149")
def test_a_provisioned_claim_is_waited_for_until_its_volume_is_seen_and_bound() -> None:
    at = Cluster("new-1")
    flow = at.up_to_wait()
    assert at.check(flow) is None
    at.finish_claim("new-1", "pv-new")
    assert at.check(flow) is None
    at.put(make_volume("pv-new", node="node-1"))
    assert at.check(flow) == BOUND
    at.put(make_volume("pv-new", node="node-2"))
    assert at.check(flow) == (
        'binding volumes: pv "pv-new" node affinity doesn\'t match node "node-1": no matching NodeSelectorTerms')


@pytest.mark.rule("VB-149")
def test_what_ends_the_wait_for_a_provisioned_claim_with_an_error() -> None:
    def after(annotations: dict[str, str | None]) -> Any:
        at = Cluster("new-1")
        flow = at.up_to_wait()
        claim: Any = at.store.find(Key("PersistentVolumeClaim", "default", "new-1"))
        at.put(with_annotations(claim, annotations))
        return at.check(flow)

    assert after({SELECTED_NODE: None}) == 'binding volumes: selectedNode annotation reset for PVC "new-1"'
    assert after({SELECTED_NODE: None, "a": "b"}) == 'binding volumes: provisioning failed for PVC "new-1"'
    assert after({SELECTED_NODE: "node-2"}) == 'binding volumes: provisioning failed for PVC "new-1"'
    at = Cluster("new-1")
    flow = at.up_to_wait()
    at.remove(make_claim("new-1"))
    assert at.check(flow) == (
        'binding volumes: failed to check provisioning pvc: persistentvolumeclaims "default/new-1" not found')


# --- failures -------------------------------------------------------------------------------------------------------


def message_of(at: Cluster) -> str:
    """The message of the failure that was spawned, carried out up to its patch."""
    give_up = at.run_spawned()
    assert isinstance(give_up.intent, Patch) and give_up.intent.edit is with_outcome
    condition, nominated, _ = give_up.intent.args
    assert (condition.status, condition.reason, nominated) == ("False", "SchedulerError", "")
    assert at.events[-1].message == condition.message and at.events[-1].reason == "FailedScheduling"
    message: str = condition.message
    return message


@pytest.mark.rule("VB-146")
@pytest.mark.rule("VB-153")
@pytest.mark.rule("VB-154")
@pytest.mark.rule("SC-105")
@pytest.mark.rule("SC-106")
def test_a_refused_second_write_leaves_the_first_in_place_and_backs_off() -> None:
    at = Cluster("a", "b", volumes=("pv-1", "pv-2"))
    flow = at.start()
    at.write(flow)
    first = flow.intent.obj.metadata.name
    at.write(flow)
    assert flow.intent.obj.metadata.name != first
    assert flow.answer(CONFLICT) is None and flow.outcome == DONE
    assert message_of(at) == f'running PreBind plugin "VolumeBinding": {CONFLICT.message}'
    assert not at.memory.assumptions.objects and not at.memory.prebinding
    assert at.memory.cache.nodes()[0].pods == ()
    written = at.store.get(PersistentVolume, first)
    assert written is not None and written.spec.claim_ref is not None
    assert POD in at.memory.queue.error_backoff


@pytest.mark.rule("VB-144")
@pytest.mark.rule("VB-119")
def test_giving_up_before_the_watch_shows_the_write_keeps_the_written_assumption() -> None:
    at = Cluster("a", "b", volumes=("pv-1", "pv-2"))
    flow = at.start()
    at.write(flow)
    flow.answer(with_meta(flow.intent.obj, resource_version=1000))
    flow.answer(CONFLICT)
    message_of(at)
    assert list(at.memory.assumptions.objects) == [Key("PersistentVolume", "", "pv-1")]


@pytest.mark.rule("VB-152")
def test_a_wait_that_is_too_long() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.up_to_wait()
    flow.answer(TIMED_OUT)
    assert message_of(at) == 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'


@pytest.mark.rule("SC-105")
def test_a_refused_binding() -> None:
    at = Cluster()
    flow = at.start()
    flow.answer(Refused("Conflict", 409, 'pod web-0 is already assigned to node "node-2"'))
    give_up = at.run_spawned()
    text = 'running Bind plugin "DefaultBinder": pod web-0 is already assigned to node "node-2"'
    assert at.events[-1].message == text and isinstance(give_up.intent, Patch)


@pytest.mark.rule("SC-106")
def test_a_failed_binding_wakes_those_who_wait_for_room_and_then_the_pod_itself_backs_off() -> None:
    at = Cluster(cpu="8")
    waiting = at.put(make_pod("web-1", cpu="1"))
    flow = at.start()
    at.cycle().answer(waiting)
    assert waiting.key in at.memory.queue.unschedulable
    flow.answer(Refused("Forbidden", 403, "no"))
    at.run_spawned()
    assert waiting.key not in at.memory.queue.unschedulable
    assert POD in at.memory.queue.error_backoff


@pytest.mark.rule("VB-157")
def test_a_dropped_assumption_wakes_nobody_who_waits_for_a_volume() -> None:
    at = Cluster("data", volumes=("pv-1",))
    at.put(make_claim("other", storage_class="local"))
    waiting = at.put(make_pod("web-1", claims=("other",)))
    flow = at.start()
    at.cycle().answer(waiting)
    at.write(flow)
    flow.answer(CONFLICT)
    at.run_spawned()
    assert waiting.key in at.memory.queue.unschedulable and not at.memory.assumptions.objects


@pytest.mark.rule("SC-24")
def test_a_pod_deleted_while_it_is_bound_fails_by_itself_and_is_not_put_back() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.up_to_wait()
    at.remove(at.pod)
    assert at.memory.cache.nodes()[0].pods == ()
    flow.answer(at.check(flow))
    at.run_spawned()
    assert at.memory.queue.find(POD) is None and not at.memory.queue.in_flight


@pytest.mark.rule("SC-113")
@pytest.mark.rule("VB-152")
def test_a_preemptor_cancels_a_wait_in_memory() -> None:
    at = Cluster("data", volumes=("pv-1",), cpu="8")
    flow = at.up_to_wait()
    high = at.put(make_pod("high", cpu="8", priority=10))
    at.cycle().answer(high)
    eviction = at.run_spawned()
    assert eviction.outcome == DONE
    assert at.events[-1].message == "Preempted by pod uid-high on node node-1 (in kube-scheduler memory)."
    flow.answer(at.check(flow))
    assert message_of(at) == 'running PreBind plugin "VolumeBinding": preempted by DefaultPreemption'
    head = at.memory.queue.head(0)
    assert head is not None and head.pod.name == "high"


def test_cancelling_comes_too_late_for_a_pod_whose_volumes_are_bound() -> None:
    at = Cluster("data", volumes=("pv-1",))
    flow = at.up_to_wait()
    at.finish_claim("data", "pv-1")
    flow.answer(at.check(flow))
    at.scheduler.remember(at.memory, Cancelled("uid-web-0"), 0)
    assert isinstance(flow.intent, Bind) and not at.memory.prebinding


@pytest.mark.rule("SC-108")
def test_the_retry_is_confined_to_the_volume_that_was_written() -> None:
    at = Cluster("data", volumes=("pv-1", "pv-2"))
    flow = at.start()
    at.write(flow)
    written = flow.intent.obj.metadata.name
    at.write(flow)
    flow.answer(TIMED_OUT)
    at.write(at.run_spawned())
    pod = at.store.get(Pod, "web-0", "default")
    assert pod is not None and pod.status.nominated_node_name == ""
    at.now = 3 * SECOND
    again = at.start()
    assert isinstance(again.intent, Patch)
    at.write(again)
    assert again.intent.obj.metadata.name == written
