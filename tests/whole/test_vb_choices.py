"""Where the real system can go another way (section 16): each way is taken by some run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from simulator.api.core import PersistentVolume
from simulator.api.meta import Key, Object, evolve
from simulator.cluster.faults import Calls
from simulator.controllers.protection import ProtectionController
from simulator.controllers.storage_driver import StorageDriver
from simulator.controllers.volume_binder import VolumeBinder
from simulator.flows import ListLive
from simulator.testing.builders import HOSTNAME, make_claim, make_class, make_pod, make_volume
from simulator.units import SECOND, quantity
from tests.controllers.volume_bench import Bench
from tests.whole.small_worlds import CLASSES, CSI, Played, apply, nodes, play

CONTROLLER = "persistentvolume-binder"
RANGE = {"watch": ["1ms", "200ms"], "api": ["1ms", "100ms"]}
"""Watches and calls that take their time, each its own."""


def local(name: str, node: str, storage_class: str = "wait", **fields: Any) -> Object:
    return make_volume(name, node=node, storage_class=storage_class, **fields)


def claim(name: str = "c", storage_class: str = "wait", **fields: Any) -> Object:
    return make_claim(name, storage_class=storage_class, **fields)


def pod(name: str = "p", *claims: str, **fields: Any) -> Object:
    return make_pod(name, claims=claims or ("c",), **fields)


def outcomes(question: Callable[[Played], Any], seeds: Iterable[int], *arguments: Any, **options: Any) -> set[Any]:
    """What comes out of a scenario under several seeds."""
    return {question(play(*arguments, seed=seed, **options)) for seed in seeds}


# --- ties -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB/ND-1", "VB/ND-19")
def test_any_of_equal_volumes_and_any_of_equal_nodes() -> None:
    volumes = [local(f"v{number}", f"n{number}", kind) for kind in ("now", "wait") for number in (1, 2, 3)]
    volumes = [evolve(each, metadata=evolve(each.metadata, name=f"{each.spec.storage_class_name}{each.name}"))
               for each in volumes if isinstance(each, PersistentVolume)]
    timeline = [apply(claim("a", "now"), pod("q", "a"), claim(), pod(), at="1s")]
    found = outcomes(lambda played: (played.volume_of("a"), played.volume_of("c")), range(60),
                     [*CLASSES, *nodes(3), *volumes], timeline)
    assert len({first for first, _ in found}) == len({second for _, second in found}) == 3


@pytest.mark.rule("VB/ND-2")
def test_any_of_several_volumes_reserved_for_a_claim_and_the_other_stays_reserved() -> None:
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": "c"}
    volumes = [local(f"v{number}", f"n{number}", claimRef=reference) for number in (1, 2)]

    def which(played: Played) -> str:
        bound = played.volume_of("c")
        other = played.volume({"v1": "v2", "v2": "v1"}[bound])
        assert other.status.phase == "Available" and other.spec.claim_ref is not None
        return bound

    assert outcomes(which, range(12), [*CLASSES, *nodes(2), *volumes], [apply(claim(), pod(), at="1s")]) == {"v1", "v2"}


@pytest.mark.rule("VB/ND-3")
def test_any_of_two_groups_of_equally_many_access_modes() -> None:
    volumes = [local("small", "n1", "now", capacity="2Gi", modes=("ReadWriteOnce", "ReadOnlyMany")),
               local("large", "n1", "now", capacity="9Gi", modes=("ReadWriteOnce", "ReadWriteMany"))]
    assert outcomes(lambda played: played.volume_of("c"), range(12), [*CLASSES, *nodes(1), *volumes],
                    [apply(claim(storage_class="now"), at="1s")]) == {"small", "large"}


@pytest.mark.rule("VB/ND-6")
def test_any_of_the_waiting_claims_gets_a_new_volume_at_the_resync() -> None:
    at = Bench(VolumeBinder(choose_resync_order=True), *(make_claim(name, storage_class="x") for name in "abc"))
    at.drain()
    at.put(make_volume("v", storage_class="x"))
    at.drain()
    at.choose = lambda choice: choice.options[-1]
    at.sync("resync", Key("Resync", "", ""))
    at.drain()
    assert [at.claim(name).spec.volume_name for name in "abc"] == ["", "", "v"]


# --- who is first ---------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB/ND-8", "VB-23", "VB-24")
@pytest.mark.parametrize("moment", [1, 7, 14])
def test_a_claim_waits_for_the_resync_however_near_it_is(moment: int) -> None:
    played = play([*CLASSES, *nodes(1)], [apply(claim(storage_class="now"), at="500ms"),
                                          apply(local("v", "n1", "now"), at=f"{moment}s")])
    bound, = (entry.time for entry in played.entries if entry.key.name == "c" and entry.rule == "VB-71")
    assert bound // SECOND == 15


@pytest.mark.rule("VB/ND-9")
def test_each_component_sees_a_change_in_its_own_time() -> None:
    def times(**latency: Any) -> tuple[int, int]:
        played = play([*CLASSES, *nodes(1)], [apply(claim(), pod(), at="1s")], latency=latency)
        waits = next(entry.time for entry in played.entries if entry.verb == "event" and entry.key.name == "c")
        refused = next(entry.time for entry in played.entries if entry.verb == "schedule-failed")
        return waits, refused

    first = times(watch=["1ms", "400ms"])
    assert first == times(watch=["1ms", "400ms"])
    assert first[0] < times(watch="400ms")[0] and first[1] != first[0]


@pytest.mark.rule("VB/ND-10", "VB-47")
def test_a_claim_that_is_seen_before_its_class_is_bound_at_once() -> None:
    wait = make_class("late", mode="WaitForFirstConsumer")
    found = outcomes(lambda played: played.volume_of("c"), range(40), [*nodes(2), local("v", "n2", "late")],
                     [apply(wait, claim(storage_class="late"), at="1s")], latency=RANGE, until="40s")
    assert found == {"", "v"}


@pytest.mark.rule("VB/ND-11", "VB-3")
def test_a_volume_that_is_not_available_yet_is_missed_this_time() -> None:
    def when(played: Played) -> int:
        return next(entry.time for entry in played.entries if entry.rule == "VB-71") // SECOND

    found = outcomes(when, range(40), [*CLASSES, *nodes(1)],
                     [apply(local("v", "n1", "now"), claim(storage_class="now"), at="1s")], latency=RANGE)
    assert min(found) <= 2 and max(found) == 15


@pytest.mark.rule("VB/ND-12", "VB-122")
def test_scheduler_and_controller_may_want_the_same_volume_and_one_of_them_loses() -> None:
    def winner(played: Played) -> tuple[str, str]:
        reference = played.volume("v").spec.claim_ref
        assert reference is not None
        names = {name: played.volume_of(name) for name in ("c", "named")}
        loser = "named" if reference.name == "c" else "c"
        told = played.events("p", "FailedScheduling")
        assert names[reference.name] == "v" and names[loser] == ("v" if loser == "named" else "")
        conflict = any("the object has been modified" in message for message in told)
        return reference.name, "conflict" if conflict else ""

    found = outcomes(winner, range(80), [*CLASSES, *nodes(1), local("v", "n1")],
                     [apply(claim(), at="1s"), apply(pod(), claim("named", volumeName="v"), at="2s")], latency=RANGE)
    assert {name for name, _ in found} == {"c", "named"} and ("named", "conflict") in found


@pytest.mark.rule("VB/ND-20")
@pytest.mark.parametrize(("order", "fails", "winner"), [("ab", "", "a"), ("ba", "", "b"), ("ab", "first", "b")])
def test_of_two_pods_the_first_in_the_queue_gets_the_only_volume_unless_it_has_to_back_off(
    order: str, fails: str, winner: str
) -> None:
    played = play(
        [*CLASSES, *nodes(1), local("v", "n1")],
        [apply(claim("a"), claim("b"), pod(order[0], order[0]), at="1s"), apply(pod(order[1], order[1]), at="1.5s")],
        faults=[Calls("scheduler", "update", "PersistentVolume")] if fails else (),
    )
    assert played.node_of(winner) == "n1" and played.node_of({"a": "b", "b": "a"}[winner]) == ""


@pytest.mark.rule("VB/ND-13", "VB-118", "VB-143")
def test_an_unrelated_update_between_assuming_and_writing_costs_the_pod_an_attempt() -> None:
    played = play(
        [*CLASSES, *nodes(1), local("v", "n1")],
        [apply(claim(), at="1s"), apply(pod(), at="2s"),
         {"at": "2.2s", "patch": "PersistentVolume/v", "to": {"metadata": {"labels": {"a": "b"}}}}],
        latency={"api": "100ms"},
    )
    message, = played.events("p", "FailedScheduling")
    refused = 'running PreBind plugin "VolumeBinding": Operation cannot be fulfilled on persistentvolumes "v": '
    assert message.startswith(refused)
    assert played.run.verdict == "converged"


@pytest.mark.rule("VB/ND-15")
def test_two_bindings_that_share_a_claim_write_one_after_the_other() -> None:
    played = play([*CLASSES, *nodes(1), local("v", "n1")], [apply(claim(), pod("a", "c"), pod("b", "c"), at="1s")])
    assert "the object has been modified" in played.events("b", "FailedScheduling")[0]
    assert played.run.verdict == "converged"


# --- the wait in PreBind --------------------------------------------------------------------------------------------


@pytest.mark.rule("VB/ND-17", "VB-147", "VB-152")
@pytest.mark.parametrize(("takes", "attempts"), [(598, 1), (600, 2)])
def test_a_volume_may_be_bound_just_after_the_wait_for_it_was_given_up(takes: int, attempts: int) -> None:
    played = play(
        [*CLASSES, *nodes(1)], [apply(claim(storage_class="made"), pod(), at="1s")],
        drivers={CSI: StorageDriver(topology=HOSTNAME, delay=takes * SECOND)},
    )
    assert len(played.events("p", "FailedScheduling")) == attempts - 1
    for message in played.events("p", "FailedScheduling"):
        assert message == 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
    assert played.run.verdict == "converged"


@pytest.mark.rule("VB/ND-18", "VB-150", "VB-148")
@pytest.mark.parametrize(("moment", "node", "told"), [
    (7_000, "n1", []),
    (14_300, "", ['running PreBind plugin "VolumeBinding": binding volumes: ClaimRef got reset for pv "v1"']),
])
def test_a_claim_bound_elsewhere_meanwhile_is_noticed_if_a_resync_comes_before_the_poll(
    moment: int, node: str, told: list[str]
) -> None:
    """A human names another volume in the claim while its pod waits."""
    played = play(
        [*CLASSES, *nodes(1), local("v1", "n1"), local("v2", "n2")],
        [apply(claim(), at="5s"), apply(pod(), at=f"{moment}ms"),
         {"at": f"{moment + 40}ms", "patch": "PersistentVolumeClaim/c", "to": {"spec": {"volumeName": "v2"}}}],
        latency={"work/persistentvolume-binder": "100ms"}, until=f"{moment + 1_500}ms",
    )
    assert played.volume_of("c") == "v2" and played.node_of("p") == node
    assert played.events("p", "FailedScheduling") == told


# --- provisioners ---------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB/ND-22", "VB-109")
def test_any_node_may_make_a_distributed_immediate_claim_its_own() -> None:
    now = make_class("per-node", provisioner=CSI)
    found = outcomes(lambda played: played.volume(played.volume_of("c")).spec.node_affinity, range(12),
                     [now, *nodes(2)], [apply(claim(storage_class="per-node"), at="1s")],
                     drivers={CSI: StorageDriver(topology=HOSTNAME, distributed=True)})
    assert len(found) == 2


@pytest.mark.rule("VB/ND-23", "VB-79")
@pytest.mark.parametrize(("policy", "end"), [("Delete", "gone"), ("Retain", "Available")])
def test_a_volume_that_comes_too_late_is_deleted_or_left_over(policy: str, end: str) -> None:
    late = make_class("late", provisioner=CSI, reclaimPolicy=policy)
    played = play(
        [late, *nodes(1), local("other", "n1", "unlike")],
        [apply(claim(storage_class="late"), at="1s"),
         {"at": "5s", "patch": "PersistentVolume/other", "to": {"spec": {"storageClassName": "late"}}},
         {"at": "40s", "sleep": "60s"}],
        drivers={CSI: StorageDriver(delay=30 * SECOND)},
    )
    made, = {entry.key.name for entry in played.entries if entry.key.name.startswith("pvc-")}
    assert played.volume_of("c") == "other" and played.phase("PersistentVolume", made) == end
    if end != "gone":
        reference = played.volume(made).spec.claim_ref
        assert reference is not None and reference.name == "c"


@pytest.mark.rule("VB/ND-24", "VB-138")
def test_several_pods_are_admitted_on_one_figure_and_the_second_does_not_fit() -> None:
    capacity = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {"name": "n1"},
                "storageClassName": "made", "capacity": "1Gi", "nodeTopology": {"matchLabels": {HOSTNAME: "n1"}}}
    driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": CSI},
              "spec": {"storageCapacity": True}}
    played = play(
        [*CLASSES, *nodes(1), driver, capacity],
        [apply(claim("a", "made"), claim("b", "made"), pod("p", "a"), pod("q", "b"), at="1s")],
        drivers={CSI: StorageDriver(topology=HOSTNAME, capacity={"n1": quantity("1Gi")})}, until="60s",
    )
    assert played.node_of("p") == "n1" and played.node_of("q") == ""
    assert any("ResourceExhausted" in message for message in played.events("b", "ProvisioningFailed"))


# --- the end of claims ----------------------------------------------------------------------------------------------


@pytest.mark.rule("VB/ND-26", "VB-91")
def test_an_operation_reads_the_state_again_before_it_deletes() -> None:
    gone = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default", "name": "x", "uid": "uid-x"}
    volume = evolve(make_volume("v", claimRef=gone, persistentVolumeReclaimPolicy="Delete", csi=None,
                                hostPath={"path": "/tmp/v"}), status=evolve(make_volume("v").status, phase="Released"))

    def run(meanwhile: bool) -> Bench:
        at = Bench(VolumeBinder(), volume)

        def before(intent: Any) -> None:
            if meanwhile and type(intent).__name__ == "Get" and at.volume("v").spec.claim_ref is not None:
                at.edit(at.volume("v"), claim_ref=None)

        at.before = before
        at.sync("volumes", volume)
        return at

    assert run(False).store.get(PersistentVolume, "v") is None
    assert run(True).store.get(PersistentVolume, "v") is not None


@pytest.mark.rule("VB/ND-27", "VB-169")
def test_a_pod_may_be_scheduled_between_the_last_look_and_the_removal_of_the_finalizer() -> None:
    doomed = make_claim("c", uid="uid-c")
    doomed = evolve(doomed, metadata=evolve(doomed.metadata, deletion_timestamp=0,
                                            finalizers=("kubernetes.io/pvc-protection",)))
    at = Bench(ProtectionController(), doomed, make_pod("p", claims=("c",)))
    listed: list[Any] = []

    def before(intent: Any) -> None:
        if listed and not isinstance(intent, ListLive):
            at.edit(make_pod("p"), node_name="n1")
            listed.clear()
        elif isinstance(intent, ListLive):
            listed.append(intent)

    at.before = before
    at.drain()
    assert at.store.find(doomed.key) is None
    found: Any = at.store.find(make_pod("p").key)
    assert found.spec.node_name == "n1", "a pod on a node whose claim is gone"


@pytest.mark.rule("VB/ND-28", "VB-83")
def test_a_claim_made_again_under_the_same_name_leaves_its_old_volume_behind() -> None:
    played = play(
        [*CLASSES, *nodes(1), local("v1", "n1", "now"), local("v2", "n1", "now", capacity="20Gi")],
        [apply(claim(storage_class="now"), at="1s"), {"at": "5s", "delete": "PersistentVolumeClaim/c"},
         apply(claim(storage_class="now"), when="PersistentVolumeClaim/c is gone")],
    )
    assert played.volume_of("c") == "v2" and played.phase("PersistentVolume", "v1") == "Released"


# --- restarts -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB/ND-31", "VB-121")
def test_a_restarted_scheduler_leaves_a_reserved_volume_behind_and_comes_back_to_it() -> None:
    played = play(
        [*CLASSES, *nodes(2), local("v1", "n1"), local("v2", "n2")],
        [apply(claim(), pod(), at="1s"), {"at": "1.5s", "restart": "scheduler"}],
    )
    then = played.before(2)
    assert then.pod("p").status.nominated_node_name and not then.node_of("p")
    reserved = {name: then.volume(name).spec.claim_ref for name in ("v1", "v2")}
    volume, = (name for name, reference in reserved.items() if reference is not None)
    assert played.volume_of("c") == volume and played.node_of("p") == volume.replace("v", "n")
    assert played.run.verdict == "converged"


@pytest.mark.rule("VB/ND-31", "VB-23", "VB-70")
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_restarted_controller_finishes_what_it_had_half_done(writes: int) -> None:
    played = play(
        [*CLASSES, *nodes(1), local("v", "n1", "now")],
        [apply(claim(storage_class="now"), at="1s"), {"at": f"{1150 + 100 * writes}ms", "restart": CONTROLLER}],
        latency={"api": "100ms"},
    )
    moment = (1150 + 100 * writes) * SECOND // 1000
    done = [entry for entry in played.entries if entry.actor == CONTROLLER and entry.new is not None]
    assert len([entry for entry in done if entry.time < moment]) == writes
    assert played.phase("PersistentVolumeClaim", "c") == played.phase("PersistentVolume", "v") == "Bound"
    assert played.run.verdict == "converged"
