"""What the pod of an ordinal should look like, and what state a pod is in: pure (WL-17 to WL-21, WL-36)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume
from simulator.api.meta import ObjectMeta, OwnerReference, evolve
from simulator.units import SECOND, Micros

POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"
REVISION_LABEL: Final = "controller-revision-hash"

_LARGEST_ORDINAL: Final = (1 << 31) - 1


def set_reference(sts: StatefulSet) -> OwnerReference:
    """The reference by which a set owns pods, revisions and claims."""
    return OwnerReference(api_version=sts.API_VERSION, kind=sts.KIND, name=sts.name, uid=sts.metadata.uid,
                          controller=True, block_owner_deletion=True)


# --- identity -------------------------------------------------------------------------------------------------------


def member_ordinal(sts: StatefulSet, pod_name: str) -> int | None:
    """The ordinal of a member of the set by its name; None if it is no member, -1 if the ordinal is ignored (WL-19)."""
    prefix = sts.metadata.name + "-"
    digits = pod_name[len(prefix):]
    if not (pod_name.startswith(prefix) and digits.isascii() and digits.isdigit()):
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


def storage_matches(sts: StatefulSet, pod: Pod, ordinal: int) -> bool:
    """Whether the pod has the claim volume of every template (WL-42)."""
    volumes = pod.spec.volumes
    for template in sts.spec.volume_claim_templates:
        name = template.metadata.name
        for volume in volumes:
            if volume.name == name:
                claim = volume.persistent_volume_claim
                if claim is None or claim.claim_name != sts.claim_name(name, ordinal):
                    return False
                break
        else:
            return False
    return True


def claim_volumes(sts: StatefulSet, ordinal: int) -> tuple[Volume, ...]:
    """A volume for every template, in the order of the templates (WL-21)."""
    return tuple(
        Volume(name=name, persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=sts.claim_name(name, ordinal)))
        for name in (template.metadata.name for template in sts.spec.volume_claim_templates)
    )


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


def is_running_and_ready(pod: Pod) -> bool:
    """Phase Running and condition Ready=True (WL-36)."""
    return pod.status.phase == "Running" and pod.is_ready


def is_available(pod: Pod, min_ready_seconds: int, now: Micros) -> bool:
    """Ready for long enough; phase and deletion do not matter (WL-36)."""
    due = available_at(pod, min_ready_seconds)
    return due is not None and due <= now


def available_at(pod: Pod, min_ready_seconds: int) -> Micros | None:
    """When the pod becomes, or became, available if it stays ready; None if it is not ready (WL-36, WL-37)."""
    ready = pod.condition("Ready")
    if ready is None or ready.status != "True":
        return None
    if min_ready_seconds == 0:
        return 0
    since = ready.last_transition_time
    return since + min_ready_seconds * SECOND if since is not None else None


def is_unavailable(pod: Pod | None, min_ready_seconds: int, now: Micros) -> bool:
    """Not available, terminating, or not there at all (WL-34, WL-36)."""
    return pod is None or pod.metadata.is_terminating or not is_available(pod, min_ready_seconds, now)
