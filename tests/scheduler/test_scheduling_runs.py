"""The scheduler in a world with the volume controller: whole runs in virtual time, against recorded ones."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Pod
from simulator.api.meta import Object
from simulator.choices import Seeded
from simulator.cluster.world import World
from simulator.controllers.volume_binder import VolumeBinder
from simulator.drivers.timed import Timed
from simulator.eventlog import Log, LogEntry
from simulator.scheduler import Scheduler
from simulator.testing.builders import apart, make_claim, make_class, make_node, make_pod, make_volume
from simulator.units import SECOND, Micros


class Run:
    """A world on a clock; objects come at given moments."""

    def __init__(self, *objects: Object, seed: int = 1) -> None:
        self.log = Log()
        self.world = World([VolumeBinder(), Scheduler()], Seeded(seed), self.log)
        self.driver = Timed(self.world)
        self.apply(make_class("local", mode="WaitForFirstConsumer"), *objects)
        self.world.begin()

    def apply(self, *objects: Object) -> None:
        assert self.world.load(objects) == []

    def until(self, moment: Micros) -> None:
        self.driver.run(moment, lambda: False)

    def placed(self) -> dict[str, str]:
        return {pod.name: pod.spec.node_name for pod in self.world.store.list(Pod)}

    def entries(self, verb: str, name: str) -> list[LogEntry]:
        return [entry for entry in self.log.entries if entry.verb == verb and entry.key.name == name]


def local(name: str, node: str, **fields: Any) -> Object:
    return make_volume(name, node=node, storage_class="local", phase="Available", **fields)


@pytest.mark.rule("VB-147")
@pytest.mark.rule("SC-102")
def test_pods_with_local_volumes_spread_and_are_bound_after_a_second() -> None:
    nodes = [make_node(f"node-{number}") for number in range(3)]
    run = Run(*nodes, *(local(f"pv-{number}", f"node-{number}") for number in range(3)))
    run.until(SECOND // 2)
    run.apply(*(make_claim(f"data-{number}", storage_class="local") for number in range(3)))
    run.apply(*(make_pod(f"web-{number}", claims=(f"data-{number}",), labels={"app": "web"}, affinity=apart("web"))
                for number in range(3)))
    run.until(10 * SECOND)
    assert sorted(run.placed().values()) == ["node-0", "node-1", "node-2"]
    for number in range(3):
        write, = (entry for entry in run.entries("update", f"pv-{number}") if entry.actor == "scheduler")
        claim = write.new.spec.claim_ref.name  # type: ignore[union-attr]
        bound, = run.entries("bind", f"web-{claim[-1]}")
        assert bound.time - write.time == 1_002_000


@pytest.mark.rule("SC-105")
@pytest.mark.rule("VB-153")
@pytest.mark.rule("SC/ND-11")
def test_of_two_pods_that_share_a_claim_one_fails_and_follows_after_an_errors_back_off() -> None:
    """As recorded in 32-shared-claim."""
    run = Run(*(make_node(f"node-{number}") for number in range(3)), local("pv-1", "node-2"))
    run.until(SECOND // 2)
    run.apply(make_claim("shared", storage_class="local"))
    run.apply(*(make_pod(name, claims=("shared",)) for name in ("p1", "p2")))
    run.until(10 * SECOND)
    assert run.placed() == {"p1": "node-2", "p2": "node-2"}
    failed, = run.entries("schedule-failed", "p2")
    assert failed.detail is not None and failed.detail["message"] == (
        'running PreBind plugin "VolumeBinding": Operation cannot be fulfilled on persistentvolumes "pv-1": the object '
        "has been modified; please apply your changes to the latest version and try again")
    pod = run.world.store.get(Pod, "p2", "default")
    assert pod is not None and pod.status.nominated_node_name == ""
    first, second = run.entries("bind", "p1")[0].time, run.entries("bind", "p2")[0].time
    assert first - failed.time == pytest.approx(SECOND, abs=10_000)
    assert second == (failed.time + SECOND) // SECOND * SECOND + SECOND + 3_000  # SC-8, the cycle, and the call


@pytest.mark.rule("SC-14")
@pytest.mark.rule("SC-13")
def test_a_new_volume_wakes_the_pod_and_room_alone_does_not() -> None:
    run = Run(make_node("node-1"), make_claim("data", storage_class="local"), make_pod("web-0", claims=("data",)),
              make_pod("other", nodeName="node-1"))
    run.until(20 * SECOND)
    assert len(run.entries("schedule-failed", "web-0")) == 1
    run.world.store.remove(make_pod("other").key)
    run.until(329 * SECOND)
    assert len(run.entries("schedule-failed", "web-0")) == 1
    run.until(331 * SECOND)
    assert len(run.entries("schedule-failed", "web-0")) == 2
    run.apply(make_volume("pv-1", node="node-1", storage_class="local"))
    run.until(340 * SECOND)
    assert run.placed()["web-0"] == "node-1"


def test_the_same_seed_gives_the_same_log_and_another_one_other_nodes() -> None:
    def placed(seed: int) -> tuple[list[bytes], dict[str, str]]:
        run = Run(*(make_node(f"node-{number}") for number in range(5)), seed=seed)
        run.apply(*(make_pod(f"web-{number}") for number in range(5)))
        run.until(5 * SECOND)
        return list(run.log.lines()), run.placed()

    assert placed(1) == placed(1)
    assert len({tuple(placed(seed)[1].values()) for seed in range(5)}) > 1


@pytest.mark.rule("VB-121")
@pytest.mark.rule("VB/ND-31")
def test_a_restarted_scheduler_finds_its_pods_again() -> None:
    run = Run(make_node("node-1", cpu="2"))
    run.apply(*(make_pod(f"web-{number}", cpu="1") for number in range(3)))
    run.until(SECOND)
    run.world.restart("scheduler")
    run.until(5 * SECOND)
    assert sorted(run.placed().values()) == ["", "node-1", "node-1"]
    memory: Any = run.world.runtimes["scheduler"].memory
    assert len(memory.queue.unschedulable) == 1 and len(memory.cache.nodes()[0].pods) == 2
