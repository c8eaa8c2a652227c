"""One run: a scenario, a seed and a tie policy in; an event log with its verdict out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from simulator.api.meta import Key
from simulator.assembly import LATENCIES, control_plane
from simulator.choices import TIE_POLICIES, Chooser, Seeded
from simulator.cluster.component import Component
from simulator.cluster.store import Store
from simulator.cluster.world import World
from simulator.controllers.kubelet import KubeletConfig, start_steps_for
from simulator.controllers.local_volumes import Directory, Settings
from simulator.controllers.storage_driver import StorageDriver
from simulator.errors import ManifestError, ScenarioError
from simulator.eventlog import Log, NoLog
from simulator.explanation.verdict import CONVERGED, NO_VERDICT, STUCK, Goals
from simulator.flows import Remember
from simulator.manifests.loader import Loaded
from simulator.manifests.origin import line_of
from simulator.scenario.faults import FAULTS
from simulator.scenario.header import header_of
from simulator.scenario.kubectl import Applied, Kubectl
from simulator.scenario.load import Scenario
from simulator.scenario.script import Script
from simulator.units import HOUR, Micros, format_duration, parse_duration, quantity

RUN: Final = Key("Run", "", "")
HORIZON: Final[Micros] = 4 * HOUR
"""How long a run goes on after the last time that its timeline names, if nothing ends it before."""


class Restful(Protocol):
    """Tells whether anything can still come."""

    def is_calm(self) -> bool:
        """Whether nothing is under way and no one-shot timer is left."""

    def is_reached(self) -> bool:
        """Whether nothing can come any more."""


class Driver(Protocol):
    """What decides which step comes next, and when."""

    @property
    def rest(self) -> Restful:
        """Whether anything can still come."""

    def run(self, until: Micros, is_over: Callable[[], bool]) -> bool:
        """Take steps until `is_over` or the horizon; returns whether it ended before the horizon."""

    def wake(self, moment: Micros) -> None:
        """See to it that `is_over` is asked at that moment."""


class Run(Struct):
    """The outcome of one run.

    Attributes
    ----------
    log : everything that happened; its last entry is the verdict.
    verdict : converged, stuck or no verdict.
    why : the verdict in a sentence.
    waiting : what is short of its goal → of what.
    failures : entries of the timeline that went wrong, in words.
    """

    log: Log
    verdict: str
    why: str
    waiting: dict[Key, str]
    failures: tuple[str, ...]
    world: World


def _drivers(scenario: Scenario) -> dict[str, StorageDriver]:
    return {
        described.name: StorageDriver(
            absent=described.absent, topology=described.topology, immediate_node=described.immediate_node,
            full_on=frozenset(described.full_on),
        )
        for described in scenario.spec.provisioners
    }


_WORKLOADS: Final = frozenset({
    "Deployment", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob",
})
"""Kinds that make pods, and are not simulated."""

_FIELD = re.compile(r"is invalid: \[?([\w.]+(?:\[\d+\][\w.]*)*)")


def refused_line(item: Loaded, message: str) -> int:
    """The line of the field that the API server complains of, or of the object."""
    field = _FIELD.search(message)
    return line_of(item.origin, field[1]) if field is not None else item.origin.line


def _local_volumes(scenario: Scenario) -> Settings | None:
    described = scenario.spec.local_provisioner
    if described is None:
        return None
    return Settings(
        directories=tuple(
            Directory(
                found.storage_class,
                {node: {name: quantity(size) for name, size in files.items()} for node, files in found.files.items()},
                found.host_path,
            )
            for found in described.directories
        ),
        absent=frozenset(described.absent),
        wipe_error=described.wipe_error,
        cleanup_after=parse_duration(described.cleanup_after) if described.cleanup_after else None,
    )


class Cluster:
    """A world with its initial objects, its goals and its script: what a driver runs.

    Parameters
    ----------
    components : controllers of one's own, beside those of the control plane.

    Raises
    ------
    ManifestError
        If the API server refuses an initial object.
    """

    def __init__(
        self,
        scenario: Scenario,
        chooser: Chooser,
        driver: Callable[[World], Driver],
        log: Log,
        components: Sequence[Component] = (),
    ) -> None:
        kubelets = KubeletConfig(start_steps=start_steps_for(scenario.latencies))
        own = control_plane(_drivers(scenario), kubelets, _local_volumes(scenario))
        self.world = World((*own, *components, Kubectl()), chooser, log)
        self.goals = Goals(self.world.store)
        self.world.watchers.append(self.goals)
        self.workloads = tuple(dict.fromkeys(
            item.kind for item in scenario.initial.not_simulated if item.kind in _WORKLOADS
        ))
        loaded = scenario.initial.objects
        refused = [
            f"{item.origin.file}:{refused_line(item, refusal.message)}: {refusal.message}"
            for item in loaded
            for refusal in self.world.load([item.obj])
        ]
        if refused:
            raise ManifestError("\n".join(refused))
        for item in loaded:
            if not item.obj.metadata.uid:
                self.world.tell("kubectl", Remember(Applied(item.obj.key, item.raw)))
        self.driver = driver(self.world)
        self.script = Script(scenario.timeline, self.world, self, FAULTS, self.driver.wake)
        self.world.begin()

    @property
    def store(self) -> Store:
        """The objects."""
        return self.world.store

    def is_ready(self) -> bool:
        """Whether every goal is reached, and nothing is under way that may change that."""
        return not self.goals.unmet and self.driver.rest.is_calm()

    def is_stuck(self) -> bool:
        """Whether something is short of its goal and nothing can come any more."""
        return bool(self.goals.unmet) and self.driver.rest.is_reached()

    def run(self, until: Micros, goes_on: bool = False) -> tuple[str, str]:
        """Run to the end.

        Parameters
        ----------
        goes_on : whether to go on to `until` even if all is well before.

        Returns
        -------
        The verdict, and why in a sentence.
        """
        script, rest, world = self.script, self.driver.rest, self.world
        rested = -1  # the version of the store at which nothing could come any more

        def is_over() -> bool:
            nonlocal rested
            if script.advance():
                return False
            if goes_on:
                if rested != world.store.version and rest.is_reached():
                    rested = world.store.version
                return False
            if not script.is_done:
                return script.waiting_for is not None and rest.is_reached()
            return self.is_ready() or rest.is_reached()

        self.driver.run(until, is_over)
        at = format_duration(self.world.now)
        if script.waiting_for is not None:
            script.failures.append(f'"{script.waiting_for}" never came true')
        elif not script.is_done:
            return NO_VERDICT, f"at {at}, the horizon of this run, {script.place}"
        if not self.goals.unmet and not self.goals.has_any and self.workloads:
            return NO_VERDICT, f"nothing that is simulated was to come up; {', '.join(self.workloads)} is not simulated"
        if not self.goals.unmet:
            return CONVERGED, f"everything reached its goal by {format_duration(self.world.last_change)}"
        if rest.is_reached() or rested == world.store.version:
            last = format_duration(self.world.last_change)
            return STUCK, f"nothing has changed since {last}, and nothing can: all timers have fired in vain by {at}"
        return NO_VERDICT, f"at {at}, the horizon of this run, things were still under way"


def run(
    scenario: Scenario,
    *,
    seed: int | None = None,
    ties: str | None = None,
    until: Micros | None = None,
    chooser: Chooser | None = None,
    keep_log: bool = True,
    components: Sequence[Component] = (),
    prepare: Callable[[Cluster], None] = lambda cluster: None,
) -> Run:
    """Run a scenario once in virtual time.

    Parameters
    ----------
    seed, ties : the scenario's own if not given.
    until : the horizon; if given the run goes on to that time even if all is well before.
    chooser : instead of a seeded one.
    keep_log : False leaves the log empty, for those who only want to know how it ends.
    components : controllers of one's own, beside those of the control plane.
    prepare : called with the cluster before it starts, by those who want to watch.

    Returns
    -------
    The run with its log, whose last entry is the verdict.

    Raises
    ------
    ManifestError
        If the API server refuses an initial object.
    """
    from simulator.drivers.timed import Timed

    seed = scenario.spec.seed if seed is None else seed
    ties = scenario.spec.ties if ties is None else ties
    if ties not in TIE_POLICIES:
        raise ScenarioError(f'"{ties}" is not a tie policy; there is {", ".join(TIE_POLICIES)}.')
    if until is None and scenario.spec.until:
        until = parse_duration(scenario.spec.until)
    cluster = Cluster(
        scenario,
        chooser if chooser is not None else Seeded(seed, ties),
        lambda world: Timed(world, {**LATENCIES, **scenario.latencies}),
        Log(header_of(scenario, seed, ties)) if keep_log else NoLog(),
        components,
    )
    prepare(cluster)
    horizon = HORIZON + max((entry.at or 0 for entry in scenario.timeline), default=0)
    verdict, why = cluster.run(horizon if until is None else until, goes_on=until is not None)
    world = cluster.world
    waiting = dict(sorted(cluster.goals.unmet.items()))
    conclude(world.log, world.now, verdict, why, waiting, cluster.script.failures)
    return Run(world.log, verdict, why, waiting, tuple(cluster.script.failures), world)


def conclude(
    log: Log, time: Micros, verdict: str, why: str, waiting: Mapping[Key, str], failures: Sequence[str]
) -> None:
    """Write the last entry of a log: how the run ended, and what is short of its goal."""
    log.append(time, "bindsim", "verdict", RUN, detail={
        "verdict": verdict, "why": why, "time": time,
        "waiting": [str(key) for key in waiting], "short": {str(key): why for key, why in waiting.items()},
        "failures": list(failures),
    })
