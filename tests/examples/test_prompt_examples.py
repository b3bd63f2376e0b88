"""The coin flips and the movie reviews: right answers, balance, nothing shared; how the reviews are drawn."""

import hashlib
import re
from collections import Counter

import pandas as pd
import pytest
from sentence_archive import sdist

from kernelsm import InputError
from kernelsm.examples.coin_flip.example import coin_flip
from kernelsm.examples.example import PROMPT_SIZES
from kernelsm.examples.movie_reviews.example import CLEAR, LONGEST, REVIEWS, build_reviews, movie_reviews
from kernelsm.examples.sentiment.sentences import SOURCES

EXAMPLES = [coin_flip, movie_reviews]


def bare(text):
    return "".join(filter(str.isalnum, text.casefold()))


@pytest.mark.parametrize("example", EXAMPLES)
def test_sizes_are_as_promised_and_labels_balanced_in_each_group(example):
    task = example()
    for group, size in {"candidates": 50, "queries": 100, "fresh": 200}.items():
        assert Counter(one.label for one in getattr(task, group)) == dict.fromkeys(task.labels, size // 2)
    assert (task.K, task.k) == (50, 4)
    assert example(k=6).k == 6


@pytest.mark.parametrize("example", EXAMPLES)
def test_no_text_is_there_twice(example):
    task = example()
    texts = [bare(one.text) for one in (*task.candidates, *task.queries, *task.fresh)]
    assert len(set(texts)) == len(texts) == 350


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_the_same_every_time_and_its_labels_are_mixed(example):
    assert example().content_hash == example().content_hash
    labels = [one.label for one in example().candidates]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))


def test_coins_are_flipped_right():
    task = coin_flip()
    pattern = re.compile(
        r"A coin is heads up\. (\w+) (flips|does not flip) the coin\. (\w+) (flips|does not flip) the coin\. "
        r"Is the coin still heads up\?"
    )
    ways = Counter()
    for one in (*task.candidates, *task.queries, *task.fresh):
        first, act, second, other = pattern.fullmatch(one.text).groups()
        assert one.label == ("yes" if act == other else "no")
        assert first != second
        ways[act, other] += 1
    assert max(ways.values()) - min(ways.values()) <= 1
    assert len(ways) == 4


def test_a_coin_flip_prompt_reads_as_in_the_paper():
    task = coin_flip()
    shown = task.candidates[0]
    assert task.template.prompt([shown], task.queries[0]) == (
        f"Q: {shown.text}\nA: {shown.label}\n\nQ: {task.queries[0].text}\nA:"
    )


def test_another_seed_flips_other_coins():
    assert coin_flip(seed=1).content_hash != coin_flip().content_hash


def test_reviews_are_clear_short_and_labelled_by_their_ratings():
    rows = pd.read_csv(REVIEWS, keep_default_na=False)
    assert (rows["rating"].abs() >= CLEAR).all()
    assert (rows["rating"] > 0).eq(rows["label"] == "positive").all()
    assert rows["text"].str.len().between(10, LONGEST).all()
    assert not rows["text"].str.contains(r"&(?:amp|lt|gt|quot|#\d+);|[\x00-\x1f\x7f-\x9f\ufffd]|\u00c3.").any()
    assert rows["text"].str.contains("\u00e9").any()
    assert REVIEWS.stat().st_size < 100_000


def test_the_shipped_reviews_are_what_the_task_holds():
    rows = pd.read_csv(REVIEWS, keep_default_na=False)
    task = movie_reviews()
    for group in PROMPT_SIZES:
        part = rows[rows["group"] == group]
        found = [(one.text, one.label) for one in getattr(task, group)]
        assert found == list(zip(part["text"], part["label"], strict=True))


@pytest.fixture
def rated():
    """Just enough clear reviews, none of which may be left out."""
    rows = {source: [] for source in SOURCES}
    rows["movie reviews"] = [(rating, f"film number {i} {rating > 0}") for i in range(175) for rating in (-2.0, 3.5)]
    return rows


def test_all_that_is_needed_is_drawn_the_same_way_each_time(tmp_path, rated):
    archive = sdist(tmp_path / "a.tar.gz", rated)
    drawn = build_reviews(archive)
    assert sorted(drawn["text"]) == sorted(text for _, text in rated["movie reviews"])
    assert drawn.groupby(["group", "label"]).size().to_dict() == {
        (group, label): size // 2 for group, size in PROMPT_SIZES.items() for label in ("positive", "negative")
    }
    assert drawn.equals(build_reviews(archive))
    assert not drawn.equals(build_reviews(archive, seed=1))


@pytest.mark.parametrize(
    ("rating", "text"),
    [
        (1.99, "not clear enough this"),
        (-1.99, "not clear enough this"),
        (0.0, "not clear enough this"),
        (3.0, "too short"),
        (3.0, "long " * 31),
        (3.0, "FILM number: 0, true"),  # there already
        (-3.0, "What a stupid bitch."),
    ],
)
def test_unfit_reviews_are_left_out(tmp_path, rated, rating, text):
    rated["movie reviews"].append((rating, text))
    assert text.strip() not in set(build_reviews(sdist(tmp_path / "a.tar.gz", rated))["text"])


def test_other_sources_are_not_drawn_from(tmp_path, rated):
    rated["tweets"] = [(3.0, f"tweet number {i}") for i in range(300)]
    assert not build_reviews(sdist(tmp_path / "a.tar.gz", rated))["text"].str.startswith("tweet").any()


def test_too_few_clear_reviews_are_refused(tmp_path, rated):
    rated["movie reviews"].pop()
    with pytest.raises(InputError, match=r"positive movie reviews: found 174 clear ones; expected at least 175"):
        build_reviews(sdist(tmp_path / "a.tar.gz", rated))


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(hashlib.sha256(b"no archive").digest())
    with pytest.raises(InputError) as caught:
        build_reviews(path)
    assert caught.value.place == "a.tar.gz"
