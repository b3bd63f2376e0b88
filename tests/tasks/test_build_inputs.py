"""The inputs of a suite: tables, images, text and tokens from the columns of a file."""

import numpy as np
import pytest
from suite_columns import AGE, LABEL, RNG, TEXTS, N, build, images, lengths, of, refused

from kernelsm.files.limits import Limits

# ---- tables


def test_numbers_truth_and_text_of_few_values_are_features():
    columns = {
        "whole": list(range(100, 112)),
        "truth": [True, False, False] * 4,
        "colour": ["red", "blue", " red", "blue"] * 2 + ["green", "red", "red", "blue"],
        "vector": np.arange(24, dtype=np.uint8).reshape(12, 2),
        "picture": RNG.normal(size=(12, 2, 2)),
    }
    suite = build(columns=columns, inputs=tuple(columns))
    assert suite.inputs.shape == (8, 1 + 1 + 2 + 2 + 4)
    scaled = suite.inputs[:, [0, 1, 4, 5, 6, 7, 8, 9]]
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(suite.inputs[:, 2:4], [[0, 1], [1, 0]] * 4)
    # a colour that no training sample has is none of the known ones
    np.testing.assert_array_equal(suite.test_inputs[:, 2:4], [[0, 0], [0, 1], [0, 1], [1, 0]])
    assert suite.meta["feature_names"][-4:] == [f"picture[{i}]" for i in range(4)]


@pytest.mark.parametrize(
    "values",
    [
        [0.1] * 8 + [7.0] * 4,
        [1e300] * 12,
        [-5] * 12,
        [False] * 12,
        ["red"] * 8 + ["blue"] * 4,
        np.full((12, 3), 1 / 3, dtype=np.float32),
    ],
)
def test_features_that_are_the_same_for_all_training_samples_are_dropped(values):
    suite = build(columns={"x": values}, inputs=("x", "age"))
    assert suite.inputs.shape == (8, 1)
    assert suite.meta["dropped_count"] == len(suite.meta["dropped"]) == np.size(values) // N
    assert refused(**of(values)).found == "the same values in every training sample"


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_the_unit_of_a_number_does_not_matter(scale):
    suite = build(**of([value * scale for value in AGE]))
    np.testing.assert_allclose(suite.inputs, build().inputs, rtol=1e-5)


def with_value(value, row=4):
    return [*AGE[:row], value, *AGE[row + 1 :]]


@pytest.mark.parametrize(
    ("values", "place", "found"),
    [
        (with_value(None), "file.csv, row 5, column 'x'", "no number (an empty cell or NaN)"),
        (with_value(float("nan"), 11), "file.csv, row 12, column 'x'", "no number (an empty cell or NaN)"),
        (with_value(-float("inf")), "file.csv, row 5, column 'x'", "an infinite number"),
        (np.where(np.eye(12, 3) > 0, np.nan, 1.0), "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
        ([None, *range(11)], "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
        ([None, True] * 6, "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
        ([None, "red"] * 6, "file.csv, row 1, column 'x'", "no value"),
        ([None] * 12, "file.csv, column 'x'", "no value at all"),
        (np.zeros((12, 0)), "file.csv, column 'x'", "arrays without numbers"),
        (with_value(1e300, 10), "file.csv, row 11, column 'x'", "a number far beyond those of the training samples"),
    ],
)
def test_inputs_that_no_model_can_take_are_refused_with_their_row(values, place, found):
    error = refused(**of(values))
    assert (error.place, error.found) == (place, found)


def test_the_message_counts_the_rows_that_are_missing():
    assert "5 rows of this column" in refused(**of([None, 1.0, 2.0, None] * 2 + [None, 1.0, 2.0, 3.0])).fix


def many(words):
    """Hundreds of rows in two tasks, with one word each in column x."""
    count = len(words)
    return {
        "source": ["a", "b"] * (count // 2), "label": ["cat", "dog", "dog", "cat"] * (count // 4),
        "split": ["train"] * (count - 4) + ["test"] * 4, "age": [1.0] * count, "x": words,
    }  # fmt: skip


def test_text_of_many_values_is_no_feature():
    assert build(columns=many([f"w{i % 50}" for i in range(200)]), inputs=("x",)).inputs.shape == (196, 50)
    error = refused(columns=many([f"w{i % 51}" for i in range(200)]), inputs=("x",))
    assert (error.place, error.found) == ("file.csv, column 'x'", "text with 51 different values")


def test_the_word_that_makes_text_of_a_column_of_numbers_is_named():
    words = [f"{i}.5" for i in range(200)]
    words[70] = words[90] = "n/a"
    error = refused(columns=many(words), inputs=("x",))
    assert error.place == "file.csv, row 71, column 'x'"
    assert error.found == "'n/a' in a column of numbers"


def test_features_that_would_not_fit_into_memory_are_refused():
    error = refused(**of(np.zeros((12, 100_000), dtype=np.uint8) + np.arange(12, dtype=np.uint8)[:, None]),
                    limits=Limits(unpacked_megabytes=4))  # fmt: skip
    assert (error.found, error.expected) == ("5 MiB in memory", "at most 4 MiB")


# ---- images


@pytest.mark.parametrize(
    ("shape", "layout", "axes"),
    [
        ((5, 6), "grey", None),
        ((5, 6, 3), "channels last", (0, 3, 1, 2)),
        ((5, 6, 1), "channels last", (0, 3, 1, 2)),
        ((4, 5, 6), "channels first", (0, 1, 2, 3)),
        ((3, 6, 3), "channels last, though", (0, 3, 1, 2)),
    ],
)
def test_images_have_their_channels_first(shape, layout, axes):
    raw = images(*shape)
    suite = build(**of(raw), kind="image")
    expected = raw[:, None] if axes is None else raw.transpose(axes)
    got = np.concatenate([suite.inputs, suite.test_inputs])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected / 255, rtol=1e-6)
    assert suite.meta["layout"].startswith(layout)
    assert suite.meta["scaling"] == "divided by 255"


def test_numbers_between_0_and_1_are_pixels_as_they_are():
    raw = RNG.random((N, 4, 4))
    suite = build(**of(raw), kind="image")
    np.testing.assert_array_equal(suite.inputs[:, 0], raw[:8].astype(np.float32))
    assert suite.meta["scaling"] == "as they are"


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
def test_other_pixels_are_standardised_per_channel(kind):
    raw = (RNG.integers(-9, 90, (N, 4, 5, 3)) * [1, 2, 3]).astype(kind)
    suite = build(**of(raw), kind="image")
    np.testing.assert_allclose(suite.inputs.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(suite.inputs.std(axis=(0, 2, 3)), 1, rtol=1e-5)
    flat = raw[:8].reshape(-1, 3).astype(np.float64)
    expected = (raw[8:] - flat.mean(axis=0)) / flat.std(axis=0)
    np.testing.assert_allclose(suite.test_inputs, expected.transpose(0, 3, 1, 2), rtol=1e-4, atol=1e-5)
    assert suite.meta["scaling"].startswith("standardised per channel")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (AGE, "single values"),
        (np.zeros((12, 64)), "64 numbers per sample"),
        (np.zeros((12, 5, 6, 7)), "5 x 6 x 7 numbers per sample"),
        (np.zeros((12, 0, 3)), "0 x 3 numbers per sample"),
        (np.zeros((12, 2, 2, 2, 2)), "2 x 2 x 2 x 2 numbers per sample"),
        (np.ones((12, 4, 4)), "1.0 in every pixel"),
        (LABEL, "text"),
        (np.where(np.eye(12)[:, :, None] > 0, np.nan, 1.0), "no number (an empty cell or NaN)"),
        (np.where(np.arange(12)[:, None, None] == 11, 1e300, RNG.normal(size=(12, 3, 3))),
         "a number far beyond those of the training samples"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(values, found):
    assert refused(**of(values), kind="image").found == found


def test_images_stand_in_one_column():
    assert refused(inputs=("age", "source"), kind="image").found == "2 columns"


# ---- text


def test_texts_are_embedded_training_samples_first():
    seen = []

    def embed(texts):
        seen.append(texts)
        return lengths(texts)

    split = ["test", "train", "train"] * 4
    labels = ["cat", "dog", "dog", "cat", "cat", "cat"] * 2
    suite = build(columns={"x": TEXTS, "split": split, "label": labels}, inputs=("x",), kind="text", embed=embed)
    assert len(seen) == 1
    assert seen[0] == [TEXTS[i] for i in (1, 2, 4, 5, 7, 8, 10, 11, 0, 3, 6, 9)]
    assert suite.inputs.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([suite.inputs, suite.test_inputs]), lengths(seen[0]))


def test_several_columns_of_text_are_read_one_after_the_other():
    columns = {"title": ["T", None, "", "T"] * 3, "body": TEXTS}
    seen = []
    build(columns=columns, inputs=("title", "body"), kind="text", embed=lambda t: seen.extend(t) or lengths(t))
    assert seen[:3] == [f"T\n{TEXTS[0]}", TEXTS[1], TEXTS[2]]


@pytest.mark.parametrize(
    ("change", "place", "found"),
    [
        ({"x": [*TEXTS[:3], None, *TEXTS[4:]]}, "file.csv, row 4, column 'x'", "no text"),
        ({"x": [*TEXTS[:3], " \n", *TEXTS[4:]]}, "file.csv, row 4, column 'x'", "no text"),
        ({"x": AGE}, "file.csv, column 'x'", "numbers"),
        ({"x": np.zeros((12, 2))}, "file.csv, column 'x'", "arrays"),
        ({"x": [None] * 12}, "file.csv, column 'x'", "no value at all"),
    ],
)
def test_what_is_no_text_is_refused(change, place, found):
    error = refused(columns=change, inputs=("x",), kind="text", embed=lengths)
    assert (error.place, error.found) == (place, found)


def test_text_needs_an_encoder():
    assert refused(**of(TEXTS), kind="text").found == "text without an encoder"


@pytest.mark.parametrize(
    "embed",
    [
        lambda texts: lengths(texts)[1:],
        lambda texts: lengths(texts)[:, 0],
        lambda texts: lengths(texts)[:, :0],
        lambda texts: np.array(texts)[:, None],
        lambda texts: lengths(texts) * np.nan,
        lambda texts: lengths(texts) * 1e300,
    ],
)
def test_an_encoder_that_makes_no_numbers_is_refused(embed):
    assert refused(**of(TEXTS), kind="text", embed=embed).place == "encoder"


# ---- tokens


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float64])
def test_tokens_stay_whole_numbers(kind):
    raw = RNG.integers(0, 50, (N, 7)).astype(kind)
    suite = build(**of(raw), kind="tokens")
    assert suite.inputs.dtype == suite.test_inputs.dtype == np.int64
    np.testing.assert_array_equal(np.concatenate([suite.inputs, suite.test_inputs]), raw)
    assert suite.meta["largest_token"] == raw.max()


def test_columns_of_whole_numbers_are_tokens_in_their_order():
    suite = build(columns={"a": list(range(12)), "op": [50] * 12}, inputs=("op", "a"), kind="tokens")
    np.testing.assert_array_equal(suite.inputs, [[50, i] for i in range(8)])


@pytest.mark.parametrize(
    ("values", "place", "found"),
    [
        (np.where(np.eye(12, 3) > 0, -1, 5), "file.csv, row 1, column 'x'", "-1"),
        (np.where(np.eye(12, 3)[::-1] > 0, 10**9, 5), "file.csv, row 10, column 'x'", "1000000000"),
        ([0.5] * 12, "file.csv, row 1, column 'x'", "0.5"),
        (LABEL, "file.csv, column 'x'", "text"),
        (np.zeros((12, 2, 2), dtype=int), "file.csv, column 'x'", "2 x 2 numbers per sample"),
        (np.zeros((12, 0), dtype=int), "file.csv, column 'x'", "0 numbers per sample"),
        ([None, 1] * 6, "file.csv, row 1, column 'x'", "no number (an empty cell or NaN)"),
    ],
)
def test_what_is_no_token_is_refused(values, place, found):
    error = refused(**of(values), kind="tokens")
    assert (error.place, error.found) == (place, found)
