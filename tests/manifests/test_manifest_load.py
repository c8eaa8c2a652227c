from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from simulator.api.core import Node, PersistentVolume, Pod
from simulator.api.meta import Object
from simulator.errors import ManifestError
from simulator.manifests import Loaded, Loader, Manifests, NotSimulated, Origin, line_of, load, parse_object, parse_time
from simulator.units import quantity

DUMP = Path(__file__).parent / "data" / "dump.yaml"

# The manifests of a training lab, cut down to what differs in kind.
LAB = """\
# A set with its role.
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: consul
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: consul
rules:
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list]
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: consul
spec:
  serviceName: consul
  replicas: 3
  selector:
    matchLabels: {app: consul}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 1Gi}}
  template:
    metadata:
      labels: {app: consul}
    spec:
      serviceAccountName: consul
      containers:
        - name: consul
          image: "hashicorp/consul:1.22"
          env:
            - {name: A, value: b}
          args: ["-bootstrap-expect=3"]
        - name: second
          args: [x]
"""


def volume(name: str = "pv-a", spec: str = "capacity: {storage: 10Gi}") -> str:
    return f"apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def read(text: str) -> Manifests:
    return load(["-"], io.StringIO(text))


def only(text: str) -> Any:
    (loaded,) = read(text).objects
    return loaded.obj


def test_what_is_simulated_is_decoded_and_the_rest_is_named() -> None:
    manifests = read(LAB)
    (consul,) = manifests.objects
    assert str(consul.obj.key) == "StatefulSet/consul"
    assert consul.origin == Origin("stdin", 17)
    assert consul.raw["spec"]["replicas"] == 3
    assert [(one.kind, one.api_version, one.name, one.origin.line) for one in manifests.not_simulated] == [
        ("ServiceAccount", "v1", "consul", 3),
        ("Role", "rbac.authorization.k8s.io/v1", "consul", 8),
    ]


def test_fields_without_effect_are_named_once_with_their_number() -> None:
    assert {(one.field, one.count, one.origin.line) for one in read(LAB).without_effect} == {
        ("StatefulSet spec.template.spec.containers[].env", 1, 17),
        ("StatefulSet spec.template.spec.containers[].args", 2, 17),
        ("StatefulSet spec.template.spec.serviceAccountName", 1, 17),
    }


def test_fields_without_effect_that_are_empty_or_set_by_the_server_are_not_named() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, selfLink: /x, managedFields: [{manager: x}]}\n"
        "spec: {containers: [{name: c, command: [], env: null}], securityContext: {}}\n"
        "status: {hostIPs: [{ip: 1.2.3.4}]}\n"
    )
    assert read(text).without_effect == ()


def test_a_clusters_dump_loads_with_its_state() -> None:
    manifests = load([str(DUMP)])
    objects = {str(loaded.obj.key): loaded.obj for loaded in manifests.objects}
    assert list(objects) == [
        "Namespace/default", "Node/node2", "StorageClass/local", "PersistentVolume/pv-node2",
        "PersistentVolumeClaim/default/data-web-0", "StatefulSet/default/web",
        "ControllerRevision/default/web-6596ffb49b",
        "Pod/default/web-0", "Event/default/data-web-0.187a2b3c4d5e6f70", "Lease/kube-node-lease/node2",
    ]  # fmt: skip
    assert [one.kind for one in manifests.not_simulated] == ["Deployment", "ConfigMap", "VolumeSnapshot"]
    pod = objects["Pod/default/web-0"]
    assert isinstance(pod, Pod)
    assert pod.metadata.uid == "5c8a5d3e-6a43-4b39-94d7-5e5e2e6e9d10"
    assert pod.metadata.resource_version == 899
    assert pod.metadata.creation_timestamp == parse_time("2025-11-20T08:05:00Z") < 0
    assert pod.status.container_statuses[0].state is not None
    assert pod.is_ready and pod.metadata.is_terminating
    node = objects["Node/node2"]
    assert isinstance(node, Node)
    assert node.spec.taints[0].time_added == parse_time("2025-11-20T09:00:00Z")
    assert node.status.allocatable["memory"] == quantity("8052112Ki")
    assert manifests.newest == parse_time("2025-11-20T10:00:30Z")
    assert not any("apiVersion" in one.field or "status" in one.field for one in manifests.without_effect)


def test_a_dump_can_be_loaded_relative_to_another_epoch() -> None:
    manifests = load([str(DUMP)], epoch="2025-11-20T10:00:30Z")
    assert manifests.newest == 0
    assert manifests.objects[0].obj.metadata.creation_timestamp == parse_time(
        "2025-11-20T08:00:00Z", "2025-11-20T10:00:30Z"
    )


def test_the_same_dump_in_json_gives_the_same_objects() -> None:
    yaml_dump = load([str(DUMP)])
    whole = {"apiVersion": "v1", "items": [one.raw for one in yaml_dump.objects], "kind": "List", "metadata": {}}
    lines = "\n".join(json.dumps(one.raw) for one in yaml_dump.objects)
    for text in (json.dumps(whole), json.dumps(whole, indent=4), lines, json.dumps(whole["items"])):
        assert [one.obj for one in read(text).objects] == [one.obj for one in yaml_dump.objects]


def test_objects_of_json_know_their_lines() -> None:
    raw = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{i}", "labels": {"a": "b"}}} for i in range(3)]
    pretty = json.dumps({"apiVersion": "v1", "items": raw, "kind": "List"}, indent=2)
    loaded = read(pretty).objects
    assert [pretty.splitlines()[one.origin.line - 1].strip() for one in loaded] == ["{"] * 3
    assert '"name": "n2"' in pretty.splitlines()[line_of(loaded[2].origin, "metadata.name") - 1]
    by_line = "\n".join(json.dumps(one) for one in raw)
    assert [one.origin.line for one in read(by_line).objects] == [1, 2, 3]


def test_lists_are_unpacked_also_inside_of_lists_and_typed_ones() -> None:
    inner = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b"}}],
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
    nested = {"apiVersion": "v1", "kind": "List", "items": [node, inner]}
    assert [one.obj.name for one in read(json.dumps(nested)).objects] == ["a", "b"]
    # The API server leaves kind and apiVersion out of such items.
    typed = {"apiVersion": "v1", "kind": "NodeList", "items": [{"metadata": {"name": "c"}}]}
    assert [str(one.obj.key) for one in read(json.dumps(typed)).objects] == ["Node/c"]


def test_arguments_and_documents_keep_their_order_and_folders_are_read_sorted(tmp_path: Path) -> None:
    (tmp_path / "all" / "sub").mkdir(parents=True)
    (tmp_path / "all" / ".git").mkdir()
    (tmp_path / "all" / "b.yml").write_text(volume("b1") + "---\n" + volume("b2"))
    (tmp_path / "all" / "a.yaml").write_text(volume("a"))
    (tmp_path / "all" / "sub" / "c.json").write_text('{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "c"}}')
    (tmp_path / "all" / "notes.txt").write_text("not: a manifest")
    (tmp_path / "all" / ".git" / "x.yaml").write_text("broken: [")
    (tmp_path / "z.yaml").write_text(volume("z"))
    manifests = load([str(tmp_path / "z.yaml"), str(tmp_path / "all"), "-"], io.StringIO(volume("s")))
    assert [one.obj.name for one in manifests.objects] == ["z", "a", "b1", "b2", "c", "s"]
    assert manifests.objects[3].origin == Origin(str(tmp_path / "all" / "b.yml"), 6)


def test_a_source_without_objects_is_a_warning_beside_others(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "pv.yaml").write_text(volume())
    assert load([str(tmp_path)]).warnings == (f"{tmp_path / 'empty.yaml'}: no object in it.",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "pv.yaml").write_text(volume("größe"), encoding=encoding)
    assert load([str(tmp_path)]).objects[0].obj.name == "größe"


@pytest.mark.parametrize(
    ("written", "amount"), [("10Gi", "10Gi"), ("5", "5"), ("1e3", "1k"), ("0.5", "500m"), ("'2'", "2")]
)
def test_a_quantity_may_be_text_or_a_number(written: str, amount: str) -> None:
    pv = only(volume(spec=f"capacity: {{storage: {written}}}"))
    assert pv.capacity == quantity(amount)


def test_null_is_as_good_as_absent() -> None:
    text = (
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  creationTimestamp: null\n  labels:\n"
        "    node-role.kubernetes.io/worker:\n  annotations:\nspec:\n"
        "status: {capacity: {cpu: null, pods: 3}, conditions: ~}\n"
    )
    node = only(text)
    assert node.metadata.labels == {"node-role.kubernetes.io/worker": ""}
    assert node.status.capacity == {"cpu": quantity(0), "pods": quantity(3)}
    assert node.metadata.creation_timestamp is None and node.spec == Node().spec


def test_an_int_or_string_may_be_either() -> None:
    text = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: a}}\nspec: {{maxUnavailable: {}}}\n"
    assert only(text.format("1")).spec.max_unavailable == 1
    assert only(text.format("50%")).spec.max_unavailable == "50%"


def test_a_whole_number_may_be_written_with_a_fraction_of_zero() -> None:
    for text in ("replicas: 3.0", "replicas: 3e0", "replicas: 0b11"):
        assert only(f"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: a}}\nspec: {{{text}}}\n").replicas == 3


def test_custom_resources_and_beta_versions_are_accepted() -> None:
    text = "apiVersion: {}\nkind: {}\nmetadata: {{name: a, namespace: b}}\nwhat: ever\n"
    (one,) = read(text.format("example.com/v1", "Thing")).not_simulated
    assert (one.kind, one.api_version, one.namespace, one.name) == ("Thing", "example.com/v1", "b", "a")
    (one,) = read(text.format("gateway.networking.k8s.io/v1", "Gateway")).not_simulated
    assert one.kind == "Gateway"


def test_a_definition_makes_the_kinds_of_its_group_known() -> None:
    definition = (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.new.k8s.io}\n"
        "spec: {group: new.k8s.io, scope: Namespaced}\n---\n"
    )
    thing = "apiVersion: new.k8s.io/v1\nkind: Thing\nmetadata: {name: a}\n"
    assert [one.kind for one in read(definition + thing).not_simulated] == ["CustomResourceDefinition", "Thing"]
    with pytest.raises(ManifestError, match="put its CustomResourceDefinition before it"):
        read(thing)


def test_a_deeply_nested_definition_is_checked_without_recursing_too_deep() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(90):
        schema = {"properties": {"a": schema}}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]
    spec = {"group": "example.com", "versions": versions, "scope": None}
    raw = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    assert len(read(json.dumps(raw)).not_simulated) == 1


def test_the_events_of_the_other_group_are_not_simulated() -> None:
    text = "apiVersion: events.k8s.io/v1\nkind: Event\nmetadata: {name: a}\nregarding: {kind: Pod}\n"
    assert [one.kind for one in read(text).not_simulated] == ["Event"]


def test_an_object_inside_a_scenario_can_be_parsed_and_named_with_its_line(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "kind: Scenario\nspec:\n  timeline:\n  - at: 0s\n    apply:\n      apiVersion: v1\n      kind: Node\n"
        "      metadata:\n        name: a\n        lables: {}\n"
    )
    raw = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}
    origin = Origin(str(scenario), 6, base=("spec", "timeline", 0, "apply"), document_line=1)
    loader = Loader()
    taken = parse_object(raw, origin, loader)
    assert isinstance(taken, Loaded) and isinstance(taken.obj, Object) and taken.origin is origin
    assert isinstance(parse_object({**raw, "kind": "Secret"}, origin, loader), NotSimulated)
    with pytest.raises(ManifestError, match=r'scenario.yaml:10: Node "a": unknown field "metadata.lables"'):
        parse_object({**raw, "metadata": {"name": "a", "lables": {}}}, origin)
    with pytest.raises(ManifestError, match=r"scenario.yaml:6: .* is not a Kubernetes object"):
        parse_object("text", origin)


def test_times_and_resource_versions_of_a_volume_are_numbers() -> None:
    pv = only(
        "apiVersion: v1\nkind: PersistentVolume\n"
        "metadata: {name: a, resourceVersion: '7', creationTimestamp: '2026-01-01T00:00:01Z'}\n"
        "spec: {claimRef: {name: c, resourceVersion: ''}}\nstatus: {lastPhaseTransitionTime: '2026-01-01T00:00:02Z'}\n"
    )
    assert isinstance(pv, PersistentVolume) and pv.spec.claim_ref is not None
    assert (pv.metadata.resource_version, pv.spec.claim_ref.resource_version) == (7, 0)
    assert (pv.metadata.creation_timestamp, pv.status.last_phase_transition_time) == (1_000_000, 2_000_000)
