from __future__ import annotations

from typing import Any

import pytest

from simulator.scenario.file import NodeGenerator, VolumeGenerator
from simulator.scenario.generators import HOSTNAME, ZONE, generate_nodes, generate_volumes, parse_taint


def names(objects: Any) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


def test_nodes_are_numbered_and_zones_are_dealt_out_in_turn() -> None:
    nodes = list(generate_nodes([
        NodeGenerator(count=3, first=2, zones=("a", "b"), labels={"rack": "r{i}"}, taints=("dedicated=db:NoSchedule",)),
    ]))
    assert names(nodes) == ["node2", "node3", "node4"]
    assert [node["metadata"]["labels"][ZONE] for node in nodes] == ["a", "b", "a"]
    assert nodes[0]["metadata"]["labels"] == {HOSTNAME: "node2", ZONE: "a", "rack": "r2"}
    assert nodes[0]["spec"]["taints"] == [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]
    assert names(generate_nodes([NodeGenerator(count=2, name="n-{i:03}")])) == ["n-001", "n-002"]


def test_volumes_are_made_node_by_node_or_in_turns() -> None:
    def made(**options: Any) -> list[str]:
        return names(generate_volumes([VolumeGenerator(per_node=2, **options)], ["a", "b"]))

    assert made() == ["pv-a-1", "pv-a-2", "pv-b-1", "pv-b-2"]
    assert made(order="round-robin") == ["pv-a-1", "pv-b-1", "pv-a-2", "pv-b-2"]
    assert made(nodes=("c",), name="{node}.{i}") == ["c.1", "c.2"]


def test_a_volume_is_tied_to_its_node_and_sizes_go_round_on_each() -> None:
    generator = VolumeGenerator(
        per_node=3, capacity=("1Gi", "2Gi"), storage_class_name="local", path="/d/{node}/{name}")
    volumes = list(generate_volumes([generator], ["a"]))
    assert [volume["spec"]["capacity"]["storage"] for volume in volumes] == ["1Gi", "2Gi", "1Gi"]
    spec = volumes[0]["spec"]
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": HOSTNAME, "operator": "In", "values": ["a"]}]
    assert (spec["local"]["path"], spec["storageClassName"]) == ("/d/a/pv-a-1", "local")


def test_taints_are_written_as_kubectl_has_them() -> None:
    assert parse_taint("a=b:NoExecute") == {"key": "a", "value": "b", "effect": "NoExecute"}
    assert parse_taint("a:NoSchedule") == {"key": "a", "effect": "NoSchedule"}
    for wrong in ("a", "a=b", "a:Never", ":NoSchedule", ""):
        with pytest.raises(ValueError, match="write key=value:NoSchedule"):
            parse_taint(wrong)


@pytest.mark.parametrize("name", ["n{j}", "n{", "n{}", "{i.x}"])
def test_a_pattern_that_cannot_be_filled_in_says_what_it_may_hold(name: str) -> None:
    with pytest.raises(ValueError, match=r"it may hold \{i\}"):
        list(generate_nodes([NodeGenerator(count=1, name=name)]))
    with pytest.raises(ValueError, match=r"it may hold \{node\} and \{i\}"):
        list(generate_volumes([VolumeGenerator(per_node=1, name="{x}")], ["a"]))


def test_volumes_need_a_size() -> None:
    with pytest.raises(ValueError, match="capacity is an empty list"):
        list(generate_volumes([VolumeGenerator(per_node=1, capacity=())], ["a"]))
