"""The wait-for graph of the end of a run, and the facts behind it: what each stuck object needs, down to the bottom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.binding.names import SELECTED_NODE
from simulator.binding.reference import is_delayed, is_fully_bound
from simulator.cluster.store import Store
from simulator.diagnosis.claim_facts import claim_facts
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Fact
from simulator.diagnosis.held_facts import budget_facts, held_facts, old_revision, set_facts, start_facts
from simulator.diagnosis.pod_facts import pod_facts
from simulator.diagnosis.table import PodTable, pod_table
from simulator.explanation.evidence import Evidence
from simulator.explanation.verdict import shortfall
from simulator.explanation.wait_for import ALL, ANY, CONSTRAINT, GROUP, OBJECT, Vertex, WaitFor
from simulator.explanation.words import short


class Need(Struct, frozen=True):
    """What something waits for: all, or any, of some objects, facts and further needs."""

    needs: str
    text: str
    parts: tuple[Key | Fact | Need, ...]


class Web(Struct):
    """A wait-for graph with what stands behind it.

    Attributes
    ----------
    facts : owner → name → the fact, as it concerns that owner.
    tables : of the unscheduled pods.
    short : what is short of its goal → of what.
    """

    graph: WaitFor
    facts: dict[str, dict[str, Fact]]
    tables: dict[Key, PodTable]
    short: dict[Key, str]

    @property
    def keys(self) -> list[Key]:
        """All objects that are short of their goal."""
        return list(self.short)

    def facts_behind(self, names: Iterable[str]) -> list[Fact]:
        """The facts that some objects wait for without another object in between."""
        by_name = {vertex.name: vertex for vertex in self.graph.vertices}
        own = dict.fromkeys(names)
        found: dict[str, Fact] = {}
        seen: set[str] = set()
        ahead = list(own)
        while ahead:
            name = ahead.pop(0)
            vertex = by_name.get(name)
            if vertex is None or name in seen or (vertex.kind == OBJECT and name not in own):
                continue
            seen.add(name)
            for owner in own:
                if name in self.facts.get(owner, {}):
                    found.setdefault(name, self.facts[owner][name])
            ahead.extend(vertex.waits_for)
        return list(found.values())


def weave(evidence: Evidence, draft: Draft) -> Web:
    """What everything waits for that is short of its goal.

    Parameters
    ----------
    draft : the same moment, with what the log says beside objects.
    """
    return _Weaver(evidence, draft).web()


class _Weaver:
    def __init__(self, evidence: Evidence, draft: Draft) -> None:
        self._evidence = evidence
        self._draft = draft
        self._store = cast(Store, evidence.state)  # a state answers what a goal asks of a store
        self._vertices: dict[str, Vertex | None] = {}
        self._facts: dict[str, dict[str, Fact]] = {}
        self._tables: dict[Key, PodTable] = {}
        self._short: dict[Key, str] = {}

    def web(self) -> Web:
        """Begin with everything that is short of its goal, and follow it down."""
        state = self._evidence.state
        for kind in state.kinds():
            for key in state.keys(kind):
                obj = state.find(key)
                why = shortfall(obj, self._store) if obj is not None else None
                if obj is not None and why is not None:
                    self._short[key] = why
                    self._object(obj)
        for node in self._draft.drains:
            self._drain(Key("Node", "", node))
        vertices = tuple(vertex for vertex in self._vertices.values() if vertex is not None)
        return Web(WaitFor(vertices), self._facts, self._tables, self._short)

    def _drain(self, node: Key) -> None:
        """A node that is being drained waits for its pods to be evicted, which budgets hold up (WL-144)."""
        pods = [pod for pod in self._evidence.state.by("pods-by-node", node.name)
                if not pod.metadata.is_terminating and not pod.is_finished]
        held = tuple(
            Need(ANY, f"{short(pod)} to be evicted", tuple(parts)) for pod in pods
            if (parts := list(budget_facts(self._evidence, pod)))
        )
        name = str(node)
        self._short[node] = "is being drained, and cannot be emptied"
        self._vertices[name] = None
        waits_for = tuple(self._part(name, part) for part in held)
        self._vertices[name] = Vertex(name, OBJECT, f"{node.name} to be drained", ALL, waits_for)

    def _object(self, obj: Object) -> None:
        name = str(obj.key)
        if name in self._vertices:
            return
        self._vertices[name] = None  # a place, so that whoever waits stands before what it waits for
        need = self._need(obj)
        waits_for = tuple(self._part(name, part) for part in need.parts)
        self._vertices[name] = Vertex(name, OBJECT, need.text, need.needs, waits_for)

    def _part(self, owner: str, part: Key | Fact | Need) -> str:
        if isinstance(part, Key):
            obj = self._evidence.state.find(part)
            if obj is not None:
                self._object(obj)
            return str(part)
        if isinstance(part, Fact):
            name = part.name
            self._facts.setdefault(owner, {})[name] = part
            waits = [str(key) for key in part.about if self._is_going(key)]
            if name not in self._vertices:
                self._vertices[name] = None
                for key in part.about:
                    if self._is_going(key) and (obj := self._evidence.state.find(key)) is not None:
                        self._object(obj)
                self._vertices[name] = Vertex(name, CONSTRAINT, part.text, ANY, tuple(waits))
            return name
        name = f"{owner}: {part.text}"
        if name not in self._vertices:
            self._vertices[name] = None
            waits_for = tuple(self._part(owner, each) for each in part.parts)
            self._vertices[name] = Vertex(name, GROUP, part.text, part.needs, waits_for)
        return name

    def _is_going(self, key: Key) -> bool:
        """Whether a fact ends once its object has gone, which is under way."""
        obj = self._evidence.state.find(key)
        return obj is not None and obj.metadata.is_terminating

    # --- what each sort of object needs -----------------------------------------------------------------------------

    def _need(self, obj: Object) -> Need:
        evidence = self._evidence
        if obj.metadata.is_terminating:
            return Need(ALL, f"{short(obj)} to be gone", tuple(held_facts(evidence, obj, self._draft)))
        match obj:
            case StatefulSet():
                return Need(ALL, f"{short(obj)} to be complete", tuple(set_facts(evidence, obj)))
            case PersistentVolumeClaim():
                return self._claim(obj)
            case Pod():
                need = self._pod(obj) if not obj.spec.node_name else Need(
                    ALL, f"{short(obj)} to be ready", tuple(start_facts(evidence, obj, self._draft)))
                outdated = tuple(old_revision(evidence, obj))
                return need if not outdated else Need(ANY, f"{short(obj)} to come up", (need, *outdated))
        return Need(ANY, f"{short(obj)}", ())

    def _claim(self, claim: PersistentVolumeClaim) -> Need:
        evidence = self._evidence
        facts = tuple(claim_facts(evidence, claim))
        if claim.status.phase == "Lost" or is_fully_bound(claim) or claim.spec.volume_name:
            return Need(ANY, f"{short(claim)} to be bound", facts)
        if not is_delayed(evidence.class_of(claim)):
            return Need(ANY, f"{short(claim)} to get a volume", facts)
        users = [pod.key for pod in evidence.users_of(claim)
                 if not pod.is_finished and not pod.metadata.is_terminating and not pod.spec.node_name]
        if users:
            made = facts if self._is_being_made(claim) else ()
            return Need(ANY, f"{short(claim)} to get a volume with its first pod", (*users, *made))
        return Need(ANY, f"{short(claim)} to get a volume", facts)

    def _is_being_made(self, claim: PersistentVolumeClaim) -> bool:
        """Whether a provisioner has been asked for a volume for a node, or has failed to make one."""
        failed = self._evidence.event(claim.key, "ProvisioningFailed")
        return SELECTED_NODE in claim.metadata.annotations or failed is not None

    def _pod(self, pod: Pod) -> Need:
        evidence = self._evidence
        held = [claim.key for _, claim in evidence.claims_of(pod) if claim is not None and self._holds(claim)]
        if held:
            return Need(ALL, f"{short(pod)} to be scheduled", tuple(held))
        table = self._tables[pod.key] = pod_table(evidence, pod)
        facts = pod_facts(evidence, pod, table)
        missing = tuple(fact for fact in facts if fact.kind == "no claim")
        if missing:
            return Need(ALL, f"{short(pod)} to be scheduled", missing)
        being_made = [claim.key for _, claim in evidence.claims_of(pod) if claim is not None
                      and self._is_being_made(claim) and not is_fully_bound(claim)]
        nodes = tuple(
            Need(ALL, f"{short(pod)} on {answers.node}", tuple(
                Need(ANY, f"{answer.rule} to admit {short(pod)} on {answers.node}",
                     tuple(_behind(facts, answers.node, answer.rule)))
                for answer in answers.refusals))
            for answers in table.nodes
        )
        anywhere = Need(ANY, f"any node for {short(pod)}", nodes or tuple(facts))
        return Need(ALL, f"{short(pod)} to be scheduled", (*being_made, anywhere))

    def _holds(self, claim: PersistentVolumeClaim) -> bool:
        """Whether a claim stops its pod before any node is looked at (VB-124 to VB-127)."""
        if claim.status.phase == "Lost" or claim.metadata.is_terminating:
            return True
        is_waiting = is_delayed(self._evidence.class_of(claim)) and not claim.spec.volume_name
        return not is_fully_bound(claim) and not is_waiting


def _behind(facts: Sequence[Fact], node: str, rule: str) -> Iterator[Fact]:
    """The facts for which a rule refuses a node; any of them gone, it may not."""
    for fact in facts:
        is_of_rule = fact.rule == rule or (fact.kind in ("bound", "there") and rule in _SHARED)
        if is_of_rule and (not fact.nodes or node in fact.nodes):
            yield fact


_SHARED = frozenset({"VolumeZone", "NodePorts", "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity"})
"""Rules that can have a fact in common with another one: where a pod runs, what a claim is bound to."""
