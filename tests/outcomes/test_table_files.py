"""What is saved is what is loaded, in Parquet and CSV."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernelsm import InputError, Outcomes

AWKWARD = (
    "plain",
    "Größe, 日本語",
    'says "no", twice',
    "task:task:",
    "=1+1",
    "🙂",
    "<b>bold</b>",
    "semi;colon",
    "1.5",
)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_awkward_names_and_every_digit_survive(tmp_path, ending):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 2)) * 10.0 ** rng.integers(-12, 12, (20, 2))
    table = Outcomes(rng.random((20, 9)) < 0.5, values, task_names=AWKWARD, target_names=("loss, nats", "“q”"))
    loaded = Outcomes.load(table.save(tmp_path / f"table{ending}"))
    assert loaded.task_names == AWKWARD
    assert loaded.target_names == ("loss, nats", "“q”")
    assert loaded.content_hash == table.content_hash


def test_parquet_keeps_meta_and_direction(tmp_path, make_outcomes):
    meta = {"estimator": "retraining", "ridge": 0.03, "nested": {"seed": [1, 2]}, "name": "é"}
    table = make_outcomes(higher_is_better=True, meta=meta)
    loaded = Outcomes.load(table.save(tmp_path / "table.parquet"))
    assert loaded.meta == meta
    assert loaded.higher_is_better


def test_csv_takes_the_direction_it_is_told(tmp_path, make_outcomes):
    path = make_outcomes(higher_is_better=True).save(tmp_path / "table.csv")
    assert not Outcomes.load(path).higher_is_better
    assert Outcomes.load(path, higher_is_better=True).higher_is_better
    assert Outcomes.load(path).meta == {"source": "table.csv"}


def test_the_direction_in_a_parquet_file_wins_over_the_argument(tmp_path, make_outcomes):
    path = make_outcomes(higher_is_better=False).save(tmp_path / "table.parquet")
    assert not Outcomes.load(path, higher_is_better=True).higher_is_better


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path, make_outcomes, ending):
    path = tmp_path / "new folder" / f"table{ending}"
    make_outcomes(seed=1).save(path)
    second = make_outcomes(seed=2)
    second.save(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert Outcomes.load(path).content_hash == second.content_hash


def test_a_failed_save_keeps_the_old_file(tmp_path, make_outcomes):
    path = make_outcomes().save(tmp_path / "table.parquet")
    before = path.read_bytes()
    with pytest.raises(TypeError):  # an object is no JSON type
        make_outcomes(seed=1, meta={"model": object()}).save(path)
    assert path.read_bytes() == before


def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path, make_outcomes):
    with pytest.raises(InputError, match=r"\.xlsx"):
        make_outcomes().save(tmp_path / "table.xlsx")
    assert not list(tmp_path.glob("*table*"))


def test_a_frame_made_by_hand_becomes_the_same_table(make_outcomes):
    table = make_outcomes()
    assert Outcomes.from_frame(table.to_frame()).content_hash == table.content_hash
    # the order of columns is the order of names, wherever the targets stand
    frame = pd.DataFrame({"target:loss": [0.5, 0.25], "task:b": [1, 0], "task:a": [0, 1]})
    mixed = Outcomes.from_frame(frame)
    assert mixed.task_names == ("b", "a")
    assert mixed.masks.tolist() == [[True, False], [False, True]]


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Outcomes.load(tmp_path / "nowhere.parquet")


# any name a person could type; line breaks and other control characters are left out
names = st.lists(
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20).filter(str.strip),
    min_size=1,
    max_size=4,
    unique_by=str.strip,
)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
@settings(max_examples=40)
@example(task_names=["a", "b "], target_names=[" b"], seed=0)
@given(task_names=names, target_names=names, seed=st.integers(0, 2**20))
def test_any_names_that_a_table_accepts_survive_the_file(tmp_path_factory, ending, task_names, target_names, seed):
    rng = np.random.default_rng(seed)
    masks, values = rng.random((3, len(task_names))) < 0.5, rng.normal(size=(3, len(target_names)))
    table = Outcomes(masks, values, task_names=task_names, target_names=target_names)
    path = table.save(tmp_path_factory.getbasetemp() / f"any names{ending}")
    assert Outcomes.load(path).content_hash == table.content_hash


@pytest.mark.parametrize("name", ["two\nlines", "carriage\rreturn", "line\u2028separator", "vertical\x0btab"])
def test_a_name_with_a_line_break_is_refused_at_once(name):
    with pytest.raises(InputError, match="line break or control character"):
        Outcomes([[1], [0]], [1.0, 2.0], task_names=[name])


def test_names_that_differ_by_outer_spaces_are_the_same_name():
    with pytest.raises(InputError, match="second time"):
        Outcomes([[1, 0], [0, 1]], [1.0, 2.0], task_names=["a", "a "])


def test_direction_in_broken_metadata_is_refused(make_outcomes, tmp_path):
    data = make_outcomes().save(tmp_path / "table.parquet").read_bytes()
    # the info is stored in plain text in the footer; 5 bytes for 5
    broken = data.replace(b'"higher_is_better": false', b'"higher_is_better": "no"#')
    assert broken != data
    with pytest.raises(InputError, match="metadata"):
        Outcomes.from_bytes(broken, "table.parquet")
