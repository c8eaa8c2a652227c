"""The table of rejections of workload-lifecycle §1, row by row, and what is like it."""

from __future__ import annotations

from typing import Any

import pytest
from api_server import Server, read

from simulator.api.core import ObjectReference
from simulator.api.meta import OwnerReference, decode, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.flows import Create, Update, UpdateStatus
from simulator.testing.builders import make_claim, make_class, make_node, make_pod, make_set, make_volume, on_nodes


def told(server: Server, obj: Any) -> str:
    """What is wrong with a new object, kind and name left out."""
    refused = server.refused(Create(obj))
    assert (refused.reason, refused.code) == ("Invalid", 422)
    return refused.message.partition(" is invalid: ")[2]


# --- sets -------------------------------------------------------------------------------------------------------------

FIXED = (
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


@pytest.mark.rule("WL-5")
@pytest.mark.parametrize(
    "change",
    [
        {"volume_claim_templates": ()},
        {"service_name": "other"},
        {"pod_management_policy": "Parallel"},
    ],
)
def test_most_of_a_set_is_fixed(server: Server, change: Any) -> None:
    web = server.create(make_set("web"))
    refused = server.refused(server.spec(web, **change))
    assert (refused.code, refused.message) == (422, f'StatefulSet.apps "web" is invalid: {FIXED}')


@pytest.mark.rule("WL-5")
def test_the_selector_of_a_set_is_fixed(server: Server) -> None:
    web = server.create(make_set("web"))
    other = make_set("other")
    message = server.refused(server.spec(web, selector=other.spec.selector, template=other.spec.template)).message
    assert message == f'StatefulSet.apps "web" is invalid: {FIXED}'


@pytest.mark.rule("WL-5")
def test_the_rest_of_a_set_may_change(server: Server) -> None:
    web = server.create(make_set("web"))
    raw = read(
        {
            "kind": "StatefulSet",
            "metadata": {"name": "web"},
            "spec": {
                "ordinals": {"start": 2},
                "updateStrategy": {"type": "OnDelete"},
                "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"},
            },
        }
    ).spec
    changed = server.done(
        server.spec(
            web,
            replicas=5,
            ordinals=raw.ordinals,
            update_strategy=raw.update_strategy,
            revision_history_limit=3,
            min_ready_seconds=4,
            persistent_volume_claim_retention_policy=raw.persistent_volume_claim_retention_policy,
            template=evolve(
                web.spec.template, metadata=evolve(web.spec.template.metadata, labels={"app": "web", "v": "2"})
            ),
        )
    )
    assert changed.metadata.generation == 2
    assert changed.spec.persistent_volume_claim_retention_policy.when_deleted == "Retain"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            {"selector": {"matchLabels": {"app": "x"}}},
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ),
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"),
        (
            {"podManagementPolicy": "Serial"},
            "spec.podManagementPolicy: Invalid value: \"Serial\": must be 'OrderedReady' or 'Parallel'",
        ),
        (
            {"updateStrategy": {"type": "Never"}},
            "spec.updateStrategy: Invalid value: {\"type\":\"Never\"}: must be 'RollingUpdate' or 'OnDelete'",
        ),
        (
            {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
            'spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for '
            "updateStrategy 'RollingUpdate'",
        ),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1}}},
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
        ),
        ({"ordinals": {"start": -1}}, "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "X"}},
            'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "X": supported '
            'values: "Retain", "Delete"',
        ),
    ],
)
def test_a_set_that_breaks_a_rule_is_refused(server: Server, change: Any, error: str) -> None:
    assert told(server, make_set("web", **change)) == error


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            {"restartPolicy": "OnFailure"},
            'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"',
        ),
        (
            {"activeDeadlineSeconds": 5},
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is "
            "not Supported",
        ),
    ],
)
def test_pods_of_a_set_run_for_ever(server: Server, spec: Any, error: str) -> None:
    assert told(server, make_set("web", pod_spec=spec)) == error


def test_several_errors_are_told_together(server: Server) -> None:
    assert told(server, make_set("web", replicas=-1, minReadySeconds=-2)) == (
        "[spec.replicas: Invalid value: -1: must be greater than or equal to 0, "
        "spec.minReadySeconds: Invalid value: -2: must be greater than or equal to 0]"
    )


@pytest.mark.rule("WL-6")
def test_the_name_of_a_set_is_a_label(server: Server) -> None:
    assert 'metadata.name: Invalid value: "a.b": must not contain dots' in told(server, make_set("a.b", serviceName=""))
    server.create(make_set("a" * 63, serviceName=""))


@pytest.mark.rule("WL-6")
def test_a_long_set_name_fails_with_its_pods(server: Server) -> None:
    hashed = "a" * 53 + "-54d8f9c7bd"
    pod = make_pod("a" * 53 + "-0", labels={"controller-revision-hash": hashed})
    assert told(server, pod) == f'metadata.labels: Invalid value: "{hashed}": must be no more than 63 characters'


@pytest.mark.rule("WL-7")
def test_a_service_name_may_be_missing_but_not_malformed(server: Server) -> None:
    server.create(make_set("web", serviceName=""))
    assert told(server, make_set("web2", serviceName="No")).startswith(
        'spec.serviceName: Invalid value: "No": a lowercase RFC 1123 label must consist of'
    )


@pytest.mark.rule("WL-8")
def test_a_template_may_say_what_the_set_overrides(server: Server) -> None:
    server.create(
        make_set(
            "web", pod_spec={"hostname": "Not_A_Name", "subdomain": "x", "volumes": [{"name": "data", "emptyDir": {}}]}
        )
    )


@pytest.mark.rule("WL-67")
def test_a_negative_count_in_a_set_status_is_refused(server: Server) -> None:
    web = server.create(make_set("web"))
    status = evolve(web.status, current_replicas=-1)
    assert server.refused(UpdateStatus(evolve(web, status=status))).message == (
        'StatefulSet.apps "web" is invalid: status.currentReplicas: Invalid value: -1: must be greater '
        "than or equal to 0"
    )


def test_a_revision_keeps_its_data(server: Server) -> None:
    revision = server.manifest(
        {"kind": "ControllerRevision", "metadata": {"name": "web-1"}, "data": {"a": 1}, "revision": 1}
    )
    assert server.update(evolve(revision, revision=2)).revision == 2
    refused = server.refused(Update(evolve(server.now_is(revision), data={"a": 2})))
    assert (
        refused.message
        == 'ControllerRevision.apps "web-1" is invalid: data: Invalid value: {"a":2}: field is immutable'
    )


# --- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-18")
def test_a_claim_needs_a_mode_and_a_size(server: Server) -> None:
    assert (
        told(server, make_claim("c", modes=()))
        == "spec.accessModes: Required value: at least 1 access mode is required"
    )
    assert told(server, make_claim("c", resources={})) == "spec.resources[storage]: Required value"
    assert told(server, make_claim("c", request="0")) == (
        'spec.resources[storage]: Invalid value: "0": must be greater than zero'
    )
    assert told(server, make_claim("c", modes=("Any",))) == (
        'spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany", "ReadWriteMany", '
        '"ReadWriteOnce", '
        '"ReadWriteOncePod"'
    )


@pytest.mark.rule("VB-18")
def test_read_write_once_pod_stands_alone(server: Server) -> None:
    error = "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"
    assert told(server, make_claim("c", modes=("ReadWriteOncePod", "ReadWriteOnce"))) == error
    assert told(server, make_volume("v", node="n", modes=("ReadWriteOncePod", "ReadWriteMany"))) == error


EDITED = (
    'PersistentVolumeClaim "c" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests '
    "and volumeAttributesClassName for bound claims\n"
)


def bound(server: Server, **spec: Any) -> Any:
    server.create(make_class("grow", provisioner="x.io/y", allowVolumeExpansion=True))
    server.create(make_class("fixed"))
    claim = server.create(make_claim("c", **{"storage_class": "grow", "request": "5Gi", **spec}))
    claim = server.done(server.spec(claim, volume_name="v"))
    return server.status(claim, phase="Bound", capacity=make_volume("v", capacity="8Gi").spec.capacity)


def sized(claim: Any, size: str) -> Any:
    return evolve(claim.spec.resources, requests=make_claim("x", request=size).spec.resources.requests)


@pytest.mark.rule("VB-15")
@pytest.mark.rule("WL-14")
@pytest.mark.parametrize(
    ("change", "diff"),
    [
        ({"access_modes": ("ReadWriteMany",)}, '- accessModes: ["ReadWriteOnce"]\n+ accessModes: ["ReadWriteMany"]'),
        ({"storage_class_name": "b"}, '- storageClassName: "a"\n+ storageClassName: "b"'),
    ],
)
def test_the_spec_of_a_claim_is_fixed(server: Server, change: Any, diff: str) -> None:
    claim = server.create(make_claim("c", storage_class="a"))
    refused = server.refused(server.spec(claim, **change))
    assert (refused.code, refused.message) == (422, EDITED + diff)


@pytest.mark.rule("VB-15")
def test_the_volume_of_a_claim_is_set_once(server: Server) -> None:
    claim = server.done(server.spec(server.create(make_claim("c")), volume_name="v"))
    assert claim.spec.volume_name == "v"
    assert server.refused(server.spec(claim, volume_name="w")).message.startswith(EDITED)
    assert server.refused(server.spec(claim, volume_name="")).message.startswith(EDITED)


@pytest.mark.rule("VB-15")
def test_an_open_class_may_be_filled_in_later(server: Server) -> None:
    claim = server.create(make_claim("c"))
    claim = server.done(server.spec(claim, storage_class_name="late"))
    assert server.refused(server.spec(claim, storage_class_name=None)).message.startswith(EDITED)


@pytest.mark.rule("VB-15")
def test_the_size_of_an_unbound_claim_is_fixed(server: Server) -> None:
    claim = server.create(make_claim("c"))
    assert server.refused(server.spec(claim, resources=sized(claim, "2Gi"))).message.startswith(EDITED)


@pytest.mark.rule("VB-177")
@pytest.mark.rule("WL-14")
def test_a_bound_claim_grows_if_its_class_lets_it(server: Server) -> None:
    claim = bound(server)
    assert str(server.done(server.spec(claim, resources=sized(claim, "20Gi"))).request) == "20Gi"


@pytest.mark.rule("VB-177")
@pytest.mark.parametrize("storage_class", ["fixed", "absent", ""])
def test_a_claim_of_another_class_cannot_grow(server: Server, storage_class: str) -> None:
    claim = bound(server, storage_class=storage_class)
    refused = server.refused(server.spec(claim, resources=sized(claim, "20Gi")))
    assert (refused.code, refused.message) == (
        403,
        'persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be resized and the storageclass '
        "that provisions the pvc must support resize",
    )


@pytest.mark.rule("VB-179")
def test_a_claim_shrinks_only_to_more_than_it_has(server: Server) -> None:
    claim = server.done(server.spec(bound(server), resources=sized(bound(Server()), "20Gi")))
    claim = server.done(server.spec(claim, resources=sized(claim, "9Gi")))
    for size in ("8Gi", "1Gi"):
        assert server.refused(server.spec(claim, resources=sized(claim, size))).message == (
            'PersistentVolumeClaim "c" is invalid: spec.resources.requests.storage: Forbidden: field can '
            "not be less than "
            "status.capacity"
        )


@pytest.mark.rule("VB-15")
def test_a_bound_claim_may_change_its_attributes_class(server: Server) -> None:
    claim = server.done(server.spec(bound(server), volume_attributes_class_name="fast"))
    assert "update from non-nil value to nil is forbidden" in (
        server.refused(server.spec(claim, volume_attributes_class_name=None)).message
    )


# --- volumes ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-17")
def test_a_local_volume_says_where_it_is(server: Server) -> None:
    local = {"local": {"path": "/v"}}
    bare = read(
        {
            "kind": "PersistentVolume",
            "metadata": {"name": "v"},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **local},
        }
    )
    assert told(server, bare) == "spec.nodeAffinity: Required value: Local volume requires node affinity"
    empty = make_volume("v", **local, csi=None, nodeAffinity={"required": {}})
    assert told(server, empty) == (
        "spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"
    )
    assert told(server, make_volume("v", node="n", local={"path": "/mnt/../etc"})) == (
        "spec.local.path: Invalid value: \"/mnt/../etc\": must not contain '..'"
    )


@pytest.mark.rule("VB-17")
def test_only_a_csi_volume_has_an_attributes_class(server: Server) -> None:
    assert told(server, make_volume("v", node="n", volumeAttributesClassName="fast")) == (
        "spec.csi: Required value: has to be specified when using volumeAttributesClassName"
    )
    server.create(make_volume("w", volumeAttributesClassName="fast"))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"csi": None}, "spec: Required value: must specify a volume type"),
        ({"hostPath": {"path": "/x"}}, "spec.csi: Forbidden: may not specify more than 1 volume type"),
        ({"capacity": "0"}, 'spec.capacity[storage]: Invalid value: "0": must be greater than zero'),
        ({"accessModes": []}, "spec.accessModes: Required value"),
        (
            {"persistentVolumeReclaimPolicy": "Keep"},
            'spec.persistentVolumeReclaimPolicy: Unsupported value: "Keep": supported values: "Delete", '
            '"Recycle", "Retain"',
        ),
        ({"volumeMode": "Tape"}, 'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'),
        ({"csi": {"driver": "x.io"}}, "spec.csi.volumeHandle: Required value"),
    ],
)
def test_a_volume_that_breaks_a_rule_is_refused(server: Server, change: Any, error: str) -> None:
    assert told(server, make_volume("v", **change)) == error


def test_a_volume_affinity_has_the_syntax_of_node_selectors(server: Server) -> None:
    def affinity(operator: str, *values: str) -> Any:
        return {
            "required": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "zone", "operator": operator, "values": list(values)}]}
                ]
            }
        }

    path = "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0]"
    for operator, values, error in (
        ("In", (), f"{path}.values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
        (
            "Exists",
            ("a",),
            f"{path}.values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        ("Near", ("a",), f'{path}.operator: Invalid value: "Near": not a valid selector operator'),
        ("Gt", (), f"{path}.values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'"),
    ):
        assert told(server, make_volume("v", nodeAffinity=affinity(operator, *values))) == error


@pytest.mark.rule("VB-16")
@pytest.mark.rule("WL-15")
def test_the_source_of_a_volume_is_fixed(server: Server) -> None:
    volume = server.create(make_volume("v", node="n"))
    message = server.refused(server.spec(volume, local=evolve(volume.spec.local, path="/other"))).message
    assert message == (
        'PersistentVolume "v" is invalid: spec.persistentvolumesource: Forbidden: '
        "spec.persistentvolumesource is immutable "
        'after creation\n- local: {"path":"/mnt/v"}\n+ local: {"path":"/other"}'
    )
    assert server.refused(server.spec(volume, volume_mode="Block")).message == (
        'PersistentVolume "v" is invalid: volumeMode: Invalid value: "Block": field is immutable'
    )


@pytest.mark.rule("WL-15")
def test_the_affinity_of_a_volume_is_set_once(server: Server) -> None:
    volume = server.create(make_volume("v"))
    affinity = make_volume("x", node="n1").spec.node_affinity
    volume = server.done(server.spec(volume, node_affinity=affinity))
    other = make_volume("x", node="n2").spec.node_affinity
    for change in (other, None):
        message = server.refused(server.spec(volume, node_affinity=change)).message
        assert message.startswith('PersistentVolume "v" is invalid: nodeAffinity: Invalid value: ')
        assert message.endswith(": field is immutable, except for updating from beta label to GA")


@pytest.mark.rule("WL-15")
def test_beta_topology_labels_of_a_volume_may_be_renamed(server: Server) -> None:
    def zoned(key: str, zone: str = "a") -> Any:
        return make_volume(
            "v",
            nodeAffinity={
                "required": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": [zone]}]}]
                }
            },
        )

    volume = server.create(zoned("failure-domain.beta.kubernetes.io/zone"))
    renamed = zoned("topology.kubernetes.io/zone").spec.node_affinity
    assert (
        "field is immutable"
        in server.refused(
            server.spec(volume, node_affinity=zoned("topology.kubernetes.io/zone", "b").spec.node_affinity)
        ).message
    )
    assert server.done(server.spec(volume, node_affinity=renamed)).spec.node_affinity == renamed


@pytest.mark.rule("VB-16")
def test_the_rest_of_a_volume_may_change(server: Server) -> None:
    volume = server.create(make_volume("v", node="n"))
    reference = decode({"kind": "PersistentVolumeClaim", "namespace": "default", "name": "c"}, ObjectReference)
    changed = server.done(
        server.spec(
            volume,
            claim_ref=reference,
            storage_class_name="b",
            persistent_volume_reclaim_policy="Delete",
            capacity=make_volume("x", capacity="3Gi").spec.capacity,
        )
    )
    assert str(changed.capacity) == "3Gi"
    assert server.done(server.spec(changed, claim_ref=None)).spec.claim_ref is None


# --- classes, budgets, nodes ------------------------------------------------------------------------------------------


@pytest.mark.rule("VB-19")
def test_what_volumes_were_made_by_stays_in_their_class(server: Server) -> None:
    made = server.create(make_class("s", provisioner="x.io/y"))
    for change, error in (
        ({"provisioner": "z.io/y"}, "provisioner: Forbidden: updates to provisioner are forbidden."),
        ({"parameters": {"a": "b"}}, "parameters: Forbidden: updates to parameters are forbidden."),
        ({"reclaim_policy": "Retain"}, "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."),
        (
            {"volume_binding_mode": "WaitForFirstConsumer"},
            'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
        ),
    ):
        message = server.refused(Update(evolve(made, **change))).message
        assert message == f'StorageClass.storage.k8s.io "s" is invalid: {error}'


@pytest.mark.rule("VB-19")
def test_topologies_and_expansion_of_a_class_may_change(server: Server) -> None:
    made = server.create(make_class("s"))
    zones = make_class("x", allowedTopologies=[{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}])
    changed = server.update(evolve(made, allowed_topologies=zones.allowed_topologies, allow_volume_expansion=True))
    assert changed.allow_volume_expansion


def test_a_class_needs_a_provisioner_and_known_modes(server: Server) -> None:
    assert told(server, make_class("s", provisioner="")) == "provisioner: Required value"
    assert told(server, make_class("s", mode="Later")) == (
        'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"'
    )
    assert told(server, make_class("s", reclaimPolicy="Recycle")) == (
        'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'
    )


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (
            {"minAvailable": 1, "maxUnavailable": 1},
            'spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: minAvailable and maxUnavailable '
            "cannot be both set",
        ),
        ({"minAvailable": -1}, "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"minAvailable": "half"},
            "spec.minAvailable: Invalid value: \"half\": must be an integer or percentage (e.g '5%%')",
        ),
        ({"maxUnavailable": "101%"}, 'spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%'),
        (
            {"unhealthyPodEvictionPolicy": "Never"},
            'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", '
            '"IfHealthyBudget"',
        ),
    ],
)
def test_a_budget_that_breaks_a_rule_is_refused(server: Server, spec: Any, error: str) -> None:
    assert (
        told(server, decode({"metadata": {"name": "b", "namespace": "default"}, "spec": spec}, PodDisruptionBudget))
        == error
    )


def test_taints_have_a_key_and_an_effect_and_stand_once(server: Server) -> None:
    def tainted(*taints: Any) -> Any:
        return make_node("n", taints=list(taints))

    assert told(server, tainted({"key": "a", "effect": "Push"})) == (
        'metadata.taints[0].effect: Unsupported value: "Push": supported values: "NoSchedule", '
        '"PreferNoSchedule", "NoExecute"'
    )
    twice = {"key": "a", "effect": "NoSchedule"}
    assert told(server, tainted(twice, twice)).endswith("taints must be unique by key and effect pair")


def test_a_node_can_be_cordoned_and_tainted_but_not_moved(server: Server) -> None:
    node = server.create(make_node("n", providerID="a"))
    node = server.done(server.spec(node, unschedulable=True))
    assert "spec.providerID: Forbidden: node updates may not change providerID" in (
        server.refused(server.spec(node, provider_id="b")).message
    )


# --- pods -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        (
            {"containers": [{"name": "C", "image": "x"}]},
            'spec.containers[0].name: Invalid value: "C": a lowercase RFC 1123',
        ),
        ({"containers": [{"name": "c"}]}, "spec.containers[0].image: Required value"),
        (
            {"containers": [{"name": "c", "image": "x"}, {"name": "c", "image": "x"}]},
            'spec.containers[1].name: Duplicate value: "c"',
        ),
        (
            {"containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "data"',
        ),
        (
            {
                "containers": [
                    {"name": "c", "image": "x", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}
                ]
            },
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpus": "2"}}}]},
            'spec.containers[0].resources.requests: Invalid value: "cpus": must be a standard resource for containers',
        ),
        (
            {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 99999}]}]},
            "spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
            'spec.volumes[1].name: Duplicate value: "v"',
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "persistentVolumeClaim": {"claimName": "c"}}]},
            "spec.volumes[0].persistentVolumeClaim: Forbidden: may not specify more than 1 volume type",
        ),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": ""}}]},
            "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
        ),
        (
            {"restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
        (
            {"tolerations": [{"operator": "Equal"}]},
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be',
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]},
            "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when "
            "`tolerationSeconds` is set",
        ),
        (
            {
                "affinity": {
                    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}
                }
            },
            "[spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: "
            "Required value: can not "
            "be empty",
        ),
        (
            {
                "topologySpreadConstraints": [
                    {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
                ]
            },
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "Wait"}]},
            'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Wait": supported '
            'values: "DoNotSchedule", '
            '"ScheduleAnyway"',
        ),
        (
            {"nodeName": "n", "schedulingGates": [{"name": "a.b/c"}]},
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ),
        ({"hostname": "a.b"}, 'spec.hostname: Invalid value: "a.b": must not contain dots'),
    ],
)
def test_a_pod_that_breaks_a_rule_is_refused(server: Server, spec: Any, error: str) -> None:
    assert told(server, make_pod("p", **spec)).startswith(error)


POD_EDIT = (
    'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,'
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
    "to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


@pytest.mark.rule("WL-13")
@pytest.mark.parametrize(
    "change",
    [
        {"node_name": "n2"},
        {"volumes": make_pod("x", claims=("c",)).spec.volumes},
        {"node_selector": {"a": "b"}},
        {"termination_grace_period_seconds": 1},
    ],
)
def test_most_of_a_pod_is_fixed(server: Server, change: Any) -> None:
    pod = server.create(make_pod("p"))
    refused = server.refused(server.spec(pod, **change))
    assert refused.code == 422
    assert refused.message.startswith(POD_EDIT)


@pytest.mark.rule("WL-13")
def test_image_deadline_and_more_tolerations_of_a_pod_may_change(server: Server) -> None:
    pod = server.create(make_pod("p"))
    image = (evolve(pod.spec.containers[0], image="x:2"),)
    more = make_pod("x", tolerations=[{"key": "a", "operator": "Exists"}]).spec.tolerations
    changed = server.done(
        server.spec(pod, containers=image, active_deadline_seconds=60, tolerations=(*pod.spec.tolerations, *more))
    )
    assert changed.spec.containers[0].image == "x:2"
    assert changed.metadata.generation == 2
    assert server.refused(server.spec(changed, tolerations=())).message == (
        'Pod "p" is invalid: spec.tolerations: Forbidden: existing toleration can not be modified except its '
        "tolerationSeconds"
    )
    assert "must be less than or equal to previous value" in (
        server.refused(server.spec(changed, active_deadline_seconds=61)).message
    )
    assert "pod updates may not add or remove containers" in server.refused(server.spec(changed, containers=())).message


@pytest.mark.rule("WL-13")
def test_a_negative_grace_may_become_one_second(server: Server) -> None:
    pod = server.create(make_pod("p", terminationGracePeriodSeconds=-5))
    assert server.done(server.spec(pod, termination_grace_period_seconds=1)).spec.termination_grace_period_seconds == 1


def test_gates_can_only_be_taken_away_and_selectors_of_a_gated_pod_narrowed(server: Server) -> None:
    pod = server.create(make_pod("p", schedulingGates=[{"name": "a.b/c"}], nodeSelector={"a": "1"}))
    pod = server.done(server.spec(pod, node_selector={"a": "1", "b": "2"}))
    assert server.refused(server.spec(pod, node_selector={"b": "2"})).message.startswith(POD_EDIT)
    gate = make_pod("x", schedulingGates=[{"name": "d.e/f"}]).spec.scheduling_gates
    assert "only deletion is allowed, but found new scheduling gate 'd.e/f'" in (
        server.refused(server.spec(pod, scheduling_gates=gate)).message
    )
    assert server.done(server.spec(pod, scheduling_gates=())).spec.scheduling_gates == ()


def test_an_affinity_for_several_nodes_is_fine(server: Server) -> None:
    node_affinity = {"requiredDuringSchedulingIgnoredDuringExecution": on_nodes("n1", "n2")["required"]}
    server.create(make_pod("p", affinity={"nodeAffinity": node_affinity}))


def test_a_malformed_owner_is_refused(server: Server) -> None:
    raw = with_meta(
        make_pod("p"),
        owner_references=(decode({"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": ""}, OwnerReference),),
    )
    assert told(server, raw) == 'metadata.ownerReferences.uid: Invalid value: "": must not be empty'
