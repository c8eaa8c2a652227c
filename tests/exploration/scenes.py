"""Small clusters to explore, and what an end of theirs looks like up to the names of equal things.

Nothing here uses what the exploration knows of symmetry: all renamings are tried, one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations, product
from typing import Any

from hypothesis import strategies as st

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Object
from simulator.exploration.explore import Exploration
from simulator.scenario.load import Scenario
from simulator.simulation import Run
from simulator.testing.builders import make_class, make_node, make_set, make_volume
from tests.whole.small_worlds import apply, small_scenario

IMMEDIATE, WAITING = "Immediate", "WaitForFirstConsumer"

Look = tuple[object, ...]
"""What an end looks like."""


@dataclass(frozen=True)
class Workload:
    """A set: so many pods, so many claims each."""

    replicas: int = 3
    claims: int = 1
    request: str = "1Gi"
    is_parallel: bool = False
    is_apart: bool = True


@dataclass(frozen=True)
class Cluster:
    """Nodes n1, n2, … with local volumes, and sets a, b, … that are applied together.

    Attributes
    ----------
    volumes : by node, the sizes of its volumes.
    round_robin : whether the volumes were made by turns instead of node by node.
    """

    volumes: tuple[tuple[str, ...], ...]
    sets: tuple[Workload, ...] = (Workload(),)
    mode: str = IMMEDIATE
    round_robin: bool = False

    def __str__(self) -> str:
        sizes = " ".join("+".join(size.removesuffix("Gi") for size in each) or "0" for each in self.volumes)
        sets = " ".join(
            f"{one.replicas}x{one.claims}{'P' if one.is_parallel else ''}{'' if one.is_apart else 'together'}"
            + ("" if one.request == "1Gi" else f">{one.request}") for one in self.sets)
        return f"{self.mode[:4]} [{sizes}] {sets}{' by turns' if self.round_robin else ''}"

    @property
    def names(self) -> dict[str, Workload]:
        """The sets by name."""
        return dict(zip("abc", self.sets, strict=False))

    def objects(self) -> list[Object]:
        """What is there at the start."""
        named = [
            (turn, number, make_volume(f"v{number}-{turn}", node=f"n{number}", capacity=size, storage_class="local"))
            for number, sizes in enumerate(self.volumes, 1) for turn, size in enumerate(sizes)
        ]
        if self.round_robin:
            named.sort(key=lambda item: item[:2])
        return [
            make_class("local", mode=self.mode),
            *(make_node(f"n{number}") for number in range(1, len(self.volumes) + 1)),
            *(volume for _, _, volume in named),
        ]

    def workloads(self) -> list[Object]:
        """The sets."""
        return [
            make_set(
                name, replicas=one.replicas, templates=tuple(f"t{number}" for number in range(one.claims)),
                request=one.request, storage_class="local", anti_affinity=one.is_apart,
                podManagementPolicy="Parallel" if one.is_parallel else "OrderedReady",
            )
            for name, one in self.names.items()
        ]

    def scenario(self, **spec: Any) -> Scenario:
        """The same as a scenario."""
        return small_scenario(self.objects(), [apply(*self.workloads(), at="1s")], **spec)

    # --- what an end looks like -------------------------------------------------------------------------------------

    def look(
        self, verdict: str, waiting: Mapping[str, str], placements: Mapping[str, str], bindings: Mapping[str, str]
    ) -> Look:
        """An end up to the names of equal nodes and of the pods of a Parallel set: the least of all renamings.

        Parameters
        ----------
        waiting, placements, bindings : as `simulator.exploration.explore.End` has them.
        """
        rows: dict[tuple[str, int], tuple[str, tuple[str, ...], tuple[str, ...]]] = {}
        for name, one in self.names.items():
            for ordinal in range(one.replicas):
                pod = f"{name}-{ordinal}"
                claims = [f"PersistentVolumeClaim/default/t{number}-{pod}" for number in range(one.claims)]
                volumes = [bindings.get(claim, "") for claim in claims]
                rows[name, ordinal] = (
                    placements.get(f"Pod/default/{pod}", ""),
                    tuple(volume.partition("-")[0].replace("v", "n") for volume in volumes),
                    tuple(waiting.get(key, "") for key in (f"Pod/default/{pod}", *claims)),
                )
        sets = tuple(waiting.get(f"StatefulSet/default/{name}", "") for name in self.names)
        known = {f"StatefulSet/default/{name}" for name in self.names} | {
            key for (name, ordinal) in rows for key in (
                f"Pod/default/{name}-{ordinal}",
                *(f"PersistentVolumeClaim/default/t{number}-{name}-{ordinal}"
                  for number in range(self.names[name].claims)))}
        assert set(waiting) <= known, waiting
        return verdict, sets, min(
            tuple(
                ((nodes.get(pod, ""), tuple(nodes.get(node, "") for node in claims), short))
                for pod, claims, short in (rows[place] for place in order)
            )
            for nodes in self._node_names() for order in self._orders()
        )

    def _node_names(self) -> Iterator[dict[str, str]]:
        """All renamings of nodes with equal volumes among each other."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for number, sizes in enumerate(self.volumes, 1):
            groups.setdefault(tuple(sorted(sizes)), []).append(f"n{number}")
        for orders in product(*(permutations(group) for group in groups.values())):
            yield {
                old: new for group, order in zip(groups.values(), orders, strict=True)
                for old, new in zip(group, order, strict=True)
            }

    def _orders(self) -> Iterator[list[tuple[str, int]]]:
        """All orders of the pods; those of an OrderedReady set stay where they are."""
        for orders in product(*(
            permutations(range(one.replicas)) if one.is_parallel else [range(one.replicas)] for one in self.sets
        )):
            yield [(name, ordinal) for name, order in zip(self.names, orders, strict=True) for ordinal in order]

    def looks(self, found: Exploration) -> set[Look]:
        """What the ends of an exploration look like."""
        return set(self.chances(found))

    def chances(self, found: Exploration) -> dict[Look, Fraction | None]:
        """The same, with the chance of each."""
        chances: dict[Look, Fraction | None] = {}
        for end in found.ends:
            look = (end.is_livelock, *self.look(end.verdict, end.waiting, end.placements, end.bindings))
            before = chances.get(look, Fraction(0))
            chances[look] = before + end.chance if end.chance is not None and before is not None else None
        return chances

    def look_of(self, run: Run) -> Look:
        """What the end of a timed run looks like; such a run does not tell a livelock."""
        store = run.world.store
        return (False, *self.look(
            run.verdict,
            {str(key): short for key, short in run.waiting.items()},
            {str(pod.key): pod.spec.node_name for pod in store.list(Pod)},
            {str(claim.key): claim.spec.volume_name for claim in store.list(PersistentVolumeClaim)},
        ))


def even(nodes: int, volumes: int, *sets: Workload, mode: str = IMMEDIATE, **more: Any) -> Cluster:
    """Nodes with as many equal volumes each."""
    return Cluster((("10Gi",) * volumes,) * nodes, sets or (Workload(),), mode, **more)


def uneven(volumes: Iterable[int], *sets: Workload, mode: str = IMMEDIATE) -> Cluster:
    """Nodes with different numbers of equal volumes."""
    return Cluster(tuple(("10Gi",) * count for count in volumes), sets or (Workload(),), mode)


def parallel(one: Workload) -> Workload:
    """The same set, all pods at once."""
    return replace(one, is_parallel=True)


@st.composite
def drawn_clusters(draw: st.DrawFn, most_pods: int = 3) -> Cluster:
    """1 to 3 nodes with 0 to 2 volumes of one or two sizes, and one or two sets of one or two pods."""
    sizes = draw(st.sampled_from([("10Gi",), ("10Gi", "20Gi")]))
    volumes = draw(st.lists(st.lists(st.sampled_from(sizes), max_size=2).map(tuple), min_size=1, max_size=3))
    requests = ("1Gi", "15Gi") if len(sizes) > 1 else ("1Gi",)
    one = st.builds(
        Workload, replicas=st.integers(1, 2), claims=st.sampled_from([1, 1, 1, 2]),
        request=st.sampled_from(requests), is_parallel=st.booleans(), is_apart=st.booleans(),
    )
    sets = draw(st.lists(one, min_size=1, max_size=2).filter(
        lambda sets: sum(one.replicas * one.claims for one in sets) <= most_pods))
    return Cluster(tuple(volumes), tuple(sets), draw(st.sampled_from([IMMEDIATE, WAITING])))
