"""Why a set is short of its replicas: which ordinals are missing, in the way, or outdated, and what each waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.explanation.evidence import Evidence
from simulator.explanation.reason import Reason
from simulator.explanation.words import count, listing, place, short

ORDERED: Final = "OrderedReady"
REVISION: Final = "controller-revision-hash"


def why_set(evidence: Evidence, obj: StatefulSet, short_of: str, explain: Callable[[Pod], Reason]) -> Reason:
    """Why a set has not reached its goal.

    Parameters
    ----------
    short_of : in a few words, what it is short of.
    explain : called for each pod that is not ready.
    """
    pods = _pods(evidence, obj)
    unready = [pods[ordinal] for ordinal in obj.ordinals if ordinal in pods and not _is_up(pods[ordinal])]
    because = [explain(pod) for pod in unready]
    because.extend(_missing(evidence, obj, pods))
    because.extend(_superfluous(obj, pods))
    if not because:
        because.extend(_outdated(obj, pods))
    return Reason(obj.key, f"{short(obj)} {short_of}", tuple(because))


def _pods(evidence: Evidence, obj: StatefulSet) -> dict[int, Pod]:
    """The set's pods by ordinal."""
    owned = evidence.state.by("pods-by-controller", obj.metadata.uid)
    found = {parsed[1]: pod for pod in owned if (parsed := parent_and_ordinal(pod.name)) is not None}
    return dict(sorted(found.items()))


def _is_up(pod: Pod) -> bool:
    return pod.is_ready and not pod.metadata.is_terminating


def _missing(evidence: Evidence, obj: StatefulSet, pods: dict[int, Pod]) -> list[Reason]:
    """Ordinals without a pod: what stops the set from making them."""
    missing = [ordinal for ordinal in obj.ordinals if ordinal not in pods]
    found: list[Reason] = []
    by_cause: dict[str, list[int]] = {}
    for ordinal in missing:
        by_cause.setdefault(_cause(evidence, obj, ordinal, pods), []).append(ordinal)
    for cause, ordinals in by_cause.items():
        names = [place(obj.namespace, obj.pod_name(ordinal)) for ordinal in ordinals]
        verb = "does" if len(names) == 1 else "do"
        key = Key("Pod", obj.namespace, obj.pod_name(ordinals[0]))
        found.append(Reason(key, f"{listing(names)} {verb} not exist yet: {cause}"))
    return found


def _cause(evidence: Evidence, obj: StatefulSet, ordinal: int, pods: dict[int, Pod]) -> str:
    if obj.spec.pod_management_policy != "Parallel":
        for lower in range(obj.start, ordinal):  # WL-41, WL-48
            if lower not in pods:
                return f"{place(obj.namespace, obj.pod_name(lower))} has to come first ({ORDERED})"
            if not _is_up(pods[lower]):
                state = "being deleted" if pods[lower].metadata.is_terminating else "not ready"
                return f"{short(pods[lower])} is {state}"
    name = obj.pod_name(ordinal)
    occupant = evidence.state.get(Pod, name, obj.namespace)
    if occupant is not None:  # WL-99
        state = ", and is being deleted" if occupant.metadata.is_terminating else ""
        return f"another pod has its name, which the set does not own{state}"
    for template in obj.spec.volume_claim_templates:
        claim = evidence.state.get(PersistentVolumeClaim, obj.claim_name(template.name, ordinal), obj.namespace)
        if claim is not None and claim.metadata.is_terminating:
            return f"its claim {claim.name} is being deleted"
        owners = claim.metadata.owner_references if claim is not None else ()
        if claim is not None and any(owner.kind == "Pod" and owner.name == name for owner in owners):
            return f"its claim {claim.name} still belongs to the pod before it, and is to go with that one"  # WL-85
    failed = evidence.event(obj.key, "FailedCreate")
    if failed is not None and f"Pod {name} " in failed.message:
        return _error(failed.message)
    return "the set has yet to make it" if failed is None else _error(failed.message)


def _error(message: str) -> str:
    """What the API server said, out of a FailedCreate event."""
    return message.partition("failed error: ")[2] or message


def _superfluous(obj: StatefulSet, pods: dict[int, Pod]) -> list[Reason]:
    """Pods out of range that are still there (WL-50, WL-51)."""
    extra = [pod for ordinal, pod in pods.items() if ordinal not in obj.ordinals and not pod.metadata.is_terminating]
    if not extra:
        return []
    blocker = next((pod for ordinal, pod in pods.items() if ordinal in obj.ordinals and not _is_up(pod)), None)
    verb = "is" if len(extra) == 1 else "are"
    waits = f"the set has yet to remove {'it' if len(extra) == 1 else 'them'}"
    if blocker is not None:
        waits = f"{short(blocker)} is not ready, and the set removes its pods one by one ({ORDERED})"
    return [Reason(extra[0].key, f"{listing(short(pod) for pod in extra)} {verb} to go: {waits}")]


def _outdated(obj: StatefulSet, pods: dict[int, Pod]) -> list[Reason]:
    """Pods of an older revision (WL-58 to WL-62)."""
    wanted = obj.status.update_revision
    old: Sequence[Pod] = [pod for pod in pods.values() if pod.metadata.labels.get(REVISION) != wanted]
    if not old or not wanted:
        return []
    verb = "has" if len(old) == 1 else "have"
    text = f"{listing(short(pod) for pod in old)} {verb} an older revision than {wanted} ({count(len(old), 'pod')})"
    return [Reason(old[0].key, text)]
