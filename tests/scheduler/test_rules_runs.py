"""Rules of the scheduler that only a whole run shows."""

from __future__ import annotations

import pytest

from simulator.choices import Seeded
from simulator.cluster.world import World
from simulator.controllers.volume_binder import VolumeBinder
from simulator.drivers.timed import Timed
from simulator.eventlog import Log
from simulator.latency import uniform
from simulator.scheduler import Scheduler
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import MILLISECOND, SECOND


def first_failure(seed: int) -> str:
    """Why the first attempt failed of a pod that came with claim, class and volume at once, watches being slow."""
    log = Log()
    world = World([VolumeBinder(), Scheduler()], Seeded(seed), log)
    driver = Timed(world, {"watch": uniform(0, 50 * MILLISECOND)})
    world.load([make_node("node-1")])
    world.begin()
    driver.run(SECOND, lambda: False)
    assert world.load([
        make_class("local", mode="WaitForFirstConsumer"), make_volume("pv", node="node-1", storage_class="local"),
        make_claim("data", storage_class="local"), make_pod("web-0", claims=("data",)),
    ]) == []
    driver.run(400 * SECOND, lambda: False)
    bound = [entry for entry in log.entries if entry.verb == "bind"]
    assert [entry.key.name for entry in bound] == ["web-0"], "in the end it makes no difference"
    failures = [entry for entry in log.entries if entry.verb == "schedule-failed"]
    return str((failures[0].detail or {})["message"]) if failures else ""


@pytest.mark.rule("SC/ND-9")
@pytest.mark.rule("SC/ND-10")
def test_each_kind_has_its_own_watch_and_an_attempt_sees_what_has_come() -> None:
    found = {first_failure(seed) for seed in range(30)}
    told = "\n".join(found)
    assert "" in found or "didn't find available persistent volumes" in told
    assert 'persistentvolumeclaim "data" not found' in told, "the pod came before its claim"
    assert "unbound immediate PersistentVolumeClaims" in told, "the claim came before its class"
