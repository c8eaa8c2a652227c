"""Whether a closed form holds for a scenario, which one, and with which numbers.

It holds for one new set with required anti-affinity on the hostname, whose claims are of classes that bind at once and
make no volumes, and free node-local volumes, each on one node, in a cluster where nothing else is and nothing else
happens, under uniform ties. Whatever is not known to be without influence might matter: then there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import factorial, perm, prod
from typing import Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.storage import StorageClass
from simulator.binding.reference import class_of
from simulator.choices import Seeded
from simulator.controllers.statefulset.pods import claim_volumes, new_pod
from simulator.drivers.untimed import Untimed
from simulator.eventlog import NoLog
from simulator.flows import Create
from simulator.sampling.closed_forms import (
    Level,
    Pool,
    elementary_symmetric,
    equal_nodes,
    level_by_level,
    several_classes,
    unequal_nodes,
)
from simulator.sampling.plain_cluster import check_volume, pool_of, usable_nodes
from simulator.sampling.plain_set import UnknownToForms, check_durations, the_set
from simulator.scenario.load import Scenario
from simulator.simulation import Cluster
from simulator.units import Micros

_LONGEST: Final = 60
"""Digits of a formula's numbers that are written out."""
_DIGITS: Final = 4000
"""A fraction with more digits is not worked out: Python does not print whole numbers of more than 4300."""
_SHOWN: Final = 12
"""Nodes whose number of volumes is written out."""


class ClosedForm(Struct, frozen=True):
    """A closed form that holds.

    Attributes
    ----------
    name : which one.
    formula : of the chance of coming up.
    numbers : what its letters stand for here, and the formula with these numbers if they are not too long.
    converged : that chance.
    """

    name: str
    formula: str
    numbers: tuple[str, ...]
    converged: Fraction

    @property
    def stuck(self) -> Fraction:
        """The chance of getting stuck: a run ends one way or the other."""
        return 1 - self.converged


class NotCovered(Struct, frozen=True):
    """No closed form is known to hold; `why` in a clause."""

    why: str


def recognise(scenario: Scenario, ties: str, until: Micros | None = None) -> ClosedForm | NotCovered:
    """The closed form that holds for a scenario, or why none is known to.

    Parameters
    ----------
    until : as for `run`; a run that is cut off may have no verdict.

    Raises
    ------
    ManifestError
        If the API server refuses an initial object.
    """
    try:
        return _recognised(scenario, ties, until)
    except UnknownToForms as unknown:
        return NotCovered(str(unknown))


def _recognised(scenario: Scenario, ties: str, until: Micros | None) -> ClosedForm:
    if ties != "uniform":
        raise UnknownToForms(f"the ties are not uniform ({ties})")
    wanted = the_set(scenario, until)
    world = Cluster(scenario, Seeded(0), Untimed, NoLog()).world
    store, api = world.store, world.api
    made = store.find(wanted.key) or api.handle(Create(wanted), 0)
    if not isinstance(made, StatefulSet):
        raise UnknownToForms(f"the API server refuses the set: {made}")
    pod = api.handle(Create(new_pod(made, 0, made.spec.template, "", claim_volumes(made, 0))), 0)
    if not isinstance(pod, Pod):
        raise UnknownToForms(f"the API server refuses its pods: {pod}")
    check_durations(scenario.latencies, made, pod)
    volumes = store.list(PersistentVolume)
    for volume in volumes:
        check_volume(volume)
    nodes = usable_nodes(pod, store.list(Node), volumes)
    classes: dict[str, list[PersistentVolumeClaim]] = {}
    for claim in wanted.spec.volume_claim_templates:
        classes.setdefault(class_of(claim), []).append(claim)
    pools = [pool_of(claims, store.get(StorageClass, name), volumes, nodes) for name, claims in classes.items()]
    return form_of(made.replicas, pools, is_ordered=made.spec.pod_management_policy != "Parallel")


def form_of(replicas: int, pools: Sequence[Pool], *, is_ordered: bool) -> ClosedForm:
    """The closed form for so many pods, each of which draws from some pools.

    Raises
    ------
    UnknownToForms
        If there is none, or if it would take too long.
    """
    claims = sum(pool.claims for pool in pools)
    for pool in pools:
        if sum(pool.drawn(replicas)) < replicas * pool.claims:
            return ClosedForm("too few volumes", "P(converges) = 0", (
                f"{replicas * pool.claims} claims of one class, and {sum(pool.drawn(replicas))} volumes that fit",
            ), Fraction(0))
    largest = max(level.total for pool in pools for level in pool.levels)
    if replicas * claims * len(str(largest)) > _DIGITS:
        raise UnknownToForms("the fraction would have thousands of digits")
    if any(sum(taken > 0 for taken in pool.drawn(replicas)) > 1 for pool in pools):
        if not is_ordered and claims > 1:
            raise UnknownToForms("volumes differ in capacity, and claims are bound in no certain order (Parallel)")
        return _levels_form(replicas, pools)
    levels = [pool.levels[0] for pool in pools]
    is_even = all(len(set(level.on_nodes)) == 1 and not level.elsewhere for level in levels)
    if len(pools) == 1:
        make = _even_form if is_even else _uneven_form
        return make(replicas, claims, levels[0])
    if is_even and all(pool.claims == 1 for pool in pools):
        return _classes_form(replicas, levels)
    return _levels_form(replicas, pools)


def _even_form(r: int, k: int, level: Level) -> ClosedForm:
    n, m = len(level.on_nodes), level.on_nodes[0]
    return ClosedForm(
        "equal nodes", "P(converges) = [N]_r · ([m]_k)^r / [N m]_(r k)",
        (f"N = {n} nodes that can run the pods, m = {m} volumes on each, r = {r} pods, k = {k} claims of each",
         *_written(f"[{n}]_{r} · ([{m}]_{k})^{r}", f"[{n * m}]_{r * k}",
                   [perm(n, r), perm(m, k)**r], [perm(n * m, r * k)])),
        equal_nodes(n, m, r, k),
    )


def _uneven_form(r: int, k: int, level: Level) -> ClosedForm:
    elsewhere = f", {level.elsewhere} elsewhere" if level.elsewhere else ""
    chosen = elementary_symmetric([perm(count, k) for count in level.on_nodes], r)
    return ClosedForm(
        "unequal nodes", "P(converges) = r! · e_r([m_1]_k, …, [m_N]_k) / [M]_(r k)",
        (f"m = {_counts(level.on_nodes)} volumes on the nodes that can run the pods{elsewhere}, M = {level.total}, "
         f"r = {r} pods, k = {k} claims of each",
         *_written(f"{r}! · e_{r}(…)", f"[{level.total}]_{r * k}", [factorial(r), chosen], [perm(level.total, r * k)])),
        unequal_nodes(level.on_nodes, r, k, level.elsewhere),
    )


def _classes_form(r: int, levels: Sequence[Level]) -> ClosedForm:
    n, counts = len(levels[0].on_nodes), [level.on_nodes[0] for level in levels]
    return ClosedForm(
        "several classes", "P(converges) = [N]_r · ∏_c (m_c^r / [N m_c]_r)",
        (f"N = {n} nodes that can run the pods, m_c = {_counts(counts)} volumes of the classes on each, r = {r} pods "
         "with a claim of each class",
         *_written(" · ".join([f"[{n}]_{r}", *(f"{m}^{r}" for m in counts)]),
                   " · ".join(f"[{n * m}]_{r}" for m in counts),
                   [perm(n, r), *(m**r for m in counts)], [perm(n * m, r) for m in counts])),
        several_classes(n, counts, r),
    )


def _levels_form(r: int, pools: Sequence[Pool]) -> ClosedForm:
    converged = level_by_level(r, pools)
    if converged is None:
        raise UnknownToForms("the volumes differ in too many capacities to count")
    return ClosedForm(
        "level by level", "P(converges) = the sum of ∏ [m]_a over all ways to give each pod a node, / ∏ [M]_d",
        ("m and M: the volumes of a capacity, on that node and in all; a and d: how many of them that pod and all pods "
         "take; smaller ones are used up before larger ones", f"r = {r} pods",
         *(f"k = {pool.claims} claims of each pod: {_drawn(r, pool)}" for pool in pools)),
        converged,
    )


def _drawn(replicas: int, pool: Pool) -> str:
    """The levels that are drawn from, as numbers of volumes by node."""
    used = [level for level, taken in zip(pool.levels, pool.drawn(replicas), strict=True) if taken]
    return ", then ".join(
        f"{_counts(level.on_nodes)} volumes by node" + (f" and {level.elsewhere} elsewhere" if level.elsewhere else "")
        for level in used
    ) or "no volumes"


def _counts(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return f"({shown}, … {len(numbers)} in all)" if len(numbers) > _SHOWN else f"({shown})"


def _written(above: str, below: str, factors: Sequence[int], divisors: Sequence[int]) -> Iterator[str]:
    """The formula with its numbers filled in, unless they are too long to be read."""
    if len(str(prod(factors))) + len(str(prod(divisors))) <= _LONGEST:
        opening, closing = ("(", ")") if len(divisors) > 1 else ("", "")
        under = " · ".join(map(str, divisors))
        yield f"{above} / {opening}{below}{closing} = {' · '.join(map(str, factors))} / {opening}{under}{closing}"
