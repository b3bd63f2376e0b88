"""Hugging Face classifiers in a project: what is proved on the user's samples, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import family_network
from text_models import brought, saved

from kernelsm import InputError
from kernelsm.app.data.network_facts import network_sentences
from kernelsm.estimators.recipe import Rates
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.pipelines.compute import initial_model

RATES = Rates(
    base=0.0, gradients=dict.fromkeys(PROJECTIONS, 0.1), gradex={"exact": 1.0, "projected": 1.0}, retraining=1.0
)


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates made up: what is measured has tests of its own."""
    monkeypatch.setattr("kernelsm.pipelines.prepare.measure_rates", lambda *_, **named: RATES)


@pytest.mark.parametrize(
    ("family", "reading", "said"),
    [
        ("Bert", "finished mask", "one sample at a time."),
        ("DebertaV2", "own mask", "by the mask of its own code"),
        ("XLNet", "without padding", "texts of one length together"),
    ],
)
def test_a_projects_network_gives_the_logits_of_its_own_code(
    tmp_path: Path, family: str, reading: str, said: str
) -> None:
    project = brought(saved(tmp_path, family))
    proof = project.about["proof"]
    assert (proof["family"], proof["reading"], proof["samples"]) == (f"{family}ForSequenceClassification", reading, 4)
    assert project.recipe.config["reading"] == reading
    (sentence,) = network_sentences(project.about)
    assert f"{family}ForSequenceClassification" in sentence
    assert said in sentence
    model = initial_model(project.recipe, 0)
    suite = project.recipe.suite()
    padded = torch.from_numpy(suite.inputs)
    own = family_network(family)
    with torch.no_grad():
        found = model(padded)
        for row, tokens in zip(found, padded, strict=True):
            expected = own(input_ids=tokens[tokens != 1][None]).logits[0]
            torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-4)


def test_a_network_that_was_trained_here_has_nothing_to_prove() -> None:
    assert network_sentences({}) == []


def test_a_model_that_its_own_code_cannot_run_is_refused_by_name(tmp_path: Path) -> None:
    # its head looks for the end mark, of another number than the tokenizer's
    folder = saved(tmp_path, "T5", eos_token_id=30)
    with pytest.raises(InputError) as caught:
        brought(folder)
    assert caught.value.place == "mine.zip"
    assert "T5ForSequenceClassification" in caught.value.found
    assert "python -m kernelsm features" in caught.value.fix
