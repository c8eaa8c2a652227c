"""Why everything that is short of its goal is so, in words, causes before effects, from the event log alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.cluster.store import Store
from simulator.eventlog import Log
from simulator.explanation.evidence import Evidence, gather
from simulator.explanation.reason import Reason
from simulator.explanation.verdict import shortfall
from simulator.explanation.why_claim import why_claim
from simulator.explanation.why_gone import why_still_there
from simulator.explanation.why_pod import why_pod
from simulator.explanation.why_set import why_set
from simulator.explanation.words import listing, short
from simulator.scheduler.plugins.pod_volumes import OUT_OF_REACH

OLDER_WORDING: Final = "node(s) had volume node affinity conflict"
"""What `OUT_OF_REACH` was called before 1.33, and what people search for (SC-67, VB-129)."""


def reasons(log: Log) -> tuple[Reason, ...]:
    """Why each object that is short of its goal is so at the end of a log.

    Returns
    -------
    One reason an object, those of causes before those of effects; a reason's `because` names the causes again.
    """
    return explain(gather(log))


def explain(evidence: Evidence) -> tuple[Reason, ...]:
    """The reasons that some evidence gives; see `reasons`."""
    return tuple(_Chain(evidence).explain_all())


class _Chain:
    """Explains objects once each, causes first."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._store = cast(Store, evidence.state)  # a state answers what a goal asks of a store
        self._done: dict[Key, Reason] = {}
        self._under_way: list[Key] = []

    def explain_all(self) -> Iterable[Reason]:
        """Every object that is short of its goal."""
        for kind in self._evidence.state.kinds():
            for key in self._evidence.state.keys(kind):
                obj = self._evidence.state.find(key)
                if obj is not None and shortfall(obj, self._store) is not None:
                    self.explain(obj)
        return _with_older_wording(self._evidence, list(self._done.values()))

    def explain(self, obj: Object) -> Reason:
        """The reason of one object, after those of its causes."""
        known = self._done.get(obj.key)
        if known is not None:
            return known
        self._under_way.append(obj.key)
        reason = self._explain(obj)
        self._under_way.pop()
        self._done[obj.key] = reason
        return reason

    def _explain(self, obj: Object) -> Reason:
        evidence = self._evidence
        if obj.metadata.is_terminating:
            return why_still_there(evidence, obj)
        if isinstance(obj, Pod):
            return why_pod(evidence, obj, self._cause)
        if isinstance(obj, PersistentVolumeClaim):
            reason = why_claim(evidence, obj)
            users = [pod for pod in evidence.users_of(obj)
                     if not pod.spec.node_name and not pod.metadata.is_terminating]
            if evidence.class_of(obj) is not None and not reason.because and "first consumer" in reason.text:
                return Reason(obj.key, reason.text, tuple(self._cause(pod) for pod in users))
            return reason
        assert isinstance(obj, StatefulSet)
        return why_set(evidence, obj, shortfall(obj, self._store) or "", self._cause)

    def _cause(self, obj: Object) -> Reason:
        """The reason of a cause, unless it is what is being explained: a claim and its pod may wait for each other."""
        if obj.key in self._under_way:
            return Reason(obj.key, f"{short(obj)} waits for {listing(short(key) for key in self._under_way[-1:])}")
        return self.explain(obj)


def _with_older_wording(evidence: Evidence, found: Sequence[Reason]) -> Iterator[Reason]:
    """Once, the words under which people know a volume out of reach."""
    is_said = False
    for reason in found:
        failure = evidence.failures.get(reason.subject)
        if not is_said and failure is not None and any(OUT_OF_REACH in refusal for refusal in failure.nodes.values()):
            is_said = True
            text = (f'Kubernetes says "{OUT_OF_REACH}" of the nodes that do not reach the volume; before 1.33 it said '
                    f'"{OLDER_WORDING}"')
            reason = Reason(reason.subject, reason.text, (*reason.because, Reason(reason.subject, text)))
        yield reason


def leftovers(evidence: Evidence) -> tuple[Reason, ...]:
    """Volumes that no claim can use any more, and what would free them: no shortfall, but good to know."""
    groups: dict[tuple[str, str], list[PersistentVolume]] = {}
    for volume in evidence.state.list(PersistentVolume):
        if volume.spec.claim_ref is None or volume.metadata.is_terminating:
            continue
        policy = volume.spec.persistent_volume_reclaim_policy
        if volume.status.phase == "Failed":
            groups.setdefault((f"Failed, policy {policy}", _FAILED), []).append(volume)
        elif volume.status.phase == "Released":
            rest = _DELETED if policy == "Delete" else _KEPT
            groups.setdefault((f"Released, policy {policy}", rest), []).append(volume)
    return tuple(
        Reason(volumes[0].key, f"{listing(volume.name for volume in volumes)} ({what}): {rest}")
        for (what, rest), volumes in groups.items()
    )


_FAILED: Final = "could not be reclaimed, and nobody is there who can; delete the volume by hand, or clear its claimRef"
_DELETED: Final = "waits for its provisioner to delete it"
_KEPT: Final = "the claim is gone, the data are kept, and no claim gets the volume until its claimRef is cleared"

ALIKE: Final = 3
"""So many reasons of the same shape are written out."""


def render(found: Sequence[Reason], width: int = 100) -> list[str]:
    """Reasons as wrapped lines, details indented; a cause that stands above is not repeated, nor are many alike."""
    said = {(reason.subject, reason.text) for reason in found}
    shapes: dict[str, list[Reason]] = {}
    for reason in found:
        shapes.setdefault(_shape(reason), []).append(reason)
    summed_up = {shape for shape, alike in shapes.items() if len(alike) > ALIKE + 1}
    told = dict.fromkeys(shapes, 0)
    lines: list[str] = []
    for reason in found:
        shape = _shape(reason)
        told[shape] += 1
        if shape not in summed_up or told[shape] <= ALIKE:
            lines.extend(_rendered(reason, 0, width, said))
        elif told[shape] == ALIKE + 1:
            names = listing(short(each.subject) for each in shapes[shape][ALIKE:])
            lines.extend(_rendered(Reason(reason.subject, f"{names}: in the same way"), 0, width, said))
    return lines


def _rendered(reason: Reason, depth: int, width: int, said: set[tuple[Key, str]]) -> Iterator[str]:
    indent = "    " * depth + ("- " if depth else "")
    yield from textwrap.wrap(reason.text, width, initial_indent=indent, subsequent_indent=" " * (len(indent) or 4),
                             break_long_words=False, break_on_hyphens=False)
    for each in reason.because:
        if (each.subject, each.text) not in said:
            yield from _rendered(each, depth + 1, width, said)


def _shape(reason: Reason) -> str:
    """A reason's text without the names and numbers in it: reasons of the same shape are alike."""
    names = {reason.subject.name}
    words = reason.text.split()
    return reason.subject.kind + " ".join(
        "#" if any(c.isdecimal() for c in word) or word.strip(",:;") in names else word for word in words
    )
