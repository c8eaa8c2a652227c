"""What keeps a kubelet from mounting a pod's volumes (VB-182, VB-183, WL-104, WL-147 to WL-149), and its attempts."""

from __future__ import annotations

from typing import Final

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume
from simulator.api.selectors import node_selector_matches
from simulator.cluster.component import View
from simulator.controllers.kubelet.config import MOUNT_BACKOFF_MAX, KubeletConfig
from simulator.controllers.kubelet.memory import ALIVE, KubeletMemory, PodWork, Problem
from simulator.units import Micros

PVC_PROTECTION: Final = "kubernetes.io/pvc-protection"
_IN_USE: Final = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"


def find_problem(pod: Pod, node: Node | None, view: View) -> Problem | None:
    """Why the pod cannot be started on the node now; None if it can."""
    memory: KubeletMemory = view.memory
    broken = memory.node(pod.spec.node_name).broken
    if broken:
        message = f"Failed to create pod sandbox: {broken}"
        return Problem("runtime", "FailedCreatePodSandBox", message)
    behaviour, _ = memory.behaviour(pod.key)
    volumes = []
    for volume in pod.spec.volumes:
        claim_name = claim_of(pod, volume)
        if claim_name is None:
            continue
        found = _usable_volume(pod.metadata.namespace, claim_name, view)
        if isinstance(found, str):
            return _unusable(pod, volume, claim_name, found)
        volumes.append(found)
    if behaviour.mount_error:
        name = volumes[0].metadata.name if volumes else ""
        message = f'MountVolume.NewMounter initialization failed for volume "{name}" : {behaviour.mount_error}'
        return Problem("mount", "FailedMount", message)
    for found in volumes:
        problem = _unmountable(pod, found, node, view)
        if problem is not None:
            return problem
    if behaviour.image_error:
        image = pod.spec.containers[0].image if pod.spec.containers else ""
        message = f'Back-off pulling image "{image}": {behaviour.image_error}'
        return Problem("image", "ImagePullBackOff", message)
    return None


def claim_of(pod: Pod, volume: Volume) -> str | None:
    """Name of the claim that a pod's volume uses; None if it uses none (VB-167)."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        return f"{pod.metadata.name}-{volume.name}"
    return None


def _usable_volume(namespace: str, claim_name: str, view: View) -> PersistentVolume | str:
    """The volume behind a claim, or why the claim cannot be used, in the order in which the kubelet looks."""
    claim = view.get(PersistentVolumeClaim, claim_name, namespace)
    if claim is None:
        return f'failed to fetch PVC from API server: persistentvolumeclaims "{claim_name}" not found'
    if claim.metadata.is_terminating and PVC_PROTECTION not in claim.metadata.finalizers:
        return "PVC is being deleted"  # WL-104, VB-175
    if claim.status.phase != "Bound":
        return "PVC is not bound"
    name = claim.spec.volume_name
    if not name:
        return "PVC has empty pvc.Spec.VolumeName"
    volume = view.get(PersistentVolume, name)
    if volume is None:
        return f'failed to fetch PV {name} from API server: persistentvolumes "{name}" not found'
    reference = volume.spec.claim_ref
    if reference is None:
        return f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
    if reference.uid != claim.metadata.uid:
        return (f"found PV object {name} but its pv.Spec.ClaimRef.UID {reference.uid} does not point to "
                f"claim.UID {claim.metadata.uid}")
    return volume


def _unusable(pod: Pod, volume: Volume, claim_name: str, why: str) -> Problem:
    claims = " ".join(one.name for one in pod.spec.volumes if claim_of(pod, one) is not None)
    message = (f"Unable to attach or mount volumes: unmounted volumes=[{claims}], unattached volumes=[], "
               f"failed to process volumes=[{volume.name}]: error processing PVC "
               f"{pod.metadata.namespace}/{claim_name}: {why}")
    return Problem("sync", "FailedMount", message)


def _unmountable(pod: Pod, volume: PersistentVolume, node: Node | None, view: View) -> Problem | None:
    name = volume.metadata.name
    affinity = volume.spec.node_affinity
    if affinity is not None and affinity.required is not None:
        labels = node.metadata.labels if node is not None else {}
        if not node_selector_matches(affinity.required, labels, None):  # WL-149
            message = f'MountVolume.NodeAffinity check failed for volume "{name}" : no matching NodeSelectorTerms'
            return Problem("mount", "FailedMount", message)
    if "ReadWriteOncePod" in volume.spec.access_modes and _is_in_use(pod, volume, view):  # WL-147
        return Problem("mount", "FailedMount", f'MountVolume.SetUp failed for volume "{name}" : {_IN_USE}')
    return None


def _is_in_use(pod: Pod, volume: PersistentVolume, view: View) -> bool:
    """Whether another pod, or what is left of one, has the volume mounted on the pod's node."""
    memory: KubeletMemory = view.memory
    reference = volume.spec.claim_ref
    if reference is None:
        return False
    node = pod.spec.node_name
    for other in view.by("pods-by-claim", (reference.namespace, reference.name)):
        work = memory.pods.get(other.key)
        if work is not None and work.uid != pod.metadata.uid and work.node == node and work.stage in ALIVE:
            return True
    return any(
        left.node == node and left.key.namespace == reference.namespace and reference.name in left.claims
        and (left.until is None or left.until > view.now)
        for left in memory.leftovers.values()
    )


def next_attempt(config: KubeletConfig, work: PodWork, now: Micros) -> Micros:
    """When the kubelet tries a waiting pod again: the first of its attempts that is not before `now` (WL-148).

    Attempts that change nothing are not carried out; their times are only counted.
    """
    problem = work.problem
    is_mount = problem is not None and problem.kind == "mount"
    step = config.mount_retry if is_mount else config.sync_retry
    if step <= 0:
        return now
    attempt = work.since
    if not is_mount:
        return attempt + -(-(now - attempt) // step) * step
    while attempt < now:
        attempt += step
        step = min(2 * step, MOUNT_BACKOFF_MAX)
    return attempt


def busy_until(pod: Pod, view: View) -> Micros | None:
    """When the last thing left over from a pod of the same claims is gone from the node; None if nothing is."""
    memory: KubeletMemory = view.memory
    claims = pod.claim_names
    ends = [
        left.until
        for left in memory.leftovers.values()
        if left.until is not None and left.until > view.now and left.node == pod.spec.node_name
        and left.key.namespace == pod.metadata.namespace and any(claim in left.claims for claim in claims)
    ]
    return max(ends) if ends else None
