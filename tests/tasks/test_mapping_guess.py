"""A guess looks at all rows, never takes for inputs what says where a sample belongs, and says why."""

import numpy as np
import pyarrow as pa
import pytest

from kernelsm.samples.column_facts import facts_of
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.label_guess import guess_label
from kernelsm.tasks.label_lists import find_separator
from kernelsm.tasks.mapping_guess import explain_guess, guess_mapping
from kernelsm.tasks.suite import CLASSIFICATION, REGRESSION, SEVERAL_LABELS

N = 2400
RNG = np.random.default_rng(0)


def samples(**columns):
    """Samples with an input `x`, and a label unless one is given."""
    given = {"x": RNG.normal(size=N), "label": np.arange(N) % 2} | columns
    return Samples({name: pa.chunked_array([pa.array(values)]) for name, values in given.items()}, "mine.csv")


def blocks(*values):
    """One value after the other, as files look that were written one below the other."""
    return [values[row * len(values) // N] for row in range(N)]


def test_what_begins_after_the_first_thousand_rows_is_seen():
    mine = samples(source=blocks("a", "b"), split=["train"] * 2000 + ["test"] * 400)
    mapping = guess_mapping(mine)
    assert (mapping.tasks.columns, mapping.split, mapping.inputs) == (("source",), "split", ("x",))
    late = samples(label=[0] * (N - 60) + list(range(60)), target=blocks("only one"))
    assert guess_label(late, "label").reason.startswith("It holds 60 different whole numbers")


@pytest.mark.parametrize("name", ["source", "domain", "split", "task", "group", "data_source", "Task Name", "fold"])
@pytest.mark.parametrize("values", [blocks("a"), [f"v{row}" for row in range(N)], np.arange(N) % 3])
def test_what_says_where_a_sample_belongs_is_never_an_input(name, values):
    guess = explain_guess(samples(**{name: values}))
    assert guess.mapping.inputs == ("x",)
    assert name in guess.left_aside or guess.mapping.tasks.columns == (name,)


def test_the_index_of_a_pandas_table_is_never_an_input():
    guess = explain_guess(samples(__index_level_0__=np.arange(N) % 7))
    assert guess.mapping.inputs == ("x",)
    assert "index" in guess.left_aside["__index_level_0__"]


@pytest.mark.parametrize(
    ("values", "objective"),
    [
        (25 + np.arange(N) % 214, REGRESSION),  # a quantity, whatever its name
        (np.arange(N) % 51 * 2, REGRESSION),
        (np.arange(N) % 100, CLASSIFICATION),  # numbered as classes are
        (1 + np.arange(N) % 100, CLASSIFICATION),
        (np.arange(N) % 50 * 2, CLASSIFICATION),
    ],
)
def test_more_than_fifty_whole_numbers_are_a_quantity_unless_they_count_up(values, objective):
    assert guess_label(samples(label=values), "label").objective == objective
    plain = guess_label(samples(target=values), "target").objective
    assert plain == (CLASSIFICATION if len(np.unique(values)) <= 50 else REGRESSION)


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        (["sport", "politics", "sport, politics"], ","),
        (["a;b", "b;c", "a;c"], ";"),
        (["a|b", "b", "a"], "|"),
        (["Paris, France", "Rome, Italy", "Oslo, Norway"], ""),
        (["neg", "pos"], ""),
        (["I came, I saw, and then I left for good", "I came, I stayed"], ""),
        ([f"n{i},n{i + 1}" for i in range(200)], ""),
        ([], ""),
    ],
)
def test_lists_of_labels_are_told_by_parts_that_come_back(texts, separator):
    assert find_separator(texts) == separator


def test_texts_that_list_labels_are_asked_about_and_read_as_several():
    mine = samples(label=[("sport", "news", "sport, news", "news,art")[row % 4] for row in range(N)])
    guess = guess_label(mine, "label")
    assert guess.objective == SEVERAL_LABELS
    assert guess.question.endswith("several labels, or the name of one class?")
    suite = build_suite(mine, guess_mapping(mine))
    assert suite.objective_settings["names"] == ["art", "news", "sport"]
    shares = np.concatenate([suite.labels, suite.test_labels]).mean(axis=0)
    np.testing.assert_allclose(shares, [0.25, 0.75, 0.5], atol=1e-6)


def test_every_choice_has_its_reason():
    guess = explain_guess(samples(source=blocks("a", "b"), id=np.arange(N), split=["train", "test"] * (N // 2)))
    assert set(guess.reasons) == {"label", "inputs", "tasks", "split", "target"}
    assert all(reason.endswith(".") for reason in guess.reasons.values())
    assert "2 values" in guess.reasons["tasks"]
    assert guess.reasons["split"] == "Its values say so: test (1,200 rows), train (1,200 rows)."
    assert guess.left_aside == {"id": "Its name and its values say that it only numbers or names the rows."}


def test_facts_are_of_all_rows():
    facts = facts_of(samples(text=[f"t{row}" for row in range(N)], z=[0.0] * (N - 1) + [0.5]))
    assert facts.columns["text"].count == N
    assert len(facts.columns["text"].distinct) == 1001
    assert facts.columns["z"].fractions
    assert not facts.columns["label"].fractions
    assert facts.columns["label"].marks
    assert facts_of(facts) is facts
