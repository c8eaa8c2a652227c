"""The matching rules, one by one, and against the specification's own walk over all orders of the candidates."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import decode, evolve, with_annotations, with_meta
from simulator.api.selectors import node_selector_matches
from simulator.api.storage import StorageClass
from simulator.binding.names import BETA_CLASS, BIND_COMPLETED
from simulator.binding.reference import (
    affinity_matches,
    class_of,
    default_class,
    has_class,
    is_delayed,
    is_fully_bound,
    refers,
    suitability,
    volumes_for_claim,
    volumes_for_claim_on_node,
)
from simulator.testing.builders import HOSTNAME, make_claim, make_class, make_volume
from simulator.units import SECOND

RWO, ROX, RWX, RWOP = "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"
NODE = {HOSTNAME: "n1"}


def free(name: str, **fields: Any) -> PersistentVolume:
    return make_volume(name, phase="Available", **fields)


def reserved(name: str, claim: str, uid: str = "", **fields: Any) -> PersistentVolume:
    reference = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": claim, "uid": uid}
    return make_volume(name, claimRef=reference, **fields)


def names(claim: PersistentVolumeClaim, *volumes: PersistentVolume, delay: bool = False) -> list[set[str]]:
    return [{volume.name for volume in tier.volumes} for tier in volumes_for_claim(claim, volumes, delay=delay)]


def on_node(claim: PersistentVolumeClaim, *volumes: PersistentVolume, excluded: tuple[str, ...] = ()) -> set[str]:
    return {volume.name for volume in volumes_for_claim_on_node(claim, volumes, NODE, excluded).volumes}


@pytest.mark.rule("VB-28")
@pytest.mark.rule("VB-30")
def test_a_volume_with_just_the_wanted_mode_beats_a_smaller_one_with_more() -> None:
    claim = make_claim("c")
    assert names(claim, free("huge", capacity="1Ti"), free("small", capacity="1Gi", modes=(RWO, RWX))) == [{"huge"}]


@pytest.mark.rule("VB-28")
def test_order_and_repetition_of_access_modes_make_no_other_bucket() -> None:
    claim = make_claim("c")
    found = names(claim, free("a", modes=(RWO, ROX)), free("b", modes=(ROX, RWO)), free("c", modes=(ROX, RWO, RWO)))
    assert found == [{"a", "b", "c"}]


@pytest.mark.rule("VB-29")
def test_buckets_of_equal_size_that_yield_a_volume_are_a_choice_whatever_their_capacities() -> None:
    claim = make_claim("c")
    wide, other = free("wide", capacity="9Gi", modes=(RWO, RWX)), free("other", capacity="1Gi", modes=(RWO, ROX))
    three = free("three", capacity="1Gi", modes=(RWO, ROX, RWX))
    assert names(claim, wide, other, three) == [{"other"}, {"wide"}]
    too_small = free("none", capacity="1Mi", modes=(ROX, RWO))
    assert names(claim, wide, too_small, three) == [{"wide"}]


@pytest.mark.rule("VB-31")
def test_for_a_node_the_smallest_volume_wins_across_all_sets_of_modes() -> None:
    claim = make_claim("c")
    assert on_node(claim, free("huge", capacity="1Ti"), free("small", capacity="1Gi", modes=(RWO, RWX))) == {"small"}


@pytest.mark.rule("VB-32")
def test_a_volume_must_pass_every_test() -> None:
    claim = make_claim("c", request="5Gi")
    fits = free("fits", capacity="5Gi")
    assert names(claim, fits) == [{"fits"}]
    for misfit in (
        free("small", capacity="5G"),
        free("block", capacity="5Gi", volumeMode="Block"),
        free("vac", capacity="5Gi", volumeAttributesClassName="fast"),
        with_meta(free("dying", capacity="5Gi"), deletion_timestamp=0),
        make_volume("pending", capacity="5Gi", phase="Pending"),
        make_volume("released", capacity="5Gi", phase="Released"),
        free("classy", capacity="5Gi", storage_class="gold"),
        free("other-mode", capacity="5Gi", modes=(ROX,)),
        reserved("taken", "someone", capacity="5Gi", phase="Available"),
    ):
        assert names(claim, misfit) == []
        assert on_node(claim, misfit) == set()


@pytest.mark.rule("VB-33")
def test_all_volumes_of_the_least_sufficient_capacity_are_equal() -> None:
    claim = make_claim("c", request="5Gi")
    volumes = [free("small", capacity="1Gi"), free("a"), free("large", capacity="20Gi"), free("b")]
    assert names(claim, *volumes) == [{"a", "b"}]
    assert on_node(claim, *volumes) == {"a", "b"}


@pytest.mark.rule("VB-34")
def test_a_reserved_volume_wins_whatever_its_phase_class_or_labels() -> None:
    claim = make_claim("c", selector={"matchLabels": {"tier": "gold"}})
    mine = reserved("mine", "c", capacity="100Gi", storage_class="other", phase="Released")
    assert names(claim, free("free", capacity="1Gi"), mine) == [{"mine"}]


@pytest.mark.rule("VB-34")
@pytest.mark.parametrize("defect", [
    {"capacity": "1Gi"}, {"volumeMode": "Block"}, {"volumeAttributesClassName": "fast"},
])
def test_a_reserved_volume_that_does_not_fit_is_silently_skipped(defect: dict[str, Any]) -> None:
    claim = make_claim("c", request="5Gi")
    assert names(claim, reserved("mine", "c", **defect), free("free")) == [{"free"}]


@pytest.mark.rule("VB-35")
def test_a_reserved_volume_in_a_larger_bucket_loses_unless_binding_is_delayed() -> None:
    claim = make_claim("c")
    mine, other = reserved("mine", "c", modes=(RWO, RWX)), free("free")
    assert names(claim, mine, other) == [{"free"}]
    assert names(claim, mine, other, delay=True) == [{"mine"}]


@pytest.mark.rule("VB-36")
def test_for_a_node_a_reserved_volume_needs_no_access_modes() -> None:
    claim = make_claim("c", modes=(RWX,))
    mine = reserved("mine", "c", modes=(RWO,))
    assert on_node(claim, mine) == {"mine"}
    assert names(claim, mine) == []


@pytest.mark.rule("VB-37")
def test_a_reserved_volume_out_of_reach_ends_the_search_for_the_node() -> None:
    claim = make_claim("c")
    far, near = reserved("far", "c", node="n2"), free("near", node="n1")
    tier = volumes_for_claim_on_node(claim, [near, far], NODE)
    assert not tier.volumes
    assert [volume.name for volume in tier.out_of_reach] == ["far"]


@pytest.mark.rule("VB-37")
def test_of_two_reserved_volumes_the_one_met_first_decides_for_the_node() -> None:
    claim = make_claim("c")
    tier = volumes_for_claim_on_node(claim, [reserved("far", "c", node="n2"), reserved("near", "c", node="n1")], NODE)
    assert [volume.name for volume in tier.volumes] == ["near"]
    assert [volume.name for volume in tier.out_of_reach] == ["far"]


@pytest.mark.rule("VB-38")
def test_classes_are_equal_by_name_and_no_class_is_a_class() -> None:
    assert names(make_claim("c"), free("a", storage_class="x"), free("b")) == [{"b"}]
    assert names(make_claim("c", storage_class=""), free("a", storage_class="x"), free("b")) == [{"b"}]
    assert names(make_claim("c", storage_class="x"), free("a", storage_class="x"), free("b")) == [{"a"}]


@pytest.mark.rule("VB-39")
def test_a_selector_narrows_and_an_empty_one_does_not() -> None:
    labelled = with_meta(free("labelled"), labels={"tier": "gold"})
    volumes = (labelled, free("plain"))
    assert names(make_claim("c", selector={"matchLabels": {"tier": "gold"}}), *volumes) == [{"labelled"}]
    assert names(make_claim("c", selector={}), *volumes) == [{"labelled", "plain"}]


def affine(*terms: dict[str, Any]) -> PersistentVolume:
    return make_volume("v", nodeAffinity={"required": {"nodeSelectorTerms": list(terms)}})


def says(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.rule("VB-40")
def test_terms_are_ored_and_expressions_anded() -> None:
    here, there = says(HOSTNAME, "In", "n1"), says(HOSTNAME, "In", "n2")
    assert affinity_matches(make_volume("v"), NODE)
    assert affinity_matches(affine({"matchExpressions": [there]}, {"matchExpressions": [here]}), NODE)
    assert not affinity_matches(affine({"matchExpressions": [here, there]}), NODE)
    assert not affinity_matches(affine({}), NODE)
    assert affinity_matches(affine({"matchExpressions": [says("zone", "NotIn", "a")]}), NODE)
    assert affinity_matches(affine({"matchExpressions": [says("zone", "DoesNotExist")]}), NODE)
    assert affinity_matches(affine({"matchExpressions": [says("cores", "Gt", "7")]}), {"cores": "8"})
    assert not affinity_matches(affine({"matchExpressions": [says("cores", "Lt", "8")]}), {"cores": "8"})


@pytest.mark.rule("VB-41")
def test_a_term_of_match_fields_alone_matches_every_node() -> None:
    assert affinity_matches(affine({"matchFields": [says("metadata.name", "In", "elsewhere")]}), NODE)


@pytest.mark.rule("VB-42")
def test_a_term_that_cannot_be_parsed_does_not_hurt_another() -> None:
    broken = {"matchExpressions": [says(HOSTNAME, "Gt", "x")]}
    good = {"matchExpressions": [says(HOSTNAME, "In", "n1")]}
    assert affinity_matches(affine(broken, good), NODE)
    assert not affinity_matches(affine(broken), NODE)


@pytest.mark.rule("VB-43")
def test_without_a_node_affinity_plays_no_part() -> None:
    assert names(make_claim("c"), free("a", node="n1"), free("b", node="n2")) == [{"a", "b"}]


@pytest.mark.rule("VB-44")
def test_a_claim_with_an_attributes_class_matches_no_plain_volume() -> None:
    claim = make_claim("c", volumeAttributesClassName="fast")
    assert names(claim, free("local", node="n1")) == []
    assert names(claim, free("csi", volumeAttributesClassName="fast")) == [{"csi"}]


@pytest.mark.rule("VB-133")
def test_what_a_sibling_has_taken_is_passed_over() -> None:
    claim = make_claim("c")
    assert on_node(claim, free("a"), free("b", capacity="20Gi"), excluded=("a",)) == {"b"}


@pytest.mark.rule("VB-58")
def test_suitability_names_the_first_thing_that_is_wrong() -> None:
    claim = make_claim("c", request="5Gi", storage_class="x", volumeAttributesClassName="fast", modes=(RWX,))
    wrong = with_meta(make_volume("v", capacity="1Gi", volumeMode="Block"), deletion_timestamp=0)
    assert suitability(wrong, claim) == 'the volume is marked for deletion "v"'
    wrong = with_meta(wrong, deletion_timestamp=None)
    assert suitability(wrong, claim) == "requested PV is too small"
    wrong = make_volume("v", capacity="5Gi", volumeMode="Block")
    assert suitability(wrong, claim) == "storageClassName does not match"
    wrong = make_volume("v", storage_class="x", volumeMode="Block")
    assert suitability(wrong, claim) == "volumeAttributesClassName does not match"
    wrong = make_volume("v", storage_class="x", volumeAttributesClassName="fast", volumeMode="Block")
    assert suitability(wrong, claim) == "incompatible volumeMode"
    wrong = make_volume("v", storage_class="x", volumeAttributesClassName="fast")
    assert suitability(wrong, claim) == "incompatible accessMode"
    right = make_volume("v", storage_class="x", volumeAttributesClassName="fast", modes=(RWX, RWO), phase="Released")
    assert suitability(right, claim) is None


@pytest.mark.rule("VB-58")
def test_suitability_compares_whole_bytes() -> None:
    assert suitability(make_volume("v", capacity="1"), make_claim("c", request="500m")) is None
    assert names(make_claim("c", request="1500m"), free("v", capacity="1600m")) == [{"v"}]
    assert suitability(make_volume("v", capacity="1500m"), make_claim("c", request="1600m")) is None


def test_the_class_is_the_beta_annotation_if_there_is_one() -> None:
    claim = make_claim("c", storage_class="new")
    assert class_of(claim) == "new"
    assert class_of(with_annotations(claim, {BETA_CLASS: "old"})) == "old"
    assert class_of(with_annotations(claim, {BETA_CLASS: ""})) == ""
    assert class_of(make_claim("c")) == ""


@pytest.mark.rule("VB-51")
def test_an_empty_class_is_a_class() -> None:
    assert not has_class(make_claim("c"))
    assert has_class(make_claim("c", storage_class=""))
    assert has_class(with_annotations(make_claim("c"), {BETA_CLASS: ""}))


def test_a_reference_without_uid_means_whoever_bears_the_name() -> None:
    claim = make_claim("c", uid="u1")
    assert refers(reserved("v", "c"), claim)
    assert refers(reserved("v", "c", "u1"), claim)
    assert not refers(reserved("v", "c", "u0"), claim)
    assert not refers(reserved("v", "d"), claim)
    assert not refers(reserved("v", "c"), make_claim("c", namespace="other"))
    assert not refers(make_volume("v"), claim)


@pytest.mark.rule("VB-73")
def test_fully_bound_is_a_matter_of_name_and_annotation_not_of_phase() -> None:
    claim = make_claim("c", volumeName="v")
    assert not is_fully_bound(claim)
    assert is_fully_bound(with_annotations(claim, {BIND_COMPLETED: "yes"}))
    assert not is_fully_bound(with_annotations(make_claim("c"), {BIND_COMPLETED: "yes"}))


def marked(name: str, second: int, value: str = "true", kind: str = "") -> StorageClass:
    annotation = f"storageclass.{kind}kubernetes.io/is-default-class"
    return with_meta(make_class(name), annotations={annotation: value}, creation_timestamp=second * SECOND)


@pytest.mark.rule("VB-13")
def test_the_newest_default_class_wins_then_the_first_name() -> None:
    assert default_class([make_class("a")]) is None
    assert default_class([marked("a", 1, "yes")]) is None
    old, new = marked("a", 1), marked("z", 2)
    assert default_class([old, new]) is new
    half = with_meta(marked("b", 2), creation_timestamp=2 * SECOND + 1)
    assert default_class([new, old, half]) is half
    beta = marked("c", 3, kind="beta.")
    assert default_class([new, half, beta]) is beta


@pytest.mark.rule("VB-47")
def test_a_class_without_an_object_does_not_wait() -> None:
    assert not is_delayed(None)
    assert not is_delayed(make_class("a"))
    assert is_delayed(make_class("a", mode="WaitForFirstConsumer"))


# --- against the specification's walk, in every order of the candidates ---------------------------------------------


def spec_match(
    claim: PersistentVolumeClaim, candidates: tuple[PersistentVolume, ...], node: dict[str, str] | None,
    excluded: set[str], delay: bool,
) -> PersistentVolume | None:
    """VB-32 as it stands there."""
    best: PersistentVolume | None = None
    for pv in candidates:
        ref = pv.spec.claim_ref
        is_mine = ref is not None and (ref.namespace, ref.name) == (claim.namespace, claim.name) and (
            ref.uid in ("", claim.metadata.uid))
        if pv.name in excluded or (ref is not None and not is_mine):
            continue
        assert pv.capacity is not None and claim.request is not None
        if pv.capacity.nano < claim.request.nano:
            continue
        if (pv.spec.volume_mode or "Filesystem") != (claim.spec.volume_mode or "Filesystem"):
            continue
        if (pv.spec.volume_attributes_class_name or "") != (claim.spec.volume_attributes_class_name or ""):
            continue
        if pv.metadata.deletion_timestamp is not None:
            continue
        affinity = pv.spec.node_affinity
        node_ok = node is None or affinity is None or affinity.required is None or (
            node_selector_matches(affinity.required, node, None))
        if is_mine:
            return pv if node_ok else None
        if node is None and delay:
            continue
        if pv.status.phase != "Available":
            continue
        if claim.spec.selector is not None and not claim.spec.selector.selects(pv.metadata.labels):
            continue
        if pv.spec.storage_class_name != (claim.spec.storage_class_name or ""):
            continue
        if not node_ok:
            continue
        if node is not None and not set(pv.spec.access_modes) >= set(claim.spec.access_modes):
            continue
        if best is None or (best.capacity is not None and pv.capacity.nano < best.capacity.nano):
            best = pv
    return best


def spec_find(claim: PersistentVolumeClaim, order: tuple[PersistentVolume, ...], delay: bool) -> str | None:
    """VB-28 and VB-29, with buckets and volumes in the order given."""
    buckets: dict[frozenset[str], list[PersistentVolume]] = {}
    for volume in order:
        buckets.setdefault(frozenset(volume.spec.access_modes), []).append(volume)
    for modes in sorted(buckets, key=len):
        if modes >= set(claim.spec.access_modes):
            found = spec_match(claim, tuple(buckets[modes]), None, set(), delay)
            if found is not None:
                return found.name
    return None


MODES = st.sampled_from([(RWO,), (ROX,), (RWO, ROX), (RWO, RWX), (RWX, RWO, ROX)])


@st.composite
def some_volumes(draw: st.DrawFn) -> tuple[PersistentVolume, ...]:
    volumes = []
    for number in range(draw(st.integers(0, 5))):
        reference = draw(st.sampled_from([None, None, None, None, ("c", ""), ("c", "u1"), ("c", "u0"), ("d", "")]))
        spec: dict[str, Any] = {}
        if reference is not None:
            spec["claimRef"] = {"namespace": "default", "name": reference[0], "uid": reference[1]}
        volume = make_volume(
            f"v{number}", node=draw(st.sampled_from(["n1", "n1", "n2"])),
            capacity=draw(st.sampled_from(["1Gi", "2Gi", "3Gi"])), storage_class=draw(st.sampled_from(["x", "x", ""])),
            modes=draw(MODES), phase=draw(st.sampled_from(["Available", "Available", "Available", "Bound"])),
            volumeMode=draw(st.sampled_from(["Filesystem", "Filesystem", "Filesystem", "Block"])), **spec,
        )
        volumes.append(with_meta(volume, labels=draw(st.sampled_from([{}, {"tier": "gold"}]))))
    return tuple(volumes)


SOME_CLAIMS = st.builds(
    lambda request, modes, selector: make_claim(
        "c", request=request, storage_class="x", modes=modes, uid="u1",
        **({"selector": {"matchLabels": {"tier": "gold"}}} if selector else {}),
    ),
    st.sampled_from(["1Gi", "2Gi"]), st.sampled_from([(RWO,), (RWO,), (RWO, ROX)]),
    st.sampled_from([False, False, True]),
)


@pytest.mark.rule("VB-32")
@given(claim=SOME_CLAIMS, volumes=some_volumes(), delay=st.booleans())
def test_the_tiers_are_what_the_walk_finds_over_all_orders(
    claim: PersistentVolumeClaim, volumes: tuple[PersistentVolume, ...], delay: bool
) -> None:
    reachable = {spec_find(claim, order, delay) for order in permutations(volumes)} - {None}
    tiers = volumes_for_claim(claim, volumes, delay=delay)
    assert {volume.name for tier in tiers for volume in tier.volumes} == reachable
    assert all(tier.volumes for tier in tiers)


@pytest.mark.rule("VB-32")
@given(claim=SOME_CLAIMS, volumes=some_volumes(), taken=st.sets(st.sampled_from(["v0", "v1"])))
def test_the_tier_for_a_node_is_what_the_walk_finds_over_all_orders(
    claim: PersistentVolumeClaim, volumes: tuple[PersistentVolume, ...], taken: set[str]
) -> None:
    candidates = tuple(volume for volume in volumes if class_of(volume) == "x")
    walks = [spec_match(claim, order, NODE, taken, True) for order in permutations(candidates)]
    tier = volumes_for_claim_on_node(claim, candidates, NODE, taken)
    assert {volume.name for volume in tier.volumes} == {volume.name for volume in walks if volume is not None}
    may_end_without = None in walks
    assert may_end_without == (bool(tier.out_of_reach) or not tier.volumes)


def test_what_is_returned_is_what_was_given() -> None:
    volume = free("v")
    assert volumes_for_claim(make_claim("c"), iter([volume]), delay=False)[0].volumes[0] is volume
    assert decode({"metadata": {"name": "v"}}, PersistentVolume).capacity is None
    empty = evolve(volume, spec=evolve(volume.spec, capacity={}))
    assert names(make_claim("c"), empty) == []
