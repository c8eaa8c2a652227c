from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Pod
from simulator.api.meta import Object, evolve, with_meta
from simulator.cluster.store import Store
from simulator.explanation.verdict import Goals, shortfall
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_set, make_volume


def short(obj: Object, *others: Object) -> str | None:
    store = Store()
    store.put(make_node("node1"))
    for other in (*others, obj):
        store.put(other)
    return shortfall(obj, store)


def pod(phase: str = "Pending", *, ready: bool = False, node: str = "", **spec: Any) -> Pod:
    made = make_pod("web-0", **({"nodeName": node} if node else {}), **spec)
    raw = [{"type": "Ready", "status": "True"}] if ready else []
    from simulator.api.core import PodStatus
    from simulator.api.meta import decode

    return evolve(made, status=decode({"phase": phase, "conditions": raw}, PodStatus))


def with_status(obj: Any, **fields: Any) -> Any:
    return evolve(obj, status=evolve(obj.status, **fields))


# --- pods -----------------------------------------------------------------------------------------------------------


def test_a_pod_has_reached_its_goal_when_it_is_ready_or_has_succeeded() -> None:
    assert short(pod("Running", ready=True, node="node1")) is None
    assert short(pod("Succeeded", node="node1")) is None


def test_a_pod_that_is_not_there_yet_says_how_far_it_is() -> None:
    assert short(pod()) == "is not scheduled"
    assert short(pod("Running", node="node1")) == "is not ready"
    assert short(pod("Failed", node="node1")) == "has failed"


def test_a_pod_whose_node_is_gone_is_short_of_its_goal_until_the_node_is_back() -> None:
    store = Store()
    goals = Goals(store)
    store.on_change = goals
    placed = store.put(pod("Running", ready=True, node="node1"))
    assert goals.unmet == {placed.key: "is on a node that is gone"}
    node = store.put(make_node("node1"))
    assert not goals.unmet
    store.remove(node.key)
    assert goals.unmet == {placed.key: "is on a node that is gone"}


def test_a_pod_waits_by_design_if_it_is_gated_or_another_schedulers() -> None:
    assert short(pod(schedulingGates=[{"name": "example.com/later"}])) is None
    assert short(pod(schedulerName="batch")) is None
    assert short(pod("Pending", node="node1", schedulerName="batch")) == "is not ready"
    assert short(pod("Failed", schedulerName="default-scheduler")) == "has failed"


# --- sets -----------------------------------------------------------------------------------------------------------


def made_set(
    ready: int, updated: int, replicas: int = 3, observed: int = 1, count: int | None = None, **spec: Any
) -> Any:
    sts = with_meta(make_set("web", replicas=replicas, **spec), generation=1)
    return with_status(sts, observed_generation=observed, ready_replicas=ready, updated_replicas=updated,
                       replicas=count if count is not None else ready)


def test_a_set_has_reached_its_goal_when_ready_updated_and_wanted_replicas_are_equal() -> None:
    assert short(made_set(3, 3)) is None
    assert short(made_set(2, 2)) == "has 2 of 3 pods ready"
    assert short(made_set(3, 1)) == "has 1 of 3 pods updated"
    assert short(made_set(0, 0, replicas=0)) is None


def test_a_set_that_was_scaled_down_is_short_until_the_pods_are_gone() -> None:
    assert short(made_set(1, 1, replicas=1, count=3)) is not None


def test_a_set_whose_controller_has_not_seen_its_change_is_short_of_its_goal() -> None:
    assert short(made_set(3, 3, observed=0)) == "has not been looked at yet"


def test_pods_below_the_partition_and_pods_of_an_on_delete_set_need_not_be_updated() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert short(made_set(3, 1, updateStrategy=rolling)) is None
    assert short(made_set(3, 0, updateStrategy=rolling)) == "has 0 of 1 pods updated"
    assert short(made_set(3, 0, updateStrategy={"type": "OnDelete"})) is None


# --- claims ---------------------------------------------------------------------------------------------------------


def test_an_immediate_claim_must_be_bound() -> None:
    claim = make_claim("data", storage_class="local")
    assert short(with_status(claim, phase="Bound"), make_class("local")) is None
    assert short(claim, make_class("local")) == "is not bound"
    assert short(claim) == "is not bound"  # its class may come yet
    assert short(with_status(claim, phase="Lost")) == "has lost its volume"


@pytest.mark.parametrize(("user", "waits"), [
    (None, False),
    (pod(), True),
    (pod("Succeeded", node="node1"), False),
    (with_meta(pod(), deletion_timestamp=5), False),
])
def test_a_claim_that_waits_for_its_first_consumer_must_be_bound_once_a_live_pod_uses_it(
    user: Any, waits: bool
) -> None:
    claim = make_claim("data", storage_class="local")
    users = []
    if user is not None:
        volumes = make_pod("x", claims=("data",)).spec.volumes
        users = [evolve(user, spec=evolve(user.spec, volumes=volumes))]
    found = short(claim, make_class("local", mode="WaitForFirstConsumer"), *users)
    assert (found is not None) == waits


# --- all ------------------------------------------------------------------------------------------------------------


def test_what_is_being_deleted_is_short_of_being_gone() -> None:
    for obj in (make_node("node1"), make_volume("pv"), make_claim("data"), pod("Running", ready=True, node="node1")):
        assert short(with_meta(obj, deletion_timestamp=1)) == "is being deleted"


def test_other_kinds_have_no_goal() -> None:
    assert short(make_node("node1")) is None and short(make_volume("pv")) is None


def test_the_goals_keep_up_with_every_change() -> None:
    store = Store()
    goals = Goals(store)
    store.on_change = goals
    claim = store.put(make_claim("data", storage_class="local"))
    assert list(goals.unmet) == [claim.key]
    store.put(make_class("local", mode="WaitForFirstConsumer"))
    assert not goals.unmet
    user = store.put(make_pod("web-0", claims=("data",)))
    assert goals.unmet == {user.key: "is not scheduled", claim.key: "is not bound"}
    store.remove(user.key)
    assert not goals.unmet
    store.put(with_meta(claim, deletion_timestamp=1))
    assert goals.unmet == {claim.key: "is being deleted"}
    store.remove(claim.key)
    assert not goals.unmet
