"""Hugging Face classifiers in a project: what is proved on the user's samples, and what is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from families import family_network
from text_models import brought, saved

from kernelsm import InputError
from kernelsm.app.data.network_facts import network_sentences
from kernelsm.estimators.recipe import Rates
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.pipelines.compute import compute, initial_model
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store

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
    sentence = network_sentences(project.about)[0]
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


def save_adapter(folder: Path) -> None:
    """Save an adapter of the tiny Bert with random factors and a head of its own."""
    from peft import LoraConfig, TaskType, get_peft_model

    settings = LoraConfig(r=2, lora_alpha=8, target_modules=["query", "value"], task_type=TaskType.SEQ_CLS)
    adapted = get_peft_model(family_network("Bert"), settings)
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.5)
    adapted.save_pretrained(folder)


def test_an_adapter_beside_its_base_model_becomes_a_project_of_its_own_parameters(
    tmp_path: Path, cache_folder: Path
) -> None:
    saved(tmp_path / "zip" / "base")
    save_adapter(tmp_path / "zip" / "mine")
    project = brought(tmp_path / "zip", prefix="")
    held = {path.name for path in Path(project.recipe.config["folder"]).iterdir()}
    assert {"joined_adapter.json", "joined_adapter.safetensors", "model.safetensors", "tokenizer.json"} <= held
    assert not {"adapter_config.json", "adapter_model.safetensors"} & held
    assert project.recipe.parameters == 2 * 2 * 2 * (16 + 16) + 3 * 16 + 3
    settings = RunSettings(Path(project.recipe.config["folder"]).parent.name, subsets=3)
    for estimator in ("gradex", "retraining"):
        values = compute(replace(settings, estimator=estimator), silent, Store()).values
        assert np.isfinite(values).all()


def test_an_adapter_alone_is_refused_by_its_right_name(tmp_path: Path) -> None:
    save_adapter(tmp_path / "mine")
    with pytest.raises(InputError) as caught:
        brought(tmp_path, prefix="")
    assert caught.value.place == "mine.zip"
    assert "a LoRA adapter without its base model" in caught.value.found
    assert "beside the adapter's" in caught.value.fix
