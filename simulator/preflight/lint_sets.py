"""Lints about sets and budgets: settings that do something else than they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from simulator.api.apps import StatefulSet
from simulator.api.policy import PodDisruptionBudget
from simulator.explanation.words import count, listing, selector_text
from simulator.preflight.inventory import Inventory, Item, Template
from simulator.preflight.registry import Found, lint
from simulator.preflight.result import ERROR, NOTE, WARNING
from simulator.units import HOUR, SECOND, format_duration

LONGEST_NAME = 52
"""Of a set: the revision label of its pods is the name, a dash and ten characters, and may have 63 (WL-6)."""


def _sets(inventory: Inventory) -> Iterator[Item[StatefulSet]]:
    return (item for item in inventory.all(StatefulSet) if item.is_new)


@lint
def partition_beyond_replicas(inventory: Inventory) -> Iterator[Found]:
    """The partition of a rolling update leaves every pod as it is."""
    for item in _sets(inventory):
        rolling = item.obj.spec.update_strategy.rolling_update
        partition = rolling.partition or 0 if rolling is not None else 0
        if item.obj.replicas and partition >= item.obj.start + item.obj.replicas:
            yield Found(
                WARNING, item, f"partition is {partition}, with {count(item.obj.replicas, 'replica')}",
                "only ordinals from the partition up are updated: a new template reaches no pod",
                "lower the partition", "spec.updateStrategy.rollingUpdate.partition")


@lint
def max_unavailable_is_dropped(inventory: Inventory) -> Iterator[Found]:
    """MaxUnavailable of a set has no effect."""
    for item in _sets(inventory):
        rolling = item.obj.spec.update_strategy.rolling_update
        if rolling is not None and rolling.max_unavailable not in (None, 1):
            yield Found(
                NOTE, item, f"maxUnavailable is {rolling.max_unavailable}",
                "the gate MaxUnavailableStatefulSet is off in 1.36: the field is dropped, and pods are updated one at "
                "a time", "leave it out", "spec.updateStrategy.rollingUpdate.maxUnavailable")  # WL-3


@lint
def slow_to_become_available(inventory: Inventory) -> Iterator[Found]:
    """MinReadySeconds makes a set's start or update take more than an hour."""
    for item in _sets(inventory):
        spec = item.obj.spec
        if spec.pod_management_policy == "Parallel":
            continue
        takes = spec.min_ready_seconds * item.obj.replicas * SECOND
        if takes >= HOUR:
            yield Found(
                NOTE, item, f"minReadySeconds is {spec.min_ready_seconds}, with {count(item.obj.replicas, 'replica')}",
                f"the next pod waits until the one before has been ready for so long: {format_duration(takes)} in all",
                "lower minReadySeconds, or podManagementPolicy: Parallel", "spec.minReadySeconds")


@lint
def no_grace_period(inventory: Inventory) -> Iterator[Found]:
    """A set's pods are killed without warning."""
    for item in _sets(inventory):
        if item.obj.spec.template.spec.termination_grace_period_seconds == 0:
            yield Found(
                WARNING, item, "terminationGracePeriodSeconds is 0",
                "a deleted pod's name is free at once, though its containers may still run and write on a node that "
                "cannot be reached", "leave it out, or write a grace period",
                "spec.template.spec.terminationGracePeriodSeconds")


@lint
def name_too_long_for_pods(inventory: Inventory) -> Iterator[Found]:
    """A set's name is so long that none of its pods can be made."""
    for item in _sets(inventory):
        if len(item.obj.name) > LONGEST_NAME:
            yield Found(
                ERROR, item, f"its name has {len(item.obj.name)} characters",
                "pods carry name and revision in a label of at most 63 characters: the API server refuses every pod",
                f"at most {LONGEST_NAME} characters", "metadata.name")


# --- budgets ----------------------------------------------------------------------------------------------------------


def _selected(inventory: Inventory, budget: PodDisruptionBudget) -> list[Template]:
    selector = budget.spec.selector
    if selector is None:
        return []
    return [template for template in inventory.templates
            if template.namespace == budget.namespace and selector.selects(template.pod.metadata.labels)]


def _amount(value: int | str, total: int) -> int:
    """A number, or a share of the pods, rounded up (WL-143)."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) if value.removesuffix("%").isdigit() else 0
    return -(-share * total // 100)


@lint
def budget_blocks_every_drain(inventory: Inventory) -> Iterator[Found]:
    """A disruption budget never lets a pod be evicted."""
    for item in inventory.budgets:
        spec = item.obj.spec
        selected = _selected(inventory, item.obj)
        total = sum(template.replicas for template in selected)
        if not total:
            continue
        if spec.max_unavailable is not None:
            is_blocked, what = _amount(spec.max_unavailable, total) <= 0, f"maxUnavailable is {spec.max_unavailable}"
        elif spec.min_available is not None:
            is_blocked, what = _amount(spec.min_available, total) >= total, f"minAvailable is {spec.min_available}"
        else:
            continue
        if is_blocked:
            yield Found(
                WARNING, item, f"{what}, and it selects {count(total, 'pod')}",
                "no eviction is ever allowed: kubectl drain of their nodes waits for ever",
                "let at least one pod be away (maxUnavailable: 1)",
                "spec.maxUnavailable" if spec.max_unavailable is not None else "spec.minAvailable")


@lint
def two_budgets_for_one_pod(inventory: Inventory) -> Iterator[Found]:
    """Two disruption budgets select the same pod."""
    owners: dict[str, list[Item[PodDisruptionBudget]]] = {}
    for item in inventory.budgets:
        for template in _selected(inventory, item.obj):
            owners.setdefault(template.item.title, []).append(item)
    said: set[tuple[str, ...]] = set()
    for title, items in owners.items():
        names = tuple(item.obj.name for item in items)
        if len(items) < 2 or names in said:
            continue
        said.add(names)
        last = next((item for item in reversed(items) if item.is_new), items[-1])
        yield Found(
            ERROR if last.is_new else WARNING, last, f"budgets {listing(names)} both select the pods of {title}",
            "a pod with more than one budget is never evicted: the API server answers with an error",
            "keep one of them, or make their selectors apart", "spec.selector")


@lint
def budget_selects_nobody(inventory: Inventory) -> Iterator[Found]:
    """A disruption budget selects no pod."""
    for item in inventory.budgets:
        selector = item.obj.spec.selector
        if not item.is_new or selector is None or not inventory.templates or _selected(inventory, item.obj):
            continue
        yield Found(
            NOTE, item, f"it selects {selector_text(selector)}, and no pod in namespace {item.obj.namespace} has these "
            "labels", "it protects nothing, unless pods of a kind that is not simulated have them",
            "correct spec.selector", "spec.selector")
