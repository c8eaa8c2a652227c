"""Small logs for explanations: the end of a run, put together by hand."""

from __future__ import annotations

from typing import Any

from simulator.api.apps import StatefulSet
from simulator.api.core import Pod
from simulator.api.meta import Object, OwnerReference, encode, evolve, with_meta
from simulator.explanation.reason import Reason
from simulator.explanation.reasons import reasons, render
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_set, make_volume
from tests.report.story import Story

AFFINITY = ("InterPodAffinity", "Unschedulable", "node(s) didn't match pod anti-affinity rules")
OUT_OF_REACH = (
    "VolumeBinding",
    "UnschedulableAndUnresolvable",
    "node(s) didn't match PersistentVolume's node affinity",
)
NO_VOLUME = (
    "VolumeBinding",
    "UnschedulableAndUnresolvable",
    "node(s) didn't find available persistent volumes to bind",
)
TAINTED = ("TaintToleration", "UnschedulableAndUnresolvable", "node(s) had untolerated taint(s)")
LOCAL = make_class("local", mode="WaitForFirstConsumer")
READY = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}


class Scene(Story):
    """A story with short ways to say who is where."""

    def nodes(self, *names: str, **spec: Any) -> Scene:
        for name in names:
            self.store(make_node(name, **spec))
        return self

    def bound(self, claim: str, volume: str, node: str | None, **spec: Any) -> Scene:
        """A claim that is bound to a volume, local to a node if one is given."""
        reference = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": claim, "uid": f"uid-{claim}"}
        self.store(make_volume(volume, node=node, phase="Bound", claimRef=reference, **spec))
        bound = make_claim(claim, uid=f"uid-{claim}", volumeName=volume)
        bound = with_meta(bound, annotations={"pv.kubernetes.io/bind-completed": "yes"})
        self.store(evolve(bound, status=evolve(bound.status, phase="Bound")))
        return self

    def running(self, pod: Pod, node: str) -> Scene:
        """A pod that is ready on a node."""
        self.put("Pod", pod.name, {**_plain(pod), "status": READY}, meta=_meta(pod))
        stored = self.objects[pod.key]
        assert isinstance(stored, Pod)
        self.store(evolve(stored, spec=evolve(stored.spec, node_name=node)))
        return self

    def refused(self, pod: str, message: str = "0/3 nodes are available", **nodes: tuple[str, ...]) -> Scene:
        """The pod's last scheduling attempt."""
        self.note(
            "schedule-failed",
            "Pod",
            pod,
            {"message": message, "nodes": {node: list(refusal) for node, refusal in nodes.items()}},
        )
        return self

    def reasons(self) -> dict[str, Reason]:
        """The reasons by "Kind/name", in order."""
        return {f"{reason.subject.kind}/{reason.subject.name}": reason for reason in reasons(self.log)}

    def texts(self) -> list[str]:
        return [reason.text for reason in reasons(self.log)]

    def rendered(self) -> str:
        return "\n".join(render(reasons(self.log), 1000))


def web_pod(name: str, *claims: str, **spec: Any) -> Pod:
    """A pod of the set ``web`` that may not share a node with its like."""
    template = make_set("web").spec.template.spec
    pod = make_pod(name, labels={"app": "web"}, claims=claims, **spec)
    return evolve(pod, spec=evolve(pod.spec, affinity=template.affinity))


def owned(pod: Pod, owner: StatefulSet) -> Pod:
    """The pod with the set as its controller."""
    reference = OwnerReference(
        api_version="apps/v1", kind="StatefulSet", name=owner.name, uid=owner.metadata.uid, controller=True
    )
    return with_meta(pod, owner_references=(reference,))


def _plain(pod: Pod) -> dict[str, Any]:
    return {"spec": encode(pod.spec)}


def _meta(obj: Object) -> dict[str, Any]:
    meta = encode(obj.metadata)
    return {key: meta[key] for key in ("labels", "ownerReferences", "annotations") if key in meta}
