"""What all stages of a pod's sync share."""

from __future__ import annotations

from typing import Any, Final

from simulator.api.core import Pod
from simulator.controllers.kubelet.memory import Changed
from simulator.flows import DONE, Flow, Outcome, Refused, Remember, Retry, Tell

PODS: Final = "pods"
MONITOR: Final = "monitor"
SOURCE: Final = "kubelet"


def nothing() -> Flow:
    """A sync that has nothing to do."""
    yield from ()
    return DONE


def change(pod: Pod, **changes: Any) -> Tell:
    """Have some of the pod's work changed."""
    return Tell(Remember(Changed(pod.key, pod.metadata.uid, changes)))


def outcome(answer: Any) -> Outcome:
    """The outcome of a sync after a write: a pod that is gone, or another one by now, is nobody's trouble."""
    if not isinstance(answer, Refused) or answer.reason == "NotFound":
        return DONE
    if answer.reason == "Conflict" and "uid" in answer.message.lower():
        return DONE
    return Retry(str(answer))


def grace(pod: Pod) -> int:
    """The pod's grace period in seconds, as asked for or its own."""
    asked = pod.metadata.deletion_grace_period_seconds
    if asked is not None:
        return asked
    usual = pod.spec.termination_grace_period_seconds
    return 30 if usual is None else usual
