"""The known ways to get stuck (section 17): what the user sees, that nothing moves any more, and what unblocks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec import Struct

from simulator.api.core import PersistentVolumeClaim
from simulator.api.meta import Object, evolve, with_annotations, with_meta
from simulator.binding.names import PROTECTS_ASSET, PROVISIONED_BY, SELECTED_NODE
from simulator.choices import Scripted
from simulator.cluster.faults import Calls
from simulator.controllers.storage_driver import StorageDriver
from simulator.testing.builders import apart, make_claim, make_class, make_node, make_pod, make_set, make_volume
from simulator.units import SECOND, quantity
from tests.whole.small_worlds import CLASSES, CSI, HOSTNAME, STUCK, apply, nodes, plain, play, reasons_of, release

NA = "node(s) didn't match PersistentVolume's node affinity"
NB = "node(s) didn't find available persistent volumes to bind"
UI = "pod has unbound immediate PersistentVolumeClaims"
APART = "node(s) didn't match pod anti-affinity rules"
IN_USE = "unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
WAITS = "waiting for first consumer to be created before binding"
TIMED_OUT = "binding volumes: context deadline exceeded"

Steps = Sequence[Mapping[str, Any]]
Objects = Sequence[Object | Mapping[str, Any]]


def local(name: str, node: str, size: str = "10Gi", storage_class: str = "wait", **fields: Any) -> Object:
    return make_volume(name, node=node, capacity=size, storage_class=storage_class, **fields)


def claim(name: str = "c", size: str = "1Gi", storage_class: str | None = "wait", **fields: Any) -> Object:
    return make_claim(name, request=size, storage_class=storage_class, **fields)


def pod(name: str = "p", *claims: str, **fields: Any) -> Object:
    return make_pod(name, claims=claims or ("c",), **fields)


def reference(name: str) -> dict[str, str]:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": name}


def used(*entries: Mapping[str, Any]) -> Steps:
    """A claim and its pod, which run; then other things happen."""
    return [apply(claim(), pod(), at="1s"), {"when": "Pod/p is ready", "sleep": "1s"}, *entries]


def restart(*before: Mapping[str, Any]) -> Steps:
    """The pod runs; something happens; it is made again."""
    return used(*before, {"delete": "Pod/p"}, apply(pod(), when="Pod/p is gone"))


NEW_CLAIM: Steps = [
    {"delete": "Pod/p"}, {"when": "Pod/p is gone", "delete": "PersistentVolumeClaim/c"},
    {"when": "PersistentVolumeClaim/c is gone", "sleep": "1s"}, apply(claim(), pod()),
]
"""A claim and its pod are deleted and made again."""


class Case(Struct, frozen=True, kw_only=True):
    """One way to get stuck.

    Attributes
    ----------
    name : the row of the table, and which of its variants.
    given : objects that are there from the beginning.
    steps : what is done then.
    refused : pod → why, as it was told last when nothing moved any more.
    told : (object, reason, message) of other events.
    phases : (kind, name, phase) when nothing moved any more.
    way_out : the exit that the table names; all is well afterwards.
    """

    name: str
    given: Objects
    steps: Steps
    refused: Mapping[str, str] = {}
    told: Sequence[tuple[str, str, str]] = ()
    phases: Sequence[tuple[str, str, str]] = ()
    way_out: Steps
    drivers: Mapping[str, StorageDriver] = {}
    faults: Sequence[Calls] = ()
    ties: str = "first"
    latency: Mapping[str, str] = {}


DEFAULT = with_annotations(make_class("std", provisioner=CSI), {"storageclass.kubernetes.io/is-default-class": "true"})
NOWHERE = [{"matchLabelExpressions": [{"key": HOSTNAME, "values": ["n9"]}]}]
HERE = [{"matchLabelExpressions": [{"key": HOSTNAME, "values": ["n1"]}]}]
SIMPLE: Steps = [apply(claim(), pod(), at="1s")]
AT_ONCE: Steps = [apply(claim(storage_class="now"), pod(), at="1s")]
MATCHES_NO_PLUGIN = "no volume plugin matched name: kubernetes.io/no-provisioner"
NO_CLASS = "no persistent volumes available for this claim and no storage class is set"


def mismatch(reason: str) -> tuple[str, str, str]:
    return "c", "VolumeMismatch", f'Cannot bind to requested volume "v1": {reason}'


CASES = [
    Case(
        name="S-1",
        given=[local("v1", "n1", "5Gi", "now"), local("v2", "n1", "6Gi", "now"), local("v3", "n2", "50Gi", "now")],
        steps=[apply(make_set("web", replicas=2, storage_class="now"), at="1s")],
        refused={"web-1": f"1 {NA}, 1 {APART}"}, phases=[("PersistentVolumeClaim", "data-web-1", "Bound")],
        way_out=[{"delete": "PersistentVolumeClaim/data-web-1"}, {"delete": "Pod/web-1"}],
    ),
    Case(
        name="S-2",
        given=[local("v1", "n1", "5Gi", "now"), local("v2", "n2", "10Gi", "now"), local("v3", "n2", "20Gi", "now")],
        steps=[apply(claim("a", "1Gi", "now"), claim("b", "8Gi", "now"), pod("p", "a", "b"), at="1s")],
        refused={"p": f"2 {NA}"},
        way_out=[{"delete": "PersistentVolumeClaim/a"},
                 apply(claim("a", "1Gi", "now"), when="PersistentVolumeClaim/a is gone")],
    ),
    Case(
        name="S-3", given=[local("v1", "n1", "5Gi"), local("v2", "n1")],
        steps=[apply(claim("a"), claim("b", "8Gi"), pod("p", "a", "b"), at="1s"),
               apply(claim("d", "8Gi"), pod("q", "d"), at="1.2s")],
        faults=[Calls("scheduler", "update", "PersistentVolume", name="v2")],
        refused={"p": f"1 {NA}, 2 {NB}"},
        told=[("p", "FailedScheduling", 'running PreBind plugin "VolumeBinding": etcdserver: request timed out')],
        phases=[("PersistentVolumeClaim", "a", "Bound"), ("PersistentVolumeClaim", "b", "Pending"),
                ("Pod", "q", "Running")],
        way_out=[apply(local("v3", "n1"))],
    ),
    Case(
        name="S-4", given=[local("v1", "n1")],
        steps=[apply(claim(), pod(nodeName="n1"), at="1s")],
        told=[("c", "WaitForFirstConsumer", WAITS),
              ("p", "FailedMount", "Unable to attach or mount volumes: unmounted volumes=[c], unattached volumes=[], "
                                   "failed to process volumes=[c]: error processing PVC default/c: PVC is not bound")],
        way_out=[{"patch": "PersistentVolumeClaim/c", "to": {"spec": {"volumeName": "v1"}}}],
    ),
    Case(
        name="S-5", given=[local("v1", "n1")],
        steps=[apply(claim(), pod(cpu="5"), at="1s"), {"at": "1.5s", "delete": "Pod/p"},
               apply(make_pod("q", cpu="5", nodeSelector={HOSTNAME: "n1"}), when="PersistentVolumeClaim/c is bound"),
               apply(pod(cpu="5"), when="Pod/q is ready")],
        refused={"p": f"1 Insufficient cpu, 1 {NA}"}, phases=[("PersistentVolumeClaim", "c", "Bound")],
        way_out=[{"delete": "Pod/q"}],
    ),
    Case(
        name="S-6", given=[local("v1", "n1")], steps=used(*NEW_CLAIM),
        refused={"p": f"2 {NB}"}, told=[("c", "WaitForPodScheduled", "waiting for pod p to be scheduled")],
        phases=[("PersistentVolume", "v1", "Released")], way_out=[release("v1")],
    ),
    Case(
        name="S-6 uid", given=[local("v1", "n1")], steps=used(*NEW_CLAIM),
        refused={"p": f"2 {NB}"},
        way_out=[{"patch": "PersistentVolume/v1", "to": {"spec": {"claimRef": {"uid": None}}}}],
    ),
    Case(
        name="S-7", given=[local("v1", "n1", persistentVolumeReclaimPolicy="Delete")], steps=used(*NEW_CLAIM),
        refused={"p": f"2 {NB}"}, phases=[("PersistentVolume", "v1", "Failed")],
        told=[("v1", "VolumeFailedDelete",
               'error getting deleter volume plugin for volume "v1": no volume plugin matched')],
        way_out=[{"patch": "PersistentVolume/v1",
                  "to": {"spec": {"persistentVolumeReclaimPolicy": "Retain", "claimRef": None}}}],
    ),
    Case(
        name="S-8", given=[with_annotations(local("v1", "n1", persistentVolumeReclaimPolicy="Delete"),
                                            {PROVISIONED_BY: "local-volume-provisioner-n1"})],
        steps=used(*NEW_CLAIM),
        refused={"p": f"2 {NB}"}, phases=[("PersistentVolume", "v1", "Released")],
        # what its cleaner would do as soon as it is there again: delete the volume and find the directory anew
        way_out=[{"delete": "PersistentVolume/v1"}, apply(local("v1", "n1"), when="PersistentVolume/v1 is gone")],
    ),
    Case(
        name="S-9", given=[local("v1", "n1", storage_class="local-a")], steps=SIMPLE, refused={"p": f"2 {NB}"},
        way_out=[{"patch": "PersistentVolume/v1", "to": {"spec": {"storageClassName": "wait"}}}],
    ),
    Case(
        name="S-10", given=[], steps=[apply(claim(storage_class="nope"), pod(), at="1s")], refused={"p": UI},
        told=[("c", "ProvisioningFailed", 'storageclass.storage.k8s.io "nope" not found')],
        way_out=[apply(make_class("nope", provisioner=CSI))],
    ),
    Case(
        name="S-11 nil, class", given=[], steps=[apply(claim(storage_class=None), pod(), at="1s")], refused={"p": UI},
        told=[("c", "FailedBinding", NO_CLASS)], way_out=[apply(DEFAULT)],
    ),
    Case(
        name="S-11 empty, volume", given=[], steps=[apply(claim(storage_class=""), pod(), at="1s")], refused={"p": UI},
        told=[("c", "FailedBinding", NO_CLASS)], way_out=[apply(local("v1", "n1", storage_class=""))],
    ),
    Case(
        name="S-12", given=[], steps=AT_ONCE, refused={"p": UI}, told=[("c", "ProvisioningFailed", MATCHES_NO_PLUGIN)],
        way_out=[apply(local("v1", "n1", storage_class="now"))],
    ),
    Case(
        name="S-13", given=[DEFAULT, local("v1", "n1", storage_class="")],
        steps=[apply(claim(storage_class=None, volumeName="v1"), pod(), at="1s")], refused={"p": UI},
        told=[mismatch("storageClassName does not match")],
        way_out=[{"delete": "PersistentVolumeClaim/c"},
                 apply(claim(storage_class="", volumeName="v1"), when="PersistentVolumeClaim/c is gone")],
    ),
    Case(
        name="S-14 size", given=[local("v1", "n1", "10G")], steps=[apply(claim(size="10Gi"), pod(), at="1s")],
        refused={"p": f"2 {NB}"}, way_out=[apply(local("v2", "n1", "10Gi"))],
    ),
    Case(
        name="S-14 access modes", given=[local("v1", "n1", storage_class="now")],
        steps=[apply(claim(storage_class="now", modes=("ReadWriteMany",)), pod(), at="1s")],
        refused={"p": UI}, told=[("c", "ProvisioningFailed", MATCHES_NO_PLUGIN)],
        way_out=[apply(local("v2", "n1", storage_class="now", modes=("ReadWriteMany",)))],
    ),
    Case(
        name="S-14 volume mode", given=[local("v1", "n1")], steps=[apply(claim(volumeMode="Block"), pod(), at="1s")],
        refused={"p": f"2 {NB}"}, way_out=[apply(local("v2", "n1", volumeMode="Block"))],
    ),
    Case(
        name="S-14 attributes class", given=[local("v1", "n1")],
        steps=[apply(claim(volumeAttributesClassName="fast"), pod(), at="1s")], refused={"p": f"2 {NB}"},
        way_out=[apply(make_volume("v2", storage_class="wait", volumeAttributesClassName="fast"))],
    ),
    Case(
        name="S-14 selector", given=[local("v1", "n1")],
        steps=[apply(claim(selector={"matchLabels": {"disk": "ssd"}}), pod(), at="1s")], refused={"p": f"2 {NB}"},
        way_out=[{"patch": "PersistentVolume/v1", "to": {"metadata": {"labels": {"disk": "ssd"}}}}],
    ),
    Case(
        name="S-14 preset", given=[local("v1", "n1", "10G", "now")],
        steps=[apply(claim(size="10Gi", storage_class="now", volumeName="v1"), pod(), at="1s")], refused={"p": UI},
        told=[mismatch("requested PV is too small")],
        way_out=[{"patch": "PersistentVolume/v1", "to": {"spec": {"capacity": {"storage": "10Gi"}}}}],
    ),
    Case(
        name="S-15 missing", given=[], steps=[apply(claim(volumeName="v1"), pod(), at="1s")], refused={"p": UI},
        way_out=[apply(local("v1", "n1"))],
    ),
    Case(
        name="S-15 taken", given=[local("v1", "n1", claimRef=reference("other"))],
        steps=[apply(claim(volumeName="v1"), pod(), at="1s")], refused={"p": UI},
        told=[("c", "FailedBinding", 'volume "v1" already bound to a different claim.')], way_out=[release("v1")],
    ),
    Case(
        name="S-16", given=[local("v1", "n1", claimRef=reference("typo"))], steps=SIMPLE, refused={"p": f"2 {NB}"},
        phases=[("PersistentVolume", "v1", "Available")], way_out=[release("v1")],
    ),
    Case(
        name="S-16 too small", given=[local("v1", "n1", "1Gi", claimRef=reference("big"))],
        steps=[apply(claim("big", "5Gi"), pod("q", "big"), claim(), pod(), at="1s")],
        refused={"p": f"2 {NB}", "q": f"2 {NB}"}, phases=[("PersistentVolume", "v1", "Available")],
        way_out=[release("v1"), {"delete": "Pod/q"}],
    ),
    Case(
        name="S-17", given=[local("v1", "n1")], latency={"work/persistentvolume-binder": "300ms"},
        steps=[apply(claim(), pod(), at="5s"), {"at": "5.1s", "delete": "PersistentVolumeClaim/c"},
               apply(claim(), at="30s")],
        refused={"p": f"2 {NB}"}, phases=[("PersistentVolume", "v1", "Released")], way_out=[release("v1")],
    ),
    Case(
        name="S-18", given=[local("v1", "n1"), local("v2", "n2")],
        steps=[apply(make_set("web", replicas=1, storage_class="wait"), at="1s"),
               {"when": "Pod/web-0 is ready", "fail": "Node/n1"}, {"delete": "Node/n1"}],
        refused={"web-0": f"1 {NA}"},
        way_out=[{"delete": ["PersistentVolumeClaim/data-web-0", "PersistentVolume/v1"]}],
    ),
    Case(
        name="S-18 renamed", given=[local("v1", "n1")],
        steps=restart({"patch": "Node/n1", "to": {"metadata": {"labels": {HOSTNAME: "other"}}}}),
        refused={"p": f"2 {NA}"}, way_out=[{"patch": "Node/n1", "to": {"metadata": {"labels": {HOSTNAME: "n1"}}}}],
    ),
    Case(
        name="S-19 cordon", given=[local("v1", "n1")], steps=restart({"cordon": "Node/n1"}),
        refused={"p": f"1 {NA}, 1 node(s) were unschedulable"}, way_out=[{"uncordon": "Node/n1"}],
    ),
    Case(
        name="S-19 taint", given=[local("v1", "n1")], steps=restart({"taint": "Node/n1", "taints": ["a=b:NoSchedule"]}),
        refused={"p": f"1 {NA}, 1 node(s) had untolerated taint(s)"},
        way_out=[{"taint": "Node/n1", "taints": ["a:NoSchedule-"]}],
    ),
    Case(
        name="S-21", given=[], drivers={CSI: StorageDriver(topology=HOSTNAME, distributed=True)},
        latency={"work/external-provisioner": "100s"},
        steps=[apply(claim(storage_class="made"), pod(), at="1s"), {"at": "2s", "fail": "Node/n1"}],
        refused={"p": f"1 {NB}, 1 node(s) had untolerated taint(s)"}, told=[("p", "FailedScheduling", TIMED_OUT)],
        way_out=[{"patch": "PersistentVolumeClaim/c", "to": {"metadata": {"annotations": {SELECTED_NODE: None}}}}],
    ),
    Case(
        name="S-21 node gone", given=[], drivers={CSI: StorageDriver(topology=HOSTNAME, distributed=True)},
        latency={"work/external-provisioner": "100s"},
        steps=[apply(claim(storage_class="made"), pod(), at="1s"), {"at": "2s", "fail": "Node/n1"},
               {"at": "3s", "delete": "Node/n1"}],
        refused={"p": f"1 {NB}"},
        way_out=[{"patch": "PersistentVolumeClaim/c", "to": {"metadata": {"annotations": {SELECTED_NODE: None}}}}],
    ),
    Case(
        name="S-23", given=[make_class("far", mode="WaitForFirstConsumer", provisioner=CSI, allowedTopologies=NOWHERE)],
        steps=[apply(claim(storage_class="far"), pod(), at="1s")], refused={"p": f"2 {NB}"},
        way_out=[{"patch": "StorageClass/far", "to": {"allowedTopologies": HERE}}],
    ),
    Case(
        name="S-24", given=[{"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": CSI},
                             "spec": {"storageCapacity": True}}],
        steps=[apply(claim(storage_class="made"), pod(), at="1s")],
        refused={"p": "2 node(s) did not have enough free storage"},
        way_out=[apply({"apiVersion": "storage.k8s.io/v1", "kind": "CSIStorageCapacity", "metadata": {"name": "n1"},
                        "storageClassName": "made", "capacity": "5Gi",
                        "nodeTopology": {"matchLabels": {HOSTNAME: "n1"}}})],
    ),
    Case(
        name="S-26", given=[local("v1", "n1")],
        steps=restart({"delete": "PersistentVolume/v1"},
                      {"patch": "PersistentVolume/v1", "to": {"metadata": {"finalizers": None}}}),
        refused={"p": 'persistentvolumeclaim "c" bound to non-existent persistentvolume "v1"'},
        told=[("c", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")],
        phases=[("PersistentVolumeClaim", "c", "Lost")], way_out=[apply(local("v1", "n1"))],
    ),
    Case(
        name="S-27", given=[local("v1", "n1")],
        steps=used({"patch": "PersistentVolume/v1", "to": {"spec": {"claimRef": {"uid": None}}}}),
        told=[("c", "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")],
        phases=[("PersistentVolumeClaim", "c", "Lost"), ("PersistentVolume", "v1", "Available")],
        way_out=[release("v1")],
    ),
    Case(
        name="S-28", given=[local("v1", "n1", modes=("ReadWriteOncePod",))],
        steps=[apply(claim(modes=("ReadWriteOncePod",)), pod("a", "c"), at="1s"),
               apply(pod("b", "c"), when="Pod/a is ready")],
        refused={"b": f"2 node(s) {IN_USE}"}, way_out=[{"delete": "Pod/a"}],
    ),
    Case(
        name="S-30", given=[local("v1", "n1"), local("v2", "n2")], ties="last",
        steps=[apply(claim("a"), pod("a", "a"), at="1s"),
               apply(claim("b"), pod("b", "b", nodeSelector={HOSTNAME: "n2"}), when="Pod/a is ready")],
        refused={"b": f"1 {NB}, 1 node(s) didn't match Pod's node affinity/selector"},
        way_out=[{"delete": "Pod/a"}, {"when": "Pod/a is gone", "delete": "PersistentVolumeClaim/a"},
                 release("v2", when="PersistentVolume/v2 is released")],
    ),
    Case(
        name="S-31", given=[local("v1", "n1", "1Ti")],
        steps=used(apply(claim("big", "1Ti"), pod("q", "big"))), refused={"q": f"2 {NB}"},
        way_out=[apply(local("v2", "n2", "1Ti"))],
    ),
    Case(
        name="S-32",
        given=[make_node("z1", labels={"topology.kubernetes.io/zone": "a"}),
               with_meta(local("v1", "z1"), labels={"topology.kubernetes.io/zone": "b"})],
        steps=restart(), refused={"p": f"1 node(s) had no available volume zone, 2 {NA}"},
        way_out=[{"patch": "PersistentVolume/v1",
                  "to": {"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}}}}],
    ),
    Case(
        name="S-35", given=[], steps=[apply(make_set("web", replicas=3, storage_class="wait"), at="1s")],
        refused={"web-0": f"2 {NB}"},
        phases=[("Pod", "web-1", "gone"), ("PersistentVolumeClaim", "data-web-1", "gone")],
        way_out=[apply(local("v1", "n1"), local("v2", "n2"), make_node("n3"), local("v3", "n3"))],
    ),
    Case(
        name="S-36", given=[make_node("n3"), local("v1", "n1"), local("v2", "n1"), local("v3", "n2")],
        steps=[apply(make_set("web", replicas=3, storage_class="wait"), at="1s")],
        refused={"web-2": f"1 {APART}, 2 {NB}"}, way_out=[apply(local("v4", "n3"))],
    ),
    Case(
        name="S-37", given=[local("v1", "n1"), local("v2", "n2")],
        steps=[apply(claim(), *(pod(name, "c", labels={"app": "x"}, affinity=apart("x")) for name in "ab"), at="1s")],
        refused={"b": f"1 {NA}, 1 {APART}"},
        way_out=[{"delete": "Pod/b"}, apply(claim("own"), pod("b", "own", labels={"app": "x"}, affinity=apart("x")),
                                            when="Pod/b is gone")],
    ),
]


@pytest.mark.rule("S-1", "S-2", "S-3", "S-4", "S-5", "S-6", "S-7", "S-8", "S-9", "S-10", "S-11", "S-12", "S-13")
@pytest.mark.rule("S-14", "S-15", "S-16", "S-17", "S-18", "S-19", "S-21", "S-23", "S-24", "S-26", "S-27", "S-28")
@pytest.mark.rule("S-30", "S-31", "S-32", "S-35", "S-36", "S-37")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_moves_the_user_is_told_why_and_the_exit_unblocks(case: Case) -> None:
    first, *rest = case.way_out
    played = play(
        [*CLASSES, *nodes(2), *case.given], [*case.steps, {"when": STUCK, **first}, *rest],
        faults=case.faults, drivers=case.drivers, ties=case.ties, latency=dict(case.latency),
    )
    then = played.before(len(case.steps) + 1)
    for name, reasons in case.refused.items():
        assert then.refusal(name) == reasons
        assert then.node_of(name) == ""
    for name, reason, message in case.told:
        assert any(found.endswith(message) for found in then.events(name, reason)), then.events(name)
    for kind, name, phase in case.phases:
        assert then.phase(kind, name) == phase
    assert played.run.verdict == "converged", (played.run.why, played.run.waiting)


# --- those that never come to rest, or that need more than objects --------------------------------------------------

NO_SELECTED_NODE = {"patch": "PersistentVolumeClaim/c", "to": {"metadata": {"annotations": {SELECTED_NODE: None}}}}


@pytest.mark.rule("S-20", "VB-97", "VB-155")
def test_a_silent_provisioner_keeps_its_pod_at_the_node_until_the_selected_node_is_removed() -> None:
    played = play(
        [*CLASSES, *nodes(2)],
        [apply(claim(storage_class="made"), pod(), at="1s"), {"at": "1250s", "cordon": "Node/n1"},
         {"at": "1900s", **NO_SELECTED_NODE}],
        drivers={CSI: StorageDriver(absent=True)}, ties="first", until="2000s",
    )
    waiting = played.before(2)
    failed = [entry.time // SECOND for entry in waiting.entries if entry.verb == "schedule-failed"]
    assert failed == [601, 1203]
    assert {message.split("VolumeBinding\": ")[1] for message in waiting.events("p", "FailedScheduling")} == {TIMED_OUT}
    assert len(waiting.events("c", "ExternalProvisioning")) > 80
    assert waiting.claim("c").metadata.annotations[SELECTED_NODE] == "n1"
    assert played.before(3).refusal("p") == f"1 {NB}, 1 node(s) were unschedulable"
    assert played.claim("c").metadata.annotations[SELECTED_NODE] == "n2"


@pytest.mark.rule("S-22", "VB-105", "VB-138")
def test_of_two_provisioned_claims_the_second_does_not_fit_and_the_first_holds_the_pod() -> None:
    played = play(
        [*CLASSES, *nodes(2)],
        [apply(claim("a", storage_class="made"), claim("b", storage_class="made"), pod("p", "a", "b"), at="1s"),
         {"at": "120s", "delete": "PersistentVolumeClaim/a"},
         apply(claim("a", storage_class="made"), when="PersistentVolumeClaim/a is gone")],
        drivers={CSI: StorageDriver(topology=HOSTNAME, capacity={"n1": quantity("1Gi")})},
        chooser=Scripted((0, 1), points=("node",)),
    )
    then = played.before(2)
    tried = [entry.new.metadata.annotations[SELECTED_NODE] for entry in then.entries
             if entry.actor == "scheduler" and isinstance(entry.new, PersistentVolumeClaim) and entry.key.name == "b"]
    assert len(tried) > 5 and set(tried) == {"n1"}
    told = {text.rpartition(": ")[2] for text in then.events("p", "FailedScheduling")}
    assert told == {'provisioning failed for PVC "b"'}
    assert then.phase("PersistentVolumeClaim", "a") == "Bound" and then.volume_of("b") == ""
    assert played.run.verdict == "converged" and played.node_of("p") == "n2"


@pytest.mark.rule("S-25", "VB-170", "VB-175")
def test_a_finished_pod_holds_a_deleted_claim_and_nobody_else_may_use_it() -> None:
    bound = make_claim("c", storage_class="wait", uid="uid-c", volumeName="v1")
    bound = evolve(bound, status=evolve(bound.status, phase="Bound"))
    bound = with_annotations(bound, {"pv.kubernetes.io/bind-completed": "yes"})
    bound = with_meta(bound, namespace="default", finalizers=("kubernetes.io/pvc-protection",))
    owner = {**reference("c"), "uid": "uid-c"}
    volume = with_meta(make_volume("v1", node="n1", storage_class="wait", claimRef=owner), uid="uid-v1")
    volume = evolve(volume, status=evolve(volume.status, phase="Bound"))
    old = make_pod("old", claims=("c",), uid="uid-old", nodeName="n1", restartPolicy="Never")
    old = evolve(old, status=evolve(old.status, phase="Succeeded"))
    played = play(
        [*CLASSES, *nodes(2), volume, bound, old, local("v2", "n2")],
        [{"at": "1s", "delete": "PersistentVolumeClaim/c"}, apply(pod(), at="2s"),
         {"when": STUCK, "delete": "Pod/old"}, apply(claim(), when="PersistentVolumeClaim/c is gone")],
    )
    then = played.before(3)
    assert then.claim("c").metadata.is_terminating
    assert then.refusal("p") == 'persistentvolumeclaim "c" is being deleted'
    assert played.run.verdict == "converged" and played.node_of("p") == "n2"


@pytest.mark.rule("S-29", "VB-157", "VB/ND-21", "VB/ND-13")
@pytest.mark.parametrize("wake", [(), ({"at": "60s", "patch": "Node/n1", "to": {"metadata": {"labels": {"a": "b"}}}},)])
def test_nobody_wakes_a_pod_from_which_only_an_assumption_hid_the_volume(wake: Steps) -> None:
    played = play(
        [*CLASSES, *nodes(2), local("v1", "n1")],
        [apply(claim("a"), claim("b"), at="1s"), apply(pod("a", "a"), pod("b", "b"), at="2s"),
         {"at": "2.5s", "delete": "Pod/a"}, *wake],
        faults=[Calls("scheduler", "update", "PersistentVolume", name="v1")], latency={"api/scheduler": "10ms"},
    )
    assert reasons_of(played.events("b", "FailedScheduling")[0]) == f"2 {NB}"
    bound, = (entry.time for entry in played.entries if entry.verb == "bind")
    assert bound // SECOND == 61 if wake else 301 <= bound // SECOND <= 331
    assert played.node_of("b") == "n1"


@pytest.mark.rule("S-33", "VB-41")
def test_match_fields_alone_tie_a_local_volume_to_no_node() -> None:
    raw = plain(local("v1", "n1"))
    raw["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"] = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]
    played = play([*CLASSES, *nodes(2), raw], SIMPLE, ties="last")
    assert played.volume_of("c") == "v1" and played.node_of("p") == "n2"


@pytest.mark.rule("S-34", "VB-88", "VB-173")
def test_a_volume_keeps_the_finalizer_of_a_provisioner_that_is_gone() -> None:
    volume = make_volume("v1", storage_class="made", persistentVolumeReclaimPolicy="Delete",
                         claimRef={**reference("c"), "uid": "uid-c"})
    volume = with_meta(volume, uid="uid-v1", finalizers=("kubernetes.io/pv-protection", PROTECTS_ASSET))
    volume = with_annotations(volume, {PROVISIONED_BY: CSI})
    volume = evolve(volume, status=evolve(volume.status, phase="Released"))
    played = play(
        [*CLASSES, *nodes(2), volume],
        [{"at": "20s", "delete": "PersistentVolume/v1"},
         {"when": STUCK, "patch": "PersistentVolume/v1", "to": {"metadata": {"finalizers": None}}}],
        drivers={CSI: StorageDriver(absent=True)},
    )
    then = played.before(2).volume("v1")
    assert then.metadata.is_terminating and then.metadata.finalizers == (PROTECTS_ASSET,)
    assert played.phase("PersistentVolume", "v1") == "gone" and played.run.verdict == "converged"
