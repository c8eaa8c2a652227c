"""What keeps an unscheduled pod off the nodes: one fact for each thing that, were it otherwise, might let it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from simulator.api.core import Node, Pod, Taint
from simulator.api.meta import Key, evolve
from simulator.api.storage import CSINode
from simulator.diagnosis import relax
from simulator.diagnosis.claim_facts import claim_facts
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Fact
from simulator.diagnosis.peer_facts import peer_facts, spread_facts, there_fact
from simulator.diagnosis.table import PodTable
from simulator.explanation.evidence import Evidence
from simulator.explanation.why_gone import is_down
from simulator.explanation.why_node import amount_text
from simulator.explanation.words import count, listing, node_terms_text, short, taint_text
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.plugins.node_ports import ports_conflict
from simulator.scheduler.plugins.taint_toleration import HARD_EFFECTS, tolerates
from simulator.scheduler.resources import PODS, host_ports, pod_requests

PRESSURES: Final = {"node.kubernetes.io/disk-pressure": "DiskPressure",
                    "node.kubernetes.io/memory-pressure": "MemoryPressure",
                    "node.kubernetes.io/pid-pressure": "PIDPressure",
                    "node.kubernetes.io/network-unavailable": "NetworkUnavailable"}
"""Taints that say what a node's kubelet says: taken away, they come back."""
MANY: Final = 4
"""More pods of one node than this are one fact together."""
ALIKE: Final = 6
"""More facts than this of one sort are one fact together."""
_TOGETHER: Final = {
    "cordon": "{who} are cordoned", "down": "{who} are not ready", "taint": "{who} have {what}",
    "size": "{who} have too little {what} in all", "there": "{who} run on {where}",
    "limit": "{who} may have no more volumes attached",
}
"""Facts about one node each that can be told together, and how."""


def pod_facts(evidence: Evidence, pod: Pod, table: PodTable) -> list[Fact]:
    """The facts that may keep a pod from being scheduled, those that tie it down first."""
    facts: dict[str, Fact] = {}
    claims = [claim for _, claim in evidence.claims_of(pod) if claim is not None]
    for name, claim in evidence.claims_of(pod):
        if claim is None:
            fact = _missing_claim(pod, name)
            facts[fact.name] = fact
    closed = {
        answers.node for answers in table.nodes
        if any(answer.rule == "VolumeBinding" for answer in answers.refusals)
    }
    for claim in claims:
        for fact in claim_facts(evidence, claim, pod, [node for node in evidence.nodes if node.name in closed]):
            facts.setdefault(fact.name, evolve(fact, rule="VolumeZone" if fact.kind == "zone" else "VolumeBinding"))
    for answers in table.nodes:
        node = evidence.state.get(Node, answers.node)
        for answer in answers.refusals if node is not None else ():
            gather = _RULES.get(answer.rule)
            for fact in gather(evidence, pod, node) if gather is not None and node is not None else ():
                known = facts.get(fact.name, evolve(fact, nodes=()))
                nodes = tuple(dict.fromkeys((*known.nodes, *fact.nodes)))
                facts[fact.name] = evolve(known, nodes=nodes, rule=known.rule or answer.rule)
    if not table.nodes:
        facts["no node"] = Fact("no node", "the cluster has no node", (pod.key,), "if there were one",
                                lambda draft: relax.add_node(draft, "bindsim-node"), kind="no node")
    return together(list(facts.values()), table)


def together(facts: Sequence[Fact], table: PodTable) -> list[Fact]:
    """Many facts of one sort, about nodes that the same rules close, as one: then any node would do, or none."""
    rules = {answers.node: tuple(answer.rule for answer in answers.refusals) for answers in table.nodes}
    groups: dict[tuple[object, ...], list[Fact]] = {}
    for fact in facts:
        is_one_of_many = fact.kind in _TOGETHER and len(fact.nodes) == 1
        key: tuple[object, ...] = (fact.kind, fact.detail[1:], rules.get(fact.nodes[0])) if is_one_of_many else (
            fact.name,)
        groups.setdefault(key, []).append(fact)
    found: list[Fact] = []
    for group in groups.values():
        found += [_joined(group)] if len(group) > ALIKE else group
    return found


def _joined(group: Sequence[Fact]) -> Fact:
    first = group[0]
    nodes = tuple(dict.fromkeys(node for fact in group for node in fact.nodes))
    who = listing([short(fact.about[0]) for fact in group] if first.kind == "there" else nodes)
    text = _TOGETHER[first.kind].format(who=who, where=listing(nodes), **_detail(first))

    def take_away(draft: Draft) -> None:
        for fact in group:
            fact.take_away(draft)

    return evolve(first, name=f"all of {first.name}", text=text, nodes=nodes, take_away=take_away,
                  about=tuple(dict.fromkeys(key for fact in group for key in fact.about)))


def _detail(fact: Fact) -> dict[str, str]:
    if fact.kind == "taint":
        return {"what": fact.text.partition(" has ")[2]}
    return {"what": fact.detail[1]} if fact.kind == "size" else {}


def _missing_claim(pod: Pod, name: str) -> Fact:
    key = Key("PersistentVolumeClaim", pod.namespace, name)
    return Fact(
        f"no claim {key}", f"claim {short(key)} does not exist, and {short(pod)} uses it", (pod.key, key),
        "if it did not", lambda draft: relax.change_pod(draft, pod.key, lambda spec: relax.without_claim(spec, name)),
        "spec.volumes", kind="no claim", detail=(name,),
    )


# --- the node itself ------------------------------------------------------------------------------------------------


def _cordon(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    if node.spec.unschedulable:
        yield Fact(f"cordon {node.name}", f"{node.name} is cordoned", (node.key,), "if it were not",
                   lambda draft: relax.uncordon(draft, node.name), "spec.unschedulable", (node.name,), kind="cordon")


def _taints(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    if is_down(node):
        yield down_fact(evidence, node)
    for taint in node.spec.taints:
        if taint.effect not in HARD_EFFECTS or tolerates(pod.spec.tolerations, taint):
            continue
        if is_down(node) and taint.key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            continue
        if taint.key == "node.kubernetes.io/unschedulable":
            yield from _cordon(evidence, pod, node)
            continue
        yield Fact(
            f"taint {node.name} {taint.key} {taint.effect}",
            f"{node.name} has the taint {taint_text(taint)}, which {short(pod)} does not tolerate", (node.key,),
            "if it had not", partial(_untaint, name=node.name, taint=taint), "spec.taints",
            (node.name,), kind="taint", detail=(node.name, taint.key, taint.effect),
        )


def _untaint(draft: Draft, name: str, taint: Taint) -> None:
    """Without the taint, and without the condition of which the control plane would make it again."""
    relax.untaint(draft, name, taint.key, taint.effect)
    condition = PRESSURES.get(taint.key)
    if condition is not None and (node := draft.get(Node, name)) is not None:
        kept = tuple(each for each in node.status.conditions if each.type != condition)
        draft.put(evolve(node, status=evolve(node.status, conditions=kept)))


def down_fact(evidence: Evidence, node: Node) -> Fact:
    """A node whose kubelet is silent, or says that it is not ready."""
    how = "its kubelet is silent" if node.name in evidence.stopped else "its kubelet does not say that it is"
    return Fact(f"down {node.name}", f"{node.name} is not ready: {how}", (node.key,), "if it were",
                lambda draft: relax.revive(draft, node.name), "", (node.name,), kind="down")


def _node_rules(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    required = RequiredNodes.of(pod)
    wanted = [f"{key}={value}" for key, value in required.selector]
    if required.affinity is not None:
        wanted.append(node_terms_text([(*term.match_expressions, *term.match_fields)
                                       for term in required.affinity.node_selector_terms]))
    yield Fact(
        f"node rules {pod.key}", f"{short(pod)} asks for a node with {' and '.join(wanted)}", (pod.key,),
        "if it did not", lambda draft: relax.change_pod(draft, pod.key, relax.without_node_rules),
        "spec.nodeSelector" if required.selector else "spec.affinity.nodeAffinity", (node.name,), True, "node rules",
    )


def _ports(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    for want in host_ports(pod):
        holders = [other for other in evidence.state.by("pods-by-node", node.name)
                   if not other.is_finished and ports_conflict((want,), host_ports(other))]
        if holders:
            yield Fact(f"port {want.port} {pod.key}", f"{short(pod)} asks for port {want.port} of its node", (pod.key,),
                       "if it did not", lambda draft: relax.change_pod(draft, pod.key, relax.without_host_ports),
                       "spec.containers", (node.name,), kind="port")
            yield from _there(node, holders, f"has port {want.port}")


def _resources(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    info = evidence.snapshot.node(node.name)
    if info is None:
        return
    if len(info.pods) + 1 > info.allocatable.get(PODS, 0):
        most = info.allocatable.get(PODS, 0)
        yield Fact(f"size {node.name} pods", f"{node.name} may run {count(most, 'pod')}", (node.key,),
                   "if it might run more", partial(relax.enlarge, name=node.name, resource=PODS, amount="10000"),
                   "status.allocatable", (node.name,), kind="size", detail=(node.name, PODS))
        yield from _there(node, list(info.pods), "counts")
    for resource, wanted in pod_requests(pod).items():
        has = info.allocatable.get(resource, 0)
        if not wanted or wanted <= has - info.requested.get(resource, 0):
            continue
        yield Fact(
            f"asks {resource} {pod.key}", f"{short(pod)} asks for {amount_text(resource, wanted)} {resource}",
            (pod.key,), "if it did not",
            lambda draft, resource=resource: relax.change_pod(  # type: ignore[misc]
                draft, pod.key, lambda spec: relax.without_requests(spec, resource)),
            "spec.containers", (node.name,), kind="asks", detail=(resource,),
        )
        yield Fact(
            f"size {node.name} {resource}", f"{node.name} has {amount_text(resource, has)} {resource} in all",
            (node.key,), "if it had plenty",
            partial(relax.enlarge, name=node.name, resource=resource, amount="1000000Gi"), "status.allocatable",
            (node.name,), kind="size", detail=(node.name, resource),
        )
        users = [other for other in info.pods if pod_requests(other).get(resource, 0)]
        if users and wanted <= has:
            yield from _there(node, users, f"takes {resource}")


def _there(node: Node, pods: Sequence[Pod], why: str) -> Iterator[Fact]:
    """Pods that are in the way on a node; many small ones together."""
    if len(pods) > MANY:
        keys = tuple(other.key for other in pods)
        yield Fact(f"there {node.name}", f"{listing(map(short, pods))} run on {node.name}", keys,
                   "if they ran elsewhere", lambda draft: relax.move_away(draft, keys), "", (node.name,), kind="there")
        return
    for other in pods:
        yield there_fact(other)


# --- volumes --------------------------------------------------------------------------------------------------------


def _exclusive(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    for name, claim in evidence.claims_of(pod):
        if claim is None or "ReadWriteOncePod" not in claim.spec.access_modes:
            continue
        users = [other for other in evidence.users_of(claim) if other.key != pod.key and other.spec.node_name]
        if not users:
            continue
        yield Fact(
            f"exclusive {claim.key}", f"{short(claim)} is for one pod at a time (ReadWriteOncePod)", (claim.key,),
            "if it were for one node at a time", partial(_share, key=claim.key, volume=claim.spec.volume_name),
            "spec.accessModes", (node.name,), kind="exclusive",
        )
        for other in users:
            yield Fact(
                f"uses {other.key} {name}", f"{short(other)} uses {short(claim)}", (other.key, claim.key),
                "if it did not", partial(_without_claim, key=other.key, claim=name), "spec.volumes", (node.name,),
                kind="uses",
            )


def _share(draft: Draft, key: Key, volume: str) -> None:
    relax.change_claim(draft, key, access_modes=("ReadWriteOnce",))
    relax.change_volumes(draft, [volume], access_modes=("ReadWriteOnce",))


def _without_claim(draft: Draft, key: Key, claim: str) -> None:
    relax.change_pod(draft, key, lambda spec: relax.without_claim(spec, claim))


def _limits(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    key = Key("CSINode", "", node.name)
    yield Fact(f"limit {node.name}", f"{node.name} may have no more volumes attached", (key, node.key),
               "if it might have more", partial(_unlimited, key=key), "spec.drivers", (node.name,), kind="limit")


def _unlimited(draft: Draft, key: Key) -> None:
    declared = draft.objects.get(key)
    if isinstance(declared, CSINode):
        drivers = tuple(evolve(driver, allocatable=None) for driver in declared.spec.drivers)
        draft.put(evolve(declared, spec=evolve(declared.spec, drivers=drivers)))


_RULES: Final[dict[str, Callable[[Evidence, Pod, Node], Iterator[Fact]]]] = {
    "NodeUnschedulable": _cordon, "TaintToleration": _taints, "NodeAffinity": _node_rules, "NodePorts": _ports,
    "NodeResourcesFit": _resources, "VolumeRestrictions": _exclusive, "NodeVolumeLimits": _limits,
    "PodTopologySpread": spread_facts, "InterPodAffinity": peer_facts,
}
"""What lies behind each plug-in's no; VolumeBinding and VolumeZone are the business of the claims."""
