"""The apps/v1 kinds: StatefulSet and ControllerRevision; a set's ordinals and the names made from them."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from simulator.api.core import Condition, PersistentVolumeClaim, PodTemplateSpec
from simulator.api.meta import ApiStruct, Object
from simulator.api.selectors import LabelSelector


class RollingUpdateStatefulSetStrategy(ApiStruct, frozen=True):
    """The block whose presence matters (WL-2, WL-29)."""

    partition: int | None = None
    max_unavailable: int | str | None = None


class StatefulSetUpdateStrategy(ApiStruct, frozen=True):
    """RollingUpdate or OnDelete."""

    type: str = ""
    rolling_update: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetOrdinals(ApiStruct, frozen=True):
    """Where the ordinals start (WL-18)."""

    start: int = 0


class StatefulSetPersistentVolumeClaimRetentionPolicy(ApiStruct, frozen=True):
    """What becomes of claims when the set is deleted or scaled down (WL-75)."""

    when_deleted: str = ""
    when_scaled: str = ""


class StatefulSetSpec(ApiStruct, frozen=True):
    """What is wanted of a set."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    volume_claim_templates: tuple[PersistentVolumeClaim, ...] = ()
    service_name: str = ""
    pod_management_policy: str = ""
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()
    revision_history_limit: int | None = None
    min_ready_seconds: int = 0
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    ordinals: StatefulSetOrdinals | None = None


class StatefulSetStatus(ApiStruct, frozen=True):
    """What is known of a set (WL-69)."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None
    conditions: tuple[Condition, ...] = ()


class StatefulSet(Object, frozen=True):
    """A set of pods with stable names and claims."""

    KIND: ClassVar[str] = "StatefulSet"
    API_VERSION: ClassVar[str] = "apps/v1"

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()

    @property
    def replicas(self) -> int:
        """Wanted replicas; 1 if not said (WL-1)."""
        return 1 if self.spec.replicas is None else self.spec.replicas

    @property
    def start(self) -> int:
        """The first ordinal."""
        return self.spec.ordinals.start if self.spec.ordinals is not None else 0

    @property
    def ordinals(self) -> range:
        """The ordinals in range (WL-18)."""
        return range(self.start, self.start + self.replicas)

    def pod_name(self, ordinal: int) -> str:
        """Name of the pod with that ordinal (WL-17)."""
        return f"{self.metadata.name}-{ordinal}"

    def claim_name(self, template: str, ordinal: int) -> str:
        """Name of the claim made from that template for that ordinal (WL-17)."""
        return f"{template}-{self.metadata.name}-{ordinal}"


_MEMBER = re.compile(r"(.*)-([0-9]+)", re.DOTALL)


def parent_and_ordinal(pod_name: str) -> tuple[str, int] | None:
    """Split a pod's name into set and ordinal, greedily; None if it has not that shape (WL-19)."""
    found = _MEMBER.fullmatch(pod_name)
    return (found[1], int(found[2])) if found is not None else None


class ControllerRevision(Object, frozen=True):
    """A stored pod template of a set (WL-23, WL-25)."""

    KIND: ClassVar[str] = "ControllerRevision"
    API_VERSION: ClassVar[str] = "apps/v1"

    data: Any = None
    revision: int = 0
