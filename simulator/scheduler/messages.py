"""The words of a FailedScheduling event, exactly as Kubernetes 1.36 composes them (SC-116 to SC-127)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.scheduler.framework import Code, Status, unresolvable

NO_NODES: Final = "no nodes available to schedule pods"
"""The whole message where there is no node (SC-124)."""

NOT_HELPFUL: Final = unresolvable("DefaultPreemption", "Preemption is not helpful for scheduling")
NO_VICTIMS: Final = unresolvable("DefaultPreemption", "No preemption victims found for incoming pod")
NEVER_PREEMPTS: Final = "not eligible due to preemptionPolicy=Never."
VICTIM_TERMINATING: Final = "not eligible due to a terminating pod on the nominated node."
NOT_FOUND: Final = "not found"
_NO_CLAIMS: Final = "no new claims to deallocate"
_NOTE_LIMIT: Final = 1024


def fit_error(
    nodes: int, statuses: Iterable[Status] = (), *, others: Status | None = None, rejection: Status | None = None,
    post_filter: str = "",
) -> str:
    """Why no node will do (SC-116, VB-159).

    Parameters
    ----------
    nodes : all nodes of the snapshot, also where PreFilter narrowed them down (SC-117).
    statuses : one for each node that was looked at and refused.
    others : the answer for all other nodes (SC-119).
    rejection : PreFilter's refusal; then the rest is not looked at.
    post_filter : what PostFilter says, see `post_filter_message`.

    Examples
    --------
    >>> fit_error(3, [unresolvable("VolumeBinding", "node(s) didn't find available persistent volumes to bind")] * 3)
    "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind."
    """
    message = f"0/{nodes} nodes are available:"
    if rejection is not None:
        message += f" {', '.join(rejection.reasons)}."
    else:
        counts: dict[str, int] = {}
        explicit = 0
        for status in statuses:
            explicit += 1
            for reason in status.reasons:
                counts[reason] = counts.get(reason, 0) + 1
        if explicit < nodes and others is not None:
            for reason in others.reasons:
                counts[reason] = counts.get(reason, 0) + nodes - explicit
        if counts:
            # SC-118: the lines are sorted as text, the counts included.
            message += f" {', '.join(sorted(f'{count} {reason}' for reason, count in counts.items()))}."
    return f"{message} {post_filter}" if post_filter else message


def preemption_error(nodes: int, dry_run: Iterable[Status]) -> str:
    """What DefaultPreemption says after it tried some nodes, or none, in vain (SC-121, VB-160)."""
    return fit_error(nodes, dry_run, others=NOT_HELPFUL)


def post_filter_message(preemption: str) -> str:
    """What all PostFilter plug-ins say together about a pod without resource claims (SC-120).

    Parameters
    ----------
    preemption : `NEVER_PREEMPTS`, `VICTIM_TERMINATING`, or `preemption_error`.
    """
    return f"{_NO_CLAIMS}, preemption: {preemption}"


def skips_post_filter(rejection: Status | None) -> bool:
    """Whether PreFilter's refusal keeps preemption from running: PostFilter then fails with `NOT_FOUND` (SC-127).

    DynamicResources comes after every plug-in that can refuse outright; it has then not prepared what its own
    PostFilter wants to read.
    """
    return rejection is not None and rejection.code is Code.UNRESOLVABLE


def event_note(message: str) -> str:
    """The message as an event carries it: cut to 1024 bytes (SC-123); the pod's condition has it whole."""
    written = message.encode()
    if len(written) <= _NOTE_LIMIT:
        return message
    return written[: _NOTE_LIMIT - 4].decode(errors="ignore") + " ..."
