"""VolumeBinding: which nodes have what the pod's claims need, and what to write for the chosen one (SC-66, VB-123).

**Ties.** Kubernetes draws the order of a class's volumes anew in each scheduling cycle and takes the first of several
equally small ones (VB-33). This plug-in never draws. `filter` takes the first in list order, which is right as long as
the choice cannot change whether a node is feasible; then only the chosen node's ties are worth asking about:

    chosen: dict[Key, Key] = {}
    while (tie := (plan := plugin.plan(state, pod, node, chosen)).next_tie(chosen)) is not None:
        chosen[tie.claim.key] = yield Choose("volume", tie.claim.key, tuple(volume.key for volume in tie.volumes))

Each answer can change the ties of the claims after it, so they are asked one at a time. Where `ties_matter(state)` is
true, a choice for one claim could leave another without a volume; then the cycle has to ask before it filters, node by
node, and hand the answers back with ``state = plugin.settle(state, node_name, chosen)``, which `filter` and `plan`
follow from then on. A claim with several volumes reserved for it has the same tie on every node: break it once, for
`EVERY_NODE`.

**Writes.** `volume_writes(plan, node)` gives the objects that PreBind writes, in order (VB-146); `assumptions` those
that Reserve assumes (VB-142). A plan without either has nothing to wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Node, ObjectReference, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import with_annotations
from simulator.api.storage import StorageClass
from simulator.binding.names import BOUND_BY_CONTROLLER, SELECTED_NODE
from simulator.binding.reference import class_of, is_delayed, is_fully_bound, refers
from simulator.cluster.component import View
from simulator.scheduler.framework import (
    MAX_SCORE,
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    ScoreDefaults,
    Snapshot,
    Status,
    error,
    skip,
    unresolvable,
)
from simulator.scheduler.plugins.pod_volumes import (
    EVERY_NODE,
    NO_VOLUME,
    NOTHING_CHOSEN,
    OUT_OF_REACH,
    Chosen,
    PodVolumes,
    Tie,
    VolumePlan,
    ties_matter,
)
from simulator.scheduler.plugins.shape import Shape, broken_linear, round_half_up

__all__ = ["EVERY_NODE", "NAME", "PodVolumes", "Tie", "VolumeBinding", "VolumePlan", "assumptions", "ties_matter",
           "volume_writes"]

NAME: Final = "VolumeBinding"
UNBOUND_IMMEDIATE: Final = unresolvable(NAME, "pod has unbound immediate PersistentVolumeClaims")
DEFAULT_SHAPE: Final[Shape] = ((0, 10), (100, 0))
_FREQUENT: Final[dict[tuple[str, ...], Status]] = {
    reasons: unresolvable(NAME, *reasons) for reasons in [(OUT_OF_REACH,), (NO_VOLUME,)]
}


class VolumeBinding(ScoreDefaults, FilterDefaults, Struct, frozen=True):
    """Refuses nodes that cannot serve the pod's claims; chooses volumes where the class waits for the first consumer.

    All other claims it leaves to the volume controller, which also completes every binding (VB-122).

    Attributes
    ----------
    scores_capacity : gate StorageCapacityScoring, off in 1.36 (VB-140, VB-141).
    shape : (utilization 0–100, score 0–10) pairs of that score.
    """

    name: ClassVar[str] = NAME

    scores_capacity: bool = False
    shape: Shape = DEFAULT_SHAPE

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Look at the claims in the order of the pod's volumes, and sort them out (VB-124, VB-126)."""
        claims: list[PersistentVolumeClaim] = []
        for name, is_ephemeral in _claims_of(pod):
            claim = snapshot.view.get(PersistentVolumeClaim, name, pod.metadata.namespace)
            problem = _problem(pod, name, claim, is_ephemeral)
            if claim is None or problem:
                return PreFilterResult(unresolvable(NAME, problem))
            claims.append(claim)
        if not claims:
            return PreFilterResult(skip(NAME))
        return _sorted_out(claims, snapshot.view)

    def filter(self, state: PodVolumes, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether every claim finds its volume, or one to take, or room to be provisioned (VB-129)."""
        if not state.delayed and not state.selected:
            problem = state.bound_problem(node.node.metadata.labels)
            return SUCCESS if not problem else _refused((problem,))
        if _finds_volume(state, node.node):
            return SUCCESS
        plan = state.plan(node.node)
        if plan.error:
            return error(NAME, plan.error)
        return _refused(plan.reasons) if plan.reasons else SUCCESS

    def plan(self, state: PodVolumes, pod: Pod, node: NodeInfo, chosen: Chosen = NOTHING_CHOSEN) -> VolumePlan:
        """What becomes of the pod's claims on a node.

        Parameters
        ----------
        state : what PreFilter prepared.
        pod : the pod to be placed.
        node : where.
        chosen : how ties are broken, claim to volume, in addition to what has been settled; else the first volume wins.
        """
        return state.plan(node.node, chosen)

    def ties_matter(self, state: PodVolumes) -> bool:
        """Whether breaking a tie another way could change which nodes are feasible."""
        return ties_matter(state)

    def settle(self, state: PodVolumes, node: str, chosen: Chosen) -> PodVolumes:
        """The state with ties broken on a node, or on `EVERY_NODE`."""
        return state.settle(node, chosen)

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Skipped unless the gate is on."""
        return self.pre_filter(pod, snapshot) if self.scores_capacity else PreFilterResult(skip(NAME))

    def score(self, state: PodVolumes, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """How well the volumes would be used, the mean over the classes (VB-141)."""
        plan = state.plan(node.node)
        use: dict[str, tuple[int, int]] = {}
        for claim, volume in plan.static:
            requested, capacity = use.get(volume.spec.storage_class_name, (0, 0))
            size = volume.capacity
            use[volume.spec.storage_class_name] = (
                requested + _requested(claim), capacity + (size.value if size is not None else 0)
            )
        if not plan.static:
            for provision in plan.provisions:
                if provision.capacity is not None:
                    name = class_of(provision.claim)
                    requested = use.get(name, (0, 0))[0] + _requested(provision.claim)
                    use[name] = (requested, provision.capacity.value)
        if not use:
            return 0
        total = sum(
            broken_linear(
                self.shape, MAX_SCORE if capacity == 0 or requested > capacity else requested * MAX_SCORE // capacity
            )
            for requested, capacity in use.values()
        )
        return round_half_up(total / len(use))


def _claims_of(pod: Pod) -> list[tuple[str, bool]]:
    """Names of the pod's claims in volume order, and whether each was made for the pod alone (VB-167)."""
    return [
        (volume.persistent_volume_claim.claim_name, False)
        if volume.persistent_volume_claim is not None
        else (f"{pod.metadata.name}-{volume.name}", True)
        for volume in pod.spec.volumes
        if volume.persistent_volume_claim is not None or volume.ephemeral is not None
    ]


def _problem(pod: Pod, name: str, claim: PersistentVolumeClaim | None, is_ephemeral: bool) -> str:
    """Why a claim stops its pod before any node is looked at, "" if it does not (VB-124)."""
    if claim is None:
        missing = f'persistentvolumeclaim "{name}"'
        if is_ephemeral:
            return f"waiting for ephemeral volume controller to create the {missing}"
        return f"{missing} not found"
    if claim.status.phase == "Lost":
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.spec.volume_name}"'
    if claim.metadata.is_terminating:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if is_ephemeral:
        owner = claim.metadata.controller
        if owner is None or owner.uid != pod.metadata.uid:
            namespace = pod.metadata.namespace
            return (f"PVC {namespace}/{name} was not created for pod {namespace}/{pod.metadata.name} "
                    "(pod is not owner)")
    return ""


def _sorted_out(claims: Sequence[PersistentVolumeClaim], view: View) -> PreFilterResult:
    """Bound, waiting for this pod, or neither; one of the last kind stops the pod (VB-126, VB-127)."""
    bound: list[PersistentVolumeClaim] = []
    delayed: list[PersistentVolumeClaim] = []
    has_immediate = False
    for claim in claims:
        if is_fully_bound(claim):
            bound.append(claim)
            continue
        named = class_of(claim)
        storage_class = view.get(StorageClass, named) if named else None
        if storage_class is not None and storage_class.volume_binding_mode is None:
            return PreFilterResult(error(NAME, f'VolumeBindingMode not set for StorageClass "{named}"'))
        if is_delayed(storage_class) and not claim.spec.volume_name:
            delayed.append(claim)
        else:
            has_immediate = True
    if has_immediate:
        return PreFilterResult(UNBOUND_IMMEDIATE)
    return PreFilterResult(state=PodVolumes.of(bound, delayed, view))


def _finds_volume(state: PodVolumes, node: Node) -> bool:
    """The common case, one claim that takes any free volume, without making a plan; False only means "look closer"."""
    if state.bound or state.selected or len(state.delayed) != 1:
        return False
    candidates = state.delayed[0]
    return not candidates.reserved and candidates.finds_any(node.metadata.labels)


def _refused(reasons: tuple[str, ...]) -> Status:
    return _FREQUENT.get(reasons) or unresolvable(NAME, *reasons)


def _requested(claim: PersistentVolumeClaim) -> int:
    return claim.request.value if claim.request is not None else 0


def reserved_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    """The volume with a full reference to the claim; marked as a controller's doing unless it had one (VB-142)."""
    reference = volume.spec.claim_ref
    changed = volume
    if reference is None or not refers(volume, claim) or reference.uid != claim.metadata.uid:
        meta = claim.metadata
        full = ObjectReference(
            kind=claim.KIND, api_version=claim.API_VERSION, namespace=meta.namespace, name=meta.name, uid=meta.uid,
            resource_version=meta.resource_version,
        )
        changed = replace(volume, spec=replace(volume.spec, claim_ref=full))
    if not refers(volume, claim) and BOUND_BY_CONTROLLER not in volume.metadata.annotations:
        changed = with_annotations(changed, {BOUND_BY_CONTROLLER: "yes"})
    return changed


def volume_writes(plan: VolumePlan, node: str) -> tuple[PersistentVolume | PersistentVolumeClaim, ...]:
    """What PreBind writes for a plan: volumes reserved for their claims, then claims with the node (VB-146)."""
    return (
        *(reserved_for(volume, claim) for claim, volume in plan.static),
        *(with_annotations(provision.claim, {SELECTED_NODE: node}) for provision in plan.provisions),
    )


def assumptions(plan: VolumePlan, node: str) -> tuple[PersistentVolume | PersistentVolumeClaim, ...]:
    """What Reserve assumes for a plan: the same, but for volumes that carry the claim's uid already (VB-142)."""
    volumes = [volume for _, volume in plan.static]
    writes = volume_writes(plan, node)
    return tuple(
        write for place, write in enumerate(writes) if place >= len(volumes) or write is not volumes[place]
    )
