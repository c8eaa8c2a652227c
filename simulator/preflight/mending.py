"""What mends it: a change made before anything is applied, and what a person would do once it is stuck."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from simulator.api.meta import Key, evolve
from simulator.api.storage import IMMEDIATE, NO_PROVISIONER, WAIT_FOR_FIRST_CONSUMER, StorageClass
from simulator.errors import SimulatorError
from simulator.eventlog import Log
from simulator.manifests.loader import Loaded
from simulator.preflight.input import Input
from simulator.preflight.inventory import Inventory, Item
from simulator.preflight.result import AFTER, BEFORE, Repair
from simulator.scenario.initial import Initial
from simulator.scenario.kubectl import Apply
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import Entry

LARGEST: int = 600
"""Of so many objects, repairs after the fact are looked for: each is tried out in a run of its own, or in many."""


class Change(Struct, frozen=True):
    """A change of the input, made before anything is applied.

    Attributes
    ----------
    given : the input with the change.
    """

    given: Input
    repair: Repair


def changes_before(given: Input) -> Iterator[Change]:
    """Changes of the input that may mend it: classes of volumes made by hand that bind at once are to wait."""
    inventory = Inventory(given)
    names = {wish.storage_class for wish in inventory.wishes if wish.item.is_new and wish.open > 0}
    immediate = [item for name in sorted(names) if (item := inventory.get(StorageClass, name)) is not None
                 and inventory.is_immediate(name) and item.obj.provisioner == NO_PROVISIONER]
    if not immediate:
        return
    changed = given
    commands: list[str] = []
    for item in immediate:
        changed = _with_class(changed, item.obj.key)
        commands.extend(_commands(item))
    listed = " and ".join(item.obj.name for item in immediate)
    yield Change(changed, Repair(
        text=f"volumeBindingMode: WaitForFirstConsumer for class {listed}, before anything is applied: then every run "
        "converges", commands=tuple(commands), when=BEFORE))


def _commands(item: Item[StorageClass]) -> Iterator[str]:
    """What a person would do: edit the file, or replace the class, which cannot be changed."""
    if item.is_new:
        yield f"# {item.origin}: write volumeBindingMode: {WAIT_FOR_FIRST_CONSUMER}"
        return
    name = item.obj.name
    pattern = f"s/volumeBindingMode: {IMMEDIATE}/volumeBindingMode: {WAIT_FOR_FIRST_CONSUMER}/"
    yield f"kubectl get sc {name} -o yaml | sed '{pattern}' | kubectl replace --force -f -"


def _with_class(given: Input, key: Key) -> Input:
    """The input with a class that waits."""

    def change(item: Loaded) -> Loaded:
        if item.obj.key != key:
            return item
        assert isinstance(item.obj, StorageClass)
        raw: dict[str, Any] = {**item.raw, "volumeBindingMode": WAIT_FOR_FIRST_CONSUMER}
        return evolve(item, obj=evolve(item.obj, volume_binding_mode=WAIT_FOR_FIRST_CONSUMER), raw=raw)

    def all_of(items: tuple[Loaded, ...]) -> tuple[Loaded, ...]:
        return tuple(change(item) for item in items)

    def entry_of(entry: Entry) -> Entry:
        given_there = evolve(entry.given, objects=all_of(entry.given.objects))
        by_key = {item.obj.key: item for item in given_there.objects}
        actions = tuple(
            evolve(action, obj=by_key[action.obj.key].obj, raw=by_key[action.obj.key].raw)
            if isinstance(action, Apply) and action.obj.key in by_key else action for action in entry.actions)
        return evolve(entry, actions=actions, given=given_there)

    scenario = given.scenario
    initial: Initial = evolve(scenario.initial, objects=all_of(scenario.initial.objects))
    changed: Scenario = evolve(scenario, initial=initial, timeline=tuple(map(entry_of, scenario.timeline)))
    return evolve(given, scenario=changed, present=all_of(given.present), new=all_of(given.new))


class _Enough(Exception):
    """Patience is at its end."""


def repair_after(
    log: Log, scenario: Scenario, stuck: dict[str, str], before: dict[str, str], is_enough: Callable[[], bool]
) -> Repair | None:
    """The cheapest repair of a stuck run, tried out; None if none is known, or none was found in time.

    Parameters
    ----------
    stuck : what is to be mended; what is stuck anyway (`before`) is left alone.
    """
    from simulator.diagnosis.explain import explain
    from simulator.diagnosis.judge import Outcome, by_running

    def judge(experiment: Scenario, goal: Any, asked: str) -> Outcome:
        if is_enough():
            raise _Enough
        return by_running(experiment, goal, asked)

    objects = [key.rpartition("/")[2] for key in stuck if key.startswith("Pod/")] if before else []
    try:
        found = explain(log, objects=objects, judge=judge)
    except (_Enough, SimulatorError, msgspec.ValidationError):
        return None
    if not found.repairs:
        return None
    best = found.repairs[0]
    commands = [line for step in best.steps for line in _lines(step.command, step.manifest, step.words)]
    return Repair(text=f"{best.title} ({'; '.join(best.notes)})" if best.notes else best.title,
                  commands=tuple(commands), loses_data=best.data == "lost", when=AFTER)


def _lines(command: str, manifest: str, words: str) -> Iterator[str]:
    if manifest:
        yield f"{command} <<'EOF'"
        yield from manifest.rstrip("\n").split("\n")
        yield "EOF"
    else:
        yield command or f"# {words}"
