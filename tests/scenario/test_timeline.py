from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scenario_files import POD, load

from simulator.api.meta import Key
from simulator.cluster.faults import LOST, Calls
from simulator.errors import ScenarioError
from simulator.scenario.faults import FAULTS
from simulator.scenario.file import ACTIONS
from simulator.scenario.kubectl import Apply, Cordon, Drain, EvictPod, PatchObject, Remove, Scale, TaintNode
from simulator.scenario.timeline import Data, Entry, FailNode, NeverReady, Restart
from simulator.units import SECOND


def entry(tmp_path: Path, **written: Any) -> Entry:
    """The one entry of a timeline."""
    (found,) = load(tmp_path, {"nodes": {"count": 1}, "timeline": [written]}).timeline
    return found


WEB = Key("Pod", "default", "web-0")
DATA = {"pod": "web-0", "volume": "data", "name": "answer"}


@pytest.mark.parametrize(("written", "meaning"), [
    ({"delete": "Pod/web-0", "grace": 5, "cascade": "orphan"}, Remove(WEB, 5, "Orphan")),
    ({"delete": "Pod/db/web-0", "force": True}, Remove(Key("Pod", "db", "web-0"), None, "Background", True)),
    ({"scale": "StatefulSet/web", "replicas": 0}, Scale(Key("StatefulSet", "default", "web"), 0)),
    ({"scale": "web", "replicas": 5, "namespace": "db"}, Scale(Key("StatefulSet", "db", "web"), 5)),
    ({"patch": "Pod/web-0", "to": {"a": 1}, "type": "strategic"}, PatchObject(WEB, {"a": 1}, True)),
    ({"cordon": "node1"}, Cordon(Key("Node", "", "node1"), True)),
    ({"uncordon": "Node/node1"}, Cordon(Key("Node", "", "node1"), False)),
    ({"drain": "node1", "ignoreDaemonsets": True}, Drain(Key("Node", "", "node1"), False, True, False)),
    ({"evict": "web-0", "grace": 3}, EvictPod(WEB, 3)),
])
def test_each_action_of_kubectl_means_one_call(tmp_path: Path, written: dict[str, Any], meaning: Any) -> None:
    assert entry(tmp_path, **written).actions == (meaning,)


@pytest.mark.parametrize(("written", "meaning"), [
    ({"fail": "node1"}, FailNode("node1", True)),
    ({"recover": "Node/node1"}, FailNode("node1", False)),
    ({"restart": "scheduler"}, Restart("scheduler")),
    ({"neverReady": ["web-0", "Pod/db/web-1"]}, NeverReady((WEB, Key("Pod", "db", "web-1")))),
])
def test_each_fault_means_what_happens_to_a_machine_or_a_program(
    tmp_path: Path, written: dict[str, Any], meaning: Any
) -> None:
    assert entry(tmp_path, **written).faults == (meaning,)


def test_the_other_actions(tmp_path: Path) -> None:
    (write,) = entry(tmp_path, write={**DATA, "size": "1Gi"}).faults
    assert isinstance(write, Data) and write.pod == WEB
    assert entry(tmp_path, sleep="5s").pause == 5 * SECOND
    (tainted,) = entry(tmp_path, taint="node1", taints=["a=b:NoSchedule", "c:NoExecute-", "d-"]).actions
    assert isinstance(tainted, TaintNode) and tainted.remove == (("c", "NoExecute"), ("d", ""))
    assert isinstance(entry(tmp_path, apply=POD).actions[0], Apply)
    assert entry(tmp_path, read=DATA).faults != ()
    applied = entry(tmp_path, create=[POD], namespace="db")
    (create,) = applied.actions
    assert isinstance(create, Apply) and create.create_only and create.obj.key == Key("Pod", "db", "web-0")


def test_an_entry_has_its_time_its_conditions_and_its_leave_to_fail(tmp_path: Path) -> None:
    found = entry(tmp_path, at="1m", when="Pod/web-0 is ready and Node/node1 is ready", sleep="1s", mayFail=True)
    assert (found.number, found.words, found.at, len(found.when), found.may_fail) == (1, "sleep", 60 * SECOND, 2, True)


@pytest.mark.parametrize(("written", "words"), [
    ({"at": "1s"}, "no action; give exactly one of apply, create"),
    ({"fail": "node1", "sleep": "1s"}, "more than one action (fail, sleep); give exactly one of"),
    ({"at": "soon", "sleep": "1s"}, '"soon" is not a duration; write a number with a unit'),
    ({"sleep": "long"}, '"long" is not a duration'),
    ({"when": "web is up", "sleep": "1s"}, '"web is up" is not a condition; write "KIND/NAME is STATE"'),
    ({"apply": "nowhere.yaml"}, '"nowhere.yaml" does not exist beside the scenario; correct the name'),
    ({"apply": []}, "the list is empty; name a file or write an object"),
    ({"apply": [5]}, "5 is neither a file name nor an object"),
    ({"delete": "web-0"}, '"web-0" does not name an object; write KIND/NAME, such as Pod/web-0'),
    ({"delete": "Wombat/web"}, '"Wombat" in "Wombat/web" is not a kind that is simulated'),
    ({"scale": "web"}, "scale needs replicas"),
    ({"scale": "Pod/web-0", "replicas": 2}, '"Pod/web-0" is not a StatefulSet; write StatefulSet/NAME'),
    ({"patch": "Pod/web-0"}, "patch needs to: with the fields to change"),
    ({"taint": "node1"}, "taint needs taints"),
    ({"taint": "node1", "taints": ["a"]}, '"a" is not a taint; write key=value:NoSchedule'),
    ({"cordon": "Pod/web-0"}, '"Pod/web-0" is not a Node; write Node/NAME'),
    ({"restart": "skeduler"}, '"skeduler" is not a component; there is statefulset,'),
    ({"failCall": {"component": "skeduler"}}, '"skeduler" is not a component'),
    ({"failCall": {"kind": "Wombat"}}, '"Wombat" is not a kind that is simulated'),
    ({"write": {**DATA, "size": "much"}}, '"much" is not a size; write a number and a suffix'),
])
def test_an_entry_that_means_nothing_is_an_error_with_its_line(tmp_path: Path, written: Any, words: str) -> None:
    with pytest.raises(ScenarioError) as problem:
        entry(tmp_path, **written)
    text = str(problem.value)
    assert text.startswith(f"{tmp_path / 'scenario.yaml'}:7: timeline entry 1: ") and words in text
    assert text.endswith(".") and not text.endswith("..")


def test_every_action_is_tried_here_and_every_fault_can_be_carried_out() -> None:
    text = Path(__file__).read_text()
    camel = {name: name.split("_")[0] + "".join(part.capitalize() for part in name.split("_")[1:]) for name in ACTIONS}
    assert all(f'"{camel[name]}":' in text or f"tmp_path, {name}=" in text for name in ACTIONS)
    assert set(FAULTS) == {FailNode, Restart, NeverReady, Calls, Data}


def test_a_call_that_fails_is_told_by_who_calls_and_what_for(tmp_path: Path) -> None:
    written = {"component": "scheduler", "verb": "bind", "kind": "pods", "answer": "lost"}
    (calls,) = entry(tmp_path, failCall=written).faults
    assert calls == Calls("scheduler", "bind", "Pod", fate=LOST)


def test_a_patch_may_be_one_of_the_status(tmp_path: Path) -> None:
    (patch,) = entry(tmp_path, patch="Pod/web-0", to={"status": {"phase": "Failed"}}, subresource="status").actions
    assert isinstance(patch, PatchObject) and patch.subresource == "status"
