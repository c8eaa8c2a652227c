"""What is the present cluster and what is about to be applied, and everything that can be wrong with a dump's text."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path

import pytest

from simulator import check
from simulator.errors import ManifestError, ScenarioError
from simulator.preflight.input import read_input
from tests.preflight.conftest import Checks
from tests.preflight.dumps import Plain, claim, dump, manifest, meta, new_set, node, running, three_nodes

REAL = str(Path(__file__).parents[1] / "manifests" / "data" / "dump.yaml")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cluster.yaml").write_text(dump(*three_nodes()), encoding="utf-8")
    Path("web.yaml").write_text(manifest(new_set()), encoding="utf-8")


# --- which is which ---------------------------------------------------------------------------------------------------


def test_a_list_with_uids_is_the_cluster_and_the_rest_is_applied() -> None:
    given = read_input(["cluster.yaml", "web.yaml"])
    assert (given.cluster, given.manifests) == (("cluster.yaml",), ("web.yaml",))
    assert [str(item.obj.key) for item in given.new] == ["StatefulSet/default/web"]


def test_the_order_of_the_arguments_does_not_matter() -> None:
    assert read_input(["web.yaml", "cluster.yaml"]).cluster == ("cluster.yaml",)


def test_the_cluster_may_come_from_standard_input() -> None:
    given = read_input(["web.yaml", "-"], stdin=io.StringIO(dump(*three_nodes())))
    assert (given.cluster, given.manifests) == (("stdin",), ("web.yaml",))


def test_the_manifests_may_come_from_standard_input() -> None:
    given = read_input(["cluster.yaml", "-"], stdin=io.StringIO(manifest(new_set())))
    assert (given.cluster, given.manifests) == (("cluster.yaml",), ("stdin",))


def test_a_dump_in_json_is_a_dump() -> None:
    Path("cluster.json").write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": three_nodes()}))
    assert read_input(["cluster.json", "web.yaml"]).cluster == ("cluster.json",)


def test_a_list_without_uids_is_applied() -> None:
    Path("list.yaml").write_text(dump(new_set()))
    assert read_input(["cluster.yaml", "list.yaml"]).manifests == ("list.yaml",)


def test_one_object_copied_from_the_cluster_is_applied() -> None:
    edited = running()[0]
    Path("db.yaml").write_text(manifest(edited))
    given = read_input(["cluster.yaml", "db.yaml"])
    assert [str(item.obj.key) for item in given.new] == ["StatefulSet/default/db"]


def test_the_cluster_can_be_said() -> None:
    bare = node("node1")
    bare["metadata"] = {"name": "node1"}
    Path("nodes.yaml").write_text(manifest(bare))
    given = read_input(["cluster.yaml"], ["nodes.yaml"])
    assert (given.cluster, given.manifests) == (("nodes.yaml",), ("cluster.yaml",))


def test_standard_input_is_one_thing_only() -> None:
    with pytest.raises(ScenarioError, match="read only once"):
        read_input(["-"], ["-"], stdin=io.StringIO(""))


def test_no_input_at_all_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="no input"):
        read_input([])


def test_two_manifests_of_the_same_object_are_an_error() -> None:
    Path("again.yaml").write_text(manifest(new_set()))
    with pytest.raises(ManifestError, match=r'again.yaml:1: StatefulSet "web" is given twice; it stands at web.yaml:1'):
        read_input(["cluster.yaml", "web.yaml", "again.yaml"])


def test_a_scenario_makes_its_own_cluster() -> None:
    Path("scenario.yaml").write_text(
        "apiVersion: bindsim/v1\nkind: Scenario\nmetadata: {name: s}\nspec: {nodes: {count: 1}}\n")
    assert read_input(["scenario.yaml"]).scenario.name == "s"
    with pytest.raises(ScenarioError, match="without --cluster"):
        read_input(["scenario.yaml"], ["cluster.yaml"])


def test_parameters_are_for_scenarios() -> None:
    with pytest.raises(ScenarioError, match="only a scenario file has parameters"):
        read_input(["web.yaml"], settings={"a": "1"})


def test_nodes_can_be_added_to_the_cluster() -> None:
    given = read_input(["cluster.yaml", "web.yaml"], nodes=None)
    Path("few.yaml").write_text(dump(*[obj for obj in three_nodes() if obj["metadata"]["name"] != "node1"]))
    more = read_input(["few.yaml", "web.yaml"], nodes=1)
    names = [item.obj.name for item in more.present if item.obj.KIND == "Node"]
    assert sorted(names) == ["node1", "node2", "node3"]
    assert len([item for item in given.present if item.obj.KIND == "Node"]) == 3


# --- what is wrong with a dump's text ---------------------------------------------------------------------------------


def kinds(sources: list[str]) -> list[str]:
    return [trouble.kind for trouble in check(sources, jobs=1).troubles]


def test_a_real_dump_with_everything_in_it_is_no_trouble() -> None:
    found = check([REAL], jobs=1)
    assert not [trouble for trouble in found.troubles if trouble.kind == "unknown-to-1.36"]
    assert {"Deployment: 1 in the cluster", "ConfigMap: 1 in the cluster", "VolumeSnapshot: 1 in the cluster"} <= set(
        found.not_simulated)


def test_secrets_config_maps_and_custom_resources_are_counted_not_listed() -> None:
    others = [{"apiVersion": "v1", "kind": "Secret", "metadata": meta("Secret", f"s{n}", namespace="default"),
               "data": {"a": "YQ=="}, "type": "Opaque"} for n in range(40)]
    custom: Plain = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta("Widget", "w"), "spec": {}}
    Path("all.yaml").write_text(dump(*three_nodes(), *others, custom))
    found = check(["all.yaml"], jobs=1)
    assert set(found.not_simulated) == {"Secret: 40 in the cluster", "Widget: 1 in the cluster"}
    assert not found.troubles and found.verdict == "always converges"


def test_a_field_that_1_36_has_not_is_left_out_and_named() -> None:
    cluster = three_nodes()
    for obj in cluster[:2]:
        obj["spec"]["quantumSlots"] = 4
        obj["status"]["conditions"][0]["mood"] = "good"
    Path("odd.yaml").write_text(dump(*cluster))
    found = check(["odd.yaml"], jobs=1)
    assert found.verdict == "always converges" and found.counts["Node"] == 3
    said = [(trouble.kind, trouble.what) for trouble in found.troubles]
    assert said == [("unknown-to-1.36", 'Node: unknown field "spec.quantumSlots" (2 times)'),
                    ("unknown-to-1.36", 'Node: unknown field "status.conditions[0].mood" (2 times)')]
    assert found.troubles[0].where == "odd.yaml:3"


def test_the_same_field_in_a_manifest_is_a_mistake() -> None:
    bad = new_set()
    bad["spec"]["quantumSlots"] = 4
    Path("bad.yaml").write_text(manifest(bad))
    with pytest.raises(ManifestError, match=r'bad.yaml:\d+: StatefulSet "web": unknown field "spec.quantumSlots"'):
        read_input(["cluster.yaml", "bad.yaml"])


def test_a_value_of_a_wrong_type_in_a_dump_is_left_out_and_named() -> None:
    cluster = three_nodes()
    cluster[0]["spec"]["unschedulable"] = "maybe"
    Path("odd.yaml").write_text(dump(*cluster))
    found = check(["odd.yaml"], jobs=1)
    assert [trouble.kind for trouble in found.troubles] == ["unknown-to-1.36"]
    assert "spec.unschedulable" in found.troubles[0].what


def test_a_kind_that_1_36_has_not_is_named() -> None:
    old: list[Plain] = [{"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": meta("Psp", f"p{n}"),
                         "spec": {}} for n in range(3)]
    Path("old.yaml").write_text(dump(*three_nodes(), *old))
    found = check(["old.yaml"], jobs=1)
    assert [trouble.kind for trouble in found.troubles] == ["unknown-to-1.36"]
    assert "PodSecurityPolicy" in found.troubles[0].what and "(3 times)" in found.troubles[0].what


def test_an_empty_list_is_named() -> None:
    Path("empty.yaml").write_text("apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: \"\"\n")
    found = check(["empty.yaml", "web.yaml"], jobs=1)
    assert [trouble.kind for trouble in found.troubles] == ["empty-dump"]
    assert found.cluster == ("empty.yaml",)


def test_nothing_but_empty_lists_is_an_error() -> None:
    Path("empty.json").write_text('{"apiVersion": "v1", "items": [], "kind": "List"}')
    with pytest.raises(ManifestError, match="no object"):
        check(["empty.json"], jobs=1)


def test_a_dump_that_was_cut_off_is_refused_with_the_line() -> None:
    text = dump(*three_nodes())
    for end in range(200, len(text), 2777):
        Path("cut.yaml").write_text(text[:end])
        try:
            check(["cut.yaml"], jobs=1, must_stop=lambda: True)
        except ManifestError as error:
            assert str(error).startswith("cut.yaml:"), error


def test_a_dump_cut_off_in_json_is_refused() -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": three_nodes()}, indent=1)
    Path("cut.json").write_text(text[: len(text) // 2])
    with pytest.raises(ManifestError, match=r"cut\.json:"):
        check(["cut.json"], jobs=1)


def test_times_and_versions_of_the_dump_do_not_matter() -> None:
    Path("later.yaml").write_text(dump(*three_nodes()).replace("2025-11-20", "2031-05-01"))
    Path("offset.yaml").write_text(dump(*three_nodes()).replace("2025-11-20T08:00:00Z", "2031-05-01T08:00:00+02:00"))
    for name in ("later.yaml", "offset.yaml"):
        found = check([name], jobs=1)
        assert found.verdict == "always converges" and not found.troubles


# --- two dumps --------------------------------------------------------------------------------------------------------


def test_two_dumps_of_different_kinds_are_one_cluster() -> None:
    cluster = three_nodes()
    Path("nodes.yaml").write_text(dump(*[obj for obj in cluster if obj["kind"] == "Node"]))
    Path("rest.yaml").write_text(dump(*[obj for obj in cluster if obj["kind"] != "Node"]))
    found = check(["nodes.yaml", "rest.yaml"], jobs=1)
    assert found.verdict == "always converges" and not found.troubles


def test_what_stands_in_two_dumps_in_the_same_way_is_taken_once() -> None:
    Path("copy.yaml").write_text(dump(*three_nodes()[:3]))
    found = check(["cluster.yaml", "copy.yaml"], jobs=1)
    assert [(t.kind, t.objects) for t in found.troubles] == [
        ("given-twice", ("Node/node1", "Node/node2", "Node/node3"))]
    assert found.troubles[0].taken == "taken once"


def test_of_two_moments_the_newer_one_is_taken() -> None:
    newer = claim("data-db-0", "db-disk-0", version=2000)
    newer["metadata"]["labels"] = {"moment": "later"}
    Path("newer.yaml").write_text(dump(newer))
    for order in (["cluster.yaml", "newer.yaml"], ["newer.yaml", "cluster.yaml"]):
        given = read_input(order)
        item = next(item for item in given.present if item.obj.name == "data-db-0")
        assert item.obj.metadata.labels == {"moment": "later"}
        assert [trouble.taken for trouble in given.troubles] == ["the newer one is taken"]


def test_of_an_object_that_was_made_again_the_later_one_is_taken() -> None:
    remade = copy.deepcopy(claim("data-db-0", "db-disk-0"))
    remade["metadata"].update(uid="11111111-2222-4333-8444-555555555555", creationTimestamp="2025-11-20T09:30:00Z")
    Path("later.yaml").write_text(dump(remade))
    given = read_input(["later.yaml", "cluster.yaml"])
    item = next(item for item in given.present if item.obj.name == "data-db-0")
    assert item.obj.metadata.uid.startswith("11111111")
    assert "different uids" in given.troubles[0].what


def test_an_edited_dump_is_not_taken_for_the_cluster() -> None:
    edited = running()[0]
    edited["spec"]["replicas"] = 5
    Path("edited.yaml").write_text(dump(edited))
    with pytest.raises(ManifestError, match="--cluster FILE"):
        read_input(["cluster.yaml", "edited.yaml"])
    given = read_input(["edited.yaml"], ["cluster.yaml"])
    assert [str(item.obj.key) for item in given.new] == ["StatefulSet/default/db"]


def test_checked_files_keep_their_own_names(checked: Checks) -> None:
    found = checked(three_nodes(), [new_set()])
    assert (found.cluster, found.manifests) == (("cluster.yaml",), ("new.yaml",))
