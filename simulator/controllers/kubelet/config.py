"""What can be set about the kubelets: how long things take, what they report, and how programs in pods behave."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from simulator.latency import Latency, constant, uniform
from simulator.units import MILLISECOND, MINUTE, SECOND, Micros

GIB: Final = 1 << 30

MOUNT: Final = "volume-mount"
START_STEPS: Final = (MOUNT, "pod-start")
DETAILED_STEPS: Final = (MOUNT, "sandbox", "image-pull", "container-start", "status-notice")
"""What ``pod-start`` is made of, for those who want to set each part by itself (`start_steps_for`)."""


def start_steps_for(points: Collection[str]) -> tuple[str, ...]:
    """The steps of a pod's start, if these latencies are set: its parts one by one if one of them is among them.

    Raises
    ------
    ValueError
        If the whole and a part of it are set.
    """
    parts = [step for step in DETAILED_STEPS if step != MOUNT and step in points]
    if parts and "pod-start" in points:
        raise ValueError(f"pod-start and {parts[0]}, which is a part of it, cannot both be set; leave one out")
    return DETAILED_STEPS if parts else START_STEPS


LATENCIES: Final[Mapping[str, Latency]] = {
    "kubelet-admit": constant(20 * MILLISECOND),  # from seeing a pod to its first status post
    MOUNT: constant(300 * MILLISECOND),  # all volumes of a pod; only pods with claims wait for it
    "pod-start": constant(800 * MILLISECOND),  # sandbox, network, images, containers, until the kubelet sees them run
    "sandbox": constant(500 * MILLISECOND),
    "image-pull": constant(0),  # images are present
    "container-start": constant(200 * MILLISECOND),
    "status-notice": constant(100 * MILLISECOND),
    "init-container": constant(SECOND),  # each init container, one after another
    "container-restart": constant(300 * MILLISECOND),  # a container that has exited, in its old sandbox
    "container-stop": constant(SECOND),  # from TERM to the exit of a program that heeds it
    "volume-unmount": constant(500 * MILLISECOND),  # from the final status to the removal of the pod
    "node-register": constant(SECOND),  # from a node without status to Ready
    "lease-renewal": constant(10 * SECOND),  # from a crash to the renewal that it prevents: up to 10 s
    "eviction-monitor": constant(5 * SECOND),  # to the eviction manager's next look: up to 10 s
}
"""The kubelet's own points of latency, and what they are without a scenario's word (WL §11: "typical")."""

RANGES: Final[Mapping[str, Latency]] = {
    "kubelet-admit": uniform(10 * MILLISECOND, 100 * MILLISECOND),
    MOUNT: uniform(110 * MILLISECOND, 600 * MILLISECOND),
    "pod-start": uniform(300 * MILLISECOND, 2500 * MILLISECOND),
    "sandbox": uniform(200 * MILLISECOND, SECOND),
    "container-start": uniform(50 * MILLISECOND, 500 * MILLISECOND),
    "status-notice": uniform(50 * MILLISECOND, SECOND),
    "lease-renewal": uniform(0, 10 * SECOND),
    "eviction-monitor": uniform(0, 10 * SECOND),
}
"""The same points as ranges, for those who vary them."""

MIN_STOP: Final[Micros] = 2 * SECOND
"""The least time between TERM and KILL (WL-156)."""
PRESSURE_HOLD: Final[Micros] = 5 * MINUTE
"""How long DiskPressure outlives its cause (WL-166)."""
LEASE_RENEWAL: Final[Micros] = 10 * SECOND
CRASH_BACKOFF: Final[Micros] = 10 * SECOND
CRASH_BACKOFF_MAX: Final[Micros] = 300 * SECOND
CRASH_RESET: Final[Micros] = 600 * SECOND
MOUNT_BACKOFF_MAX: Final[Micros] = 122 * SECOND
CRITICAL_PRIORITY: Final = 2_000_000_000


class KubeletConfig(Struct, frozen=True):
    """What all kubelets have in common.

    Attributes
    ----------
    admits : whether a kubelet refuses pods that its node has no room for (WL-150).
    reports : whether it emits events.
    posts_creating : whether the status ``ContainerCreating`` is posted before the pod runs.
    start_steps : latencies, one after another, from a pod with usable volumes to its containers running.
    ready_delay, term_delay : fixed delays instead of these steps, and instead of stopping and unmounting.
    ignores_term : whether programs run on until the end of their grace period.
    unstarted_phase : phase of a deleted pod none of whose containers ever ran.
    sync_retry, mount_retry : how often a pod whose volumes are not usable, or cannot be mounted, is tried again; the
        second doubles up to 122 s. 0 means at once.
    reconcile_after : how long until a status that others overwrote is put right (WL-154: up to 10 s).
    nodefs_capacity, nodefs_used : bytes of the nodes' own disk, where the node's capacity does not say, and bytes that
        are taken from the start.
    reclaimable : bytes of `nodefs_used` that are unused images, which go first under pressure.
    threshold_percent : free share of the node's disk below which there is DiskPressure (WL-161). Images are taken to
        lie elsewhere.
    own_filesystems : paths of local volumes that are filesystems of their own, and their bytes; local volumes elsewhere
        are directories on the node's disk, whatever their capacity says (WL-162).
    """

    admits: bool = True
    reports: bool = True
    posts_creating: bool = True
    start_steps: tuple[str, ...] = START_STEPS
    ready_delay: Micros | None = None
    term_delay: Micros | None = None
    ignores_term: bool = False
    unstarted_phase: str = "Failed"
    sync_retry: Micros = 10 * SECOND
    mount_retry: Micros = 500 * MILLISECOND
    reconcile_after: Micros = 5 * SECOND
    nodefs_capacity: int = 100 * GIB
    nodefs_used: int = 0
    reclaimable: int = 0
    threshold_percent: int = 10
    own_filesystems: Mapping[str, int] = {}


def stand_in(ready_delay: Micros = 100 * MILLISECOND, term_delay: Micros = 100 * MILLISECOND) -> KubeletConfig:
    """The simple kubelet of the recorded runs: no admission, no events, no steps, and no waiting between attempts.

    Parameters
    ----------
    ready_delay : from the binding of a pod, once its claims are usable, to Running and Ready.
    term_delay : from deletion to phase Succeeded; the pod is removed right after.
    """
    return KubeletConfig(
        admits=False, reports=False, posts_creating=False, start_steps=(), ready_delay=ready_delay,
        term_delay=term_delay, unstarted_phase="Succeeded", sync_retry=0, mount_retry=0, reconcile_after=0,
    )


class Behaviour(Struct, frozen=True):
    """How a pod behaves where it is not simply well; it belongs to the pod's name and outlives the pod.

    Attributes
    ----------
    never_ready : its containers run, but are not ready.
    hangs : its programs answer no probe any more; without probes nobody notices.
    crash_after : its containers exit so long after each start, with `crash_code`.
    stop_code : exit code after TERM.
    ignores_term : it runs on until it is killed at the end of its grace period.
    unmount_hangs : its volumes cannot be unmounted, so that the pod object stays (WL-159).
    image_error : its image cannot be pulled, and why.
    mount_error : its volumes cannot be mounted, and why (``path "/mnt/x" does not exist``).
    """

    never_ready: bool = False
    hangs: bool = False
    crash_after: Micros | None = None
    crash_code: int = 1
    stop_code: int = 0
    ignores_term: bool = False
    unmount_hangs: bool = False
    image_error: str = ""
    mount_error: str = ""


WELL: Final = Behaviour()
