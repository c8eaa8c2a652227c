"""Which changes queue a set, which pods are the set's, and what it does not do on caches that are behind."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.apps import ControllerRevision
from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import OwnerReference, with_annotations, with_meta
from simulator.controllers.statefulset import StatefulSetController
from simulator.flows import Create, Done, Get, Patch, Refused, Retry, Update
from simulator.testing.builders import make_pod, make_set
from tests.controllers.set_bench import Bench


def make(replicas: int = 1, **spec: Any) -> Bench:
    bench = Bench(make_set("web", replicas=replicas, **spec))
    bench.settle()
    for recorded in (bench.queued, bench.created, bench.intents, bench.events):
        recorded.clear()
    return bench


def owner_of(bench: Bench, name: str) -> str | None:
    owner = bench.pod(name).metadata.controller
    return owner.uid if owner is not None else None


def orphan(bench: Bench) -> None:
    """What `kubectl delete --cascade=orphan` and a new set of that name leave behind (WL-94)."""
    bench.remove(bench.sts())
    for kind in (Pod, ControllerRevision):
        for obj in bench.store.list(kind):
            bench.put(with_meta(obj, owner_references=()))


# --- what queues a set ----------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-30")
def test_every_change_of_the_set_or_of_its_pods_queues_it() -> None:
    bench = make()
    bench.put(with_annotations(bench.sts(), {"a": "1"}))
    bench.put(with_annotations(bench.pod("web-0"), {"a": "1"}))
    bench.remove(bench.pod("web-0"))
    bench.remove(bench.sts())
    assert bench.queued == [("web", 0)] * 4


@pytest.mark.rule("WL-30")
def test_claims_and_revisions_never_queue_a_set() -> None:
    bench = make()
    bench.put(with_annotations(bench.claim("data-web-0"), {"a": "1"}))
    bench.remove(bench.claim("data-web-0"))
    bench.put(with_annotations(bench.store.list(ControllerRevision)[0], {"a": "1"}))
    assert bench.queued == []


@pytest.mark.rule("WL-30")
@pytest.mark.parametrize("change", [{"uid": "other"}, {"name": "other"}, {"kind": "ReplicaSet"}])
def test_an_owner_is_resolved_by_kind_name_and_uid(change: dict[str, str]) -> None:
    bench = make()
    owner = {"api_version": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": bench.sts().metadata.uid,
             "controller": True, **change}
    bench.put(with_meta(make_pod("x-0", labels={"app": "web"}), owner_references=(OwnerReference(**owner),)))
    assert bench.queued == []


@pytest.mark.rule("WL-30")
def test_an_orphan_queues_the_sets_that_select_it_when_it_appears_or_changes_labels() -> None:
    bench = Bench(make_set("web"), make_set("also", selector={"matchLabels": {}}), make_set("db"))
    bench.queued.clear()
    pod = bench.put(make_pod("x", labels={"app": "web"}))
    assert bench.queued == [("web", 0), ("also", 0)]
    bench.queued.clear()
    pod = bench.put(with_annotations(pod, {"a": "1"}))
    assert bench.queued == []
    bench.put(with_meta(pod, labels={"app": "db"}))
    assert bench.queued == [("also", 0), ("db", 0)]
    bench.queued.clear()
    bench.remove(bench.pod("x"))
    assert bench.queued == []


@pytest.mark.rule("WL-30")
def test_an_orphan_that_is_on_its_way_out_queues_nobody() -> None:
    bench = make()
    bench.put(with_meta(make_pod("web-9", labels={"app": "web"}), deletion_timestamp=bench.now))
    assert bench.queued == []


@pytest.mark.rule("WL-30")
def test_a_pod_that_changes_hands_queues_both_sets() -> None:
    bench = make()
    bench.put(make_set("db"))
    bench.queued.clear()
    owner = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="db", uid=bench.sts("db").metadata.uid,
                           controller=True)
    bench.put(with_meta(bench.pod("web-0"), owner_references=(owner,)))
    assert bench.queued == [("web", 0), ("db", 0)]


# --- adoption and release -------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-96")
@pytest.mark.rule("WL-98")
def test_a_new_set_adopts_revisions_first_then_pods_and_restarts_nothing() -> None:
    bench = make(2)
    before = [pod.metadata.uid for pod in bench.store.list(Pod)]
    orphan(bench)
    bench.put(with_meta(make_set("web", replicas=2), uid="new"))
    assert isinstance(bench.sync(), Done)
    steps = [(type(intent).__name__, getattr(intent, "key", None) and intent.key.kind)
             for intent in bench.intents if isinstance(intent, Get | Patch)]
    assert steps == [("Get", "StatefulSet"), ("Patch", "ControllerRevision"),
                     ("Get", "StatefulSet"), ("Patch", "Pod"), ("Patch", "Pod")]
    assert [owner_of(bench, name) for name in ("web-0", "web-1")] == ["new", "new"]
    bench.settle()
    assert [pod.metadata.uid for pod in bench.store.list(Pod)] == before
    assert bench.events == [] and len(bench.store.list(ControllerRevision)) == 1


@pytest.mark.rule("WL-98")
def test_a_new_set_with_another_template_rolls_the_pods_that_it_adopts() -> None:
    bench = make(2)
    orphan(bench)
    bench.put(make_set("web", replicas=2, minReadySeconds=0))
    bench.roll("new")
    bench.settle()
    assert bench.deleted == ["web-1", "web-0"]


@pytest.mark.rule("WL-96")
@pytest.mark.parametrize("pod", [
    make_pod("web-1", labels={"app": "other"}),
    make_pod("other-1", labels={"app": "web"}),
    make_pod("web-x", labels={"app": "web"}),
    make_pod("web-1", labels={"app": "web"}, namespace="elsewhere"),
    with_meta(make_pod("web-1", labels={"app": "web"}), deletion_timestamp=1),
])
def test_only_a_pod_that_matches_and_stays_is_adopted(pod: Pod) -> None:
    bench = make()
    bench.put(pod)
    bench.sync()
    assert [intent for intent in bench.intents if isinstance(intent, Patch)] == []


@pytest.mark.rule("WL-96")
@pytest.mark.parametrize("live", ["gone", "another", "deleted"])
def test_before_adopting_the_set_itself_is_read(live: str) -> None:
    bench = Bench(make_set("web", replicas=1), make_pod("web-0", labels={"app": "web"}))
    sts = bench.sts()
    answer: Any = {"gone": None, "another": with_meta(sts, uid="another"),
                   "deleted": with_meta(sts, deletion_timestamp=bench.now)}[live]
    bench.is_lagging = True
    if answer is None:
        bench.remove(sts)
    else:
        bench.put(answer)
    assert isinstance(bench.sync(), Retry)
    assert owner_of(bench, "web-0") is None


@pytest.mark.rule("WL-96")
def test_an_orphan_that_is_gone_meanwhile_is_no_error() -> None:
    bench = Bench(make_set("web", replicas=1), make_pod("web-0", labels={"app": "web"}))
    gone = Refused("NotFound", 404, "gone")
    bench.interfere = lambda intent: gone if isinstance(intent, Patch) else None
    assert isinstance(bench.sync(), Retry)  # creating web-0 fails, as the bench still has it
    assert bench.sts().status.update_revision


@pytest.mark.rule("WL-97")
def test_an_owned_pod_that_matches_no_longer_is_released_and_its_name_stays_taken() -> None:
    bench = make(1)
    bench.put(with_meta(bench.pod("web-0"), labels={"app": "other"}))
    assert bench.sync() == Retry('pods "web-0" already exists')
    assert owner_of(bench, "web-0") is None and bench.sts().status.replicas == 0


@pytest.mark.rule("WL-93")
@pytest.mark.rule("WL-97")
def test_a_set_that_is_being_deleted_neither_adopts_nor_releases() -> None:
    bench = make(2)
    uid = bench.sts().metadata.uid
    bench.put(with_meta(bench.sts(), deletion_timestamp=bench.now, finalizers=("foregroundDeletion",)))
    bench.put(with_meta(bench.pod("web-0"), labels={"app": "other"}))
    bench.put(with_meta(bench.pod("web-1"), owner_references=()))
    bench.put(with_meta(bench.store.list(ControllerRevision)[0], owner_references=()))
    assert bench.sync() == Done()
    assert {type(intent).__name__ for intent in bench.intents} == {"UpdateStatus"}
    assert owner_of(bench, "web-0") == uid and owner_of(bench, "web-1") is None


@pytest.mark.rule("WL-99")
def test_pods_of_a_set_deleted_just_now_are_neither_owned_nor_adopted_and_in_the_way() -> None:
    bench = make(1)
    bench.remove(bench.sts())
    bench.put(with_meta(make_set("web", replicas=1), uid="new"))
    bench.set_pod("web-0", terminating=True)
    for _ in range(2):
        assert bench.sync() == Retry('object is being deleted: pods "web-0" already exists')
    assert bench.events == []
    bench.remove(bench.pod("web-0"))
    bench.sync()
    assert owner_of(bench, "web-0") == "new"


# --- own writes -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-33")
@pytest.mark.parametrize("missing", ["Pod", "PersistentVolumeClaim", "StatefulSet"])
def test_a_sync_refuses_caches_that_do_not_show_its_own_last_write(missing: str) -> None:
    bench = Bench(make_set("web", replicas=2, podManagementPolicy="Parallel"))
    bench.is_lagging = True
    bench.sync()
    kinds = {"Pod", "PersistentVolumeClaim", "StatefulSet", "ControllerRevision"}
    bench.deliver(*(kinds - {missing}))
    bench.intents.clear()
    assert isinstance(bench.sync(), Retry)
    assert bench.intents == []
    bench.deliver(missing)
    assert isinstance(bench.sync(), Done)


@pytest.mark.rule("WL-33")
def test_foreign_writes_and_own_deletes_may_be_missing() -> None:
    bench = make(3)
    bench.scale(1)
    bench.is_lagging = True
    bench.put(with_annotations(bench.pod("web-0"), {"foreign": "write"}))
    bench.sync()
    bench.deliver("StatefulSet")
    assert isinstance(bench.sync(), Done)
    assert bench.deleted == ["web-2", "web-2"]  # CP-2: a duplicate delete, and its event


@pytest.mark.rule("WL-33")
def test_a_write_that_changes_nothing_is_not_waited_for() -> None:
    bench = make(1)
    bench.patch({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"}})
    bench.sync()
    puts = [intent.obj.KIND for intent in bench.intents if isinstance(intent, Update)]
    assert puts == ["PersistentVolumeClaim", "Pod"]
    assert bench.memory.unseen == {} and isinstance(bench.sync(), Done)


@pytest.mark.rule("WL-33")
def test_other_sets_are_not_held_up() -> None:
    bench = Bench(make_set("web", replicas=1), make_set("db", replicas=1))
    bench.is_lagging = True
    bench.sync("web")
    assert isinstance(bench.sync("web"), Retry) and isinstance(bench.sync("db"), Done)


@pytest.mark.rule("WL-33")
def test_memory_can_be_copied_and_is_lost_with_a_restart() -> None:
    bench = Bench(make_set("web", replicas=1))
    bench.is_lagging = True
    bench.sync()
    copy = bench.memory.copy()
    assert copy.unseen == bench.memory.unseen and len(copy.unseen) == 3  # claim, pod, status; revisions do not count
    bench.deliver()
    assert bench.memory.unseen == {} and len(copy.unseen) == 3
    assert bench.controller.new_memory().unseen == {}


def test_everything_the_controller_reads_is_read_before_its_first_write() -> None:
    bench = Bench(make_set("web", replicas=3, podManagementPolicy="Parallel", templates=("a", "b")))
    wrote = []
    bench.interfere = lambda intent: wrote.append(intent) if isinstance(intent, Create) else None
    seen = bench.view

    class Guard:
        def __getattr__(self, name: str) -> Any:
            assert not wrote, f"{name} is read after the first write"
            return getattr(seen, name)

    bench.view = Guard()  # type: ignore[assignment]
    bench.is_lagging = True
    bench.sync()
    assert [claim.name for claim in bench.store.list(PersistentVolumeClaim)]


@pytest.mark.rule("WL-31")
@pytest.mark.rule("WL-32")
def test_five_workers_sync_sets_and_no_timer_looks_at_them() -> None:
    controller = StatefulSetController()
    assert (controller.name, controller.queues, controller.periodics) == ("statefulset", {"sets": 5}, ())
    assert controller.watches == {"StatefulSet", "Pod", "PersistentVolumeClaim", "ControllerRevision"}
