"""Runs the action `runStatefulSet` of the conformance cases: steps in, facts out (see README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Object, decode, encode
from tests.controllers.set_bench import Bench

KINDS: Mapping[str, type[Object]] = {"statefulSets": StatefulSet, "persistentVolumeClaims": PersistentVolumeClaim,
                                     "pods": Pod}
CASE_FIELDS = {"id", "title", "rule", "config", "absent", "given", "when", "then"}
POD_FIELDS = {"pod", "phase", "ready", "readyForSeconds", "terminating"}


class UnknownField(Exception):
    """A case says something that this runner does not understand."""


def run_case(case: Mapping[str, Any]) -> None:
    """Run a case, and check its facts.

    Raises
    ------
    AssertionError
        If a fact does not hold.
    UnknownField
        If the case has a field, step or fact that is not known.
    """
    _only(case, CASE_FIELDS, "the case")
    if case.get("config") or case.get("absent"):
        raise UnknownField("config and absent are not understood for runStatefulSet")
    _only(case["given"], set(KINDS), "given")
    _only(case["when"], {"runStatefulSet"}, "when")
    _only(case["then"], {"runStatefulSet"}, "then")
    action = case["when"]["runStatefulSet"]
    _only(action, {"statefulSet", "steps"}, "runStatefulSet")
    bench = Bench()
    for group, kind in KINDS.items():
        for raw in case["given"].get(group, ()):
            bench.put(_decode(raw, kind))
    namespace, _, name = action["statefulSet"].partition("/")
    run = _Run(bench, namespace, name)
    for step in action["steps"]:
        run.take(step)
    run.expect(case["then"]["runStatefulSet"])


class _Run:
    def __init__(self, bench: Bench, namespace: str, name: str) -> None:
        self.bench = bench
        self.namespace = namespace
        self.name = name

    def take(self, step: Mapping[str, Any]) -> None:
        """One step: exactly one verb with its arguments."""
        ((verb, said),) = step.items()
        bench = self.bench
        match verb:
            case "reconcile":
                _only(said, {"passes"}, verb)
                for _ in range(said["passes"]):
                    bench.sync(self.name, self.namespace)
            case "settle":
                _only(said, set(), verb)
                bench.settle(self.name, self.namespace)
            case "finishTermination":
                _only(said, set(), verb)
                for pod in [pod for pod in bench.store.list(Pod) if pod.metadata.is_terminating]:
                    bench.remove(pod)
            case "setPod":
                _only(said, POD_FIELDS, verb)
                bench.set_pod(said["pod"], phase=said.get("phase"), ready=said.get("ready"),
                              ready_for=said.get("readyForSeconds"), terminating=said.get("terminating", False))
            case "removePod":
                _only(said, {"pod"}, verb)
                bench.remove(bench.pod(said["pod"]))
            case "removeClaim":
                _only(said, {"claim"}, verb)
                bench.remove(bench.claim(said["claim"]))
            case "patchStatefulSet":
                _only(said, {"spec"}, verb)
                bench.patch(said["spec"], self.name)
            case "expect":
                self.expect(said)
            case _:
                raise UnknownField(f"step {verb}")

    def expect(self, facts: Mapping[str, Any]) -> None:
        """Check facts; only those listed must hold."""
        for fact, wanted in facts.items():
            found = self.observe(fact, wanted)
            assert found == wanted, f"{fact}: {found} instead of {wanted}"

    def observe(self, fact: str, wanted: Any) -> Any:
        """What is so, in the form of the fact."""
        bench = self.bench
        pods = sorted(bench.store.list(Pod), key=lambda pod: int(pod.name.rpartition("-")[2]))
        match fact:
            case "pods":
                return [pod.name for pod in pods]
            case "terminating":
                return [pod.name for pod in pods if pod.metadata.is_terminating]
            case "images":
                return {name: bench.pod(name).spec.containers[0].image for name in wanted}
            case "podLabels":
                return {name: {label: bench.pod(name).metadata.labels.get(label) for label in labels}
                        for name, labels in wanted.items()}
            case "claims":
                found = {claim.name for claim in bench.store.list(PersistentVolumeClaim)}
                return wanted if found == set(wanted) else sorted(found)
            case "claimOwners":
                return {name: [f"{owner.kind}/{owner.name}" for owner in bench.claim(name).metadata.owner_references]
                        for name in wanted}
            case "status":
                status = encode(bench.sts(self.name).status)
                fields = {"replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"}
                _only(wanted, fields, fact)
                return {field: status.get(field, 0) for field in wanted}
            case "created":
                return bench.created
            case "deleted":
                return bench.deleted
        raise UnknownField(f"fact {fact}")


def _decode(raw: Mapping[str, Any], kind: type[Object]) -> Object:
    """A manifest as a stored object; everything in it must be understood."""
    obj = decode(raw, kind)
    _compare({key: value for key, value in raw.items() if key not in ("apiVersion", "kind")}, encode(obj), kind.KIND)
    return obj


def _compare(written: Any, understood: Any, where: str) -> None:
    if isinstance(written, Mapping):
        for field, value in written.items():
            if field not in (understood or {}):
                if value:
                    raise UnknownField(f"{where}.{field}")
                continue
            _compare(value, understood[field], f"{where}.{field}")
    elif isinstance(written, list):
        for position, value in enumerate(written):
            _compare(value, understood[position], f"{where}[{position}]")


def _only(said: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = set(said) - known
    if unknown:
        raise UnknownField(f"{where}: {', '.join(sorted(unknown))}")
