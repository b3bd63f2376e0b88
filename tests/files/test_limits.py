"""Upload limits: what the environment may set them to."""

from dataclasses import fields

import pytest

from kernelsm import InputError
from kernelsm.files.limits import Limits, limits

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
