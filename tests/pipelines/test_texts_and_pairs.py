"""Texts for a classifier: pairs as its tokenizer joins them, lengths as the network has them, and what got lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import family_network
from text_models import MAPPING, VOCABULARY, brought, reviews, saved

from kernelsm.app.data.network_facts import text_sentences
from kernelsm.estimators.recipe import Rates
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.models.model_folders import tokenize
from kernelsm.pipelines.compute import initial_model
from kernelsm.tasks.mapping import TaskRule
from kernelsm.workspace.requests import ALL_TOKENS

RATES = Rates(
    base=0.0, gradients=dict.fromkeys(PROJECTIONS, 0.1), gradex={"exact": 1.0, "projected": 1.0}, retraining=1.0
)
PAIRS = replace(MAPPING, inputs=("text", "second"))
SECOND = ["not a good film" if row % 2 else "the plot was dull" for row in range(60)]


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelsm.pipelines.prepare.measure_rates", lambda *_, **named: RATES)


def numbers(text: str) -> list[int]:
    return [VOCABULARY.index(word) for word in text.split()]


@pytest.mark.parametrize(
    ("family", "typed"), [("Bert", True), ("Albert", True), ("Roberta", False), ("DistilBert", False)]
)
def test_two_columns_of_text_go_to_the_tokenizer_as_a_pair(tmp_path: Path, family: str, typed: bool) -> None:
    texts = ["good film" if row % 3 else "bad" for row in range(60)]
    project = brought(saved(tmp_path, family), reviews(text=texts, second=SECOND), PAIRS)
    suite = project.recipe.suite()
    assert suite.inputs.ndim == (3 if typed else 2)
    both = np.concatenate([suite.inputs, suite.test_inputs])
    seen = set()
    for row in both:
        ids, types = row if typed else (row, None)
        tokens = ids[ids != 1].tolist()
        seen.add(tuple(tokens))
        if types is not None:
            first = tokens.index(2) + 1
            assert types.tolist() == [0] * first + [1] * (len(tokens) - first) + [0] * (len(ids) - len(tokens))
    expected = {
        (0, *numbers(text), 2, *numbers(second), 2) for text, second in zip(texts, SECOND, strict=True)
    }  # fmt: skip
    assert seen == expected
    # the network is run as its family runs a pair
    model, own = initial_model(project.recipe, 0), family_network(family)
    with torch.no_grad():
        found = model(torch.from_numpy(suite.inputs[:8]))
        for row, logits in zip(suite.inputs[:8], found, strict=True):
            ids = torch.from_numpy(row[0] if typed else row)
            given = {"input_ids": ids[ids != 1][None]}
            if typed:
                given["token_type_ids"] = torch.from_numpy(row[1])[ids != 1][None]
            torch.testing.assert_close(logits, own(**given).logits[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("names", "typed"), [(None, False), (["input_ids", "token_type_ids"], True)])
def test_pairs_for_networks_that_read_types_as_words_have_them_where_the_tokenizer_gives_them(
    tmp_path: Path, names: list[str] | None, typed: bool
) -> None:
    folder = saved(tmp_path, "GPT2", words={"model_input_names": names} if names else None)
    suite = brought(folder, reviews(second=SECOND), PAIRS).recipe.suite()
    assert suite.inputs.ndim == (3 if typed else 2)


def test_three_columns_are_read_as_one_text(tmp_path: Path) -> None:
    content = reviews(second=SECOND, third=["fine"] * 60)
    suite = brought(saved(tmp_path), content, replace(MAPPING, inputs=("text", "second", "third"))).recipe.suite()
    assert suite.inputs.ndim == 2


def long_texts(length: int) -> bytes:
    return reviews(text=[" ".join(["good"] * (length if row == 7 else 3)) for row in range(60)])


@pytest.mark.parametrize(("asked", "read"), [(ALL_TOKENS, 40), (16, 16), (128, 40)])
def test_lengths_follow_the_network_and_what_is_asked(tmp_path: Path, asked: int, read: int) -> None:
    project = brought(saved(tmp_path), long_texts(60), tokens=asked)
    assert project.recipe.suite().inputs.shape[1] == read
    assert text_sentences(project.about) == [f"1 of 60 texts were cut at {read} tokens."]
    fitting = brought(saved(tmp_path), long_texts(10), tokens=asked)
    assert fitting.recipe.suite().inputs.shape[1] == 12
    assert text_sentences(fitting.about) == []


def test_a_network_without_a_limit_reads_what_there_is(tmp_path: Path) -> None:
    project = brought(saved(tmp_path, "Bloom"), long_texts(200), tokens=ALL_TOKENS)
    assert project.recipe.suite().inputs.shape[1] == 202
    assert text_sentences(project.about) == []


def test_texts_of_an_unknown_script_are_said_with_those_that_became_equal(tmp_path: Path) -> None:
    thai = ["หนังดี มาก", "หนังแย่ มาก", "ไม่ชอบ เลย", "ชอบ มาก", "น่าเบื่อ จริง", "สนุก ดี"]
    content = reviews(text=[thai[row % 6] for row in range(60)])
    (said,) = text_sentences(brought(saved(tmp_path), content).about)
    assert said.startswith("100% of the tokens stand for words or signs that the tokenizer does not know")
    assert "5 different texts became the same as another" in said


def test_cut_and_unknown_tokens_are_counted_by_the_tokenizer(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    found = tokenize(folder, ["good good good film", "good good bad", "good", "odd film"], 5)
    assert (found.most, found.cut, found.equal) == (5, 1, 0)
    assert found.unknown == pytest.approx(1 / 9)
    assert tokenize(folder, ["good good good film", "good good good bad"], 5).equal == 1
    pair = tokenize(folder, ["good"], 20, second=["bad film"], types=True)
    assert pair.types is not None
    assert pair.types.tolist() == [[0, 0, 0, 1, 1, 1]]
    assert pair.inputs.shape == (1, 2, 6)
    assert tokenize(folder, ["good"], 20, types=True).inputs.shape == (1, 3)
    facts: dict[str, Any] = {"of": 1, "tokens": 20, "cut": 0, "unknown": 0.0, "equal": 0}
    assert pair.facts == facts


def test_texts_are_clustered_by_what_a_sentence_encoder_makes_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def embedded(texts: list[str], *_: Any, **named: Any) -> np.ndarray:
        asked.append(len(texts))
        return np.array([[10.0 * ("good" in text), len(text)] for text in texts], dtype=np.float32)

    monkeypatch.setattr("kernelsm.pipelines.prepare.embedded", embedded)
    texts = ["good film" if row % 2 else "bad film" for row in range(60)]
    mapping = replace(PAIRS, tasks=TaskRule("clusters", (), 2))
    suite = brought(saved(tmp_path), reviews(text=texts, second=["fine"] * 60), mapping).recipe.suite()
    assert asked == [60]
    assert suite.inputs.shape[1] == 2  # the network reads pairs all the same
    good = (suite.inputs[:, 0] == VOCABULARY.index("good")).any(axis=1)
    assert len(set(zip(suite.task_of.tolist(), good.tolist(), strict=True))) == suite.K == 2
