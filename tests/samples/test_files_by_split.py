"""Splits as data set hubs publish them: parts of a split, unlabelled test samples, samples that are not used."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernelsm import InputError
from kernelsm.samples.reader import preview_samples, read_samples
from kernelsm.samples.splits import name_parts, split_meaning
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import explain_guess

FILES = Path(__file__).resolve().parents[1] / "own_data"


def embed(texts):
    """A few numbers that differ between texts."""
    return np.array([list(hashlib.sha1(text.encode()).digest()[:4]) for text in texts], dtype=np.float32)


def zipped(folder, **parts):
    """A zip of one CSV for each part, with labels as given; None: six samples without a column of them."""
    path = folder / "parts.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, labels in parts.items():
            count = 6 if labels is None else len(labels)
            rng = np.random.default_rng(count)
            frame = pd.DataFrame({"x": rng.normal(size=count), "y2": rng.normal(size=count), "label": labels})
            if labels is None:
                frame = frame.drop(columns="label")
            archive.writestr(f"data/{name}.csv", frame.to_csv(index=False))
    return path


def suite_of(path):
    samples = read_samples(path)
    return build_suite(samples, explain_guess(samples).mapping, embed=embed)


LABELS = [0, 1] * 10


def test_both_parts_of_a_validation_split_are_targets():
    samples = read_samples(FILES / "two_validation_parts.zip")
    guess = explain_guess(samples)
    assert guess.mapping.inputs == ("premise", "hypothesis")
    assert guess.mapping.target == "split"
    assert "several parts" in guess.reasons["target"]
    suite = build_suite(samples, guess.mapping, embed=embed)
    assert suite.target_names == ("validation_matched", "validation_mismatched")
    assert np.bincount(suite.target_of).tolist() == [20, 20]


def test_the_labelled_validation_part_is_tested_where_test_labels_are_kept_back():
    suite = suite_of(FILES / "unlabelled_test.zip")
    assert (len(suite.labels), len(suite.test_labels), suite.classes) == (60, 20, 2)
    assert suite.meta["split_notes"] == [
        "None of the 20 test samples has a label (empty, or -1): the 20 validation samples are tested instead."
    ]


@pytest.mark.parametrize("hidden", [[-1] * 6, [None] * 6, [-1.0, None] * 3])
@pytest.mark.parametrize("labels", [LABELS, [f"c{label}" for label in LABELS], [label == 1 for label in LABELS]])
def test_labels_that_are_kept_back_are_empty_or_minus_one(tmp_path, hidden, labels):
    if isinstance(labels[0], str | bool):
        hidden = [None] * 6
    suite = suite_of(zipped(tmp_path, train=labels, validation=labels[:8], test=hidden))
    assert (len(suite.test_labels), suite.classes) == (8, 2)


def test_minus_one_is_a_label_where_training_samples_have_it(tmp_path):
    suite = suite_of(zipped(tmp_path, train=[-1, 1] * 10, validation=[1] * 8, test=[-1] * 6))
    assert len(suite.test_labels) == 6
    assert suite.meta["split_notes"] == ["8 validation samples were left out: there are test samples."]


def test_without_a_labelled_part_the_way_on_is_told(tmp_path):
    with pytest.raises(InputError) as caught:
        suite_of(zipped(tmp_path, train=LABELS, test=[-1] * 6))
    assert caught.value.found == "no label on any of the 6 test samples (empty, or -1)"
    assert "validation" in caught.value.fix


def test_unsupervised_samples_are_left_out(tmp_path):
    suite = suite_of(zipped(tmp_path, train=LABELS, test=LABELS[:6], unsupervised=[-1] * 30))
    assert (len(suite.labels), len(suite.test_labels), suite.classes) == (20, 6, 2)
    assert suite.meta["split_notes"] == ["30 samples without labels (unsupervised) were left out."]


def test_a_column_may_name_parts_too(tmp_path):
    split = ["train"] * 20 + ["validation_matched"] * 8 + ["validation_mismatched"] * 8 + ["unsupervised"] * 4
    frame = pd.DataFrame({"x": np.arange(40.0) % 7, "label": np.arange(40) % 2, "split": split})
    frame.to_csv(tmp_path / "t.csv", index=False)
    suite = suite_of(tmp_path / "t.csv")
    assert suite.target_names == ("validation_matched", "validation_mismatched")
    told = SampleMapping("label", ("x",), "tabular", TaskRule("label"), "split")
    assert build_suite(read_samples(tmp_path / "t.csv"), told).target_names == ("all",)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train", "test"], ["train", "test"]),
        (["train-a", "train-b", "test"], ["train", "train", "test"]),
        (["test-00", "test-01", "train"], ["test", "test", "train"]),
        (["test_part1", "test_part2"], ["test", "test"]),
        (["validation_matched", "validation_mismatched"], ["validation_matched", "validation_mismatched"]),
        (["test", "test_hard"], ["test", "test_hard"]),
        (["dev_a", "val_b"], ["validation_a", "validation_b"]),
        (["unsupervised", "x"], ["unsupervised", ""]),
        (["fit", "holdout"], ["train", "test"]),
        (["train", "held-out", "development"], ["train", "test", "validation"]),
        (["train_images", "curve_fit"], ["train", ""]),
    ],
)
def test_parts_that_have_names_of_their_own_stay_apart(names, splits):
    assert list(name_parts(names).values()) == splits


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("Train ", "train"), ("held-out", "test"), ("VALID", "validation"), ("dev_mismatched", "validation"),
        ("fit", "train"), ("development", "validation"), ("hold_out", "test"), ("curve fit", ""),
        ("test-hard", "test"), ("unlabeled", "unused"), ("trainer", ""), ("", ""), ("latest", ""), ("contest", ""),
    ],
)  # fmt: skip
def test_words_of_splits(word, meaning):
    assert split_meaning(word) == meaning


@pytest.mark.parametrize("labels", [LABELS, [f"c{label}" for label in LABELS], [label / 4 for label in range(20)]])
def test_a_test_part_without_a_column_of_labels_is_one_whose_labels_are_kept_back(tmp_path, labels):
    path = zipped(tmp_path, train=labels, validation=labels[:8], test=None, unsupervised=None)
    samples = read_samples(path)
    assert samples.notes == (
        "The part test has no column 'label' and is left out: validation is tested instead.",
        "The part unsupervised has no column 'label' and is left out.",
    )
    assert preview_samples(path).rows == samples.rows == 28
    suite = suite_of(path)
    assert (len(suite.labels), len(suite.test_labels)) == (20, 8)


def test_with_a_labelled_test_part_only_the_other_one_is_left_out(tmp_path):
    path = zipped(tmp_path, train=LABELS, test=LABELS[:6], unsupervised=None)
    assert read_samples(path).notes == ("The part unsupervised has no column 'label' and is left out.",)
    assert len(suite_of(path).test_labels) == 6


@pytest.mark.parametrize(
    "parts",
    [
        {"train": LABELS, "test": None},
        {"train": LABELS, "validation": None, "test": LABELS},
        {"train": None, "validation": LABELS, "test": None},
    ],
)
def test_parts_that_differ_otherwise_are_refused(tmp_path, parts):
    with pytest.raises(InputError, match="column 'label'"):
        read_samples(zipped(tmp_path, **parts))
