"""What a preflight finds, as plain data."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simulator.explanation.reason import Reason
from simulator.explanation.reasons import render

ALWAYS_CONVERGES: Final = "always converges"
MAY_GET_STUCK: Final = "may get stuck"
ALWAYS_GETS_STUCK: Final = "always gets stuck"
NO_VERDICT: Final = "no verdict"

ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"
BEFORE: Final = "before"
AFTER: Final = "after"
SEVERITIES: Final = (ERROR, WARNING, NOTE)
"""An error cannot work; a warning will bite under conditions that are likely; a note is good to know."""


class Finding(Struct, frozen=True, kw_only=True):
    """What a lint says of one object.

    Attributes
    ----------
    lint : the lint's name.
    severity : error, warning or note.
    object : such as ``StatefulSet/default/web``.
    where : file and line.
    what, why, mend : what is there, why it bites, and what to do about it; sentences without a full stop.
    is_new : whether it is about something that is to be applied, not about the present cluster alone.
    """

    lint: str
    severity: str
    object: str
    where: str
    what: str
    why: str
    mend: str
    is_new: bool = True


class Trouble(Struct, frozen=True):
    """Something strange in what was given as the present cluster.

    Attributes
    ----------
    kind : a name for this sort of trouble, such as ``pod-on-missing-node``.
    objects : which objects, all of them.
    where : file and line of the first.
    what, taken : what is strange, and how it was taken.
    is_contradiction : whether it shows that the dump cannot be the whole cluster, so that no verdict can be given.
    """

    kind: str
    objects: tuple[str, ...]
    where: str
    what: str
    taken: str
    is_contradiction: bool = False


class Change(Struct, frozen=True):
    """What applying one manifest means: create, update, unchanged, or refused with the API server's words."""

    object: str
    where: str
    action: str
    message: str = ""


class Odds(Struct, frozen=True):
    """How likely it is that what is applied gets stuck, under a tie policy.

    Attributes
    ----------
    exact : a fraction such as ``19/28``; empty if the share was sampled.
    stuck : the share of runs that get stuck.
    low, high : bounds; of a sample Wilson's 95 % interval, else twice `stuck`.
    runs : how many runs were sampled; 0 if the odds are exact.
    """

    ties: str
    stuck: float
    low: float
    high: float
    exact: str = ""
    runs: int = 0


class Repair(Struct, frozen=True):
    """A change that makes it converge, tried out.

    Attributes
    ----------
    text : what to do, in words.
    commands : what a person would type or apply.
    loses_data : whether data are lost.
    when : before anything is applied, or after, once it is stuck.
    """

    text: str
    commands: tuple[str, ...] = ()
    loses_data: bool = False
    when: str = AFTER


class Preflight(Struct, frozen=True, kw_only=True):
    """The answer of `check`.

    Attributes
    ----------
    verdict : always converges, may get stuck, always gets stuck, or no verdict; about what is applied, and about what
        it drags along: what is stuck with or without it is in `before`.
    why : the verdict in a sentence.
    is_proven : whether every run was looked at; otherwise runs were sampled.
    why_not_proven : what kept it from that.
    is_accepted : whether a CI may go on: it always converges, or the odds are within `max_odds`; nothing is refused.
    waiting : object → what it is short of, in a stuck run.
    reasons : why it is stuck; causes before effects.
    repairs : the cheapest change before anything is applied, and the cheapest once it is stuck, as far as known.
    before : object → what it is short of whether or not anything is applied.
    failures : entries of a scenario's timeline that went wrong, in words.
    changes : what applying means, manifest by manifest.
    lints : name of every lint that was run → what it looks for.
    counts : kind → number of objects of the present cluster.
    not_simulated, assumed : what was found in the input and has no effect, and what it does not say.
    """

    verdict: str
    why: str
    is_proven: bool
    why_not_proven: str = ""
    is_accepted: bool
    odds: Odds | None = None
    max_odds: float | None = None
    waiting: dict[str, str] = {}
    reasons: tuple[Reason, ...] = ()
    repairs: tuple[Repair, ...] = ()
    before: dict[str, str] = {}
    failures: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    lints: dict[str, str] = {}
    troubles: tuple[Trouble, ...] = ()
    cluster: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    not_simulated: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    seed: int = 0
    ties: str = ""

    @property
    def reason(self) -> list[str]:
        """Why it is stuck, as lines of text."""
        return render(self.reasons, 98)

    @property
    def repair(self) -> Repair | None:
        """The cheapest repair, if one is known."""
        return self.repairs[0] if self.repairs else None

    @property
    def refused(self) -> tuple[Change, ...]:
        """The manifests that the API server refuses."""
        return tuple(change for change in self.changes if change.action == "refused")
