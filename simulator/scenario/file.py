"""The scenario file, as typed structs; its JSON Schema is generated from them (see `simulator.scenario.schema`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

API_VERSION = "bindsim/v1"
KIND = "Scenario"

Ties = Literal["uniform", "go-map", "first", "last"]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """A part of a scenario file; a field that it does not have is an error."""


class Metadata(Part, frozen=True):
    """The scenario's name, and labels for those who sort scenarios."""

    name: str
    labels: dict[str, str] = {}


class NodeGenerator(Part, frozen=True):
    """Nodes by number, for those who need many."""

    count: Annotated[int, Meta(ge=0)]
    first: Annotated[int, Meta(ge=0, description="the first number")] = 1
    name: Annotated[str, Meta(description="name of each; {i} is its number")] = "node{i}"
    cpu: str = "8"
    memory: str = "32Gi"
    pods: Annotated[int, Meta(ge=0)] = 110
    labels: Annotated[dict[str, str], Meta(description="{i} is the number")] = {}
    zones: Annotated[tuple[str, ...], Meta(description="zone labels, dealt out in turn")] = ()
    taints: Annotated[tuple[str, ...], Meta(description="as kubectl taint has them: key=value:Effect")] = ()


class VolumeGenerator(Part, frozen=True):
    """Local volumes by number: so many on each of some nodes."""

    per_node: Annotated[int, Meta(ge=0)]
    nodes: Annotated[tuple[str, ...], Meta(description="names of nodes; empty: all nodes that no taint closes")] = ()
    capacity: Annotated[
        str | tuple[str, ...], Meta(description="one size, or one for each volume of a node in turn")
    ] = "10Gi"
    storage_class_name: str = ""
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    reclaim_policy: Literal["Retain", "Delete", "Recycle"] = "Retain"
    name: Annotated[
        str, Meta(description="{node} is the node's name, {i} the volume's number on it, from 1")
    ] = "pv-{node}-{i}"
    order: Annotated[
        Literal["node-by-node", "round-robin"], Meta(description="in which order they are created")
    ] = "node-by-node"
    path: str = "/mnt/disks/{name}"


class Write(Part, frozen=True):
    """A pod writes a file to one of its volumes."""

    pod: str
    volume: Annotated[str, Meta(description="name of the volume in the pod")]
    name: Annotated[str, Meta(description="what is written, by name")]
    value: str = ""
    size: Annotated[str, Meta(description="how much room it takes")] = "0"


class Read(Part, frozen=True):
    """A pod reads a file from one of its volumes, and may expect what is in it."""

    pod: str
    volume: str
    name: str
    expect: Annotated[str | UnsetType | None, Meta(description="null: nothing must be there")] = UNSET


class FailCall(Part, frozen=True):
    """API calls that go wrong: they fail, or they are carried out and the answer is lost; what is empty means any."""

    component: Annotated[str, Meta(description="who calls, such as scheduler")] = ""
    verb: Literal["", "create", "update", "update-status", "patch", "delete", "bind", "evict"] = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    times: Annotated[int, Meta(ge=1, description="how many of these calls, the first ones")] = 1
    answer: Annotated[
        Literal["failed", "lost", "maybe"], Meta(description="maybe: the chooser says call by call")
    ] = "failed"


class TimelineEntry(Part, frozen=True):
    """One thing that is done: when, and exactly one action."""

    at: Annotated[str, Meta(description="time since the start, such as 30s")] = ""
    when: Annotated[str, Meta(description='such as "StatefulSet/web is ready"; joined by " and "')] = ""
    namespace: str = "default"

    apply: Annotated[Any, Meta(description="a file, an object, or a list of these")] = None
    create: Annotated[Any, Meta(description="as apply, but an object that exists is an error")] = None
    delete: Annotated[
        str | tuple[str, ...], Meta(description="KIND/NAME, or several; does not wait until they are gone")
    ] = ()
    scale: str = ""
    patch: str = ""
    cordon: str = ""
    uncordon: str = ""
    taint: str = ""
    drain: str = ""
    evict: str = ""
    fail: Annotated[str, Meta(description="Node/NAME: its kubelet stops")] = ""
    recover: str = ""
    restart: Annotated[str, Meta(description="a component that loses its memory, such as scheduler")] = ""
    never_ready: Annotated[
        tuple[str, ...], Meta(description="pods (NAMESPACE/NAME or NAME) that run, but do not get ready")
    ] = ()
    fail_call: FailCall | None = None
    write: Write | None = None
    read: Read | None = None
    sleep: str = ""

    replicas: Annotated[int | None, Meta(description="for scale")] = None
    to: Annotated[Any, Meta(description="for patch: the merge patch")] = None
    type: Annotated[Literal["merge", "strategic"], Meta(description="for patch")] = "merge"
    subresource: Annotated[Literal["", "status"], Meta(description="for patch")] = ""
    taints: Annotated[
        tuple[str, ...], Meta(description="for taint: key=value:Effect, or key:Effect- to take one away")
    ] = ()
    grace: Annotated[int | None, Meta(description="for delete and evict: seconds")] = None
    cascade: Annotated[Literal["background", "foreground", "orphan"], Meta(description="for delete")] = "background"
    force: Annotated[bool, Meta(description="for drain and delete")] = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    may_fail: Annotated[bool, Meta(description="a refusal is no failure of the scenario")] = False


ACTIONS = (
    "apply", "create", "delete", "scale", "patch", "cordon", "uncordon", "taint", "drain", "evict", "fail", "recover",
    "restart", "never_ready", "fail_call", "write", "read", "sleep",
)
"""Fields of `TimelineEntry` that are actions."""


class ExpectedRun(Part, frozen=True):
    """What one run must give."""

    seed: int | None = None
    ties: Ties | None = None
    verdict: Literal["converged", "stuck", "no verdict"] | None = None
    waiting: Annotated[
        tuple[str, ...] | None, Meta(description="exactly these pods are short of their goal at the end")
    ] = None
    placements: Annotated[dict[str, str | None], Meta(description="pod → node; null: not scheduled")] = {}
    bindings: Annotated[dict[str, str | None], Meta(description="claim → volume; null: not bound")] = {}
    phases: Annotated[dict[str, str], Meta(description="KIND/NAME → phase; absent: it does not exist")] = {}
    events: Annotated[
        tuple[str, ...], Meta(description='"REASON" or "REASON: part of the message"; at least these')
    ] = ()
    refused: Annotated[
        tuple[str, ...], Meta(description="parts of what the API server answers to actions, in order")
    ] = ()
    order: Annotated[
        tuple[str, ...], Meta(description="conditions that come true for the first time in this order")
    ] = ()
    because: Annotated[tuple[str, ...], Meta(description="parts of the reasons given at the end")] = ()


class ExpectedEveryRun(Part, frozen=True):
    """What must hold over all runs; checked by `bindsim explore`, and by `bindsim test` over a few seeds."""

    verdict: Literal["always converges", "may get stuck", "always gets stuck"] | None = None
    states: int | None = None


class ExpectedOdds(Part, frozen=True):
    """How likely it is to get stuck, as a fraction, under a tie policy."""

    ties: Ties = "uniform"
    stuck: str | float | int | None = None


class Expectations(Part, frozen=True):
    """What the scenario must give."""

    run: ExpectedRun | None = None
    every_run: ExpectedEveryRun | None = None
    odds: ExpectedOdds | None = None


class Provisioner(Part, frozen=True):
    """An external provisioner's behaviour."""

    name: str
    absent: Annotated[bool, Meta(description="nobody answers")] = False
    topology: Annotated[
        str, Meta(description="node label that volumes are tied to; empty: reachable from everywhere")
    ] = ""
    full_on: Annotated[tuple[str, ...], Meta(description="nodes without room")] = ()
    immediate_node: Annotated[str, Meta(description="where volumes of Immediate claims go")] = ""


class LocalDirectory(Part, frozen=True):
    """A discovery directory of the local static provisioner: what is found below it becomes volumes of one class."""

    storage_class: str
    files: Annotated[dict[str, dict[str, str]], Meta(description="node → file or directory found there → its size")]
    host_path: str = "/mnt/disks"


class LocalProvisioner(Part, frozen=True):
    """The local static provisioner, one instance on each node: volumes from directories, wiped when released."""

    directories: tuple[LocalDirectory, ...]
    absent: Annotated[tuple[str, ...], Meta(description="nodes whose instance does not run")] = ()
    wipe_error: Annotated[str, Meta(description="why directories cannot be cleaned")] = ""
    cleanup_after: Annotated[str, Meta(description="claims of a node that is gone are deleted after this time")] = ""


class Spec(Part, frozen=True):
    """What a scenario says."""

    title: str = ""
    description: str = ""
    parameters: Annotated[
        dict[str, str | int | float | bool], Meta(description="reached by --set and --vary; used as ${name}")
    ] = {}
    manifests: Annotated[tuple[Any, ...], Meta(description="files, folders, or objects written in place")] = ()
    nodes: NodeGenerator | tuple[NodeGenerator, ...] | None = None
    volumes: VolumeGenerator | tuple[VolumeGenerator, ...] | None = None
    provisioners: tuple[Provisioner, ...] = ()
    local_provisioner: LocalProvisioner | None = None
    latency: Annotated[dict[str, Any], Meta(description="by point: 30ms, [10ms, 50ms], or quantiles")] = {}
    timeline: tuple[TimelineEntry, ...] = ()
    until: Annotated[str, Meta(description="go on to this time, even if all is well before")] = ""
    seed: int = 0
    ties: Ties = "uniform"
    expect: Expectations | None = None


class ScenarioFile(Part, frozen=True):
    """A whole scenario file."""

    api_version: Literal["bindsim/v1"]
    kind: Literal["Scenario"]
    metadata: Metadata
    spec: Spec = Spec()


def _field_names(kind: type[Part]) -> Iterator[str]:
    yield from kind.__struct_encode_fields__


FIELDS = tuple(dict.fromkeys(name for kind in Part.__subclasses__() for name in _field_names(kind)))
"""Every field name of a scenario file, for those who mistype one."""
