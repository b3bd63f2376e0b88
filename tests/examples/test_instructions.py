"""The example of a language model: its texts, and what its results say of the sources that were made on purpose."""

import json
from collections import Counter

import numpy as np
import pytest

from kernelsm import default_surrogate, load_example, load_truth
from kernelsm.evaluation.truth import score_estimates
from kernelsm.examples.catalog import EXAMPLES, RECIPES, get_example, load_estimates_of_truth
from kernelsm.examples.instructions.example import INSTRUCTIONS_EXAMPLE
from kernelsm.examples.instructions.sources import COPY, INSTRUCTIONS, SWAPPED, TEST, TRAINING, _swapped
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.build import group_sizes
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.tasks.suite import NEXT_TOKENS

RATED = ("product reviews", "movie reviews", "editorials", "tweets")


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in INSTRUCTIONS.read_text(encoding="utf-8").splitlines()]


def of(rows, source, split="train"):
    return [(row["prompt"], row["completion"]) for row in rows if (row["source"], row["split"]) == (source, split)]


def test_ten_sources_have_texts_for_training_and_testing_and_two_more_for_training_alone(rows):
    counts = Counter((row["source"], row["split"]) for row in rows)
    tested = {source for source, split in counts if split == "test"}
    assert len(tested) == 10
    assert all(counts[source, "train"] == TRAINING for source in (*tested, COPY, SWAPPED))
    assert all(counts[source, "test"] == TEST for source in tested)
    assert {source for source, _ in counts} == tested | {COPY, SWAPPED}


def test_the_copy_is_one_and_the_swapped_answers_are_of_other_sentences(rows):
    assert of(rows, COPY) == of(rows, "tweets")
    swapped = of(rows, SWAPPED)
    clean = {*of(rows, "movie reviews"), *of(rows, "movie reviews", "test")}
    assert not {prompt for prompt, _ in swapped} & {prompt for prompt, _ in clean}
    from kernelsm.examples.sentiment.sentences import load_sentences

    sentences = load_sentences().set_index("text")["sentiment"]
    for prompt, answer in swapped:
        assert _swapped(answer) == f" {sentences[prompt.partition(chr(10))[0]]}"


def test_no_test_text_is_trained_on(rows):
    trained = {(row["prompt"], row["completion"]) for row in rows if row["split"] == "train"}
    assert not [row for row in rows if row["split"] == "test" and (row["prompt"], row["completion"]) in trained]


@pytest.mark.parametrize("source", RATED)
def test_answers_are_balanced(rows, source):
    for split in ("train", "test"):
        answers = Counter(answer for _, answer in of(rows, source, split))
        assert answers[" positive"] == answers[" negative"]


def test_the_recipe_counts_what_is_there_and_a_user_would_have_guessed_the_same():
    samples = read_samples(INSTRUCTIONS)
    mapping = guess_mapping(samples)
    assert (mapping.objective, mapping.label, mapping.inputs) == (NEXT_TOKENS, "completion", ("prompt",))
    tasks, targets = group_sizes(samples, mapping)
    size = INSTRUCTIONS_EXAMPLE.recipe.counted
    assert (size.tasks, size.samples, size.test_samples) == (len(tasks.names), sum(tasks.sizes), sum(targets.sizes))
    assert np.array_equal(sorted(tasks.sizes), [TRAINING] * 12)


def test_it_is_listed_once_its_results_are_finished_and_can_be_computed_before():
    finished = INSTRUCTIONS_EXAMPLE.is_finished
    assert ("instructions" in EXAMPLES) == ("instructions" in RECIPES) == finished
    assert get_example("instructions") is INSTRUCTIONS_EXAMPLE
    assert finished == (INSTRUCTIONS_EXAMPLE.folder / "checks.json").exists()


def test_the_swapped_source_is_found_to_hurt_and_the_copy_to_do_what_its_original_does():
    outcomes = load_example("instructions")
    names = list(outcomes.task_names)
    swapped, tweets, copy = names.index(SWAPPED), names.index("tweets"), names.index(COPY)
    found = default_surrogate().fit_outcomes(outcomes.target("movie reviews")).attribution("leave_one_out")
    effects, margins = found.values[:, 0], found.margin()[:, 0]
    assert found.told_from_zero()[swapped]
    assert effects[swapped] == effects.max()
    assert abs(effects[copy] - effects[tweets]) <= margins[copy] + margins[tweets] + 0.05 * abs(effects[tweets])


def test_the_estimates_rank_the_subsets_as_real_fine_tuning_does():
    truth, estimates = load_truth("instructions"), load_estimates_of_truth("instructions")
    assert truth.meta["estimator"] == "fine_tuning"
    assert np.array_equal(truth.masks, estimates.masks)
    assert score_estimates(truth, estimates)["lds"] > 0.3
