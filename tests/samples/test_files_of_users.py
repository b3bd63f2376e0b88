"""Ordinary files of the kinds that people have, through the doors of the page: what each of them holds."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernelsm import InputError
from kernelsm.prompts.task_files import read_prompt_task
from kernelsm.samples.column_facts import facts_of
from kernelsm.samples.reader import preview_samples, read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import explain_guess, guess_mapping

FILES = Path(__file__).resolve().parents[1] / "own_data"
SHOPS = ("shop 1", "shop 2", "shop 3")
TEXTS = "rude", "fresh", "stale"


def embed(texts):
    """A few numbers that differ between texts."""
    return np.array([list(hashlib.sha1(text.encode()).digest()[:4]) for text in texts], dtype=np.float32)


def suite_of(name):
    samples = read_samples(FILES / name)
    preview_samples(FILES / name)
    return samples, build_suite(samples, guess_mapping(facts_of(samples)), embed=embed)


@pytest.mark.parametrize(
    ("name", "columns", "note"),
    [
        ("index_column.csv", ("text", "label", "source"), "Column 1 has no name and numbers the rows"),
        ("trailing_comma.csv", ("text", "label", "source"), "Column 4 has neither a name nor a value"),
        ("sep_line.csv", ("text", "label", "source", "score"), ""),
        ("nested_field.jsonl", ("text", "label", "source"), ""),
        ("mixed_id.jsonl", ("text", "label", "source"), ""),
    ],
)
def test_files_with_a_source_are_read_and_their_tasks_are_its_values(name, columns, note):
    samples, suite = suite_of(name)
    assert (samples.names, samples.rows) == (columns, 60)
    assert [found[: len(note)] for found in samples.notes] == ([note] if note else [])
    assert suite.task_names == SHOPS
    assert samples.values("text")[0].endswith("a rude little film about subject 0")


def test_decimal_commas_are_numbers():
    samples, _ = suite_of("sep_line.csv")
    assert samples.values("score")[:3].tolist() == [0.5, 1.5, 2.5]


@pytest.mark.parametrize(
    ("name", "column", "cause"),
    [
        ("nested_field.jsonl", "metadata", "a nested object"),
        ("nested_field.jsonl", "tags", "a list of something else"),
        ("mixed_id.jsonl", "id", "line 4"),
    ],
)
def test_a_column_that_was_left_out_is_refused_where_it_is_needed(name, column, cause):
    samples = read_samples(FILES / name)
    assert cause in facts_of(samples).left_out[column]
    mapping = SampleMapping("label", ("text",), "text", TaskRule("column", (column,)))
    with pytest.raises(InputError) as caught:
        build_suite(samples, mapping, embed=embed)
    assert caught.value.place.endswith(f"field {column!r}")


def test_names_of_twenty_digits_keep_every_digit():
    _, suite = suite_of("twenty_digit_tasks.csv")
    assert suite.task_names == tuple(str(11898508762506083287 + number) for number in range(3))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_long_whole_numbers_are_exact_in_every_format(tmp_path, kind):
    numbers = [2**63 + 5, 2**63 + 6, 3]
    text = {
        "csv": "n,m,e\n" + "".join(f"{n},{n - 2**62},1e300\n" for n in numbers) + ",,\n",
        "jsonl": "".join(json.dumps({"n": n, "m": n - 2**62, "e": 1e300}) + "\n" for n in numbers),
    }
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        frame = pd.DataFrame({"n": np.array(numbers, np.uint64), "m": np.array([n - 2**62 for n in numbers])})
        frame.assign(e=1e300).to_parquet(path)
    else:
        path.write_text(text[kind])
    samples = read_samples(path)
    assert [int(value) for value in samples.distinct("n")] == sorted(numbers, key=str if kind != "parquet" else int)
    assert samples.distinct("m") == sorted(n - 2**62 for n in numbers)
    assert samples.distinct("e") == [1e300]


@pytest.mark.parametrize("missing", ["NA", "", "null", "NaN"])
def test_a_missing_entry_among_long_whole_numbers_keeps_every_digit(tmp_path, missing):
    path = tmp_path / "t.csv"
    path.write_text(f"n,x\n{2**63 + 5},1\n{missing},2\n{2**63 + 6},3\n{2**63 + 5},4\n")
    samples = read_samples(path)
    assert samples.distinct("n") == [str(2**63 + 5), str(2**63 + 6)]
    assert facts_of(samples).columns["n"].missing == 1


def test_decimal_commas_beside_tabs_are_numbers_and_said(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("x\ty\tlabel\n1,25\t3\ta\n-0,5\t4\tb\n")
    samples = read_samples(path)
    assert samples.values("x").tolist() == [1.25, -0.5]
    assert samples.values("y").tolist() == [3, 4]
    assert samples.notes == ("Numbers are read with a decimal comma: 3,7 is 3.7.",)
    path.write_text("x\ty\tlabel\n1,250\t3.5\ta\n2,500\t4.5\tb\n")
    samples = read_samples(path)
    assert samples.kind("x") == "text"
    assert samples.values("y").tolist() == [3.5, 4.5]
    assert samples.notes == ()


def test_backslashes_before_quotes_are_read():
    samples, _ = suite_of("backslash_quotes.csv")
    assert samples.values("text")[0] == 'they said "a rude little film about subject 0" twice'
    assert samples.rows == 60


def test_windows_1252_is_read_and_said():
    samples, _ = suite_of("windows_1252.csv")
    assert samples.values("text")[0] == "café “a rude little film about subject 0”"
    assert "Windows-1252" in samples.encoding
    assert "Windows-1252" in samples.notes[0]


def test_the_index_of_pandas_is_no_input():
    samples, suite = suite_of("pandas_index.parquet")
    guess = explain_guess(samples)
    assert guess.mapping.inputs == ("x", "y")
    assert "pandas" in guess.left_aside["__index_level_0__"]
    assert suite.meta["features"] == 2


def test_a_named_index_of_pandas_is_no_input(tmp_path):
    frame = pd.DataFrame({"x": np.arange(40.0), "label": np.arange(40) % 2, "station": np.arange(40) % 7})
    frame.set_index("station").to_parquet(tmp_path / "t.parquet")
    guess = explain_guess(read_samples(tmp_path / "t.parquet"))
    assert guess.mapping.inputs == ("x",)
    assert "pandas" in guess.left_aside["station"]


def test_a_file_sorted_by_source_and_split_is_seen_whole():
    samples, suite = suite_of("sorted_source_split.csv")
    mapping = guess_mapping(samples)
    assert (mapping.tasks.columns, mapping.split, mapping.inputs) == (("source",), "split", ("x", "y", "z"))
    assert suite.task_names == ("a", "b", "c")


def test_prompts_in_windows_1252_are_read_as_their_utf_8_twin():
    def task(name):
        found = read_prompt_task(
            ((FILES / name).read_bytes(), name), ((FILES / "quer.csv").read_bytes(), "quer.csv"), seed=1
        )
        return found.task.labels, len(found.task.candidates), found.notes

    labels, count, notes = task("cand_1252.csv")
    assert (labels, count) == task("cand.csv")[:2]
    assert "cand_1252.csv: Its text is read as Windows-1252" in notes[0]


def test_a_table_that_pandas_wrote_with_its_index_is_read_as_without(tmp_path):
    frame = pd.DataFrame({"x": [0.5, 1.5], "label": ["a", "b"]})
    plain, indexed = (io.StringIO(), io.StringIO())
    frame.to_csv(plain, index=False)
    frame.to_csv(indexed)
    for name, text in (("plain.csv", plain), ("indexed.csv", indexed)):
        (tmp_path / name).write_text(text.getvalue())
    assert read_samples(tmp_path / "indexed.csv").names == read_samples(tmp_path / "plain.csv").names


def test_columns_of_different_kinds_in_different_parts_are_left_out(tmp_path):
    for part, values in (("train", [1, 2]), ("test", ["a", "b"])):
        pd.DataFrame({"x": [0.5, 1.5], "z": values}).to_csv(tmp_path / f"{part}.csv", index=False)
    samples = read_samples(tmp_path, "parts")
    assert samples.names == ("x", "split")
    assert "z" in samples.left_out
