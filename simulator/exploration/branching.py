"""The chooser of an exploration: it breaks the ties of one step in every way, one way after the other."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from simulator.api.meta import Key
from simulator.choices import TIE_POLICIES
from simulator.cluster.faults import POINT as FAULT
from simulator.exploration.symmetry import Symmetry
from simulator.latency import Latency
from simulator.units import Micros

TIES: Final = frozenset({"volume", "node", "preemption", "volume-bucket", "provision-owner", FAULT})
"""Points at which Kubernetes leaves open who wins."""
ORDERS: Final = frozenset({"batch-order", "claim-order", "volume-order", "resync"})
"""Points at which it leaves open who comes first. At all others the natural order is taken."""
MOST_ORDERED: Final = 4
"""More things than so many are taken in their natural order, unless they are all alike: 10 have 3 628 800 orders."""


class Branching:
    """Answers with a given list of options, then with the first ones; remembers what else there was.

    Attributes
    ----------
    asked : (point, about, chosen, number of sorts, position taken, chance), one for each tie.
    is_orderly : whether what comes first is not asked.
    """

    def __init__(self, ties: str, symmetry: Symmetry) -> None:
        self._policy = TIE_POLICIES[ties]
        self._symmetry = symmetry
        self._script: Sequence[int] = ()
        self.touched: frozenset[str] = frozenset()
        self.is_orderly = False
        self._told: list[Key] = []
        self.asked: list[tuple[str, Key, Key, int, int, Fraction]] = []

    def begin(self, script: Sequence[int], touched: frozenset[str]) -> None:
        """A step begins, in a state that knows more of these names than was there at the start."""
        self._script, self.touched = script, touched
        self.asked = []
        self._told = []

    def tell(self, chosen: Sequence[Key]) -> None:
        """A step begins in which these options are to be chosen."""
        self.begin((), frozenset())
        self._told = list(chosen)

    def next_script(self) -> list[int] | None:
        """The next way to break the ties of the step, in lexical order; None after the last."""
        for turn in range(len(self.asked) - 1, -1, -1):
            if self.asked[turn][4] + 1 < self.asked[turn][3]:
                return [*(position for *_, position, _ in self.asked[:turn]), self.asked[turn][4] + 1]
        return None

    def choose(self, point: str, about: Key, options: Sequence[Key], weights: Sequence[int] | None = None) -> Key:
        """The scripted option, or the first."""
        size = len(options)
        if size == 1 or (point not in TIES and point not in ORDERS):
            return options[0]
        if point in ORDERS and (self.is_orderly or size > MOST_ORDERED):
            return options[0]
        if self._told:
            return self._told.pop(0)
        shares = self._policy(point, size, weights) if point != FAULT else None  # it may always fail
        sorts: dict[str, list[int]] = {}
        for place, option in enumerate(options):
            if shares is None or shares[place]:
                sorts.setdefault(self._symmetry.sort_of(option, self.touched), []).append(place)
        groups = list(sorts.values())
        turn = len(self.asked)
        position = self._script[turn] if turn < len(self._script) else 0
        taken = groups[position]
        total = sum(shares) if shares is not None else size
        weight = sum(shares[place] for place in taken) if shares is not None else len(taken)
        chosen = options[taken[0]]
        chance = Fraction(weight, total) if point != FAULT else Fraction(1)
        self.asked.append((point, about, chosen, len(groups), position, chance))
        volume = self._symmetry.volumes.get(chosen.name)
        self.touched |= {chosen.name, volume.node} if volume is not None else {chosen.name}
        return chosen

    def delay(self, point: str, about: Key | None, latency: Latency) -> Micros:
        """Latencies are not simulated."""
        return 0
