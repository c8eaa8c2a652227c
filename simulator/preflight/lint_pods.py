"""Lints about where pods can run: nodes, taints, affinity, sizes, priorities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, Pod
from simulator.api.nodes import HOSTNAME
from simulator.api.selectors import LabelSelector
from simulator.cluster.admission.classes import SYSTEM_PRIORITIES
from simulator.explanation.words import count, domain, listing, selector_text
from simulator.manifests.suggest import nearest
from simulator.preflight.candidates import supply
from simulator.preflight.inventory import Inventory, Template, Wish, domain_of
from simulator.preflight.registry import Found, lint
from simulator.preflight.result import ERROR, WARNING
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.plugins.taint_toleration import has_untolerated_taint
from simulator.scheduler.resources import allocatable, host_ports, pod_requests


def _severity(template: Template) -> str:
    return ERROR if template.item.is_new else WARNING


def _coming(inventory: Inventory) -> Iterator[Template]:
    """Pods that are still to be placed, in a cluster that has nodes."""
    if not inventory.nodes:
        return
    for template in inventory.templates:
        pod = template.pod
        if template.replicas and not template.is_up and pod.spec.scheduler_name in ("", "default-scheduler"):
            yield template


@lint
def no_node_for_pods(inventory: Inventory) -> Iterator[Found]:
    """No node takes a pod: all are cordoned, tainted, or not selected."""
    for template in _coming(inventory):
        if inventory.nodes_for(template.pod):
            continue
        if template.pod.spec.node_name:
            what = f"spec.nodeName is {template.pod.spec.node_name}, which the cluster does not have"
            if inventory.get(Node, template.pod.spec.node_name) is not None:
                continue  # the kubelet, not the scheduler, has a say in this
        else:
            closed = _why_closed(inventory, template.pod)
            what = f"none of {count(len(inventory.nodes), 'node')} takes its pods ({closed})"
        yield Found(
            _severity(template), template.item, what, "its pods are never scheduled",
            "correct nodeSelector or affinity, add a toleration, or un-cordon nodes", f"{template.path}")


def _why_closed(inventory: Inventory, pod: Pod) -> str:
    """What closes the nodes, each named once."""
    required = RequiredNodes.of(pod)
    closed = {"cordoned": 0, "tainted": 0, "not selected by the pod": 0}
    for item in inventory.nodes:
        if item.obj.spec.unschedulable:
            closed["cordoned"] += 1
        elif has_untolerated_taint(pod, item.obj.spec.taints):
            closed["tainted"] += 1
        elif not required.allows(item.obj):
            closed["not selected by the pod"] += 1
    return ", ".join(f"{number} {what}" for what, number in closed.items() if number)


@lint
def more_replicas_than_nodes(inventory: Inventory) -> Iterator[Found]:
    """More pods that must not share a node than nodes that take them."""
    for template in _coming(inventory):
        nodes = inventory.nodes_for(template.pod)
        if template.replicas < 2 or not nodes:
            continue
        for number, term in template.apart:
            label = term.topology_key
            values = [node.metadata.labels.get(label) for node in nodes]
            if None in values:
                continue  # SC-83: a node without the label takes any number
            room = len(set(values))
            if template.replicas > room:
                yield Found(
                    _severity(template), template.item,
                    f"{template.replicas} replicas may not share a {domain(label)}, and {count(room, domain(label))} "
                    f"{'takes' if room == 1 else 'take'} its pods",
                    f"{count(template.replicas - room, 'pod')} can run nowhere",
                    f"at most {count(room, 'replica')}, more nodes, or preferred instead of required anti-affinity",
                    f"{template.path}.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[{number}]")
                break
        else:
            ports = host_ports(template.pod)
            if ports and template.replicas > len(nodes):
                yield Found(
                    _severity(template), template.item,
                    f"{template.replicas} replicas ask for host port {ports[0].port}, and {count(len(nodes), 'node')} "
                    f"{'takes' if len(nodes) == 1 else 'take'} its pods",
                    "a node has each port once: the others can run nowhere",
                    "fewer replicas, more nodes, or no host port", f"{template.path}.containers")


@lint
def more_replicas_than_nodes_with_volumes(inventory: Inventory) -> Iterator[Found]:
    """More pods that must not share a node than nodes with volumes for them."""
    if inventory.has_local_provisioner:
        return
    for wish in inventory.wishes:
        template = wish.template
        if template is None or template.replicas < 2 or template.is_up or not inventory.nodes:
            continue
        if inventory.is_dynamic(wish.storage_class):
            continue
        for number, term in template.apart:
            room = _with_volumes(inventory, wish, template, term.topology_key)
            nodes = inventory.nodes_for(template.pod)
            all_places = {node.metadata.labels.get(term.topology_key) for node in nodes}
            if not room or None in all_places or len(all_places) < template.replicas or len(room) >= template.replicas:
                continue
            place = domain(term.topology_key)
            takes = "takes" if len(room) == 1 else "take"
            yield Found(
                _severity(template), template.item,
                f"{template.replicas} replicas may not share a {place}, and the volumes that they could use are on "
                f"{count(len(room), place)} that {takes} its pods: {listing(sorted(room))}",
                f"{count(template.replicas - len(room), 'pod')} can run nowhere",
                f"make volumes on more {place}s, or ask for fewer replicas",
                f"{template.path}.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[{number}]")
            break


def _with_volumes(inventory: Inventory, wish: Wish, template: Template, label: str) -> set[str]:
    """The domains in which a pod of the template and a volume for it could meet; empty if a volume is everywhere."""
    open_names = {node.name: node.metadata.labels.get(label, "") for node in inventory.nodes_for(template.pod)}
    volumes = [item.obj for item in supply(inventory, wish).volumes]
    for name in wish.bound.values():
        bound = inventory.get(PersistentVolume, name)
        if bound is not None:
            volumes.append(bound.obj)
    room: set[str] = set()
    for volume in volumes:
        reach = inventory.reach(volume)
        if len(reach) > 1 and domain_of(reach, label) is None:
            return set()
        room.update(open_names[node.name] for node in reach if node.name in open_names)
    return room


@lint
def pod_larger_than_any_node(inventory: Inventory) -> Iterator[Found]:
    """A pod asks for more than any node that takes it has in all."""
    for template in _coming(inventory):
        nodes = inventory.nodes_for(template.pod)
        wanted = pod_requests(template.pod)
        if not nodes or not wanted:
            continue
        offers = [allocatable(node) for node in nodes]
        if any(all(offer.get(name, 0) >= amount for name, amount in wanted.items()) for offer in offers):
            continue
        short = [name for name, amount in wanted.items() if all(offer.get(name, 0) < amount for offer in offers)]
        what = listing(short) if short else "this much together"
        yield Found(
            _severity(template), template.item, f"its pods ask for more {what} than any node that takes them has",
            "they are never scheduled, however empty the cluster is", "ask for less, or add larger nodes",
            f"{template.path}.containers")


def _pods(inventory: Inventory) -> Iterable[tuple[str, Pod]]:
    """All pods that are, or are to be, and their namespaces."""
    yield from ((template.namespace, template.pod) for template in inventory.templates)


def _selects_any(inventory: Inventory, selector: LabelSelector | None) -> bool:
    return selector is not None and any(selector.selects(pod.metadata.labels) for _, pod in _pods(inventory))


@lint
def affinity_by_unknown_label(inventory: Inventory) -> Iterator[Found]:
    """An affinity or spread rule goes by a label that no node has."""
    for template in _coming(inventory):
        affinity, path = template.pod.spec.affinity, template.path
        near_of = [label for item in inventory.nodes for label in item.obj.metadata.labels]
        rules: list[tuple[str, str, str, str]] = []
        if affinity is not None and affinity.pod_anti_affinity is not None:
            rules += [(term.topology_key, WARNING, "the rule has no effect: pods may share nodes",
                       f"{path}.affinity.podAntiAffinity") for term in affinity.pod_anti_affinity.required]
        if affinity is not None and affinity.pod_affinity is not None:
            rules += [(term.topology_key, ERROR, "the pods are never scheduled", f"{path}.affinity.podAffinity")
                      for term in affinity.pod_affinity.required]
        rules += [(each.topology_key, ERROR, "the pods are never scheduled", f"{path}.topologySpreadConstraints")
                  for each in template.pod.spec.topology_spread_constraints
                  if each.when_unsatisfiable != "ScheduleAnyway"]
        for label, severity, why, place in rules:
            if inventory.label_values(label):
                continue
            near = nearest(label, near_of)
            yield Found(severity, template.item, f"a required rule goes by the label {label}, which no node has", why,
                        f"did you mean {near}?" if near else "label the nodes, or correct topologyKey", place)


@lint
def affinity_selects_nobody(inventory: Inventory) -> Iterator[Found]:
    """A required affinity rule selects no pod at all."""
    for template in _coming(inventory):
        affinity = template.pod.spec.affinity
        if affinity is None or not template.item.is_new:
            continue
        anti = affinity.pod_anti_affinity.required if affinity.pod_anti_affinity is not None else ()
        near = affinity.pod_affinity.required if affinity.pod_affinity is not None else ()
        for terms, severity, why, name in (
            (anti, WARNING, "the rule has no effect: pods may share nodes", "podAntiAffinity"),
            (near, ERROR, "the pods wait for such a pod, and there is none", "podAffinity"),
        ):
            for term in terms:
                if not _selects_any(inventory, term.label_selector):
                    yield Found(
                        severity, template.item,
                        f"{name} selects {selector_text(term.label_selector)}, and no pod has these labels, not even "
                        "its own", why, "correct labelSelector", f"{template.path}.affinity.{name}")


@lint
def spread_does_not_select_itself(inventory: Inventory) -> Iterator[Found]:
    """A topology spread constraint does not count the pods that it is written for."""
    for template in _coming(inventory):
        for number, each in enumerate(template.pod.spec.topology_spread_constraints):
            if not template.item.is_new or template.replicas < 2:
                continue
            if each.label_selector is None or not each.label_selector.selects(template.pod.metadata.labels):
                selected = selector_text(each.label_selector)
                yield Found(
                    WARNING, template.item, f"topologySpreadConstraints[{number}] selects {selected}, not its own pods",
                    "pods that are not selected do not count, so they are not spread",
                    "select the pods' own labels", f"{template.path}.topologySpreadConstraints[{number}]")


@lint
def unknown_priority_class(inventory: Inventory) -> Iterator[Found]:
    """A pod names a priority class that does not exist."""
    for template in inventory.templates:
        name = template.pod.spec.priority_class_name
        if not name or name in SYSTEM_PRIORITIES or name in inventory.priorities or template.is_up:
            continue
        near = nearest(name, sorted(inventory.priorities))
        hint = "did you mean " + near + "?" if near else "make it, or name another one"
        if inventory.has_cluster and not inventory.priorities:
            hint += "; the dump holds no priority classes: kubectl get priorityclasses too, if there are any"
        yield Found(
            _severity(template), template.item, f"priorityClassName is {name}, which does not exist",
            "the API server refuses to make its pods", hint, f"{template.path}.priorityClassName")


@lint
def missing_claim(inventory: Inventory) -> Iterator[Found]:
    """A pod uses a claim that nothing makes."""
    for template in inventory.templates:
        if template.is_up:
            continue
        obj = template.item.obj
        own = {claim.name for claim in obj.spec.volume_claim_templates} if isinstance(obj, StatefulSet) else set()
        for number, volume in enumerate(template.pod.spec.volumes):
            source = volume.persistent_volume_claim
            if source is None or volume.name in own:
                continue
            if (template.namespace, source.claim_name) in inventory.claim_names:
                continue
            names = [name for space, name in inventory.claim_names if space == template.namespace]
            near = nearest(source.claim_name, names)
            yield Found(
                _severity(template), template.item, f"uses claim {source.claim_name}, which nothing makes",
                "its pods wait until somebody makes it", f"did you mean {near}?" if near else "make that claim",
                f"{template.path}.volumes[{number}]")


@lint
def node_without_hostname_label(inventory: Inventory) -> Iterator[Found]:
    """A node has no hostname label, by which volumes and pods find it."""
    for item in inventory.all(Node):
        if HOSTNAME not in item.obj.metadata.labels:
            yield Found(
                WARNING, item, f"has no label {HOSTNAME}",
                "no local volume can be tied to it, and rules by hostname pass it by",
                f"kubectl label node {item.obj.name} {HOSTNAME}={item.obj.name}", "metadata.labels")
