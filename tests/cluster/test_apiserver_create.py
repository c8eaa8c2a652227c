from __future__ import annotations

from typing import Any

import pytest
from api_server import Server, read

from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, decode, encode, evolve, with_meta
from simulator.api.policy import PriorityClass
from simulator.cluster.admission.plugins import default_class
from simulator.flows import Create, Refused
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_set, make_volume
from simulator.units import SECOND

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


def a_class(name: str, **annotations: str) -> Any:
    return with_meta(make_class(name), annotations=annotations or DEFAULT)


# --- metadata ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-4")
def test_a_new_object_gets_uid_time_version_and_generation(server: Server) -> None:
    server.now = 5
    made = server.create(with_meta(make_set("web"), resource_version=77, deletion_timestamp=3, generation=9))
    meta = made.metadata
    assert meta.uid
    assert (meta.creation_timestamp, meta.deletion_timestamp, meta.generation) == (5, None, 1)
    assert meta.resource_version == server.store.version
    assert server.create(make_volume("v", node="n")).metadata.generation == 0


def test_a_namespaced_object_without_namespace_lands_in_default(server: Server) -> None:
    assert server.create(with_meta(make_pod("p"), namespace="")).metadata.namespace == "default"


def test_generate_name_makes_a_fresh_name_each_time(server: Server) -> None:
    base = with_meta(make_pod("p"), name="", generate_name="web-")
    names = [server.create(base).metadata.name for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


def test_an_object_needs_a_name(server: Server) -> None:
    assert server.refused(Create(with_meta(make_pod("p"), name=""))).message == (
        'Pod "" is invalid: metadata.name: Required value: name or generateName is required'
    )


def test_a_cluster_wide_object_has_no_namespace(server: Server) -> None:
    refused = server.refused(Create(with_meta(make_node("n"), namespace="x")))
    assert refused.message == 'Node "n" is invalid: metadata.namespace: Forbidden: not allowed on this type'


def test_a_name_can_be_taken_once(server: Server) -> None:
    server.create(make_pod("p"))
    refused = server.refused(Create(make_pod("p")))
    assert (refused.reason, refused.code, refused.message) == ("AlreadyExists", 409, 'pods "p" already exists')


@pytest.mark.rule("WL-99")
def test_a_name_is_taken_as_long_as_its_object_terminates(server: Server) -> None:
    pod = server.create(make_pod("p", nodeName="n1"))
    server.delete(pod)
    assert server.refused(Create(make_pod("p"))).message == 'object is being deleted: pods "p" already exists'


def test_labels_annotations_owners_and_finalizers_have_their_syntax(server: Server) -> None:
    bad = with_meta(
        make_claim("c"), labels={"a b": "ok"}, annotations={"Ok/Fine": "x", "a/b/c": "x"}, finalizers=("plain", "a.b/c")
    )
    message = server.refused(Create(bad)).message
    assert message.startswith('PersistentVolumeClaim "c" is invalid: [metadata.labels: Invalid value: "a b": name part')
    assert 'metadata.annotations: Invalid value: "a/b/c": a valid label key' in message
    assert (
        'metadata.finalizers[0]: Invalid value: "plain": name is neither a standard finalizer name nor is it fully '
        "qualified]"
    ) in message


def test_an_object_has_one_controller_at_most(server: Server) -> None:
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True} for name in "ab"]
    pod = decode(
        {"metadata": {"name": "p", "ownerReferences": owners}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
        Pod,
    )
    assert 'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b' in (
        server.refused(Create(pod)).message
    )


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-2")
def test_volumes_and_claims_start_pending_whatever_the_client_sent(server: Server) -> None:
    server.now = 9
    volume = server.create(make_volume("v", node="n", phase="Bound"))
    assert (volume.status.phase, volume.status.last_phase_transition_time) == ("Pending", 9)
    claim = make_claim("c")
    claim = evolve(claim, status=evolve(claim.status, phase="Bound", access_modes=("ReadWriteOnce",)))
    assert encode(server.create(claim).status) == {"phase": "Pending"}


def test_pods_and_sets_start_without_history(server: Server) -> None:
    pod = make_pod("p")
    made = server.create(evolve(pod, status=evolve(pod.status, phase="Running", pod_ip="10.0.0.1")))
    assert encode(made.status) == {"phase": "Pending", "qosClass": "BestEffort"}
    web = make_set("web")
    assert encode(server.create(evolve(web, status=evolve(web.status, replicas=3))).status) == {}


@pytest.mark.rule("SC-21")
def test_a_gated_pod_says_so_from_the_start(server: Server) -> None:
    pod = server.create(make_pod("p", schedulingGates=[{"name": "example.com/wait"}]))
    (condition,) = pod.status.conditions
    assert (condition.type, condition.status, condition.reason, condition.message) == (
        "PodScheduled",
        "False",
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates",
    )


# --- namespaces -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("WL-108")
def test_nothing_is_created_in_a_terminating_namespace(server: Server) -> None:
    namespace = server.namespace("shop")
    server.delete(namespace)
    refused = server.refused(Create(make_claim("c", namespace="shop")))
    assert (refused.reason, refused.code) == ("Forbidden", 403)
    assert refused.message == (
        'persistentvolumeclaims "c" is forbidden: unable to create new content in namespace shop '
        "because it is being terminated"
    )
    refused = server.refused(Create(make_set("web", namespace="shop")))
    assert refused.message.startswith('statefulsets.apps "web" is forbidden: unable to create')


@pytest.mark.rule("WL-108")
def test_updates_and_deletes_pass_in_a_terminating_namespace(server: Server) -> None:
    namespace = server.namespace("shop")
    claim = server.create(make_claim("c", namespace="shop"))
    server.delete(namespace)
    changed = server.update(with_meta(claim, labels={"a": "b"}))
    assert server.delete(changed).metadata.deletion_timestamp == 0


def test_a_namespace_must_exist(server: Server) -> None:
    refused = server.refused(Create(make_pod("p", namespace="nowhere")))
    assert (refused.code, refused.message) == (404, 'namespaces "nowhere" not found')
    for name in ("default", "kube-system", "kube-node-lease"):
        server.create(make_pod("p", namespace=name))


# --- classes and finalizers -------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-12")
def test_a_claim_that_names_no_class_gets_the_default_one(server: Server) -> None:
    server.create(a_class("standard"))
    assert server.create(make_claim("a")).spec.storage_class_name == "standard"
    assert server.create(make_claim("b", volumeName="v")).spec.storage_class_name == "standard"
    assert server.create(make_claim("c", storage_class="")).spec.storage_class_name == ""
    assert server.create(make_claim("d", storage_class="other")).spec.storage_class_name == "other"
    legacy = with_meta(make_claim("e"), annotations={"volume.beta.kubernetes.io/storage-class": "old"})
    assert server.create(legacy).spec.storage_class_name is None


@pytest.mark.rule("VB-12")
def test_without_a_default_class_the_field_stays_open(server: Server) -> None:
    server.create(a_class("standard", **{"storageclass.kubernetes.io/is-default-class": "True"}))
    assert server.create(make_claim("a")).spec.storage_class_name is None


@pytest.mark.rule("VB-13")
def test_of_several_defaults_the_newest_counts_then_the_first_by_name(server: Server) -> None:
    for second, name in ((1, "b"), (2, "d"), (2, "c"), (0, "a")):
        server.now = second * SECOND + (500_000 if name == "d" else 0)
        server.create(a_class(name))
    chosen = default_class(server.store)
    assert chosen is not None
    assert chosen.metadata.name == "c"


@pytest.mark.rule("VB-14")
@pytest.mark.rule("WL-11")
def test_volumes_claims_and_attribute_classes_are_protected_from_the_start(server: Server) -> None:
    assert server.create(make_claim("c")).metadata.finalizers == ("kubernetes.io/pvc-protection",)
    assert server.create(make_volume("v", node="n")).metadata.finalizers == ("kubernetes.io/pv-protection",)
    fast = server.manifest(
        {
            "kind": "VolumeAttributesClass",
            "metadata": {"name": "fast"},
            "driverName": "x.io",
            "parameters": {"iops": "1"},
        }
    )
    assert fast.metadata.finalizers == ("kubernetes.io/vac-protection",)
    held = with_meta(make_claim("d"), finalizers=("a.b/c",))
    assert server.create(held).metadata.finalizers == ("a.b/c", "kubernetes.io/pvc-protection")


# --- tolerations, priority, label keys --------------------------------------------------------------------------------


@pytest.mark.rule("WL-10")
@pytest.mark.parametrize(
    ("own", "added"),
    [
        ([], ["not-ready", "unreachable"]),
        (
            [
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 5,
                }
            ],
            ["unreachable"],
        ),
        ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists"}], ["not-ready"]),
        ([{"operator": "Exists"}], []),
        ([{"operator": "Exists", "effect": "NoSchedule"}], ["not-ready", "unreachable"]),
    ],
)
def test_every_pod_stands_a_lost_node_for_300_seconds(server: Server, own: Any, added: list[str]) -> None:
    pod = server.create(make_pod("p", tolerations=own))
    new = [encode(toleration) for toleration in pod.spec.tolerations[len(own) :]]
    assert new == [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for name in added
    ]


def priority(name: str, value: int, **fields: Any) -> PriorityClass:
    return decode({"metadata": {"name": name}, "value": value, **fields}, PriorityClass)


@pytest.mark.rule("SC-109")
def test_a_pod_gets_the_priority_of_its_class(server: Server) -> None:
    server.create(priority("high", 1000, preemptionPolicy="Never"))
    spec = server.create(make_pod("p", priorityClassName="high")).spec
    assert (spec.priority, spec.preemption_policy) == (1000, "Never")
    spec = server.create(make_pod("q")).spec
    assert (spec.priority, spec.preemption_policy, spec.priority_class_name) == (0, "PreemptLowerPriority", "")
    assert server.create(make_pod("r", priorityClassName="system-node-critical")).spec.priority == 2000001000


@pytest.mark.rule("SC-109")
def test_a_pod_without_class_gets_the_global_default(server: Server) -> None:
    server.create(priority("usual", 10, globalDefault=True))
    spec = server.create(make_pod("p")).spec
    assert (spec.priority, spec.priority_class_name) == (10, "usual")
    refused = server.refused(Create(priority("other", 5, globalDefault=True)))
    assert refused.message == (
        'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked '
        "as default. Only one default can exist"
    )


@pytest.mark.rule("SC-109")
def test_priorities_that_do_not_fit_are_refused(server: Server) -> None:
    assert server.refused(Create(make_pod("p", priorityClassName="none"))).message == (
        'pods "p" is forbidden: no PriorityClass with name none was found'
    )
    assert server.refused(Create(make_pod("p", priority=7))).message == (
        'pods "p" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission '
        "controller computed 0 from the given PriorityClass name"
    )
    assert server.refused(Create(priority("big", 1_000_000_001))).message == (
        'PriorityClass.scheduling.k8s.io "big" is invalid: value: Forbidden: maximum allowed value of a user defined '
        "priority is 1000000000"
    )


@pytest.mark.rule("SC-109")
def test_changing_the_classes_changes_pods_made_afterwards_only(server: Server) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}
    raw = {
        "kind": "Pod",
        "metadata": {"ownerReferences": [owner]},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }

    def made(name: str) -> Pod:
        return server.create(with_meta(read(raw), name=name))

    first = made("a")
    server.create(priority("usual", 10, globalDefault=True))
    assert (first.spec.priority, made("b").spec.priority, made("c").spec.priority) == (0, 10, 10)


@pytest.mark.rule("SC-74")
def test_label_keys_of_spread_constraints_are_merged_into_the_selector(server: Server) -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["hash", "absent"],
    }
    pod = server.create(make_pod("p", labels={"hash": "x"}, topologySpreadConstraints=[constraint]))
    assert encode(pod.spec.topology_spread_constraints[0].label_selector)["matchExpressions"] == (
        {"key": "hash", "operator": "In", "values": ("x",)},
    )


@pytest.mark.rule("SC-80")
def test_label_keys_of_pod_affinity_are_merged_into_the_selector(server: Server) -> None:
    term = {"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["a"], "mismatchLabelKeys": ["b"]}
    wish = {"weight": 1, "podAffinityTerm": term}
    spec = server.create(
        make_pod(
            "p",
            labels={"a": "1", "b": "2"},
            affinity={
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [term],
                    "preferredDuringSchedulingIgnoredDuringExecution": [wish],
                }
            },
        )
    ).spec
    anti = spec.affinity.pod_anti_affinity
    for merged in (anti.required[0], anti.preferred[0].pod_affinity_term):
        assert [(part.key, part.operator, part.values) for part in merged.label_selector.match_expressions] == [
            ("a", "In", ("1",)),
            ("b", "NotIn", ("2",)),
        ]


def test_pods_of_one_controller_keep_what_is_their_own(server: Server) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}

    def pod(name: str, image: str = "x:1") -> Pod:
        return read(
            {
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"name": name}, "ownerReferences": [owner]},
                "spec": {
                    "hostname": name,
                    "containers": [
                        {"name": "c", "image": image, "volumeMounts": [{"name": "data", "mountPath": "/d"}]}
                    ],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}}],
                },
            }
        )

    alone = Server()
    for name, image in (("web-0", "x:1"), ("web-1", "x:1"), ("web-2", "x:2"), ("web-3", "x:2")):
        made = server.create(pod(name, image))
        fresh = Server().create(pod(name, image))
        assert made.spec == fresh.spec
        assert made.status == fresh.status
        assert made.metadata.labels == {"name": name}
    assert alone.store.version == 0
    bad = pod("web-4", "x:2")
    assert (
        'spec.hostname: Invalid value: "A"'
        in server.refused(Create(evolve(bad, spec=evolve(bad.spec, hostname="A")))).message
    )
    moved = evolve(bad, spec=evolve(bad.spec, volumes=(evolve(bad.spec.volumes[0], name="other"),)))
    assert 'spec.containers[0].volumeMounts[0].name: Not found: "data"' in server.refused(Create(moved)).message


# --- load -------------------------------------------------------------------------------------------------------------


def test_an_object_of_a_dump_is_kept_as_it_is(server: Server) -> None:
    claim = decode(
        {
            "metadata": {
                "name": "c",
                "namespace": "gone",
                "uid": "u-1",
                "deletionTimestamp": 5,
                "creationTimestamp": 2,
                "finalizers": ["a.b/c"],
                "generation": 4,
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeName": "v",
            },
            "status": {"phase": "Bound", "capacity": {"storage": "5Gi"}},
        },
        PersistentVolumeClaim,
    )
    server.create(a_class("standard"))
    loaded = server.api.load(claim, 9)
    assert loaded == evolve(
        with_meta(claim, resource_version=server.store.version), spec=evolve(claim.spec, volume_mode="Filesystem")
    )
    assert isinstance(server.api.load(claim, 9), Refused)


def test_what_a_dump_leaves_out_is_filled_in(server: Server) -> None:
    volume: Any = server.api.load(with_meta(make_volume("v", node="n", phase="Available"), uid="u"), 3)
    assert (volume.status.phase, volume.spec.volume_mode, volume.metadata.creation_timestamp) == (
        "Available",
        "Filesystem",
        3,
    )
    pod: Any = server.api.load(make_pod("p", uid="u2"), 3)
    assert (pod.status.phase, pod.spec.restart_policy, pod.spec.tolerations) == ("Pending", "Always", ())
    node: Any = server.api.load(decode({"metadata": {"name": "n", "uid": "u3"}}, Node), 3)
    assert node.condition("Ready").status == "True"
    assert node.metadata.labels == {}


def test_a_fresh_manifest_is_loaded_as_a_client_would_create_it(server: Server) -> None:
    loaded = server.api.load(make_volume("v", node="n", phase="Bound"), 0)
    assert isinstance(loaded, PersistentVolume)
    assert loaded.status.phase == "Available", "what a client writes into the status counts for nothing (VB-2)"
    assert isinstance(server.api.load(make_volume("v", node="n"), 0), Refused)
    assert isinstance(server.api.load(decode({"metadata": {"name": "Bad"}}, Namespace), 0), Refused)
    assert server.store.find(Key("PersistentVolume", "", "v")) is loaded
