"""The shipped sentences, and how they are drawn from the published archive."""

import numpy as np
import pytest
from sentence_archive import sdist

from kernelsm import InputError
from kernelsm.examples.sentiment.sentences import (
    BANDS,
    LONGEST,
    SENTENCES,
    SOURCES,
    TEST,
    TRAINING,
    band_of,
    build_sentences,
    load_sentences,
)


def bare(text):
    return "".join(filter(str.isalnum, text.casefold()))


@pytest.fixture
def rows():
    """Just enough sentences of each source and band, none of which may be left out."""
    levels = (-2.5, -1.0, 1.0, 2.5)
    return {
        source: [
            (level, f"{source} say word {i} {j}") for j, level in enumerate(levels) for i in range(TRAINING + TEST)
        ]
        for source in SOURCES
    }


@pytest.fixture(scope="module")
def shipped():
    return load_sentences()


def test_every_source_and_band_has_its_sentences(shipped):
    counts = shipped.groupby(["source", "band", "split"]).size()
    assert len(shipped) == 2400
    assert set(counts.xs("train", level="split").items()) == {((s, b), 112) for s in SOURCES for b in BANDS}
    assert set(counts.xs("test", level="split").items()) == {((s, b), 38) for s in SOURCES for b in BANDS}


def test_sentiments_are_balanced_in_every_source_and_split(shipped):
    assert shipped.groupby(["source", "split", "sentiment"]).size().unstack().nunique(axis=1).eq(1).all()


def test_labels_and_bands_agree_with_the_ratings(shipped):
    rating = shipped["rating"]
    assert (np.where(rating > 0, "positive", "negative") == shipped["sentiment"]).all()
    assert shipped["band"].map(lambda band: band.split()[1]).eq(shipped["sentiment"]).all()
    assert ((rating.abs() >= 1.5) == shipped["band"].str.startswith("strongly")).all()
    assert rating.abs().between(0.5, 4).all()
    assert shipped["band"].eq(rating.map(band_of)).all()


def test_no_sentence_is_there_twice_whatever_its_case_and_punctuation(shipped):
    assert not shipped["text"].map(bare).duplicated().any()


def test_sentences_are_clean_text(shipped):
    text = shipped["text"]
    assert text.str.len().between(10, LONGEST).all()
    assert text.str.split().str.len().min() >= 3
    assert not text.str.contains(r"&(?:amp|lt|gt|quot|#\d+);|[\x00-\x1f\x7f-\x9f\ufffd]|\u00c3.|\u00e2\u0080").any()
    assert text.str.contains("\u00e9").any()  # accents have come through


def test_the_first_rows_show_what_there_is(shipped):
    head = shipped.head(100)
    assert (head["source"].nunique(), head["band"].nunique(), head["split"].nunique()) == (4, 4, 2)


def test_the_shipped_file_is_small_and_has_its_licence_beside_it():
    assert SENTENCES.stat().st_size < 450_000
    assert "Hutto" in (SENTENCES.parent / "LICENSE-vaderSentiment.txt").read_text()
    assert "2014" in (SENTENCES.parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("rating", "band"),
    [(-4, "strongly negative"), (-1.5, "strongly negative"), (-1.49, "mildly negative"), (0.5, "mildly positive"),
     (1.49, "mildly positive"), (1.5, "strongly positive")],
)  # fmt: skip
def test_bands_end_where_they_say(rating, band):
    assert band_of(rating) == band


def test_all_that_is_needed_is_drawn_the_same_way_each_time(tmp_path, rows):
    archive = sdist(tmp_path / "a.tar.gz", rows)
    drawn = build_sentences(archive)
    assert sorted(drawn["text"]) == sorted(text for group in rows.values() for _, text in group)
    assert drawn.equals(build_sentences(archive))
    assert not drawn.equals(build_sentences(archive, seed=1))
    assert drawn["split"].value_counts().to_dict() == {"train": 16 * TRAINING, "test": 16 * TEST}


@pytest.mark.parametrize(
    ("rating", "text"),
    [
        (0.4, "nearly neutral it is"),
        (-0.49, "nearly neutral it is"),
        (2.5, ""),
        (2.5, "too short"),
        (2.5, "@anonymous #hashtag http://url good :)"),
        (2.5, "long " * 60),
        (2.5, "Product REVIEWS say: word 0 3!!"),  # there already
        (-2.5, "What a stupid bitch."),
    ],
)
def test_unfit_sentences_are_left_out(tmp_path, rows, rating, text):
    rows["tweets"].append((rating, text))
    assert text.strip() not in set(build_sentences(sdist(tmp_path / "a.tar.gz", rows))["text"])


def test_entities_and_spaces_are_mended_and_ratings_rounded(tmp_path, rows):
    rows["tweets"][0] = (-2.726315789, "Rock &amp;amp; roll &lt;3  \u00e0 la  carte")
    drawn = build_sentences(sdist(tmp_path / "a.tar.gz", rows)).set_index("text")
    assert drawn.loc["Rock & roll <3 \u00e0 la carte", ["rating", "band"]].tolist() == [-2.73, "strongly negative"]


def test_too_few_sentences_are_refused(tmp_path, rows):
    rows["editorials"].pop()
    with pytest.raises(
        InputError, match=r"editorials, strongly positive: found 149 sentences; expected at least 150"
    ):
        build_sentences(sdist(tmp_path / "a.tar.gz", rows))


@pytest.mark.parametrize("change", ["missing", "no archive", "cut short", "other archive", "latin", "no rating"])
def test_other_archives_are_refused(tmp_path, rows, change):
    path = tmp_path / "a.tar.gz"
    if change == "no archive":
        path.write_text("Not an archive.")
    elif change == "other archive":
        sdist(path, rows, inside="something.tar.gz")
    elif change == "latin":
        rows["tweets"][0] = (2.5, "caf\u00e9 au lait")
        sdist(path, rows, encoding="latin-1")
    elif change == "no rating":
        rows["tweets"][0] = ("good", "three words here")
        sdist(path, rows)
    elif change == "cut short":
        sdist(path, rows)
        path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError) as caught:
        build_sentences(path)
    assert caught.value.place == "a.tar.gz"
    assert caught.value.fix
