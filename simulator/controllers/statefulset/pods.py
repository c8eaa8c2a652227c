"""What the pod of an ordinal should look like, and what state a pod is in: pure (WL-17 to WL-21, WL-36)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume
from simulator.api.meta import ObjectMeta, OwnerReference, evolve
from simulator.units import SECOND, Micros

POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"
REVISION_LABEL: Final = "controller-revision-hash"

NEVER: Final[Micros] = 1 << 62

_LARGEST_ORDINAL: Final = (1 << 31) - 1


def set_reference(sts: StatefulSet) -> OwnerReference:
    """The reference by which a set owns pods, revisions and claims."""
    return OwnerReference(api_version=sts.API_VERSION, kind=sts.KIND, name=sts.name, uid=sts.metadata.uid,
                          controller=True, block_owner_deletion=True)


# --- identity -------------------------------------------------------------------------------------------------------


def member_ordinal(set_name: str, pod_name: str) -> int | None:
    """The ordinal of a member of the set by its name; None if it is no member, -1 if the ordinal is ignored (WL-19)."""
    parent, dash, digits = pod_name.rpartition("-")
    if parent != set_name or not dash or not digits.isdigit() or not digits.isascii():
        return None
    ordinal = int(digits)
    return ordinal if ordinal <= _LARGEST_ORDINAL else -1


def revision_of(pod: Pod) -> str:
    """Name of the revision that a pod was made from, "" if it says none."""
    return pod.metadata.labels.get(REVISION_LABEL, "")


def identity_matches(sts: StatefulSet, pod: Pod, ordinal: int) -> bool:
    """Whether name and pod-name label are those of the ordinal (WL-42)."""
    name = pod.metadata.name
    return name == sts.pod_name(ordinal) and pod.metadata.labels.get(POD_NAME_LABEL) == name


def with_identity(sts: StatefulSet, pod: Pod, ordinal: int) -> Pod:
    """The pod with the name and the labels of its ordinal; what is immutable stays as it is."""
    name = sts.pod_name(ordinal)
    labels = {**pod.metadata.labels, POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    return evolve(pod, metadata=evolve(pod.metadata, name=name, namespace=sts.namespace, labels=labels))


def storage_matches(sts: StatefulSet, pod: Pod, claim_names: Iterable[str]) -> bool:
    """Whether the pod has the claim volume of every template (WL-42).

    Parameters
    ----------
    claim_names : the names of the pod's claims, in the order of the templates.
    """
    for template, claim_name in zip(sts.spec.volume_claim_templates, claim_names, strict=True):
        name = template.metadata.name
        for volume in pod.spec.volumes:
            if volume.name == name:
                claim = volume.persistent_volume_claim
                if claim is None or claim.claim_name != claim_name:
                    return False
                break
        else:
            return False
    return True


def claim_volumes(sts: StatefulSet, ordinal: int) -> tuple[Volume, ...]:
    """A volume for every template, in the order of the templates (WL-21)."""
    names = (template.metadata.name for template in sts.spec.volume_claim_templates)
    sources = ((name, PersistentVolumeClaimVolumeSource(claim_name=sts.claim_name(name, ordinal))) for name in names)
    return tuple(Volume(name=name, persistent_volume_claim=source) for name, source in sources)


def with_storage(pod: Pod, volumes: Sequence[Volume]) -> Pod:
    """The pod with these claim volumes, in place of its own of the same names and before its other ones (WL-21)."""
    names = {volume.name for volume in volumes}
    others = (volume for volume in pod.spec.volumes if volume.name not in names)
    return evolve(pod, spec=evolve(pod.spec, volumes=(*volumes, *others)))


def new_pod(sts: StatefulSet, ordinal: int, template: PodTemplateSpec, revision: str,
            volumes: Sequence[Volume]) -> Pod:
    """The pod of an ordinal as it is sent to the API server (WL-20, WL-21)."""
    name = sts.pod_name(ordinal)
    meta = ObjectMeta(
        name=name,
        generate_name=f"{sts.name}-",
        namespace=sts.namespace,
        labels={**template.metadata.labels, POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal),
                REVISION_LABEL: revision},
        annotations=template.metadata.annotations,
        finalizers=template.metadata.finalizers,
        owner_references=(set_reference(sts),),
    )
    # Hostname and subdomain of the template are overridden (WL-8).
    spec = evolve(template.spec, hostname=name, subdomain=sts.spec.service_name)
    return with_storage(Pod(metadata=meta, spec=spec), volumes)


# --- state ----------------------------------------------------------------------------------------------------------


class Replica(Struct, frozen=True):
    """The pod of an ordinal, and how it is doing.

    Attributes
    ----------
    name : the pod's name; of one that does not exist, the name that it will get.
    pod : None where it does not exist.
    is_ready : phase Running and condition Ready=True (WL-36).
    is_available : ready for long enough; phase and deletion do not matter (WL-36).
    is_terminating : the pod is being deleted.
    is_healthy : an ordered set need not wait for it (WL-41).
    """

    ordinal: int
    name: str
    pod: Pod | None
    is_ready: bool
    is_available: bool
    is_terminating: bool
    is_healthy: bool

    @property
    def is_unavailable(self) -> bool:
        """Not available, terminating, or not there at all (WL-34, WL-36)."""
        return not self.is_available or self.is_terminating


def replica_of(sts: StatefulSet, ordinal: int, pod: Pod | None, now: Micros) -> Replica:
    """The state of an ordinal's pod."""
    if pod is None:
        return Replica(ordinal, sts.pod_name(ordinal), None, False, False, False, False)
    due = available_at(pod, sts.spec.min_ready_seconds)
    is_ready = due is not None and pod.status.phase == "Running"
    is_available = due is not None and due <= now
    is_terminating = pod.metadata.deletion_timestamp is not None
    is_healthy = is_ready and is_available and not is_terminating
    return Replica(ordinal, pod.metadata.name, pod, is_ready, is_available, is_terminating, is_healthy)


def available_at(pod: Pod, min_ready_seconds: int) -> Micros | None:
    """When the pod becomes, or became, available if it stays ready; None if it is not ready (WL-36, WL-37)."""
    ready = pod.condition("Ready")
    if ready is None or ready.status != "True":
        return None
    if min_ready_seconds == 0:
        return 0
    if ready.last_transition_time is None:
        return NEVER
    # Times in the API have whole seconds (WL-153, CP-19).
    return ready.last_transition_time // SECOND * SECOND + min_ready_seconds * SECOND
