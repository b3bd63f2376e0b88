"""Confirmations are found again by what they are of; damaged or forged ones are refused."""

import json
import os

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.evaluation.confirmation import ANEW, FINE_TUNED, Confirmation, MeasureName
from kernelsm.runtime.store import cache_root
from kernelsm.workspace.confirmations import CONFIRMATIONS, confirmation_key, confirmations_of, keep_confirmation

MEASURES = (MeasureName("loss", "nats", False), MeasureName("accuracy", "share", True))


def confirmed(source="digits", title="Without b", seeds=2, **more):
    rng = np.random.default_rng(seeds)
    values = {way: rng.random((seeds, 2, 2, 3)) for way in (FINE_TUNED, ANEW)}
    return Confirmation(
        source, (1,), ("a", "b", "c"), ("x", "y", "z"), 0.03, tuple(range(seeds)), MEASURES, values, title, **more
    )


def path_of(key):
    return cache_root() / "confirmed" / f"{key}.json"


def test_what_is_kept_is_the_same_when_it_is_read():
    before = confirmed()
    after = CONFIRMATIONS.load(keep_confirmation(before))
    for way, values in before.values.items():
        assert np.array_equal(after.values[way], values)
    same = ("source", "left_out", "task_names", "target_names", "ridge", "seeds", "measures", "title")
    assert all(getattr(before, name) == getattr(after, name) for name in same)
    assert after.change(ANEW, "accuracy") == before.change(ANEW, "accuracy")


def test_the_title_is_no_part_of_the_key_and_everything_else_is():
    keys = {confirmation_key(one) for one in (confirmed(), confirmed(source="sentiment"), confirmed(seeds=3))}
    assert len(keys) == 3
    assert confirmation_key(confirmed(title="Another")) in keys


def test_those_of_a_source_are_listed_the_newest_first_and_damaged_ones_left_out():
    keys = [keep_confirmation(confirmed(seeds=seeds)) for seeds in (2, 3, 4)]
    for age, key in enumerate(keys):
        os.utime(path_of(key), (1e9 + age, 1e9 + age))
    other = keep_confirmation(confirmed(source="sentiment"))
    assert list(confirmations_of("digits")) == keys[::-1]
    assert list(confirmations_of("sentiment")) == [other]
    path_of(keys[1]).write_text("{")
    (cache_root() / "confirmed" / "notes.json").write_text("{}")
    assert list(confirmations_of("digits")) == [keys[2], keys[0]]
    assert confirmations_of("0" * 40) == {}


def change(sheet, name, value):
    return {**sheet, name: value}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda sheet: change(sheet, "left_out", [0, 1, 2]), lambda sheet: change(sheet, "left_out", []),
        lambda sheet: change(sheet, "left_out", [3]), lambda sheet: change(sheet, "left_out", [True]),
        lambda sheet: change(sheet, "source", "../x"), lambda sheet: change(sheet, "source", 5),
        lambda sheet: change(sheet, "ridge", 0.0), lambda sheet: change(sheet, "ridge", "1"),
        lambda sheet: change(sheet, "seeds", [1, 0]), lambda sheet: change(sheet, "task_names", ["a", "a", "c"]),
        lambda sheet: change(sheet, "task_names", [1, 2, 3]), lambda sheet: change(sheet, "target_names", ["x"]),
        lambda sheet: change(sheet, "measures", []), lambda sheet: change(sheet, "measures", [{"name": "loss"}]),
        lambda sheet: change(sheet, "values", {}), lambda sheet: change(sheet, "values", {"magic": [[[[1.0]]]]}),
        lambda sheet: change(sheet, "values", {"anew": [1.0]}), lambda sheet: change(sheet, "title", "a\nb"),
        lambda sheet: change(sheet, "values", {"anew": (confirmed().values["anew"] * np.inf).tolist()}),
        lambda sheet: change(sheet, "more", 1), lambda sheet: {**sheet, "title": None}, lambda sheet: [sheet],
        lambda sheet: {name: value for name, value in sheet.items() if name != "seeds"},
    ],
)  # fmt: skip
def test_a_forged_file_is_refused_by_its_place(wrong):
    key = keep_confirmation(confirmed())
    path_of(key).write_text(json.dumps(wrong(json.loads(path_of(key).read_text()))))
    with pytest.raises(InputError) as caught:
        CONFIRMATIONS.load(key)
    assert caught.value.place.startswith(f"confirmation {key[:8]}")
    assert not CONFIRMATIONS.opens(key)
    assert confirmations_of("digits") == {}


def test_numbers_that_were_changed_are_refused():
    key = keep_confirmation(confirmed())
    sheet = json.loads(path_of(key).read_text())
    sheet["values"]["anew"][0][0][0][0] += 1.0
    path_of(key).write_text(json.dumps(sheet))
    with pytest.raises(InputError, match="content of the hash"):
        CONFIRMATIONS.load(key)
