"""Names, pods, claims and revisions as the StatefulSet controller makes them."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key, OwnerReference, decode, encode, evolve, with_meta
from simulator.controllers.statefulset.pods import member_ordinal
from simulator.controllers.statefulset.revisions import revision_hash, template_of
from simulator.flows import Create, Refused
from simulator.testing.builders import make_claim, make_set
from tests.controllers.set_bench import Bench


def created(bench: Bench, kind: type[Any]) -> list[Any]:
    return [intent.obj for intent in bench.intents if isinstance(intent, Create) and isinstance(intent.obj, kind)]


def revisions(bench: Bench) -> list[ControllerRevision]:
    return bench.store.list(ControllerRevision)


@pytest.mark.rule("WL-17")
def test_pods_and_claims_are_named_after_set_ordinal_and_template_without_padding() -> None:
    bench = Bench(make_set("web", replicas=12, templates=("data", "wal"), podManagementPolicy="Parallel"))
    bench.sync()
    assert sorted(bench.pods())[:3] == ["web-0", "web-1", "web-10"]
    assert bench.claim("wal-web-11").name == "wal-web-11"


@pytest.mark.rule("WL-18")
def test_a_higher_start_condemns_the_pods_below_and_creates_the_missing_ones_at_the_top_first() -> None:
    bench = Bench(make_set("web", replicas=2))
    bench.settle()
    bench.patch({"ordinals": {"start": 1}})
    bench.sync()
    assert bench.created[-1] == "web-2" and bench.deleted == []
    bench.settle()
    assert sorted(bench.pods()) == ["web-1", "web-2"] and bench.deleted == ["web-0"]


@pytest.mark.rule("WL-19")
@pytest.mark.parametrize(("name", "ordinal"), [
    ("web-0", 0), ("web-07", 7), ("web-2147483647", 2147483647), ("web-2147483648", -1),
    ("web", None), ("web-", None), ("web-x", None), ("web-1-2", None), ("webs-1", None), ("web-1a", None),
])
def test_a_member_is_told_by_its_name(name: str, ordinal: int | None) -> None:
    assert member_ordinal("web", name) == ordinal


@pytest.mark.rule("WL-19")
def test_the_name_is_split_at_its_last_dash() -> None:
    assert member_ordinal("web-1", "web-1-2") == 2


@pytest.mark.rule("WL-20")
def test_a_pod_gets_its_labels_its_host_name_and_its_owner() -> None:
    sts = make_set("web", replicas=1, serviceName="svc")
    template = with_meta_of_template(sts, annotations={"note": "kept"}, finalizers=("example.com/hold",))
    bench = Bench(template)
    bench.sync()
    (pod,) = created(bench, Pod)
    (revision,) = revisions(bench)
    assert pod.metadata.labels == {
        "app": "web", "statefulset.kubernetes.io/pod-name": "web-0", "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": revision.name,
    }
    assert (pod.metadata.generate_name, pod.namespace) == ("web-", "default")
    assert (pod.metadata.annotations, pod.metadata.finalizers) == ({"note": "kept"}, ("example.com/hold",))
    assert (pod.spec.hostname, pod.spec.subdomain) == ("web-0", "svc")
    assert pod.metadata.owner_references == (
        OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid=bench.sts().metadata.uid,
                       controller=True, block_owner_deletion=True),
    )


def with_meta_of_template(sts: StatefulSet, **changes: Any) -> StatefulSet:
    template = sts.spec.template
    return evolve(sts, spec=evolve(sts.spec, template=evolve(template, metadata=evolve(template.metadata, **changes))))


@pytest.mark.rule("WL-8")
@pytest.mark.rule("WL-21")
def test_claim_volumes_replace_template_volumes_of_their_name_and_come_before_the_others() -> None:
    spec = {"hostname": "mine", "subdomain": "mine",
            "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {}}]}
    bench = Bench(make_set("web", replicas=1, pod_spec=spec))
    bench.sync()
    pod = bench.pod("web-0")
    assert [volume.name for volume in pod.spec.volumes] == ["data", "tmp"]
    source = pod.spec.volumes[0].persistent_volume_claim
    assert source is not None and (source.claim_name, source.read_only) == ("data-web-0", False)
    assert (pod.spec.hostname, pod.spec.subdomain) == ("web-0", "web")


@pytest.mark.rule("WL-22")
def test_a_claim_gets_its_template_and_the_selector_but_neither_ordinal_nor_owner() -> None:
    raw = encode(make_set("web", replicas=1))
    raw["spec"]["volumeClaimTemplates"] = [{
        "metadata": {"name": "data", "labels": {"app": "other", "tier": "db"}, "annotations": {"note": "kept"}},
        "spec": encode(make_claim("x", request="7Gi", storage_class="fast").spec),
    }]
    raw["spec"]["template"]["metadata"]["labels"]["extra"] = "not for claims"
    bench = Bench(decode(raw, StatefulSet))
    bench.sync()
    (claim,) = created(bench, PersistentVolumeClaim)
    assert claim.metadata.labels == {"app": "web", "tier": "db"}
    assert claim.metadata.annotations == {"note": "kept"}
    assert claim.metadata.owner_references == ()
    assert claim.spec == make_claim("x", request="7Gi", storage_class="fast").spec


@pytest.mark.rule("WL-23")
@pytest.mark.rule("WL-25")
def test_a_revision_carries_template_labels_hash_annotations_and_nothing_but_the_template() -> None:
    bench = Bench(with_meta(make_set("web"), annotations={"who": "me"}))
    bench.sync()
    (revision,) = revisions(bench)
    digest = revision.metadata.labels["controller.kubernetes.io/hash"]
    assert revision.name == f"web-{digest}" and revision.metadata.labels["app"] == "web"
    assert revision.metadata.annotations == {"who": "me"}
    owner = revision.metadata.controller
    assert owner is not None and owner.uid == bench.sts().metadata.uid
    plain = encode(revision)["data"]
    assert list(plain["spec"]) == ["template"] and plain["spec"]["template"]["$patch"] == "replace"


@pytest.mark.rule("WL-24")
def test_the_hash_is_fnv_1_in_an_alphabet_without_vowels_and_depends_on_the_collision_count() -> None:
    bench = Bench(make_set("web"))
    bench.sync()
    data = revisions(bench)[0].data
    hashes = [revision_hash(data, collisions) for collisions in range(5)]
    assert len(set(hashes)) == 5
    assert all(len(digest) <= 10 and set(digest) <= set("456789bcdf") for digest in hashes)


@pytest.mark.rule("WL-24")
def test_labels_written_in_another_order_are_the_same_template() -> None:
    one, other = make_set("web"), make_set("web")
    one = with_meta_of_template(one, labels={"app": "web", "b": "1"})
    other = with_meta_of_template(other, labels={"b": "1", "app": "web"})
    first, second = Bench(one), Bench(other)
    first.sync()
    second.sync()
    assert revisions(first)[0].name == revisions(second)[0].name


@pytest.mark.rule("WL-25")
def test_only_the_template_makes_a_revision() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.settle()
    bench.patch({"replicas": 2, "minReadySeconds": 5, "updateStrategy": {"type": "OnDelete"},
                 "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"}})
    bench.settle()
    assert len(revisions(bench)) == 1 and bench.deleted == []


@pytest.mark.rule("WL-26")
def test_a_revision_read_from_a_manifest_is_recognised() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.settle()
    (revision,) = revisions(bench)
    bench.put(decode(encode(revision), ControllerRevision))
    assert isinstance(revisions(bench)[0].data, dict)
    bench.sync()
    assert len(revisions(bench)) == 1
    assert template_of(revisions(bench)[0]).spec == bench.sts().spec.template.spec


@pytest.mark.rule("WL-26")
def test_a_rollback_gives_the_older_revision_a_new_number() -> None:
    bench = Bench(make_set("web", replicas=1))
    numbers = []
    for image in ("a", "b", "a"):
        bench.roll(image)
        bench.settle()
        numbers.append({revision.name: revision.revision for revision in revisions(bench)})
    (first,) = numbers[0]
    assert len(numbers[2]) == 2 and numbers[2][first] == 3
    assert bench.sts().status.current_revision == first


@pytest.mark.rule("WL-26")
def test_a_taken_name_with_other_data_raises_the_collision_count() -> None:
    probe = Bench(make_set("web"))
    probe.sync()
    (taken,) = revisions(probe)
    other = Bench(make_set("web", templates=("x",)))
    other.sync()
    foreign = with_meta(evolve(revisions(other)[0], revision=1), name=taken.name, owner_references=(
        OwnerReference(api_version="v1", kind="X", name="x", uid="x", controller=True),))
    bench = Bench(foreign, make_set("web"))
    bench.sync()
    mine = [revision for revision in revisions(bench) if revision.name != taken.name]
    assert len(mine) == 1 and bench.sts().status.collision_count == 1


@pytest.mark.rule("WL-26")
def test_a_taken_name_with_equal_data_is_used() -> None:
    probe = Bench(make_set("web"))
    probe.sync()
    foreign = with_meta(revisions(probe)[0], owner_references=(
        OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="an earlier web", controller=True),))
    bench = Bench(foreign, make_set("web"))
    bench.sync()
    assert [revision.name for revision in revisions(bench)] == [foreign.name]
    assert bench.sts().status.update_revision == foreign.name


@pytest.mark.rule("WL-27")
def test_without_the_revision_named_in_the_status_the_current_one_is_the_update_revision() -> None:
    bench = Bench(make_set("web", replicas=1))
    sts = bench.sts()
    bench.put(evolve(sts, status=evolve(sts.status, current_revision="web-gone")))
    bench.sync()
    status = bench.sts().status
    assert status.current_revision == status.update_revision == revisions(bench)[0].name


@pytest.mark.rule("WL-28")
def test_history_beyond_the_limit_is_deleted_oldest_first_and_live_revisions_do_not_count() -> None:
    bench = Bench(make_set("web", replicas=1, revisionHistoryLimit=2))
    bench.settle()
    for image in ("b", "c", "d", "e"):
        bench.roll(image)
        bench.settle()
    kept = [template_of(revision).spec.containers[0].image for revision in revisions(bench)]
    assert kept == ["c", "d", "e"]


@pytest.mark.rule("WL-28")
def test_a_negative_limit_keeps_all_history() -> None:
    bench = Bench(make_set("web", replicas=1, revisionHistoryLimit=-1))
    for image in ("a", "b", "c", "d", "e"):
        bench.roll(image)
        bench.settle()
    assert len(revisions(bench)) == 5


@pytest.mark.rule("WL-28")
def test_a_refused_deletion_of_history_fails_the_sync() -> None:
    bench = Bench(make_set("web", replicas=0, revisionHistoryLimit=0))
    bench.settle()
    bench.roll("b")
    refused = Refused("Forbidden", 403, "no")
    bench.interfere = lambda intent: refused if type(intent).__name__ == "Delete" else None
    bench.sync()
    assert bench.sync() == type(bench.sync())("no")


@pytest.mark.rule("VB/ND-4")
@pytest.mark.rule("WL-43")
def test_the_order_of_claims_and_of_claim_volumes_is_chosen_one_after_the_other() -> None:
    bench = Bench(make_set("web", replicas=1, templates=("a", "b", "c")))
    bench.choose = lambda choice: choice.options[-1]
    bench.sync()
    asked = [(intent.point, intent.about.name, [key.name for key in intent.options])
             for intent in bench.intents if type(intent).__name__ == "Choose"]
    assert asked == [
        ("volume-order", "web-0", ["a-web-0", "b-web-0", "c-web-0"]), ("volume-order", "web-0", ["a-web-0", "b-web-0"]),
        ("claim-order", "web-0", ["a-web-0", "b-web-0", "c-web-0"]), ("claim-order", "web-0", ["a-web-0", "b-web-0"]),
    ]
    assert [claim.name for claim in created(bench, PersistentVolumeClaim)] == ["c-web-0", "b-web-0", "a-web-0"]
    assert bench.pod("web-0").claim_names == ("c-web-0", "b-web-0", "a-web-0")


@pytest.mark.rule("VB/ND-4")
def test_with_one_template_there_is_nothing_to_choose() -> None:
    bench = Bench(make_set("web", replicas=3))
    bench.settle()
    assert not [intent for intent in bench.intents if type(intent).__name__ == "Choose"]


def test_the_key_of_a_set_that_is_gone_is_done() -> None:
    bench = Bench()
    assert bench.sync("gone").__class__.__name__ == "Done"
    assert bench.store.find(Key("StatefulSet", "default", "gone")) is None
