from __future__ import annotations

from typing import Any

import pytest
from cluster_bench import Cluster, bound_pair, pod_on, running_on, status_of

from simulator.api.core import Pod
from simulator.api.meta import Key, evolve
from simulator.controllers.kubelet import Behave, Behaviour, Kubelet, KubeletConfig, stand_in
from simulator.controllers.kubelet.running import crash_wait, probe_delay
from simulator.latency import constant
from simulator.testing.builders import make_node, make_pod
from simulator.units import MILLISECOND, MINUTE, SECOND

WEB = Key("Pod", "default", "web-0")


def started(*, config: KubeletConfig | None = None, **fields: Any) -> Cluster:
    """A cluster with a pod that was bound to node n1 a minute ago."""
    cluster = Cluster(Kubelet(config), objects=[make_node("n1"), make_node("n2")])
    cluster.create(pod_on("n1", **fields))
    cluster.run(MINUTE)
    return cluster


def web(cluster: Cluster) -> Pod:
    pod = cluster.pod("web-0")
    assert pod is not None
    return pod


def probed(**probe: int) -> list[dict[str, Any]]:
    return [{"name": "main", "image": "i:1", "readinessProbe": {"httpGet": {"port": 80}, **probe}}]


# --- from bound to Ready --------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-146")
def test_a_bound_pod_is_pending_then_running_and_ready_at_once_without_a_probe() -> None:
    cluster = started()
    assert [(phase, ready) for _, phase, ready in cluster.phases("web-0")] == [("Pending", False), ("Running", True)]


def test_a_pod_costs_two_status_posts() -> None:
    cluster = started()
    posts = [obj for _, key, obj in cluster.history if key == WEB]
    assert len(posts) == 3, "its creation and two posts"
    creating, running = posts[1], posts[2]
    assert isinstance(creating, Pod) and isinstance(running, Pod)
    state = creating.status.container_statuses[0].state
    assert state is not None and state.waiting is not None and state.waiting.reason == "ContainerCreating"
    assert status_of(creating, "PodReadyToStartContainers") == "False"
    assert status_of(creating, "Initialized") == "True"
    assert status_of(creating, "Ready") == "False"
    ready = creating.condition("Ready")
    assert ready is not None and ready.reason == "ContainersNotReady"
    assert ready.message == "containers with unready status: [main]"
    assert creating.status.start_time is not None
    for kind in ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"):
        assert status_of(running, kind) == "True"
    assert running.status.container_statuses[0].ready


def test_the_steps_of_a_start_add_up_and_only_claims_are_mounted() -> None:
    slow = {name: constant(SECOND) for name in ("kubelet-admit", "volume-mount", "pod-start")}
    cluster = Cluster(Kubelet(), objects=[make_node("n1"), *bound_pair("data", node="n1")], latencies=slow)
    cluster.create(pod_on("n1", "plain"))
    cluster.create(pod_on("n1", "mounting", claims=("data",)))
    cluster.run(MINUTE)
    ready = {name: cluster.phases(name)[-1][0] for name in ("plain", "mounting")}
    assert ready["mounting"] - ready["plain"] == SECOND


def test_the_stand_in_makes_a_pod_ready_a_fixed_delay_after_its_binding() -> None:
    cluster = Cluster(Kubelet(stand_in()), objects=[make_node("n1")])
    cluster.create(make_pod("web-0"))
    cluster.run(3 * SECOND)
    bound = cluster.now
    cluster.bind("web-0", "n1")
    cluster.run(SECOND)
    (time, phase, ready), = cluster.phases("web-0")[1:]
    assert (phase, ready) == ("Running", True)
    assert 100 * MILLISECOND <= time - bound <= 110 * MILLISECOND
    assert not cluster.events()


def test_a_pod_that_runs_already_when_the_simulation_begins_is_left_as_it_is() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1"), running_on("n1")])
    cluster.run(MINUTE)
    assert len(cluster.history) == 2


def test_events_tell_that_a_container_was_made_and_started() -> None:
    cluster = started()
    assert cluster.events(about="web-0") == [
        ("Pulled", 'Container image "registry.example.com/main:1" already present on machine and can be accessed by '
                   "the pod"),
        ("Created", "Container created"),
        ("Started", "Container started"),
    ]


def test_init_containers_run_one_after_another_before_the_rest() -> None:
    init = [{"name": name, "image": "i:1"} for name in ("first", "second")]
    cluster = started(initContainers=init)
    creating = next(obj for _, key, obj in cluster.history[3:] if key == WEB)
    assert isinstance(creating, Pod)
    initialized = creating.condition("Initialized")
    assert initialized is not None and initialized.status == "False"
    assert initialized.message == "containers with incomplete status: [first second]"
    assert web(cluster).is_ready
    assert [one.state.terminated is not None for one in web(cluster).status.init_container_statuses if one.state] == [
        True, True]


# --- readiness ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-151")
def test_a_readiness_probe_makes_two_posts_of_it_and_waits_its_delay() -> None:
    cluster = started(containers=probed(initialDelaySeconds=7, periodSeconds=10))
    (running, *_), (ready, *_) = cluster.phases("web-0")[1:]
    assert [(phase, is_ready) for _, phase, is_ready in cluster.phases("web-0")[1:]] == [
        ("Running", False), ("Running", True)]
    assert abs((ready - running) - 7 * SECOND) < 50 * MILLISECOND


@pytest.mark.rule("WL-152")
def test_a_success_threshold_takes_as_many_probes() -> None:
    pod = pod_on("n1", containers=probed(initialDelaySeconds=5, periodSeconds=4, successThreshold=3))
    assert probe_delay(pod) == 13 * SECOND


@pytest.mark.rule("WL-152")
def test_a_startup_probe_holds_the_readiness_probe_back() -> None:
    container = {"name": "main", "image": "i:1", "startupProbe": {"initialDelaySeconds": 20},
                 "readinessProbe": {"initialDelaySeconds": 5}}
    assert probe_delay(pod_on("n1", containers=[container])) == 20 * SECOND


@pytest.mark.rule("WL-151")
def test_a_never_ready_pod_runs_and_becomes_ready_when_it_is_allowed_to() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.act("kubelet", Behave((WEB,), Behaviour(never_ready=True)))
    cluster.create(pod_on("n1"))
    cluster.run(10 * MINUTE)
    assert [(phase, ready) for _, phase, ready in cluster.phases("web-0")] == [("Pending", False), ("Running", False)]
    cluster.act("kubelet", Behave((WEB,), Behaviour()))
    cluster.run(SECOND)
    assert web(cluster).is_ready


@pytest.mark.rule("WL-152")
def test_a_ready_pod_that_stops_answering_stays_ready_for_as_many_probes_as_may_fail() -> None:
    cluster = started(containers=probed(periodSeconds=10, failureThreshold=3))
    cluster.act("kubelet", Behave((WEB,), Behaviour(never_ready=True)))
    cluster.run(29 * SECOND)
    assert web(cluster).is_ready
    cluster.run(2 * SECOND)
    assert not web(cluster).is_ready
    assert web(cluster).status.phase == "Running"
    assert cluster.events("Unhealthy")


@pytest.mark.rule("WL-154")
def test_what_others_write_into_ready_is_put_right_within_ten_seconds_with_the_old_transition_time() -> None:
    cluster = started()
    before = web(cluster).condition("Ready")
    pod = web(cluster)
    conditions = tuple(
        evolve(one, status="False", last_transition_time=cluster.now) if one.type == "Ready" else one
        for one in pod.status.conditions
    )
    cluster.put(evolve(pod, status=evolve(pod.status, conditions=conditions)))
    cluster.run(10 * SECOND)
    assert web(cluster).condition("Ready") == before


def test_a_readiness_gate_holds_ready_back_until_its_condition_is_true() -> None:
    cluster = started(readinessGates=[{"conditionType": "example.com/in-pool"}])
    ready = web(cluster).condition("Ready")
    assert ready is not None and (ready.status, ready.reason) == ("False", "ReadinessGatesNotReady")
    assert status_of(web(cluster), "ContainersReady") == "True"
    pod = web(cluster)
    gate = evolve(ready, type="example.com/in-pool", status="True")
    cluster.put(evolve(pod, status=evolve(pod.status, conditions=(*pod.status.conditions, gate))))
    cluster.run(10 * SECOND)
    assert web(cluster).is_ready


# --- the end --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-158")
def test_a_deleted_pod_is_reported_succeeded_and_then_removed_within_three_seconds() -> None:
    cluster = started()
    deleted = cluster.now
    cluster.delete(WEB)
    cluster.run(MINUTE)
    (ended, phase, ready), (gone, *_) = cluster.phases("web-0")[2:]
    assert (phase, ready) == ("Succeeded", False)
    assert deleted < ended < gone <= deleted + 3 * SECOND
    assert cluster.events("Killing") == [("Killing", "Stopping container main")]


@pytest.mark.rule("WL-157")
def test_a_pod_stays_ready_during_its_grace_period() -> None:
    cluster = started(config=KubeletConfig(ignores_term=True))
    cluster.delete(WEB)
    cluster.run(29 * SECOND)
    assert web(cluster).is_ready and web(cluster).metadata.is_terminating


@pytest.mark.rule("WL-156")
def test_a_program_that_ignores_term_is_killed_at_the_end_of_its_grace_and_its_pod_has_failed() -> None:
    cluster = started(config=KubeletConfig(ignores_term=True))
    deleted = cluster.now
    cluster.delete(WEB)
    cluster.run(MINUTE)
    (ended, phase, _), _ = cluster.phases("web-0")[2:]
    assert phase == "Failed"
    assert 30 * SECOND <= ended - deleted <= 30 * SECOND + 10 * MILLISECOND


@pytest.mark.rule("WL-156")
def test_even_a_grace_of_one_second_leaves_two_between_term_and_kill() -> None:
    cluster = started(config=KubeletConfig(ignores_term=True))
    deleted = cluster.now
    cluster.delete(WEB, grace=1)
    cluster.run(MINUTE)
    assert 2 * SECOND <= cluster.phases("web-0")[2][0] - deleted <= 2 * SECOND + 10 * MILLISECOND


@pytest.mark.rule("WL-89")
def test_a_second_delete_with_a_shorter_grace_ends_the_pod_sooner() -> None:
    cluster = started(config=KubeletConfig(ignores_term=True))
    deleted = cluster.now
    cluster.delete(WEB)
    cluster.run(5 * SECOND)
    cluster.delete(WEB, grace=10)
    cluster.run(MINUTE)
    assert 9 * SECOND < cluster.phases("web-0")[2][0] - deleted <= 11 * SECOND


def test_a_pod_deleted_before_any_container_ran_has_failed_and_goes() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.create(pod_on("n1", claims=("absent",)))
    cluster.run(MINUTE)
    cluster.delete(WEB)
    cluster.run(5 * SECOND)
    assert [phase for _, phase, _ in cluster.phases("web-0")] == ["Pending", "Failed", "gone"]


@pytest.mark.rule("WL-159")
def test_a_hung_unmount_leaves_the_ended_pod_in_place() -> None:
    cluster = started()
    cluster.act("kubelet", Behave((WEB,), Behaviour(unmount_hangs=True)))
    cluster.delete(WEB)
    cluster.run(10 * MINUTE)
    assert web(cluster).status.phase == "Succeeded"
    cluster.act("kubelet", Behave((WEB,), Behaviour()))
    cluster.run(5 * SECOND)
    assert cluster.pod("web-0") is None


@pytest.mark.rule("WL-100")
def test_a_force_deleted_pod_leaves_its_containers_running_while_its_successor_starts() -> None:
    cluster = started()
    cluster.delete(WEB, grace=0)
    assert cluster.pod("web-0") is None
    cluster.create(pod_on("n1"))
    cluster.run(5 * SECOND)
    assert web(cluster).is_ready
    assert [note["node"] for note in cluster.notes("leftover")] == ["n1"]


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-155")
def test_crash_waits_are_none_then_ten_seconds_doubling_to_five_minutes() -> None:
    assert [crash_wait(crashes) // SECOND for crashes in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.rule("WL-155")
def test_a_crash_loop_backs_off_and_stays_running() -> None:
    quick = {"container-restart": constant(0)}
    cluster = Cluster(Kubelet(), objects=[make_node("n1")], latencies=quick)
    cluster.act("kubelet", Behave((WEB,), Behaviour(crash_after=SECOND)))
    cluster.create(pod_on("n1"))
    cluster.run(5 * SECOND)
    status = web(cluster).status
    state = status.container_statuses[0].state
    assert status.phase == "Running" and state is not None and state.waiting is not None
    assert state.waiting.reason == "CrashLoopBackOff"
    assert state.waiting.message.startswith("back-off 10s restarting failed container=main pod=web-0_default(")
    assert status.container_statuses[0].restart_count == 1
    cluster.run(10 * MINUTE)
    assert web(cluster).status.phase == "Running"
    assert web(cluster).status.container_statuses[0].restart_count == 6
    assert cluster.events("BackOff")


@pytest.mark.rule("WL-155")
def test_a_pod_that_no_longer_crashes_becomes_ready_at_its_next_start() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.act("kubelet", Behave((WEB,), Behaviour(crash_after=SECOND)))
    cluster.create(pod_on("n1"))
    cluster.run(MINUTE)
    cluster.act("kubelet", Behave((WEB,), Behaviour()))
    cluster.run(MINUTE)
    assert web(cluster).is_ready
    last = web(cluster).status.container_statuses[0].last_state
    assert last is not None and last.terminated is not None


@pytest.mark.rule("WL-146")
def test_a_pod_that_is_never_restarted_ends_with_its_containers() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    for name, code in (("good", 0), ("bad", 3)):
        cluster.act("kubelet", Behave((Key("Pod", "default", name),), Behaviour(crash_after=SECOND, crash_code=code)))
        cluster.create(pod_on("n1", name, restartPolicy="Never"))
    cluster.run(MINUTE)
    phases = [pod.status.phase for name in ("good", "bad") if (pod := cluster.pod(name)) is not None]
    assert phases == ["Succeeded", "Failed"]


def test_an_image_that_cannot_be_pulled_keeps_the_pod_pending_until_it_can() -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    cluster.act("kubelet", Behave((WEB,), Behaviour(image_error="ErrImagePull: not found")))
    cluster.create(pod_on("n1"))
    cluster.run(MINUTE)
    state = web(cluster).status.container_statuses[0].state
    assert web(cluster).status.phase == "Pending"
    assert state is not None and state.waiting is not None and state.waiting.reason == "ImagePullBackOff"
    cluster.act("kubelet", Behave((WEB,), Behaviour()))
    cluster.run(MINUTE)
    assert web(cluster).is_ready


# --- refused on arrival ---------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-150")
@pytest.mark.parametrize(
    ("reason", "text", "fields"),
    [
        ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 6000, used: 4000, capacity: 8000",
         {"cpu": "6"}),
        ("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
         {"nodeSelector": {"disk": "ssd"}}),
        ("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
         {"containers": [{"name": "main", "image": "i:1", "ports": [{"hostPort": 80, "containerPort": 80}]}]}),
    ],
)
def test_a_kubelet_refuses_a_pod_that_its_node_has_no_room_for(reason: str, text: str, fields: dict[str, Any]) -> None:
    cluster = Cluster(Kubelet(), objects=[make_node("n1")])
    ports = [{"name": "main", "image": "i:1", "ports": [{"hostPort": 80, "containerPort": 80}],
              "resources": {"requests": {"cpu": "4"}}}]
    cluster.create(pod_on("n1", "first", containers=ports))
    cluster.run(MINUTE)
    cluster.create(pod_on("n1", **fields))
    cluster.run(MINUTE)
    status = web(cluster).status
    assert (status.phase, status.reason, status.message) == ("Failed", reason, f"Pod was rejected: {text}")
    assert (reason, text) in cluster.events(about="web-0")


def test_the_stand_in_refuses_nobody() -> None:
    cluster = started(config=stand_in(), cpu="100")
    assert web(cluster).is_ready
