"""Another sentence encoder for the texts of a project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from families import family_network
from text_models import MAPPING, reviews, save_words, sent, zipped

from kernelsm import InputError
from kernelsm.app.data.network_facts import text_sentences
from kernelsm.estimators.recipe import Rates
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.models.sentence_encoder import SentenceEncoder
from kernelsm.pipelines.prepare import prepare
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import PROJECTS, Project
from kernelsm.workspace.requests import NetworkRequest, ProjectRequest

RATES = Rates(
    base=0.0, gradients=dict.fromkeys(PROJECTIONS, 0.1), gradex={"exact": 1.0, "projected": 1.0}, retraining=1.0
)


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelsm.pipelines.prepare.measure_rates", lambda *_, **named: RATES)


def encoder(folder: Path, family: str = "Bert") -> Path:
    network = family_network(family)
    network.base_model.save_pretrained(folder)
    save_words(folder)
    return folder


def made(store: Store, content: bytes | None = None, **named: object) -> Project:
    network = NetworkRequest("train", architecture="logistic", training={"epochs": 2}, **named)  # type: ignore[arg-type]
    request = ProjectRequest("Mine", sent(content or reviews(), "reviews.csv"), MAPPING.to_dict(), network)
    job = ProjectRequest.from_json(request.job().arguments["request"])
    return PROJECTS.load(prepare(job, silent, store))


def test_an_encoder_from_a_zip_or_a_folder_reads_the_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = encoder(tmp_path / "mine")
    store = Store()
    project = made(store, encoder=sent(zipped(folder), "mine.zip"))
    suite = project.recipe.suite()
    assert suite.inputs.shape[1] == 16
    texts = [line.split(",")[0] for line in reviews().decode().splitlines()[1:]]
    expected = SentenceEncoder(folder).embed(texts)
    both = np.concatenate([suite.inputs, suite.test_inputs])
    for row in both:
        assert np.abs(expected - row).max(axis=1).min() < 1e-4
    with pytest.raises(InputError, match="KERNELSM_ALLOW_PATHS=1"):
        made(Store(), encoder_path=str(folder))
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    again = Store()
    made(again, encoder_path=str(folder))
    assert again.reused  # the same encoder and texts: nothing is embedded again
    # an encoder of other weights is another
    (folder / "tokenizer_config.json").write_text("{}")
    other = Store()
    made(other, encoder_path=str(folder))
    assert other.computed > again.computed


def test_texts_that_the_encoder_does_not_know_are_said(tmp_path: Path) -> None:
    content = reviews(text=[f"ชอบ {'xyz'[row % 3]}" for row in range(60)])
    archive = sent(zipped(encoder(tmp_path)), "mine.zip")
    (said,) = text_sentences(made(Store(), content, encoder=archive).about)
    assert "100% of the tokens" in said
    assert "2 different texts became the same as another" in said
    assert "an encoder that knows them" in said


@pytest.mark.parametrize(("family", "told"), [("FNet", "padded with"), ("T5", "fails on tokens")])
def test_encoders_that_do_not_fit_are_refused_by_name(tmp_path: Path, family: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        made(Store(), encoder=sent(zipped(encoder(tmp_path, family)), "mine.zip"))
    assert caught.value.place == "mine.zip"
    assert family in caught.value.found
    assert told in caught.value.found


def test_what_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        made(Store(), encoder=sent(b"PK", "mine.zip"))
    assert caught.value.place == "mine.zip"


@pytest.mark.parametrize("path", ["~nobody-of-that-name/bert", "/" + "x" * 300])
def test_paths_that_are_no_encoder_are_refused(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    with pytest.raises(InputError, match="no folder"):
        made(Store(), encoder_path=path)
