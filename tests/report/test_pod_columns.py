from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Pod
from simulator.api.meta import decode
from simulator.report.pod_columns import pod_cells, pod_status, ready_containers
from simulator.units import MINUTE

READY = {"type": "Ready", "status": "True"}
INITIALIZED = {"type": "Initialized", "status": "True"}


def pod(
    status: dict[str, Any], *, containers: int = 1, init: tuple[dict[str, Any], ...] = (), deleted: bool = False
) -> Pod:
    return decode(
        {
            "metadata": {"name": "web-0", "namespace": "default", **({"deletionTimestamp": 1} if deleted else {})},
            "spec": {
                "containers": [{"name": f"c{number}"} for number in range(containers)],
                "initContainers": list(init),
            },
            "status": status,
        },
        Pod,
    )


def state(name: str, *, ready: bool = False, **kind: Any) -> dict[str, Any]:
    return {"name": name, "ready": ready, "state": kind}


RUNS = state("c0", ready=True, running={})
DONE = state("c0", terminated={"exitCode": 0, "reason": "Completed"})


@pytest.mark.rule("WL-174")
@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            "SchedulingGated",
        ),
        ({"phase": "Pending", "containerStatuses": [state("c0", waiting={"reason": "ErrImagePull"})]}, "ErrImagePull"),
        (
            {"phase": "Running", "containerStatuses": [state("c0", terminated={"exitCode": 137, "signal": 9})]},
            "Signal:9",
        ),
        ({"phase": "Running", "containerStatuses": [state("c0", terminated={"exitCode": 3})]}, "ExitCode:3"),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    state("c0", waiting={"reason": "First"}),
                    state("c1", waiting={"reason": "Second"}),
                ],
            },
            "First",
        ),
        ({"phase": "Running", "conditions": [READY], "containerStatuses": [DONE, RUNS]}, "Running"),
        ({"phase": "Running", "containerStatuses": [DONE, RUNS]}, "NotReady"),
        (
            {
                "phase": "Running",
                "containerStatuses": [DONE, RUNS, state("c2", terminated={"exitCode": 1, "reason": "Error"})],
            },
            "Error",
        ),
        ({"phase": "Succeeded", "containerStatuses": [DONE]}, "Completed"),
    ],
)
def test_the_status_column_follows_the_containers(status: dict[str, Any], shown: str) -> None:
    assert pod_status(pod(status)) == shown


@pytest.mark.rule("WL-174")
@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ({"terminated": {"exitCode": 1, "reason": "Error"}}, "Init:Error"),
        ({"terminated": {"exitCode": 1, "signal": 9}}, "Init:Signal:9"),
        ({"terminated": {"exitCode": 4}}, "Init:ExitCode:4"),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "Init:CrashLoopBackOff"),
        ({"waiting": {"reason": "PodInitializing"}}, "Init:0/2"),
        ({"running": {}}, "Init:0/2"),
    ],
)
def test_an_init_container_that_holds_the_pod_up_is_shown(first: dict[str, Any], shown: str) -> None:
    init = ({"name": "i0"}, {"name": "i1"})
    held = {
        "phase": "Pending",
        "initContainerStatuses": [state("i0", **first)],
        "containerStatuses": [state("c0", waiting={"reason": "PodInitializing"})],
    }
    assert pod_status(pod(held, init=init)) == shown
    assert pod_status(pod({**held, "conditions": [INITIALIZED]}, init=init)) == "PodInitializing"


@pytest.mark.rule("WL-175")
def test_a_deleted_pod_shows_terminating_until_its_containers_have_stopped() -> None:
    assert pod_status(pod({"phase": "Running", "containerStatuses": [RUNS]}, deleted=True)) == "Terminating"
    assert pod_status(pod({"phase": "Succeeded", "containerStatuses": [DONE]}, deleted=True)) == "Completed"
    assert pod_status(pod({"phase": "Running", "reason": "NodeLost"}, deleted=True)) == "Unknown"


@pytest.mark.rule("WL-173")
def test_ready_counts_containers_that_run_and_sidecars_and_ignores_the_condition() -> None:
    sidecar = ({"name": "i0"}, {"name": "side", "restartPolicy": "Always"})
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [RUNS],
        "initContainerStatuses": [
            state("i0", terminated={"exitCode": 0}),
            {**state("side", ready=True, running={}), "started": True},
        ],
    }
    assert ready_containers(pod(status, containers=2, init=sidecar)) == (2, 3)
    assert ready_containers(pod({"containerStatuses": [state("c0", ready=True, terminated={})]})) == (0, 1)


@pytest.mark.rule("WL-176")
def test_restarts_say_when_the_last_one_was() -> None:
    again = {**RUNS, "restartCount": 3, "lastState": {"terminated": {"exitCode": 1, "finishedAt": MINUTE}}}
    assert pod_cells(pod({"containerStatuses": [again]}), 4 * MINUTE)["RESTARTS"] == "3 (3m ago)"
    assert pod_cells(pod({"containerStatuses": [{**RUNS, "restartCount": 2}]}), 0)["RESTARTS"] == "2"
    init = ({"name": "i0"},)
    starting = pod(
        {
            "initContainerStatuses": [{**state("i0", running={}), "restartCount": 1}],
            "containerStatuses": [{**RUNS, "restartCount": 5}],
        },
        init=init,
    )
    assert pod_cells(starting, 0)["RESTARTS"] == "1"
