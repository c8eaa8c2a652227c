"""Repairs of nodes: opened, brought back, or given up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from simulator.api.core import Node, Pod
from simulator.api.meta import Key, with_meta
from simulator.diagnosis import relax
from simulator.diagnosis.pod_facts import PRESSURES
from simulator.diagnosis.remedy import Ailing, Candidate, Scene, join, names
from simulator.diagnosis.steps import Do, by_hand, delete, uncordon, untaint
from simulator.explanation.words import listing


def mend_nodes(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """What closes nodes is taken away; nodes that are down come back, or are given up."""
    for fact in ailing.of_kind("cordon"):
        for nodes in _each_and_all(fact.nodes):
            yield Candidate("uncordon", f"uncordon {listing(nodes)}", tuple(map(uncordon, nodes)))
    for fact in ailing.of_kind("taint"):
        _, key, effect = fact.detail
        if key in PRESSURES:
            what = f"see to it that {listing(fact.nodes)} can say again: no {PRESSURES[key]}"
            yield Candidate("pressure", what, (by_hand(what),), edit=fact.take_away)
            continue
        notes = ("that machine is kept for the control plane",) if "control-plane" in key else ()
        for nodes in _each_and_all(fact.nodes):
            yield Candidate("untaint", f"take the taint {key} from {listing(nodes)}",
                            tuple(untaint(node, key, effect) for node in nodes), notes=notes, gives_up=bool(notes))
    for fact in ailing.of_kind("down"):
        for node_key in fact.about[:2]:
            yield from _down(scene, ailing, node_key)
    for fact in ailing.of_kind("gone node"):
        node = next((key for key in fact.about if key.kind == "Node"), None)
        if node is not None:
            yield Candidate("node", f"bring {node.name} back into the cluster",
                            (join(with_meta(Node(), name=node.name)),), needs_hardware=True)
    for fact in ailing.of_kind("on a silent node"):
        pod = fact.about[0]
        yield Candidate("force", f"delete {names([pod])} by force",
                        (delete(pod, force=True),),
                        notes=("only if its machine is off for sure: else the same pod may run twice",), gives_up=True)
    if ailing.has("no node"):
        yield Candidate("node", "add a node", (join(scene.new_node()),), needs_hardware=True)


def _each_and_all(nodes: Sequence[str]) -> list[tuple[str, ...]]:
    """The first of some nodes alone, and all of them."""
    return [(nodes[0],), tuple(nodes)] if len(nodes) > 1 else [(nodes[0],)]


def _down(scene: Scene, ailing: Ailing, node: Key) -> Iterator[Candidate]:
    """The kubelet speaks again; a node that is shut out for good has to be let in as well."""
    name = node.name
    taints = [fact for fact in ailing.of_kind("taint") if fact.nodes[:1] == (name,)]
    back = by_hand(f"start {name} and its kubelet again", touches=(node,))
    opened: list[Do] = []
    for fact in taints:
        _, key, effect = fact.detail
        opened.append(untaint(name, key, effect))
    words = f", and take its taint {listing(fact.detail[1] for fact in taints)} away" if taints else ""
    yield Candidate("recover", f"bring {name} back{words}", (back, *opened),
                    edit=partial(relax.revive, name=name), needs_hardware=True)
    held = [pod for pod in scene.pods_of(ailing) if not pod.spec.node_name]
    for pod in held:
        claims = [claim for claim in scene.claims(pod) if claim.spec.volume_name]
        yield Candidate("give up", f"give {name} up: delete it, and make {names([*claims, pod])} anew",
                        (delete(node), *scene.remakes(pod, claims)))
    there = [key for key in ailing.keys if isinstance(found := scene.evidence.state.find(key), Pod)
             and found.spec.node_name == name]
    if there:
        yield Candidate("give up", f"give {name} up: delete the Node object", (delete(node),),
                        notes=("only if the machine is off for sure",))
