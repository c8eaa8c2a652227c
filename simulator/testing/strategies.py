"""Hypothesis strategies for small clusters: a few machines with local volumes, one or two sets, and actions.

A drawn `SmallCluster` prints as what it takes to build it, defaults left out, and shrinks towards one machine, one
volume, one set of one pod and nothing done; `SmallCluster.scenario` makes it something to run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import Struct

from simulator.api.nodes import HOSTNAME
from simulator.api.storage import IMMEDIATE, NO_PROVISIONER, WAIT_FOR_FIRST_CONSUMER
from simulator.latency import Latency, uniform
from simulator.manifests.origin import Origin
from simulator.scenario.file import FailCall, Spec, TimelineEntry
from simulator.scenario.initial import from_plain, together, with_namespaces
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import parse_timeline
from simulator.testing.builders import apart, on_nodes
from simulator.units import MILLISECOND, Micros

LOCAL: Final = "local"
"""The storage class of every small cluster; whether it exists as an object is another matter."""
PROVISIONER: Final = "disk.example.com"
DEDICATED: Final = "dedicated"
"""Key of the taint that closes a machine."""

_IMAGE: Final = "registry.example.com/main"

OPEN, CORDONED, TAINTED = "", "cordoned", "NoSchedule"


class _Small(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """Prints without its defaults, so that what Hypothesis shows can be read."""


class SmallVolume(_Small, frozen=True):
    """A local volume; `label` is the value of its label ``disk``, "" for none."""

    size: str = "10Gi"
    storage_class: str = LOCAL
    modes: tuple[str, ...] = ("ReadWriteOnce",)
    policy: str = "Retain"
    block: bool = False
    label: str = ""


class SmallNode(_Small, frozen=True):
    """A machine with its volumes; `closed` is how ordinary pods are kept off it, if they are."""

    volumes: tuple[SmallVolume, ...] = ()
    closed: str = OPEN


class SmallSet(_Small, frozen=True):
    """A set; `disk` is the label that its claims select, "" for no selector."""

    name: str = "web"
    replicas: int = 1
    templates: tuple[str, ...] = ("data",)
    size: str = "1Gi"
    storage_class: str = LOCAL
    disk: str = ""
    apart: bool = False
    parallel: bool = False
    tolerates: bool = False
    when_scaled: str = "Retain"
    when_deleted: str = "Retain"

    def manifest(self) -> dict[str, Any]:
        """The set as a manifest."""
        claim: dict[str, Any] = {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": self.size}},
            "storageClassName": self.storage_class,
            **({"selector": {"matchLabels": {"disk": self.disk}}} if self.disk else {}),
        }
        spec: dict[str, Any] = {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "main", "image": f"{_IMAGE}:1"}],
            **({"affinity": apart(self.name)} if self.apart else {}),
            **({"tolerations": [{"key": DEDICATED, "operator": "Exists"}]} if self.tolerates else {}),
        }
        return {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": self.name},
            "spec": {
                "replicas": self.replicas, "serviceName": self.name, "selector": {"matchLabels": {"app": self.name}},
                "podManagementPolicy": "Parallel" if self.parallel else "OrderedReady",
                "persistentVolumeClaimRetentionPolicy": {
                    "whenScaled": self.when_scaled, "whenDeleted": self.when_deleted},
                "template": {"metadata": {"labels": {"app": self.name}}, "spec": spec},
                "volumeClaimTemplates": [{"metadata": {"name": name}, "spec": claim} for name in self.templates],
            },
        }


class SmallStep(_Small, frozen=True):
    """Something done `after` so many milliseconds: an action of a timeline, and what it is done to.

    `cascade` and `force` are for "delete", `count` is for "scale" and for "fail_call", which takes a component whose
    next calls may go wrong; "apply" takes the name of one of the cluster's sets, and "update" that of one whose pods
    get another image.
    """

    action: str
    target: str
    after: int = 0
    count: int = 0
    cascade: str = "background"
    force: bool = False


class SmallCluster(_Small, frozen=True):
    """Machines, sets and steps.

    Attributes
    ----------
    binding : the class's ``volumeBindingMode``; "" for no class object of that name.
    provisioner : the class's provisioner.
    round_robin : volumes are created one for each machine in turn, not machine by machine.
    lag : how far, at most, each watch is behind, in milliseconds; 0: one millisecond, always.
    """

    nodes: tuple[SmallNode, ...] = (SmallNode(),)
    sets: tuple[SmallSet, ...] = (SmallSet(),)
    binding: str = IMMEDIATE
    provisioner: str = NO_PROVISIONER
    round_robin: bool = False
    steps: tuple[SmallStep, ...] = ()
    lag: int = 0

    def objects(self) -> list[dict[str, Any]]:
        """The manifests of everything but the sets."""
        nodes = [_node(f"node{number}", node) for number, node in enumerate(self.nodes, 1)]
        volumes = [
            (index, number, _volume(f"pv-node{number}-{index}", f"node{number}", volume))
            for number, node in enumerate(self.nodes, 1)
            for index, volume in enumerate(node.volumes, 1)
        ]
        if self.round_robin:
            volumes.sort(key=lambda item: item[:2])
        classes: list[dict[str, Any]] = []
        if self.binding:
            classes.append({
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": LOCAL},
                "provisioner": self.provisioner, "volumeBindingMode": self.binding,
            })
        return [*nodes, *classes, *(volume for *_, volume in volumes)]

    def scenario(self) -> Scenario:
        """The cluster as a scenario: the sets are applied one second after the start, the steps follow."""
        origin = Origin("drawn", 1)
        initial = with_namespaces(together([from_plain(self.objects(), origin)]))
        return Scenario(
            name="drawn", path="", spec=Spec(), initial=initial,
            timeline=parse_timeline(tuple(self._entries()), Path("drawn"), origin), latencies=self._latencies(),
        )

    def _entries(self) -> list[TimelineEntry]:
        entries = [TimelineEntry(at="1s", apply=each.manifest()) for each in self.sets]
        now = 1000
        for step in self.steps:
            now += step.after
            entries.append(self._entry(step, f"{now}ms"))
        return entries

    def _entry(self, step: SmallStep, at: str) -> TimelineEntry:
        what: Any = step.target
        if step.action == "apply":
            what = next(each.manifest() for each in self.sets if each.name == step.target)
        elif step.action == "update":
            image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": f"{_IMAGE}:{at}"}]}}}}
            return TimelineEntry(at=at, may_fail=True, patch=f"StatefulSet/{step.target}", to=image)
        elif step.action == "fail_call":
            what = FailCall(component=step.target, times=step.count, answer="maybe")
        replicas = step.count if step.action == "scale" else None
        cascade: Any = step.cascade
        return TimelineEntry(
            at=at, replicas=replicas, cascade=cascade, force=step.force, may_fail=True, **{step.action: what})

    def _latencies(self) -> dict[str, Latency]:
        longest: Micros = self.lag * MILLISECOND
        return {"watch": uniform(0, longest)} if longest else {}


def _node(name: str, node: SmallNode) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if node.closed == CORDONED:
        spec = {"unschedulable": True}
    elif node.closed:
        spec = {"taints": [{"key": DEDICATED, "effect": node.closed}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {HOSTNAME: name}}, "spec": spec}


def _volume(name: str, node: str, volume: SmallVolume) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, **({"labels": {"disk": volume.label}} if volume.label else {})},
        "spec": {
            "capacity": {"storage": volume.size}, "accessModes": list(volume.modes),
            "persistentVolumeReclaimPolicy": volume.policy, "storageClassName": volume.storage_class,
            "volumeMode": "Block" if volume.block else "Filesystem",
            "local": {"path": f"/mnt/disks/{name}"}, "nodeAffinity": on_nodes(node),
        },
    }


# --- strategies -------------------------------------------------------------------------------------------------------

_ODD_VOLUMES: Final = st.builds(
    SmallVolume,
    size=st.sampled_from(("10Gi", "5Gi", "500Mi")),
    storage_class=st.sampled_from((LOCAL, "", "other")),
    modes=st.sampled_from((("ReadWriteOnce",), ("ReadWriteOnce", "ReadOnlyMany"), ("ReadOnlyMany",))),
    policy=st.sampled_from(("Retain", "Delete")),
    block=st.booleans(),
    label=st.sampled_from(("", "ssd", "hdd")),
)
_PAUSES: Final = st.sampled_from((0, 2, 5, 12, 20, 150, 1100, 3000, 30_000, 400_000))
_COMPONENTS: Final = ("scheduler", "statefulset", "persistentvolume-binder", "kubelet", "protection")
_CLAIM, _POD, _SET, _NODE, _VOLUME = "PersistentVolumeClaim", "Pod", "StatefulSet", "Node", "PersistentVolume"


def small_volumes(odd: bool = True) -> st.SearchStrategy[SmallVolume]:
    """Volumes: mostly plain ones of two sizes; odd ones have another class, mode, policy or label."""
    plain = st.builds(SmallVolume, size=st.sampled_from(("10Gi", "5Gi")))
    return st.one_of(plain, plain, plain, _ODD_VOLUMES) if odd else plain


@st.composite
def small_nodes(draw: st.DrawFn, odd: bool = True, max_volumes: int = 3) -> SmallNode:
    """Machines with up to `max_volumes` volumes; one in five is closed to ordinary pods."""
    count = draw(st.integers(0, max_volumes))
    volumes = draw(st.lists(small_volumes(odd), min_size=count, max_size=count))
    closed = draw(st.sampled_from((OPEN,) * 8 + (CORDONED, TAINTED)))
    return SmallNode(volumes=tuple(volumes), closed=closed)


@st.composite
def small_sets(draw: st.DrawFn, name: str = "web", odd: bool = True) -> SmallSet:
    """Sets of one to three pods with one or two claims each."""
    policies = st.sampled_from(("Retain", "Retain", "Delete"))
    return SmallSet(
        name=name,
        replicas=draw(st.integers(1, 3)),
        templates=draw(st.sampled_from((("data",), ("data",), ("data", "wal")))),
        size=draw(st.sampled_from(("1Gi", "1Gi", "7Gi"))),
        storage_class=draw(st.sampled_from((LOCAL,) * 9 + ("",))) if odd else LOCAL,
        disk=draw(st.sampled_from(("",) * 9 + ("ssd",))) if odd else "",
        apart=draw(st.booleans()),
        parallel=draw(st.booleans()),
        tolerates=draw(st.booleans()) if odd else False,
        when_scaled=draw(policies) if odd else "Retain",
        when_deleted=draw(policies) if odd else "Retain",
    )


@st.composite
def small_steps(draw: st.DrawFn, nodes: int, sets: tuple[SmallSet, ...], volumes: tuple[str, ...] = ()) -> SmallStep:
    """Something done to a cluster: scale, delete, update, cordon, drain, fail, restart, and making a set again."""
    after = draw(_PAUSES)
    owner = draw(st.sampled_from(sets))
    ordinal = draw(st.integers(0, max(0, owner.replicas - 1)))
    node = f"{_NODE}/node{draw(st.integers(1, nodes))}"
    kinds = ("scale", "pod", "claim", "set", "apply", "update", "cordon", "uncordon", "drain", "fail", "recover",
             "node", "restart", "fail_call")
    match draw(st.sampled_from(kinds + (("volume",) if volumes else ()))):
        case "scale":
            replicas = draw(st.integers(0, 3))
            return SmallStep(action="scale", target=f"{_SET}/{owner.name}", after=after, count=replicas)
        case "pod":
            force = draw(st.booleans())
            return SmallStep(action="delete", target=f"{_POD}/{owner.name}-{ordinal}", after=after, force=force)
        case "claim":
            template = draw(st.sampled_from(owner.templates))
            return SmallStep(action="delete", target=f"{_CLAIM}/{template}-{owner.name}-{ordinal}", after=after)
        case "volume":
            return SmallStep(action="delete", target=f"{_VOLUME}/{draw(st.sampled_from(volumes))}", after=after)
        case "set":
            cascade = draw(st.sampled_from(("background", "foreground", "orphan")))
            return SmallStep(action="delete", target=f"{_SET}/{owner.name}", after=after, cascade=cascade)
        case "node":
            return SmallStep(action="delete", target=node, after=after)
        case "restart":
            return SmallStep(action="restart", target=draw(st.sampled_from(_COMPONENTS)), after=after)
        case "fail_call":
            component, count = draw(st.sampled_from(_COMPONENTS)), draw(st.integers(1, 5))
            return SmallStep(action="fail_call", target=component, after=after, count=count)
        case ("apply" | "update") as action:
            return SmallStep(action=action, target=owner.name, after=after)
        case action:
            return SmallStep(action=action, target=node, after=after)


@st.composite
def small_clusters(
    draw: st.DrawFn, *, max_nodes: int = 4, max_steps: int = 3, odd: bool = True, provisioned: bool = True,
) -> SmallCluster:
    """Clusters of one to `max_nodes` machines, one or two sets, and up to `max_steps` things done to them.

    Parameters
    ----------
    odd : also volumes and claims of other classes, modes, sizes and labels, retention policies and late caches.
    provisioned : also classes with a dynamic provisioner.
    """
    count = draw(st.integers(1, max_nodes))
    nodes = tuple(draw(st.lists(small_nodes(odd), min_size=count, max_size=count)))
    names = ("web",) if draw(st.sampled_from((True, True, False))) else ("web", "db")
    sets = tuple(draw(small_sets(name, odd)) for name in names)
    volumes = tuple(
        f"pv-node{number}-{index}" for number, node in enumerate(nodes, 1) for index in range(1, len(node.volumes) + 1)
    )
    steps = small_steps(len(nodes), sets, volumes if odd else ())
    done = draw(st.integers(0, max_steps).flatmap(lambda count: st.lists(steps, min_size=count, max_size=count)))
    modes = (IMMEDIATE, WAIT_FOR_FIRST_CONSUMER, "") if odd else (IMMEDIATE, WAIT_FOR_FIRST_CONSUMER)
    provisioners = (NO_PROVISIONER, NO_PROVISIONER, PROVISIONER) if provisioned else (NO_PROVISIONER,)
    return SmallCluster(
        nodes=nodes,
        sets=sets,
        binding=draw(st.sampled_from(modes)),
        provisioner=draw(st.sampled_from(provisioners)),
        round_robin=draw(st.booleans()),
        steps=tuple(done),
        lag=draw(st.sampled_from((0, 0, 30, 300))) if odd else 0,
    )
