"""Budgets, priorities and leases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.api.core import Condition
from simulator.api.meta import ApiStruct, Inert, Object
from simulator.api.selectors import LabelSelector
from simulator.units import Micros


class PodDisruptionBudgetSpec(ApiStruct, frozen=True):
    """How many pods must stay up, or may be down."""

    selector: LabelSelector | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class PodDisruptionBudgetStatus(ApiStruct, frozen=True):
    """What a budget allows now (WL-143)."""

    observed_generation: int = 0
    disrupted_pods: Mapping[str, Micros] = {}
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: tuple[Condition, ...] = ()


class PodDisruptionBudget(Object, frozen=True):
    """A budget that evictions respect."""

    KIND: ClassVar[str] = "PodDisruptionBudget"
    API_VERSION: ClassVar[str] = "policy/v1"

    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()


class PriorityClass(Object, frozen=True):
    """A named priority (SC-109)."""

    KIND: ClassVar[str] = "PriorityClass"
    API_VERSION: ClassVar[str] = "scheduling.k8s.io/v1"
    NAMESPACED: ClassVar[bool] = False

    value: int = 0
    global_default: bool = False
    preemption_policy: str | None = None
    description: Inert = None


class LeaseSpec(ApiStruct, frozen=True):
    """Who holds a lease, and since when."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: Micros | None = None
    acquire_time: Inert = None
    lease_transitions: Inert = None
    preferred_holder: Inert = None
    strategy: Inert = None


class Lease(Object, frozen=True):
    """A node's heartbeat (WL-114)."""

    KIND: ClassVar[str] = "Lease"
    API_VERSION: ClassVar[str] = "coordination.k8s.io/v1"

    spec: LeaseSpec = LeaseSpec()
