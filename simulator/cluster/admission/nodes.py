"""Nodes: what is assumed of one that a manifest only names, and what is wrong with one."""

from __future__ import annotations

from typing import Final

from simulator.api.core import Condition, Node, Taint
from simulator.api.meta import evolve, with_meta
from simulator.api.nodes import HOSTNAME
from simulator.cluster.admission.metadata import key_errors, metadata_errors, metadata_update_errors
from simulator.cluster.admission.names import label_value, subdomain_name
from simulator.cluster.admission.refusals import (
    NOT_NEGATIVE,
    difference,
    duplicate,
    forbidden_field,
    invalid,
    required,
    unsupported,
)
from simulator.units import Micros, Quantity, quantity

TAINT_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ASSUMED_CAPACITY: Final[dict[str, Quantity]] = {
    "cpu": quantity("8"), "memory": quantity("32Gi"), "pods": quantity("110"), "ephemeral-storage": quantity("100Gi"),
}


def node_defaults(node: Node, now: Micros = 0, label: bool = True) -> tuple[Node, list[str]]:
    """Complete a node of which a manifest says little: in a real cluster its kubelet would report the rest.

    The assumed Ready condition begins `now`. A missing hostname `label` is assumed too, except of nodes that come from
    a running cluster.

    Returns
    -------
    The node, and what was assumed of it, in words for a report; nothing assumed gives the very same node and no words.

    Examples
    --------
    >>> node_defaults(with_meta(Node(), name="n1"))[1]
    ['label kubernetes.io/hostname=n1', 'condition Ready=True',
     'capacity cpu=8, memory=32Gi, pods=110, ephemeral-storage=100Gi']
    """
    assumed = []
    if label and HOSTNAME not in node.metadata.labels:
        node = with_meta(node, labels={HOSTNAME: node.metadata.name, **node.metadata.labels})
        assumed.append(f"label {HOSTNAME}={node.metadata.name}")
    status = node.status
    if not status.conditions:
        ready = Condition(type="Ready", status="True", reason="KubeletReady", message="kubelet is posting ready status",
                          last_transition_time=now)
        status = evolve(status, conditions=(ready,))
        assumed.append("condition Ready=True")
    if not status.capacity and not status.allocatable:
        status = evolve(status, capacity=ASSUMED_CAPACITY, allocatable=ASSUMED_CAPACITY)
        assumed.append("capacity " + ", ".join(f"{name}={amount}" for name, amount in ASSUMED_CAPACITY.items()))
    return (node if status is node.status else evolve(node, status=status)), assumed


def not_ready_yet(node: Node) -> Node:
    """A node that a client creates is closed until its conditions have been seen (plug-in TaintNodesByCondition)."""
    taint = Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule")
    if any((other.key, other.effect) == (taint.key, taint.effect) for other in node.spec.taints):
        return node
    return evolve(node, spec=evolve(node.spec, taints=(*node.spec.taints, taint)))


def node_errors(node: Node) -> list[str]:
    """What is wrong with a new node."""
    return [*metadata_errors(node, subdomain_name), *_content_errors(node, None)]


def node_update_errors(node: Node, old: Node) -> list[str]:
    """What is wrong with a changed node: of its spec, only taints, cordon, pod range and configuration may change."""
    errors = metadata_update_errors(node.metadata, old.metadata)
    errors += _content_errors(node, old)
    if node.spec is not old.spec:
        fixed = evolve(node.spec, taints=old.spec.taints, unschedulable=old.spec.unschedulable,
                       config_source=old.spec.config_source, pod_cidr=old.spec.pod_cidr or node.spec.pod_cidr,
                       pod_cidrs=old.spec.pod_cidrs or node.spec.pod_cidrs,
                       provider_id=old.spec.provider_id or node.spec.provider_id)
        wanted = evolve(old.spec, pod_cidr=fixed.pod_cidr, pod_cidrs=fixed.pod_cidrs, provider_id=fixed.provider_id)
        if old.spec.pod_cidr and node.spec.pod_cidr != old.spec.pod_cidr:
            errors.append(forbidden_field(
                "spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
        if old.spec.provider_id and node.spec.provider_id != old.spec.provider_id:
            errors.append(forbidden_field(
                "spec.providerID", 'node updates may not change providerID except from "" to valid'))
        if fixed != wanted:
            errors.append(forbidden_field(
                "spec", "node updates may only change labels, taints, or capacity (or configSource, if the "
                "DynamicKubeletConfig feature gate is enabled)" + difference(old.spec, node.spec)))
    return errors


def _content_errors(node: Node, old: Node | None) -> list[str]:
    errors: list[str] = []
    if node.spec.taints and (old is None or node.spec.taints is not old.spec.taints):
        errors += _taints_errors(node.spec.taints)
    if old is None or node.status.capacity is not old.status.capacity:
        errors += [
            invalid(f"status.capacity.{name}", amount, NOT_NEGATIVE)
            for name, amount in node.status.capacity.items() if amount.nano < 0
        ]
    return errors


def _taints_errors(taints: tuple[Taint, ...]) -> list[str]:
    errors: list[str] = []
    seen: list[tuple[str, str]] = []
    for number, taint in enumerate(taints):
        path = f"metadata.taints[{number}]"
        errors += key_errors(taint.key, f"{path}.key")
        errors += [invalid(f"{path}.value", taint.value, why) for why in label_value(taint.value)]
        errors += effect_errors(taint.effect, f"{path}.effect", may_be_empty=False)
        if (taint.key, taint.effect) in seen:
            errors.append(duplicate(path, taint) + ": taints must be unique by key and effect pair")
        seen.append((taint.key, taint.effect))
    return errors


def effect_errors(effect: str, path: str, may_be_empty: bool) -> list[str]:
    """What is wrong with the effect of a taint or toleration."""
    if not effect:
        return [] if may_be_empty else [required(path)]
    return [] if effect in TAINT_EFFECTS else [unsupported(path, effect, TAINT_EFFECTS)]
