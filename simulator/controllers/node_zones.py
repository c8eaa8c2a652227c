"""Zones of nodes, and how fast their nodes may be tainted NoExecute (WL-121 to WL-123)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from simulator.api.core import Node
from simulator.units import SECOND, Micros

NORMAL: Final = "Normal"
PARTIAL: Final = "PartialDisruption"
FULL: Final = "FullDisruption"
INITIAL: Final = "Initial"

NEVER: Final[Micros] = 0
INTERVAL: Final[Micros] = 10 * SECOND
"""From one node of a zone to the next: 0.1 a second."""
SLOW_INTERVAL: Final[Micros] = 100 * SECOND
LARGE: Final = 50
_UNHEALTHY_PERCENT: Final = 55
_EXCLUDED: Final = "node.kubernetes.io/exclude-disruption"

_REGIONS: Final = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_ZONES: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")


class ZoneWork(Struct, frozen=True):
    """A zone's state, and its rate limit: a bucket of one token.

    Attributes
    ----------
    interval : from one node to the next; `NEVER` stops tainting.
    next_at : when the next node may be tainted.
    """

    state: str = INITIAL
    interval: Micros = INTERVAL
    next_at: Micros = 0


def zone_of(node: Node) -> str:
    """Region and zone of a node; all nodes without these labels are one zone (WL-122)."""
    labels = node.metadata.labels
    region = next((labels[name] for name in _REGIONS if name in labels), "")
    zone = next((labels[name] for name in _ZONES if name in labels), "")
    return f"{region}:{zone}" if region or zone else ""


def zone_states(nodes: Iterable[Node]) -> dict[str, tuple[str, int]]:
    """State and number of nodes of each zone (WL-122)."""
    counts: dict[str, list[int]] = {}
    for node in nodes:
        if _EXCLUDED in node.metadata.labels:
            continue
        count = counts.setdefault(zone_of(node), [0, 0])
        condition = node.condition("Ready")
        count[0 if condition is not None and condition.status == "True" else 1] += 1
    return {zone: (_state(ready, unready), ready + unready) for zone, (ready, unready) in counts.items()}


def _state(ready: int, unready: int) -> str:
    if ready == 0:
        return FULL
    if unready >= 3 and unready * 100 >= _UNHEALTHY_PERCENT * (ready + unready):
        return PARTIAL
    return NORMAL


def changed_limits(
    zones: Mapping[str, ZoneWork], states: Mapping[str, tuple[str, int]], now: Micros, *,
    is_outage: bool, was_outage: bool,
) -> dict[str, ZoneWork]:
    """The zones whose state or rate changes.

    Parameters
    ----------
    is_outage, was_outage : whether all zones are, or were, fully disrupted: then nothing is tainted (WL-123).
    """
    changed = {}
    for zone, (state, size) in states.items():
        old = zones.get(zone, ZoneWork(next_at=now))
        if is_outage:
            new = old if was_outage else ZoneWork(FULL, NEVER, old.next_at)
        else:
            new = _limited(old, state, _interval(state, size), now)
        if new != zones.get(zone):
            changed[zone] = new
    return changed


def _interval(state: str, size: int) -> Micros:
    if state != PARTIAL:
        return INTERVAL
    return SLOW_INTERVAL if size > LARGE else NEVER


def _limited(old: ZoneWork, state: str, interval: Micros, now: Micros) -> ZoneWork:
    """The zone with another rate; a token that was not there before is not there after."""
    if interval == old.interval:
        return ZoneWork(state, interval, old.next_at)
    has_token = old.interval != NEVER and now >= old.next_at
    return ZoneWork(state, interval, now if has_token else now + interval)
