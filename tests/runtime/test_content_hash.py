"""Names that are content hashes are told from everything else, paths above all."""

import pytest

from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.store import content_hash
from kernelsm.workspace.tables import is_run_name


def test_what_content_hash_returns_has_its_form():
    assert is_content_hash(content_hash("a", [1, 2]))


@pytest.mark.parametrize(
    "name", ["", "0" * 39, "0" * 41, "A" * 40, "g" * 40, "../" + "0" * 37, "0" * 40 + "\n", "٠" * 40, "digits"]
)
def test_other_names_are_none(name):
    assert not is_content_hash(name)


def test_runs_are_named_by_hash_or_by_example():
    assert all(map(is_run_name, ["0" * 40, "planted", "modular-addition"]))
    assert not any(map(is_run_name, ["", "../digits", "Digits", "-x", "a" * 32, "a\n"]))
