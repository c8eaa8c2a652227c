from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from simulator.api.core import PodStatus
from simulator.api.meta import Key, Object, decode, evolve, with_meta
from simulator.cluster.store import Store
from simulator.scenario.conditions import STATES, parse_condition
from simulator.testing.builders import make_claim, make_node, make_pod, make_set, make_volume


@dataclass
class Now:
    """A situation made by hand."""

    store: Store = field(default_factory=Store)
    ready: bool = False
    stuck: bool = False

    def is_ready(self) -> bool:
        return self.ready

    def is_stuck(self) -> bool:
        return self.stuck


def holds(text: str, *objects: Object, **cluster: bool) -> bool:
    now = Now(**cluster)
    for obj in objects:
        now.store.put(obj)
    return all(condition.holds(now) for condition in parse_condition(text, "default"))


def with_status(obj: Any, **fields: Any) -> Any:
    return evolve(obj, status=evolve(obj.status, **fields))


READY = evolve(make_pod("web-0", nodeName="node1"),
               status=decode({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, PodStatus))


def test_a_pod_is_ready_running_scheduled_terminating_or_gone() -> None:
    assert holds("Pod/web-0 is ready and Pod/web-0 is running and Pod/web-0 is scheduled", READY)
    assert holds("Pod/web-0 is unscheduled and Pod/web-0 is not ready", make_pod("web-0"))
    assert holds("Pod/web-0 is terminating", with_meta(READY, deletion_timestamp=1))
    assert holds("Pod/web-0 is gone") and not holds("Pod/web-0 is gone", READY)
    assert holds("pod/web-0 is present", READY) and not holds("Pod/web-0 is present")


def test_nothing_holds_of_an_object_that_is_not_there_but_that_it_is_gone() -> None:
    assert not any(holds(f"Pod/web-0 is {state}") for state in STATES)


def test_a_set_is_ready_when_its_controller_has_seen_it_and_all_its_pods_are_ready() -> None:
    sts = with_meta(make_set("web", replicas=0), generation=0)
    assert not holds("StatefulSet/web is ready", sts)
    assert holds("StatefulSet/web is ready", with_status(sts, observed_generation=1))


def test_nodes_claims_and_volumes_are_in_their_conditions_and_phases() -> None:
    assert holds("Node/node1 is ready", make_node("node1"))
    assert holds("PersistentVolumeClaim/data is bound", with_status(make_claim("data"), phase="Bound"))
    assert holds("PersistentVolume/pv is released", make_volume("pv", phase="Released"))
    assert not holds("PersistentVolume/pv is available", make_volume("pv", phase="Released"))


def test_conditions_of_the_cluster_are_the_situations_own() -> None:
    assert holds("the cluster is ready", ready=True) and not holds("cluster is ready")
    assert holds("cluster is stuck", stuck=True) and not holds("the cluster is stuck", ready=True)
    assert holds("the cluster is settled", stuck=True) and holds("the cluster is settled", ready=True)


def test_a_name_may_have_a_namespace_of_its_own_and_else_has_the_entrys() -> None:
    (own,) = parse_condition("Pod/db/web-0 is ready", "prod")
    (entrys,) = parse_condition("Pod/web-0 is ready", "prod")
    (cluster_scoped,) = parse_condition("Node/node1 is ready", "prod")
    assert (own.key, entrys.key, cluster_scoped.key) == (
        Key("Pod", "db", "web-0"), Key("Pod", "prod", "web-0"), Key("Node", "", "node1"))


@pytest.mark.parametrize(("text", "words"), [
    ("web is ready", 'write "KIND/NAME is STATE"'),
    ("Pod/web-0", 'write "KIND/NAME is STATE"'),
    ("Wombat/web is ready", '"Wombat" in "Wombat/web is ready" is not a kind that is simulated'),
    ("Pod/web-0 is happy", '"happy" in "Pod/web-0 is happy" is not a state; it can be ready'),
    ("the cluster is happy", 'write "KIND/NAME is STATE"'),
    ("Pod/web-0 is ready and ", "is not a condition"),
])
def test_what_is_not_a_condition_says_what_can_be_written(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".+") as problem:
        parse_condition(text, "default")
    assert words in str(problem.value)
