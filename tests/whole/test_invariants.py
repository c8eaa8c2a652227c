"""The checks of `tests.whole.invariants` have something to look at, and see what is done by force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import evolve, with_meta
from simulator.simulation import Cluster, run
from simulator.testing.strategies import PROVISIONER, SmallCluster, SmallNode, SmallSet, SmallStep, SmallVolume
from simulator.units import HOUR
from tests.whole.checks import Breach
from tests.whole.invariants import Invariants, watched

PAIR = (SmallVolume(), SmallVolume())
WAIT = SmallCluster(
    nodes=(SmallNode(volumes=PAIR),) * 2, sets=(SmallSet(replicas=2, apart=True),), binding="WaitForFirstConsumer",
)


def test_the_checks_are_not_idle() -> None:
    seen: Counter[str] = Counter()
    for cluster in (
        WAIT,
        evolve(WAIT, sets=(SmallSet(replicas=3, templates=("data", "wal")),)),
        evolve(WAIT, provisioner=PROVISIONER, sets=(SmallSet(replicas=3, parallel=True),)),
        SmallCluster(nodes=(SmallNode(volumes=(SmallVolume(policy="Delete"),)),), steps=(
            SmallStep(action="delete", target="StatefulSet/web", after=5000),
            SmallStep(action="delete", target="PersistentVolumeClaim/data-web-0", after=10_000),
            SmallStep(action="delete", target="PersistentVolume/pv-node1-1", after=10_000),
        )),
    ):
        seen += watched(cluster, seed=1)[1]
    least = {"VB-1": 5, "VB-5": 10, "VB-9": 5, "VB-32": 5, "VB-72": 3, "VB-89": 2, "VB-130": 5, "VB-169": 1,
             "VB-173": 1, "VB-182": 5, "WL-16": 5, "WL-43": 5, "WL-48": 2, "SC-51": 5, "SC-82": 1}
    assert {rule: seen[rule] for rule, count in least.items() if seen[rule] < count} == {}


class Spoiler:
    """Does by force, in a converged cluster of two pods apart, what the API server and the controllers never do."""

    def __init__(self, cluster: Cluster) -> None:
        self.world = cluster.world
        self.store = cluster.store
        self.pod, self.other = self.store.list(Pod)
        self.claim = self.store.list(PersistentVolumeClaim)[0]
        self.node = next(node for node in self.store.list(Node) if node.name == self.pod.spec.node_name)
        self.volume = next(
            volume for volume in self.store.list(PersistentVolume) if volume.name == self.claim.spec.volume_name)

    def unborn(self, pod: Pod, name: str) -> Pod:
        """A pod as it was before it was scheduled, under another name."""
        bare = evolve(pod, spec=evolve(pod.spec, node_name=""), status=evolve(pod.status, phase="Pending"))
        return with_meta(bare, name=name, uid=f"uid of {name}")

    def schedule(self, pod: Pod, node: str) -> None:
        self.store.put(pod)
        self.store.put(evolve(pod, spec=evolve(pod.spec, node_name=node)))

    def a_pod_beside_one_that_it_must_avoid(self) -> None:
        self.store.remove(self.other.key)
        self.schedule(self.unborn(self.other, self.other.name), self.node.name)

    def a_pod_on_a_cordoned_node(self) -> None:
        self.store.put(evolve(self.node, spec=evolve(self.node.spec, unschedulable=True)))
        self.world.now += HOUR
        self.schedule(with_meta(self.unborn(self.pod, "late-0"), owner_references=()), self.node.name)

    def a_pod_that_moves(self) -> None:
        self.store.put(evolve(self.pod, spec=evolve(self.pod.spec, node_name="elsewhere")))

    def a_pod_that_comes_back_to_life(self) -> None:
        self.store.put(evolve(self.pod, status=evolve(self.pod.status, phase="Failed")))
        self.store.put(self.pod)

    def a_pod_before_the_one_below_it(self) -> None:
        self.store.put(evolve(self.pod, status=evolve(self.pod.status, conditions=())))
        self.world.now += HOUR
        self.store.remove(self.other.key)
        self.store.put(self.unborn(self.other, self.other.name))

    def a_pod_before_its_claim(self) -> None:
        self.store.put(self.unborn(self.pod, "web-7"))

    def a_claim_that_leaves_its_volume(self) -> None:
        self.store.put(evolve(self.claim, spec=evolve(self.claim.spec, volume_name="another")))

    def a_claim_that_names_a_volume_first(self) -> None:
        pending = evolve(self.claim.status, phase="Pending")
        self.store.put(with_meta(evolve(self.claim, status=pending), name="eager", uid="eager"))

    def a_claim_that_goes_away_under_its_pod(self) -> None:
        self.world.now += HOUR
        self.store.remove(self.claim.key)

    def a_claim_that_is_pending_again(self) -> None:
        self.store.put(evolve(self.claim, status=evolve(self.claim.status, phase="Pending")))

    def a_volume_from_claim_to_claim(self) -> None:
        assert self.volume.spec.claim_ref is not None
        reference = evolve(self.volume.spec.claim_ref, uid="another")
        self.store.put(evolve(self.volume, spec=evolve(self.volume.spec, claim_ref=reference)))

    def a_volume_released_while_its_claim_is_there(self) -> None:
        self.store.put(evolve(self.volume, status=evolve(self.volume.status, phase="Released")))

    def a_bound_volume_that_goes_away(self) -> None:
        self.store.remove(self.volume.key)

    def spec_and_status_in_one_write(self) -> None:
        spec = evolve(self.volume.spec, claim_ref=None)
        self.store.put(evolve(self.volume, spec=spec, status=evolve(self.volume.status, phase="Available")))


@pytest.mark.parametrize(("rule", "spoil"), [
    ("SC-82", Spoiler.a_pod_beside_one_that_it_must_avoid),
    ("SC-51", Spoiler.a_pod_on_a_cordoned_node),
    ("WL-13", Spoiler.a_pod_that_moves),
    ("WL-16", Spoiler.a_pod_that_comes_back_to_life),
    ("WL-48", Spoiler.a_pod_before_the_one_below_it),
    ("WL-43", Spoiler.a_pod_before_its_claim),
    ("VB-15", Spoiler.a_claim_that_leaves_its_volume),
    ("VB-1", Spoiler.a_claim_that_names_a_volume_first),
    ("VB-169", Spoiler.a_claim_that_goes_away_under_its_pod),
    ("VB-7", Spoiler.a_claim_that_is_pending_again),
    ("VB-72", Spoiler.a_volume_from_claim_to_claim),
    ("VB-5", Spoiler.a_volume_released_while_its_claim_is_there),
    ("VB-173", Spoiler.a_bound_volume_that_goes_away),
    ("WL-4", Spoiler.spec_and_status_in_one_write),
], ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_the_checks_see(rule: str, spoil: Callable[[Spoiler], None]) -> None:
    box: list[Cluster] = []
    assert run(WAIT.scenario(), prepare=box.append).verdict == "converged"
    spoiler = Spoiler(box[0])
    spoiler.world.watchers.append(Invariants(box[0]))
    with pytest.raises(Breach, match=rf"^{rule}:"):
        spoil(spoiler)
