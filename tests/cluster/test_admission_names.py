from __future__ import annotations

import pytest

from simulator.cluster.admission.names import (
    generated_name,
    label_name,
    label_value,
    qualified_name,
    service_name,
    subdomain_name,
)

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize("name", ["web", "0", "a-b", "a" * 63])
def test_a_dns_label_may_have_63_lower_case_characters_and_dashes_inside(name: str) -> None:
    assert label_name(name) == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Web", (LABEL,)),
        ("web-", (LABEL,)),
        ("a_b", (LABEL,)),
        ("", (LABEL,)),
        ("a.b", ("must not contain dots",)),
        ("a" * 64, ("must be no more than 63 characters",)),
        ("A" * 64, ("must be no more than 63 characters", LABEL)),
    ],
)
def test_what_is_no_dns_label_is_told_in_kubernetes_words(name: str, why: tuple[str, ...]) -> None:
    assert label_name(name) == why


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.b-c.d", ()),
        ("a..b", (SUBDOMAIN,)),
        ("-a", (SUBDOMAIN,)),
        ("a" * 254, ("must be no more than 253 characters",)),
    ],
)
def test_a_subdomain_is_labels_joined_by_dots(name: str, why: tuple[str, ...]) -> None:
    assert subdomain_name(name) == why


def test_a_service_name_starts_with_a_letter() -> None:
    assert service_name("web") == ()
    assert service_name("0web")[0].startswith("a DNS-1035 label must consist of lower case")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("app", ()),
        ("kubernetes.io/hostname", ()),
        ("A_b.c", ()),
        ("a b", (KEY,)),
        ("/a", ("prefix part must be non-empty",)),
        ("x/", ("name part must be non-empty", KEY)),
        ("Bad/a", (f"prefix part {SUBDOMAIN}",)),
        ("a" * 64, ("name part must be no more than 63 characters",)),
    ],
)
def test_a_label_key_is_a_name_with_an_optional_dns_prefix(key: str, why: tuple[str, ...]) -> None:
    assert qualified_name(key) == why


def test_a_key_with_two_slashes_is_no_label_key() -> None:
    (why,) = qualified_name("a/b/c")
    assert why.startswith("a valid label key must consist of") and why.endswith("(e.g. 'example.com/MyName')")


@pytest.mark.rule("WL-6")
def test_a_label_value_has_63_characters_at_most() -> None:
    assert label_value("") == ()
    assert label_value("a" * 63) == ()
    assert label_value("a" * 64) == ("must be no more than 63 characters",)
    assert label_value("-a")[0].startswith(
        "a valid label must be an empty string or consist of alphanumeric characters"
    )


def test_generated_names_differ_and_keep_to_58_characters_of_their_base() -> None:
    names = {generated_name("web-", number) for number in range(5000)}
    assert len(names) == 5000
    assert all(len(name) == 9 and not label_name(name) for name in names)
    assert len(generated_name("a" * 80, 1)) == 63
