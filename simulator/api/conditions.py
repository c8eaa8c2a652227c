"""Conditions and references, which many kinds have."""

from __future__ import annotations

from simulator.api.meta import ApiStruct
from simulator.units import Micros


class ObjectReference(ApiStruct, frozen=True):
    """A pointer to an object; ``claimRef`` of a volume is one, and so is the subject of an event."""

    kind: str = ""
    api_version: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: int = 0
    field_path: str = ""


class LocalObjectReference(ApiStruct, frozen=True):
    """A name in the same namespace."""

    name: str = ""


class Condition(ApiStruct, frozen=True):
    """A condition of a node, pod, claim, namespace or set; the fields that a kind does not have stay absent."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: Micros | None = None
    last_heartbeat_time: Micros | None = None
    last_probe_time: Micros | None = None
    last_update_time: Micros | None = None
    observed_generation: int | None = None


def find_condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """The condition of type `kind`, if present."""
    for condition in conditions:
        if condition.type == kind:
            return condition
    return None


def set_condition(conditions: tuple[Condition, ...], new: Condition, now: Micros) -> tuple[Condition, ...]:
    """Conditions with `new` put in place of its type; the transition time moves only with the status (WL-153)."""
    old = find_condition(conditions, new.type)
    kept = old.last_transition_time if old is not None and old.status == new.status else now
    placed = Condition(
        type=new.type, status=new.status, reason=new.reason, message=new.message, last_transition_time=kept,
        last_heartbeat_time=new.last_heartbeat_time, observed_generation=new.observed_generation,
    )
    if old is None:
        return (*conditions, placed)
    return tuple(placed if condition.type == new.type else condition for condition in conditions)
