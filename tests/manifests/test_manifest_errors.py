from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from simulator.errors import ManifestError
from simulator.manifests import Origin, Source, line_of, load

VOLUME = "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: pv-a\n"
SET = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\nspec:\n"


def complaints(text: str | bytes) -> list[str]:
    stdin = io.TextIOWrapper(io.BytesIO(text if isinstance(text, bytes) else text.encode()))
    with pytest.raises(ManifestError) as error:
        load(["-"], stdin)
    return str(error.value).split("\n")


def complaint(text: str | bytes) -> str:
    (line,) = complaints(text)
    return line


FIELDS = {
    "a typing error": (
        VOLUME + "spec:\n  capcity:\n    storage: 10Gi\n",
        'stdin:6: PersistentVolume "pv-a": unknown field "spec.capcity". Did you mean "capacity"?',
    ),
    "another case": (
        VOLUME + "Spec: {}\n",
        'stdin:5: PersistentVolume "pv-a": unknown field "Spec". Did you mean "spec"?',
    ),
    "indented too far": (
        VOLUME + "  spec: {}\n",
        'unknown field "metadata.spec". "spec" belongs to the outermost level; check the indentation.',
    ),
    "not indented": (
        VOLUME + "capacity: {storage: 1Gi}\n",
        'unknown field "capacity". "capacity" belongs into "spec"; check the indentation.',
    ),
    "in the wrong part": (
        SET + "  containers: []\n",
        'stdin:5: StatefulSet "web": unknown field "spec.containers". "containers" belongs into "template.spec"',
    ),
    "in a part without effect": (
        SET + "  template:\n    spec:\n      containers:\n      - name: a\n        env:\n        - nmae: b\n",
        'stdin:10: StatefulSet "web": unknown field "spec.template.spec.containers[0].env[0].nmae". Did you mean "name',
    ),
    "in a kind that is not simulated": (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules:\n- apiGroup: ['']\n",
        'stdin:5: Role "a": unknown field "rules[0].apiGroup". Did you mean "apiGroups"?',
    ),
    "in the metadata of a custom resource": (
        "apiVersion: example.com/v1\nkind: Thing\nmetadata:\n  name: a\n  lables: {}\n",
        'stdin:5: Thing "a": unknown field "metadata.lables". Did you mean "labels"?',
    ),
    "in a status": (
        "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nstatus:\n  alocatable: {cpu: 1}\n",
        'stdin:5: Node "a": unknown field "status.alocatable". Did you mean "allocatable"?',
    ),
    "not the right thing at all": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {os: {zzz: 1}}\n",
        'unknown field "spec.os.zzz". Here can stand: name.',
    ),
    "text for a list": (
        VOLUME + "spec:\n  accessModes: ReadWriteOnce\n",
        'stdin:6: PersistentVolume "pv-a": spec.accessModes must be a list, not "ReadWriteOnce".',
    ),
    "a mapping for a list": (
        SET + "  template:\n    spec:\n      containers:\n        name: a\n",
        "spec.template.spec.containers must be a list, not a mapping. Put a dash before its first field.",
    ),
    "a list for a mapping": (
        VOLUME + "spec:\n- a\n",
        'stdin:5: PersistentVolume "pv-a": spec must be a mapping, not a list.',
    ),
    "a bare y": (
        VOLUME.replace("pv-a", "y"),
        "stdin:4: PersistentVolume: metadata.name: must be text, not the boolean true. Write it in quotes",
    ),
    "a number for text": (
        VOLUME + "  labels:\n    app.kubernetes.io/version: 5\n",
        'stdin:6: PersistentVolume "pv-a": metadata.labels[app.kubernetes.io/version]: must be text, not the number 5.',
    ),
    "text for a number": (
        SET + "  replicas: '3'\n",
        'spec.replicas: must be a number, not the text "3". Write it without quotes: 3.',
    ),
    "a fraction for a whole number": (SET + "  replicas: 3.5\n", "spec.replicas: must be a whole number, not 3.5."),
    "a number beyond 32 bits": (SET + "  replicas: 3000000000\n", "3000000000 does not fit into 32 bits"),
    "a number beyond 64 bits": (VOLUME + "  generation: 99999999999999999999\n", "must be a whole number, not 1e+20."),
    "a bad quantity": (
        VOLUME + "spec:\n  capacity:\n    storage: 10GB\n",
        'stdin:7: PersistentVolume "pv-a": spec.capacity.storage: "10GB" is not a quantity: quantities must match the '
        "regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'.",
    ),
    "a boolean quantity": (VOLUME + "spec:\n  capacity: {storage: yes}\n", "must be a quantity, not true."),
    "a bad quantity in a kind that is not simulated": (
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: a}\nspec: {limits: [{type: Pod, max: {cpu: much}}]}\n",
        'LimitRange "a": spec.limits[0].max.cpu: "much" is not a quantity',
    ),
    "a bad time": (VOLUME + "  creationTimestamp: now\n", 'metadata.creationTimestamp: "now" is not a point in time.'),
    "a bad resource version": (VOLUME + "  resourceVersion: abc\n", '"abc" is not a resource version.'),
    "a list element without a value": (
        VOLUME + "spec:\n  accessModes:\n  -\n",
        "spec.accessModes has an element without a value.",
    ),
    "a required part with a typing error": (
        "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec:\n  taints:\n  - {effect: NoSchedule, keys: a}\n",
        'stdin:6: Node "a": unknown field "spec.taints[0].keys". Did you mean "key"?',
    ),
    "a missing part": (
        "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec:\n  taints:\n  - effect: NoSchedule\n",
        'stdin:6: Node "a": spec.taints[0].key: Required value. Add it.',
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_a_wrong_field_is_named_with_its_line_and_how_to_mend_it(case: str) -> None:
    text, expected = FIELDS[case]
    assert expected in complaint(text)
    assert expected.removeprefix("stdin:") in complaint("---\n" + text).replace("stdin:", "") or expected.startswith(
        "stdin:"
    )


KINDS = {
    "an old version": (
        "apps/v1beta1",
        "StatefulSet",
        'stdin:1: Kubernetes 1.36 has no kind "StatefulSet" in apps/v1beta1. Write apiVersion: apps/v1.',
    ),
    "the wrong group": ("v1", "StatefulSet", "Write apiVersion: apps/v1."),
    "a group that is gone": ("extensions/v1beta1", "Ingress", "Write apiVersion: networking.k8s.io/v1."),
    "a plural": ("v1", "Pods", 'stdin:2: Kubernetes 1.36 has no kind "Pods" in v1. Did you mean Pod?'),
    "lower case": ("apps/v1", "statefulset", "Did you mean StatefulSet?"),
    "a typing error": ("storage.k8s.io/v1", "StorageClas", "Did you mean StorageClass?"),
    "a typing error and the wrong group": ("v1", "StatefullSet", "Did you mean StatefulSet in apps/v1?"),
    "nothing near": ("v1", "Xyzzy", "Correct kind or apiVersion."),
    "a version that is none": (
        "a/b/c",
        "Pod",
        'apiVersion "a/b/c" has not the form group/version. Correct it (such as v1).',
    ),
    "kustomize": ("kustomize.config.k8s.io/v1beta1", "Kustomization", "kubectl kustomize FOLDER | bindsim run -"),
}


@pytest.mark.parametrize("case", KINDS)
def test_an_unknown_kind_is_named_with_the_nearest_one(case: str) -> None:
    api_version, kind, expected = KINDS[case]
    assert expected in complaint(f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n")


OBJECTS: dict[str, tuple[str | bytes, str]] = {
    "text": ("hello", 'stdin:1: "hello" is not a Kubernetes object.'),
    "no kind": ("apiVersion: v1\nmetadata: {name: a}\n", "stdin:1: kind is missing."),
    "no apiVersion": ("kind: Pod\nmetadata: {name: a}\n", "stdin:1: apiVersion is missing."),
    "an empty kind": ("apiVersion: v1\nkind: ''\n", "kind is missing."),
    "a number for a kind": ("apiVersion: v1\nkind: 5\n", "kind must be text, not 5."),
    "no metadata": ("apiVersion: v1\nkind: Pod\n", "stdin:1: Pod: metadata is missing."),
    "text for metadata": (
        "apiVersion: v1\nkind: Pod\nmetadata: a\n",
        'stdin:3: Pod: metadata must be a mapping, not "a".',
    ),
    "no name": (
        "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
        "stdin:3: Pod: metadata.name is missing: resource name may not be empty.",
    ),
    "an empty name": ("apiVersion: v1\nkind: Pod\nmetadata:\n  name: ''\n", "stdin:4: Pod: metadata.name is empty"),
    "no name for a custom resource": (
        "apiVersion: a.b/v1\nkind: C\nmetadata: {}\n",
        "stdin:3: C: metadata.name is missing",
    ),
    "a generated name": (
        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n",
        "generateName would make another object each time.",
    ),
    "items that are no list": ("apiVersion: v1\nkind: List\nitems: 5\n", "stdin:1: items must be a list, not 5."),
    "an item that is no object": ("apiVersion: v1\nkind: List\nitems: [5]\n", "stdin:1: element 0 of the list is 5"),
    "no object": ("# nothing\n---\n", "stdin: no object in it."),
    "an empty list": ("apiVersion: v1\nkind: List\nitems: []\n", "stdin: no object in it."),
    "bad YAML": ("a: [1,\n", "not YAML"),
    "bad JSON": ('{"a": 1,\n"b" 2}', "not YAML: did not find expected ',' or '}'."),
    "a Helm template": ("name: {{ .Values.name }}\n", "It looks like a Helm template"),
    "not UTF-8": (b"a: \xff\n", "stdin:1: not UTF-8 (byte 0xff)."),
    "binary junk": (b"\x7fELF\x02\x01\x01\x00\x00", "stdin:1: not YAML"),
    "3000 brackets": ("a: " + "[" * 3000 + "]" * 3000, "stdin:1: lists and mappings are nested more than 200 deep"),
    "a constant that is none": ('{"a": NaN}', "stdin:1: NaN is not a finite number."),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_what_is_no_object_is_refused_in_one_line(case: str) -> None:
    text, expected = OBJECTS[case]
    assert expected in complaint(text)


def test_a_list_of_scalars_is_refused_element_by_element() -> None:
    assert [line.split(":")[1] for line in complaints("- a\n- b\n")] == ["1", "1"]


def test_the_same_object_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VOLUME)
    (tmp_path / "b.yaml").write_text("---\n" + VOLUME)
    with pytest.raises(ManifestError) as error:
        load([str(tmp_path)])
    assert str(error.value) == (
        f'{tmp_path}/b.yaml:2: PersistentVolume "pv-a" is given twice; it stands at {tmp_path}/a.yaml:1 too. '
        "Remove one of them, or give it another name or namespace."
    )


def test_no_namespace_is_the_default_namespace() -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
    assert "is given twice" in complaint(pod + "---\n" + pod.replace("name: a", "name: a, namespace: default"))
    assert (
        len(load(["-"], io.StringIO(pod + "---\n" + pod.replace("name: a", "name: a, namespace: other"))).objects) == 2
    )


def test_all_errors_of_an_input_are_told_together_up_to_twenty() -> None:
    lines = complaints(VOLUME + "x1: 1\nx2: 2\n---\nhello\n---\n" + VOLUME + "spec: 5\n")
    assert [line.split(":")[1] for line in lines] == ["5", "6", "8", "14"]
    lines = complaints("---\n".join("apiVersion: v1\nkind: Nope\n" for _ in range(50)))
    assert len(lines) == 20
    lines = complaints("---\n".join(VOLUME.replace("pv-a", f"pv-{i}") + "x: 1\ny: 2\nz: 3\n" for i in range(50)))
    assert len(lines) == 21 and lines[-1] == "There are more errors. Mend these first."


def test_a_broken_file_does_not_hide_the_errors_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("x: [")
    (tmp_path / "b.yaml").write_text(VOLUME + "x: 1\n")
    with pytest.raises(ManifestError) as error:
        load([str(tmp_path), str(tmp_path / "c.yaml")])
    assert [line.partition(":")[0][-6:] for line in str(error.value).split("\n")] == ["a.yaml", "b.yaml", "c.yaml"]


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "volumes.yaml").write_text(VOLUME)
    (tmp_path / "notes").mkdir()
    for source, expected in (
        (str(tmp_path / "volume.yaml"), f"no such file or folder. Did you mean {tmp_path}/volumes.yaml?"),
        (str(tmp_path / "zzz" / "a.yaml"), "no such file or folder. Check the path."),
        (str(tmp_path / "notes"), "no *.yaml, *.yml or *.json in this folder."),
        ("https://example.com/a.yaml", "addresses are not fetched."),
        ("a\0b", "a name cannot hold a null character."),
        ("", "no such file or folder."),
    ):
        with pytest.raises(ManifestError) as error:
            load([source])
        assert expected in str(error.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VOLUME)
    (tmp_path / "a.yaml").chmod(0)
    with pytest.raises(ManifestError, match="permission denied"):
        load([str(tmp_path / "a.yaml")])


def test_standard_input_can_be_named_once_and_nothing_can_be_named_not_at_all() -> None:
    with pytest.raises(ManifestError, match="is given twice, but it can be read only once"):
        load(["-", "-"], io.StringIO(VOLUME))
    with pytest.raises(ManifestError, match="the input: no object in it"):
        load([])


def test_names_from_the_input_cannot_break_the_line() -> None:
    line = complaint('apiVersion: v1\nkind: "a\\nb\\e[31m"\nmetadata: {name: a}\n')
    assert r'"a\nb\u001b[31m"' in line
    line = complaint(VOLUME.replace("pv-a", '"a\\u2028b"') + '"x\\ny": 1\n')
    assert line.isprintable()
    assert len(complaint("apiVersion: v1\nkind: " + "a" * 10_000)) < 300


def test_the_line_of_any_field_can_be_found() -> None:
    text = (
        "# x\napiVersion: v1\nkind: List\nitems:\n"
        "- a: 1\n  b:\n    c:\n    - d\n    - e: 1\n      f: {g: 2}\n- {h: 1,\n   i: 2}\n"
    )
    source = Source("stdin", text.encode())
    first = Origin("stdin", 5, ("items", 0), 2, source)
    second = Origin("stdin", 11, ("items", 1), 2, source)
    assert [line_of(first, path) for path in ("a", "b.c", "b.c[0]", "b.c[1].e", "b.c[1].f.g")] == [5, 7, 8, 9, 10]
    assert [line_of(second, path) for path in ("h", "i")] == [11, 12]
    # What is not there has the line of what is around it.
    assert [line_of(first, path) for path in ("z", "b.z", "b.c[7]", "b.c[1].f.z", ("b", "c", "z"))] == [5, 6, 7, 10, 7]
    assert line_of(Origin("no such file", 7), "a.b") == 7


def test_the_line_of_a_field_is_found_though_lists_share_a_line() -> None:
    text = '{"kind": "List", "items": [{"a": 1}, {"a": 1,\n"b": 2}]}'
    assert line_of(Origin("x", 1, ("items", 1), 1, Source("x", text.encode())), "b") == 2
