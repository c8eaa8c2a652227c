"""What a stuck run failed on first, in words without the names of this one run, so that equal causes can be counted.

The first cause is the first of the reasons that ``bindsim run`` gives for the same seed: causes stand there before
their effects. Pods and claims of a set are named after the set; volumes and nodes not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.api.storage import NO_PROVISIONER
from simulator.binding.reference import class_of, is_delayed, is_fully_bound
from simulator.explanation.evidence import Evidence, Failure
from simulator.explanation.reason import Reason
from simulator.explanation.reasons import explain
from simulator.explanation.verdict import SCHEDULER_NAME
from simulator.explanation.why_claim import lack
from simulator.explanation.why_node import untolerated
from simulator.explanation.words import is_everywhere, place, short, taint_text
from simulator.scheduler.plugins.node_resources_fit import TOO_MANY_PODS


class Cause(Struct, frozen=True):
    """What a run failed on first.

    Attributes
    ----------
    what : in words that are the same in every run that fails on it.
    plugins : the scheduler's plug-ins that refuse, if a pod is refused.
    object : the object that is short of its goal in this run.
    """

    what: str
    plugins: tuple[str, ...]
    object: str


def first_cause(evidence: Evidence) -> Cause:
    """The cause of the first reason that explains a stuck run's end."""
    found = explain(evidence)
    if not found:  # nothing is short of its goal any more: no run that is stuck ends so
        return Cause("nothing is short of its goal", (), "")
    reason = found[0]
    subject = str(reason.subject)
    obj = evidence.state.find(reason.subject)
    if isinstance(obj, Pod) and (failure := _refusal(evidence, obj)) is not None:
        refused = _refused(evidence, obj, failure)
        if refused is not None:
            return Cause(*refused, subject)
    if isinstance(obj, PersistentVolumeClaim) and (lacking := _unbound(evidence, obj)) is not None:
        return Cause(lacking, (), subject)
    return Cause(_plain(evidence, reason), (), subject)


# --- a pod that nodes refuse ----------------------------------------------------------------------------------------


def _refusal(evidence: Evidence, pod: Pod) -> Failure | None:
    """The pod's last scheduling attempt, if it is that attempt which keeps it waiting."""
    spec = pod.spec
    if pod.metadata.is_terminating or pod.is_finished or spec.node_name or spec.scheduling_gates:
        return None
    if spec.scheduler_name not in ("", SCHEDULER_NAME) or pod.status.nominated_node_name:
        return None
    for _, claim in evidence.claims_of(pod):
        if claim is None or not (is_fully_bound(claim) or is_delayed(evidence.class_of(claim))):
            return None
    failure = evidence.failures.get(pod.key)
    return failure if failure is not None and failure.nodes else None


def _refused(evidence: Evidence, pod: Pod, failure: Failure) -> tuple[str, tuple[str, ...]] | None:
    """Why the nodes refuse the pod that its bound volumes leave to it, and which plug-ins say so."""
    who = _whose(evidence, pod)
    ties = list(_tying(evidence, pod))
    nodes = list(failure.nodes)
    where = "no node takes it: each"
    if ties:
        reach = [evidence.reach(volume) for volume in ties]
        nodes = [name for name in reach[0] if all(name in other for other in reach)]
        noun, verb = ("volume", "is") if len(ties) == 1 else ("volumes", "are")
        if not all(reach):
            return f"{who}: its {noun} {verb} on no node that the cluster has", ("VolumeBinding",)
        if not nodes:
            return f"{who}: its volumes are on different nodes", ("VolumeBinding",)
        where = f"its {noun} {verb} on a node that"
    said: dict[str, str] = {}
    for name in nodes:
        if name not in failure.nodes:
            return None  # what it was told is older than the nodes and volumes as they are
        plugin, _, *reasons = failure.nodes[name]
        said[_phrase(evidence, pod, name, plugin, reasons)] = plugin
    phrases = sorted(said)
    return f"{who}: {where} {'; or '.join(phrases)}", tuple(dict.fromkeys(said[phrase] for phrase in phrases))


def _tying(evidence: Evidence, pod: Pod) -> Iterator[PersistentVolume]:
    """The bound volumes that can be reached from some nodes only."""
    for _, claim in evidence.claims_of(pod):
        volume = evidence.state.get(PersistentVolume, claim.spec.volume_name) if claim is not None else None
        if volume is not None and not is_everywhere(volume):
            yield volume


def _phrase(evidence: Evidence, pod: Pod, name: str, plugin: str, reasons: Sequence[str]) -> str:
    """What a refusing node does or has: Kubernetes' own words, which name no object, or more where these say little."""
    node = evidence.state.get(Node, name)
    if plugin == "InterPodAffinity" and node is not None and any("anti-affinity" in each for each in reasons):
        owner = pod.metadata.controller
        peers = evidence.state.by("pods-by-node", name)
        if owner is not None and any(_is_of(peer, owner.uid) for peer in peers):
            return f"already runs {_whose(evidence, pod, 'another pod')}, and anti-affinity keeps them apart"
    if plugin == "TaintToleration" and node is not None and (taint := untolerated(pod, node)) is not None:
        return f"has the taint {taint_text(taint)}"
    if plugin == "NodeUnschedulable":
        return "is cordoned"
    return " and ".join(_predicate(reason) for reason in reasons)


def _predicate(reason: str) -> str:
    """Kubernetes' words about nodes, said of one node."""
    if (name := reason.removeprefix("Insufficient ")) != reason:
        return f"has too little {name} left"
    return "runs too many pods" if reason == TOO_MANY_PODS else reason.removeprefix("node(s) ")


def _is_of(pod: Pod, owner: str) -> bool:
    controller = pod.metadata.controller
    return controller is not None and controller.uid == owner


# --- a claim that is not bound --------------------------------------------------------------------------------------


def _unbound(evidence: Evidence, claim: PersistentVolumeClaim) -> str | None:
    """Why a claim whose class neither waits nor makes volumes has none."""
    storage_class = evidence.class_of(claim)
    if claim.metadata.is_terminating or claim.status.phase == "Lost" or claim.spec.volume_name:
        return None
    if is_delayed(storage_class) or (storage_class is not None and storage_class.provisioner != NO_PROVISIONER):
        return None
    wanted = class_of(claim)
    kind = f"of class {wanted}" if wanted else "without a class"
    volumes = [volume for volume in evidence.state.list(PersistentVolume) if class_of(volume) == wanted]
    lacks = {problem.several for volume in volumes if (problem := lack(volume, claim)) is not None}
    if any(lack(volume, claim) is None for volume in volumes):
        return None
    found = f"no volume {kind} fits ({'; '.join(sorted(lacks))})" if volumes else f"there is no volume {kind}"
    return f"{_whose_claim(evidence, claim) or f'claim {short(claim)}'}: {found}, and none is made"


# --- names ----------------------------------------------------------------------------------------------------------


def _whose(evidence: Evidence, pod: Pod, noun: str = "a pod") -> str:
    """``a pod of consul``, or the pod's own name."""
    owner = pod.metadata.controller
    return f"{noun} of {place(pod.namespace, owner.name)}" if owner is not None else f"pod {short(pod)}"


def _whose_claim(evidence: Evidence, claim: PersistentVolumeClaim) -> str | None:
    """``a claim data of consul``, if a set has a template that gives this claim."""
    for owner in evidence.state.list(StatefulSet, claim.namespace):
        for template in owner.spec.volume_claim_templates:
            ordinal = claim.name.removeprefix(owner.claim_name(template.name, 0)[:-1])
            if ordinal != claim.name and ordinal.isdecimal():
                return f"a claim {template.name} of {short(owner)}"
    return None


_WORD: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9./-]*[A-Za-z0-9])?")
_ALIKE: Final = re.compile(r"(\x00[^\x01]*\x01)(?:(?:, | and )(?:\1|\d+ more))+")
_MARKED: Final = re.compile(r"\x00([^\x01]*)\x01")


def _plain(evidence: Evidence, reason: Reason) -> str:
    """A reason without the names of one run: ``a pod of web waits: its claim a claim data of web …``."""
    names = _common_names(evidence)

    def common(found: re.Match[str]) -> str:
        return f"\x00{names[found[0]]}\x01" if found[0] in names else found[0]

    marked = _WORD.sub(common, reason.text)
    return _MARKED.sub(r"\1", _ALIKE.sub(lambda found: _several(found[1]), marked))


def _several(marked: str) -> str:
    article, _, rest = marked[1:-1].partition(" ")
    noun, _, of = rest.partition(" ")
    return f"{noun}s {of}".rstrip() if article in ("a", "an") else marked[1:-1]


def _common_names(evidence: Evidence) -> Mapping[str, str]:
    """Names of objects that differ from run to run, and what to say instead."""
    names: dict[Key, str] = {}
    for pod in evidence.state.list(Pod):
        if pod.metadata.controller is not None:
            names[pod.key] = _whose(evidence, pod)
    for claim in evidence.state.list(PersistentVolumeClaim):
        if (whose := _whose_claim(evidence, claim)) is not None:
            names[claim.key] = whose
    for owner in evidence.state.list(StatefulSet):
        for ordinal in owner.ordinals:  # pods that were never made have names too
            names.setdefault(Key("Pod", owner.namespace, owner.pod_name(ordinal)), f"a pod of {short(owner)}")
    for node in evidence.state.list(Node):
        names[node.key] = "a node"
    for volume in evidence.state.list(PersistentVolume):
        names[volume.key] = "a volume"
    return {name: words for key, words in names.items() for name in (short(key), f"{key.namespace}/{key.name}")}
