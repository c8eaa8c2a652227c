from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.units import Quantity, format_duration, parse_duration, quantity


@pytest.mark.parametrize(
    ("written", "canonical"),
    # As `kubectl create quota q --hard=cpu=… --dry-run=client -o yaml` prints them.
    [("1024Mi", "1Gi"), ("1000m", "1"), ("0.5", "500m"), ("1.5Gi", "1536Mi"), ("1e3", "1e3"), ("1000", "1k"),
     ("100G", "100G"), ("1500M", "1500M"), ("12Ki", "12Ki"), ("1023Mi", "1023Mi"), ("0", "0"), ("2Ti", "2Ti"),
     ("1E", "1E"),
     ("0.1", "100m"), ("10000000", "10M"), ("1.0Gi", "1Gi"), ("500Ki", "500Ki"), ("-1Gi", "-1Gi"), ("1000000u", "1")],
)
def test_a_quantity_is_printed_in_its_canonical_form(written: str, canonical: str) -> None:
    assert quantity(written).text == canonical


@pytest.mark.parametrize("written", ["", "ten", "1GB", "1 Gi", "0x10", "1Gi5", "--1", "1e", True, "NaN", "inf"])
def test_what_is_not_a_quantity_is_refused_in_the_words_of_kubernetes(written: object) -> None:
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        quantity(written)  # type: ignore[arg-type]


def test_quantities_compare_exactly_across_formats() -> None:
    assert quantity("10G") < quantity("10Gi")
    assert quantity("1Gi") == quantity("1024Mi")
    assert quantity("1000000000.000000001") != quantity("1G")
    assert quantity("1500m").value == 2 and quantity("1500m").milli == 1500


@given(st.integers(0, 2**70))
def test_the_canonical_form_means_the_same_amount(nano: int) -> None:
    whole = Quantity("", min(nano, (2**63 - 1) * 10**9)).value
    assert quantity(quantity(str(whole)).text).value == whole


@given(st.integers(0, 10**15))
def test_a_duration_survives_printing_and_reading(us: int) -> None:
    read = parse_duration(format_duration(us))
    assert read == us or us >= 2**53  # beyond that the reading goes through a float


@pytest.mark.parametrize("written", ["", "5", "s", "-1s", "1 s", "1y", "5mm"])
def test_what_is_not_a_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(written)
