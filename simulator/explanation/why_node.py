"""Why nodes refuse a pod: a clause for each plug-in of the scheduler, with the objects that stand in the way.

The plug-in and its reasons are those of the pod's last attempt; the objects are those of the last state. Where they do
not bear the reason out any more, Kubernetes' own words are quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, Pod, Taint
from simulator.binding.names import SELECTED_NODE
from simulator.binding.reference import affinity_matches, class_of, is_fully_bound
from simulator.explanation.evidence import Evidence
from simulator.explanation.why_claim import volumes_on
from simulator.explanation.why_peers import Clause, affinity, spread
from simulator.explanation.words import count, listing, node_terms_text, short, taint_text
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.plugins.node_ports import ports_conflict
from simulator.scheduler.plugins.pod_volumes import NO_SPACE, NO_SUCH_VOLUME, OUT_OF_REACH
from simulator.scheduler.plugins.taint_toleration import HARD_EFFECTS, tolerates
from simulator.scheduler.resources import CPU, host_ports, pod_requests

_PLURALS: Final = {"is": "are", "has": "have", "runs": "run", "lies": "lie", "does": "do", "refuses": "refuse"}
_HEADS: Final = 3
"""So many nodes with a reason of their own are spelled out."""
_SAMPLES: Final = 8
"""So many nodes with the same words of Kubernetes are looked at."""


class _Group(Struct):
    """Nodes refused for the same sort of thing: heads with their nodes, and how many nodes were not looked at."""

    tail: str
    heads: dict[tuple[str, str], list[str]]
    others: int = 0


def clauses(evidence: Evidence, pod: Pod, refusals: Mapping[str, Sequence[str]]) -> list[str]:
    """What the nodes say to a pod, nodes with the same reason taken together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, (plugin, _, *reasons) in refusals.items():
        alike.setdefault((plugin, *reasons), []).append(name)
    groups: dict[tuple[str, str], _Group] = {}
    for (plugin, *reasons), names in alike.items():
        found = [(name, _clause(evidence, pod, name, plugin, reasons)) for name in names[:_SAMPLES]]
        rest = names[_SAMPLES:]
        if len({clause for _, clause in found}) == 1:
            found.extend((name, found[0][1]) for name in rest)
            rest = []
        for name, clause in found:
            same = (clause.tail, "") if clause.tail else ("", f"{plugin} {clause.verb}")
            group = groups.setdefault(same, _Group(clause.tail, {}))
            group.heads.setdefault((clause.verb, clause.rest), []).append(name)
        group.others += len(rest)
    return [_sentence(group) for group in groups.values()]


def _clause(evidence: Evidence, pod: Pod, name: str, plugin: str, reasons: Sequence[str]) -> Clause:
    node = evidence.state.get(Node, name)
    if node is None:
        return Clause("is", "not in the cluster any more")
    explain = _PLUGINS.get(plugin)
    clause = explain(evidence, pod, node, reasons) if explain is not None else None
    return clause or Clause("refuses", f"{short(pod)} ({plugin}: {', '.join(reasons)})")


def _sentence(group: _Group) -> str:
    said = [f"{listing(nodes)} {_verb(verb, nodes)} {rest}" for (verb, rest), nodes in group.heads.items()]
    others = group.others
    if len(said) > _HEADS + 1:
        others += sum(len(nodes) for nodes in list(group.heads.values())[_HEADS:])
        said = said[:_HEADS]
    if others:
        said.append(f"and so on for {others} more nodes")
    return ", ".join(said) + (f", and {group.tail}" if group.tail else "")


def _verb(verb: str, nodes: Sequence[str]) -> str:
    first, space, rest = verb.partition(" ")
    return (_PLURALS.get(first, first) if len(nodes) > 1 else first) + space + rest


# --- the node itself ------------------------------------------------------------------------------------------------


def _unschedulable(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    return Clause("is", "cordoned") if node.spec.unschedulable else None


def _node_name(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    return Clause("is", f"not the node that {short(pod)} names")


_TAINTS: Final = {
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "unreachable: its kubelet has gone silent",
    "node.kubernetes.io/unschedulable": "cordoned",
    "node.kubernetes.io/out-of-service": "out of service",
    "node.kubernetes.io/disk-pressure": "short of disk space",
    "node.kubernetes.io/memory-pressure": "short of memory",
    "node.kubernetes.io/pid-pressure": "short of process ids",
    "node.kubernetes.io/network-unavailable": "without a network",
    "node-role.kubernetes.io/control-plane": "a control plane node",
}


def untolerated(pod: Pod, node: Node) -> Taint | None:
    """The first taint that keeps the pod away (SC-53)."""
    return next((taint for taint in node.spec.taints
                 if taint.effect in HARD_EFFECTS and not tolerates(pod.spec.tolerations, taint)), None)


def _taint(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    taint = untolerated(pod, node)
    if taint is None:
        return None
    if taint.key in _TAINTS:
        return Clause("is", f"{_TAINTS[taint.key]} (taint {taint_text(taint)})")
    return Clause("has", f"the taint {taint_text(taint)}", f"{short(pod)} does not tolerate it")


def _node_affinity(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    required = RequiredNodes.of(pod)
    wanted = [f"{key}={value}" for key, value in required.selector if node.metadata.labels.get(key) != value]
    if not wanted and required.affinity is not None:
        terms = required.affinity.node_selector_terms
        wanted = [node_terms_text([(*term.match_expressions, *term.match_fields) for term in terms])]
    return Clause("does not match", f"what {short(pod)} asks of a node: {', '.join(wanted)}") if wanted else None


def _ports(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    for want in host_ports(pod):
        for other in evidence.state.by("pods-by-node", node.name):
            if other.key != pod.key and ports_conflict((want,), host_ports(other)):
                return Clause("has", f"port {want.port}/{want.protocol} taken by {short(other)}",
                              f"{short(pod)} asks for that port of its node")
    return None


def _resources(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    info = evidence.snapshot.node(node.name)
    if info is None:
        return None
    wanted = pod_requests(pod)
    has: list[str] = []
    asks: list[str] = []
    for reason in reasons:
        name = reason.removeprefix("Insufficient ")
        if reason == "Too many pods":
            has.append(f"{count(len(info.pods), 'pod')} already, of {info.allocatable.get('pods', 0)} that it may run")
        elif name != reason:
            whole, free = info.allocatable.get(name, 0), info.allocatable.get(name, 0) - info.requested.get(name, 0)
            if wanted.get(name, 0) <= free:
                return None
            left = f"{amount_text(name, max(0, free))} of {amount_text(name, whole)} {name} left"
            has.append(left if wanted.get(name, 0) <= whole else f"only {amount_text(name, whole)} {name} in all")
            asks.append(f"{amount_text(name, wanted.get(name, 0))} {name}")
    if not has:
        return None
    return Clause("has", " and ".join(has), f"{short(pod)} asks for {' and '.join(asks)}" if asks else "")


def amount_text(name: str, amount: int) -> str:
    """An amount of a resource as people write it: ``500m`` or ``2`` of cpu, ``1Gi`` of memory."""
    if name == CPU:
        return f"{amount // 1000}" if amount % 1000 == 0 else f"{amount}m"
    if name in ("memory", "ephemeral-storage"):
        for suffix, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
            if amount % size == 0 and amount:
                return f"{amount // size}{suffix}"
    return str(amount)


# --- volumes --------------------------------------------------------------------------------------------------------


def _volume_binding(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    if OUT_OF_REACH in reasons:
        for name, claim in evidence.claims_of(pod):
            volume = evidence.state.get(PersistentVolume, claim.spec.volume_name) if claim is not None else None
            if volume is not None and not affinity_matches(volume, node.metadata.labels):
                return Clause("cannot reach", f"{volume.name}, the volume of {name}")
    for name, claim in evidence.claims_of(pod):
        if claim is None or is_fully_bound(claim):
            continue
        wanted = claim.metadata.annotations.get(SELECTED_NODE)
        if wanted is not None and wanted != node.name:
            return Clause("is", f"not {wanted}, for which the volume of {name} is to be made")
        if NO_SPACE in reasons:
            return Clause("has", f"not enough free storage of class {class_of(claim)} for {name}")
        return Clause("has", volumes_on(evidence, claim, node), f"{short(pod)} needs one for its claim {name}")
    return Clause("is", "without reach of a volume that exists") if NO_SUCH_VOLUME in reasons else None


def _volume_restrictions(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    for name, claim in evidence.claims_of(pod):
        if claim is not None and "ReadWriteOncePod" in claim.spec.access_modes:
            others = [short(user) for user in evidence.users_of(claim) if user.key != pod.key and user.spec.node_name]
            if others:
                return Clause("is", "not looked at further",
                              f"claim {name} is for one pod at a time (ReadWriteOncePod) and {listing(others)} uses it")
    return None


def _volume_limits(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    return Clause("has", "as many volumes attached as its driver allows")


def _volume_zone(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    for name, claim in evidence.claims_of(pod):
        volume = evidence.state.get(PersistentVolume, claim.spec.volume_name) if claim is not None else None
        for key, value in (volume.metadata.labels if volume is not None else {}).items():
            if key.endswith(("/zone", "/region")) and node.metadata.labels.get(key, "") not in value.split("__"):
                return Clause("lies", f"outside {key}={value}", f"that is where the volume of {name} lies")
    return None


_PLUGINS: Final[dict[str, Callable[[Evidence, Pod, Node, Sequence[str]], Clause | None]]] = {
    "NodeUnschedulable": _unschedulable, "NodeName": _node_name, "TaintToleration": _taint,
    "NodeAffinity": _node_affinity, "NodePorts": _ports, "NodeResourcesFit": _resources,
    "VolumeRestrictions": _volume_restrictions, "NodeVolumeLimits": _volume_limits, "VolumeBinding": _volume_binding,
    "VolumeZone": _volume_zone, "PodTopologySpread": spread, "InterPodAffinity": affinity,
}
"""What explains a refusal of each plug-in; None where the last state does not bear it out."""
