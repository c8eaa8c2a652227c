"""What is stuck because of what is applied, and what is stuck anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import evolve
from simulator.preflight.input import Input
from simulator.simulation import run


class Blame:
    """Tells what is stuck because of what is applied from what is stuck anyway.

    Parameters
    ----------
    given : with the present cluster and what is applied.
    seed, ties : of the run of the cluster as it is.
    """

    def __init__(self, given: Input, seed: int, ties: str) -> None:
        self._given = given
        self._seed, self._ties = seed, ties
        self._before: dict[str, str] | None = None
        self._own = {str(item.obj.key) for item in given.new}
        self._sets = {(item.obj.namespace, item.obj.name): item.obj for item in given.new
                      if isinstance(item.obj, StatefulSet)}

    @property
    def before(self) -> Mapping[str, str]:
        """What is short of its goal in the end if nothing is applied; nothing if there is nothing to compare with."""
        if self._before is None:
            scenario = self._given.scenario
            if not self._given.present or not scenario.timeline:
                self._before = {}
            else:
                result = run(evolve(scenario, timeline=()), seed=self._seed, ties=self._ties, keep_log=False)
                self._before = {str(key): what for key, what in result.waiting.items()}
        return self._before

    def caused(self, waiting: Mapping[Any, str]) -> dict[str, str]:
        """Of what is short of its goal: what is applied, and what reaches its goal if nothing is applied."""
        short = {str(key): what for key, what in waiting.items()}
        if not short or not self._given.present:
            return short
        return {key: what for key, what in short.items() if key not in self.before or self.is_own(key)}

    def is_own(self, written: str) -> bool:
        """Whether an object is applied, or made by a set that is."""
        if written in self._own:
            return True
        parts = written.split("/")
        member = parent_and_ordinal(parts[2]) if len(parts) == 3 else None
        if member is None:
            return False
        kind, namespace, _ = parts
        if kind == Pod.KIND:
            return (namespace, member[0]) in self._sets
        return kind == PersistentVolumeClaim.KIND and any(
            space == namespace and member[0] == f"{template.name}-{obj.name}"
            for (space, _), obj in self._sets.items() for template in obj.spec.volume_claim_templates)
