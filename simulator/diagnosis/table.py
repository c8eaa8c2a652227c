"""Per node, every rule's yes or no to a pod: all filter plug-ins are asked, not only up to the first that refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import Pod
from simulator.explanation.evidence import Evidence
from simulator.explanation.why_node import clauses
from simulator.scheduler.decision import Profile
from simulator.scheduler.framework import SUCCESS, Code, FilterPlugin, NodeInfo, Status, unresolvable
from simulator.scheduler.plugins import default_profile

TOLD: Final = 50
"""For so many nodes each answer has its own sentence; all have those that are told together."""
YES, NO, IDLE = "yes", "no", "-"
"""A rule allows the node; it does not; it has nothing to look at in this pod."""


class Answer(Struct, frozen=True, rename="camel"):
    """What one rule says to a pod on one node.

    Attributes
    ----------
    answer : yes, no, or - for a rule that has nothing to look at in this pod.
    reasons : of a no, Kubernetes' own words.
    text : of a no, a sentence about this node and this pod.
    """

    rule: str
    answer: str
    reasons: tuple[str, ...] = ()
    text: str = ""


class NodeAnswers(Struct, frozen=True, rename="camel"):
    """What every rule says to a pod on one node."""

    node: str
    answers: tuple[Answer, ...]

    @property
    def refusals(self) -> tuple[Answer, ...]:
        """The rules that say no."""
        return tuple(answer for answer in self.answers if answer.answer == NO)


class PodTable(Struct, frozen=True, rename="camel"):
    """Where a pod may go, rule by rule.

    Attributes
    ----------
    said : rule → what its refusals amount to, in sentences, nodes with the same reason taken together.
    outright : rules that refuse the pod before any node is looked at, with Kubernetes' words.
    """

    pod: str
    nodes: tuple[NodeAnswers, ...]
    said: dict[str, tuple[str, ...]] = {}
    outright: tuple[Answer, ...] = ()

    @property
    def refusing(self) -> list[str]:
        """The rules that say no to some node, in the scheduler's order."""
        return list(dict.fromkeys(
            answer.rule for place in range(max((len(each.answers) for each in self.nodes), default=0))
            for answers in self.nodes if (answer := answers.answers[place]).answer == NO
        ))


def pod_table(evidence: Evidence, pod: Pod, profile: Profile | None = None) -> PodTable:
    """Ask every filter plug-in about every node, as the cluster is now."""
    prepared = list(_prepared(evidence, pod, profile or default_profile()))
    outright = tuple(
        Answer(plugin.name, NO, status.reasons, "; ".join(status.reasons))
        for plugin, status, _, _ in prepared if status.is_rejected
    )
    nodes = tuple(
        NodeAnswers(info.name, tuple(_answer(evidence, pod, info, place < TOLD, *each) for each in prepared))
        for place, info in enumerate(evidence.snapshot.nodes)
    )
    refusals: dict[str, dict[str, tuple[str, ...]]] = {}
    for answers in nodes:
        for answer in answers.refusals:
            refusals.setdefault(answer.rule, {})[answers.node] = (answer.rule, "", *answer.reasons)
    said = {rule: tuple(clauses(evidence, pod, refused)) for rule, refused in refusals.items()}
    return PodTable(str(pod.key), nodes, said, outright)


Prepared = tuple[FilterPlugin, Status, Any, frozenset[str] | None]


def _prepared(evidence: Evidence, pod: Pod, profile: Profile) -> Iterator[Prepared]:
    for plugin in profile.filters:
        result = plugin.pre_filter(pod, evidence.snapshot)
        yield plugin, result.status, result.state, result.node_names


def _answer(
    evidence: Evidence, pod: Pod, info: NodeInfo, is_told: bool, plugin: FilterPlugin, status: Status, state: Any,
    names: frozenset[str] | None,
) -> Answer:
    if status.code is Code.SKIP:
        return Answer(plugin.name, IDLE)
    if status.code is Code.SUCCESS:
        if names is not None and info.name not in names:
            status = unresolvable(plugin.name, f"node(s) didn't satisfy plugin(s) [{plugin.name}]")
        else:
            status = plugin.filter(state, pod, info, evidence.snapshot)
    if status is SUCCESS or status.code is Code.SUCCESS:
        return Answer(plugin.name, YES)
    if not is_told:
        return Answer(plugin.name, NO, status.reasons)
    said = clauses(evidence, pod, {info.name: (plugin.name, status.code.value, *status.reasons)})
    return Answer(plugin.name, NO, status.reasons, said[0] if said else "; ".join(status.reasons))
