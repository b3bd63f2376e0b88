"""Upload limits: what the environment may set them to."""

from dataclasses import fields

import pytest

from kernelsm import InputError
from kernelsm.files.limits import Limits, check_megabytes, check_table_size, limits

NAMES = [field.name for field in fields(Limits)]


def test_without_variables_the_defaults_hold(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(f"KERNELSM_MAX_{name.upper()}", raising=False)
    assert limits() == Limits()
    assert all(value > 0 for value in vars(Limits()).values())


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_has_its_variable_and_is_read_anew(monkeypatch, name):
    monkeypatch.setenv(f"KERNELSM_MAX_{name.upper()}", " 7 ")
    assert vars(limits()) == {**vars(Limits()), name: 7}
    monkeypatch.setenv(f"KERNELSM_MAX_{name.upper()}", "")
    assert limits() == Limits()


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "1e3", "many", "1_000", "1,000", "+5", "٣", "0x10", "nan", "inf", "9" * 5000, "1 GB"]
)
def test_anything_but_a_positive_whole_number_is_refused_by_name(monkeypatch, text):
    monkeypatch.setenv("KERNELSM_MAX_ROWS", text)
    with pytest.raises(InputError) as caught:
        limits()
    assert caught.value.place == "environment variable KERNELSM_MAX_ROWS"
    assert text[:30] in caught.value.found
    assert len(str(caught.value)) < 300


def test_bytes_are_told_in_whole_mebibytes():
    check_megabytes(2**20, "t.csv", 1, "Send less.")
    with pytest.raises(InputError) as caught:
        check_megabytes(1500 * 2**20 + 1, "t.csv", 1, "Send less.", found="at least {} MiB in memory")
    error = caught.value
    assert (error.place, error.found, error.fix) == ("t.csv", "at least 1,501 MiB in memory", "Send less.")
    assert error.expected == "at most 1 MiB"


def test_a_table_has_rows_and_bytes_within_the_limits():
    bounds = Limits(rows=1_000, unpacked_megabytes=1)
    check_table_size(1_000, 2**20, "t.csv", bounds)
    with pytest.raises(InputError, match="more than 1,000 rows"):
        check_table_size(1_001, 0, "t.csv", bounds)
    with pytest.raises(InputError, match="at least 2 MiB in memory; expected at most 1 MiB"):
        check_table_size(1_000, 2**20 + 1, "t.csv", bounds)
