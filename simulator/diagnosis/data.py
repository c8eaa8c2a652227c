"""What `explain` gives: plain data, which can be printed, stored and compared."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from simulator.diagnosis.table import PodTable
from simulator.explanation.wait_for import WaitFor


class Member(Struct, frozen=True, rename="camel"):
    """A fact that is named as a cause.

    Attributes
    ----------
    text : a clause.
    object : whose fact it is.
    where : ``file:line`` of where it is written; "" if nobody wrote it.
    made_from : what the object was made from, if nobody wrote it: ``StatefulSet web``.
    without : what the experiments supposed that took it away.
    nodes : the nodes that it closes; empty: not single nodes.
    rule : the scheduler's plug-in that looks at it, if one does.
    kind : what sort of fact it is.
    ties : whether it leaves a pod to some nodes, and closes all others.
    """

    text: str
    object: str
    where: str = ""
    made_from: str = ""
    without: str = ""
    nodes: tuple[str, ...] = ()
    rule: str = ""
    kind: str = ""
    ties: bool = False


class Core(Struct, frozen=True, rename="camel"):
    """An irreducible core: together these facts hold the object, and none of them is too many.

    Certified by experiments that begin at the end of the run: with every other fact in question taken away, no run
    resolves the object; with any one member taken away as well, some run does.
    """

    members: tuple[Member, ...]


class WayOut(Struct, frozen=True, rename="camel"):
    """Facts that free the object: taken away, some run resolves it; any one of them put back, no run does."""

    members: tuple[Member, ...]


class Step(Struct, frozen=True, rename="camel"):
    """Something to be done.

    Attributes
    ----------
    command : for a shell; "" for what no command does.
    manifest : what the command reads from standard input, as YAML.
    words : what it does, where no command says it.
    """

    command: str = ""
    manifest: str = ""
    words: str = ""


class Repair(Struct, frozen=True, rename="camel"):
    """A change that mends it: its steps were carried out from the end of the run on.

    Attributes
    ----------
    title : in a few words.
    data : what becomes of data: "kept"; "set aside" (they stay on a volume that no claim has any more); "lost".
    notes : what it costs, in words.
    needs_hardware : whether it takes a machine or a disk.
    restarts : pods that ran, and were made again or ended.
    converged, runs : so many runs of so many reached every goal.
    is_every_run : whether the runs are all that there can be, ties branched.
    mends_all : whether everything reaches its goal then; if not, what has another cause stays short.
    timeline : the same steps as entries of a scenario's timeline.
    """

    title: str
    steps: tuple[Step, ...]
    data: str = "kept"
    notes: tuple[str, ...] = ()
    needs_hardware: bool = False
    restarts: tuple[str, ...] = ()
    converged: int = 0
    runs: int = 0
    is_every_run: bool = False
    mends_all: bool = True
    timeline: tuple[dict[str, object], ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether each run reached every goal."""
        return self.converged == self.runs > 0


class Knot(Struct, frozen=True, rename="camel"):
    """One thing that is stuck for reasons of its own, and what waits for it.

    Attributes
    ----------
    objects : that wait for nothing else that is stuck; several wait for each other.
    short : what each is short of.
    story : why, causes before effects.
    effects : what waits for these, in words.
    facts : how many facts were in question.
    cores : the first is the one told; empty if none could be certified, and then `remark` says why.
    ways_out : smallest sets of facts that free it.
    tables : every rule's answer on every node, for the unscheduled pods among `objects`.
    experiments : how many different ones were run.
    alike : the first object of the knot that this one is like, if it was not looked into on its own.
    """

    objects: tuple[str, ...]
    short: tuple[str, ...]
    story: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    cores: tuple[Core, ...] = ()
    ways_out: tuple[WayOut, ...] = ()
    tables: tuple[PodTable, ...] = ()
    remark: str = ""
    facts: int = 0
    experiments: int = 0
    alike: str = ""


class Diagnosis(Struct, frozen=True, rename="camel"):
    """Why a run ended as it did, and what would mend it.

    Attributes
    ----------
    verdict, why : of the run that is explained.
    parameters : the scenario's, as they were.
    failures : entries of the timeline that went wrong.
    found : how that run was found, or what to look at instead.
    stuck : what is stuck; things that are so for like reasons are like each other.
    repairs : the cheapest first (see `simulator.diagnosis.repairs`).
    graph : who waits for whom.
    """

    scenario: str
    title: str
    seed: int | None
    ties: str
    verdict: str
    why: str
    parameters: dict[str, Any] = {}
    failures: tuple[str, ...] = ()
    found: str = ""
    stuck: tuple[Knot, ...] = ()
    repairs: tuple[Repair, ...] = ()
    graph: WaitFor = WaitFor()
