"""Texts for a language model to the end: project, GradEx, real fine-tuning, checks, confirmation, command line."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_language_model import network, save

from kernelsm import InputError, Outcomes, lds
from kernelsm.__main__ import main
from kernelsm.models.causal_text import language_model
from kernelsm.models.hashing import model_hash
from kernelsm.models.language_model import load_language_model
from kernelsm.objectives.registry import find
from kernelsm.pipelines.compute import base_model, compute
from kernelsm.pipelines.confirm import ConfirmSettings, confirm
from kernelsm.pipelines.gradex_check import check
from kernelsm.pipelines.method_sources import possible_for
from kernelsm.pipelines.prepare import prepare
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, measures_of, offered_projections
from kernelsm.pipelines.text_recipe import text_settings
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store, cache_root
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.mapping_files import mapping_file, read_mapping_file
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.uploads import keep_upload

TRAINING = {"epochs": 3, "learning_rate": 0.02, "batch_size": 8}


def lines():
    """Four sources, two of which answer alike and one the other way round."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(64):
        source = ("films", "books", "swapped", "prose")[number % 4]
        good = bool(rng.integers(2))
        said = "positive" if good != (source == "swapped") else "negative"
        prompt = f"a {'good' if good else 'bad'} {'book' if source == 'books' else 'film'}"
        row = {"prompt": prompt, "completion": f" {said}"}
        if source == "prose":
            row = {"prompt": "", "completion": "a bad book, and a long one"}
        rows.append({**row, "source": source, "split": "test" if number // 4 % 4 == 0 else "train"})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNELSM_CACHE", str(place))
        patch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)
        yield place
    language_model.cache_clear()


@pytest.fixture(autouse=True)
def _same_cache(home, monkeypatch):
    monkeypatch.setenv("KERNELSM_CACHE", str(home))


@pytest.fixture(scope="module")
def zipped(home, tmp_path_factory):
    """A tiny Llama as the zip of its folder."""
    folder, sink = save(tmp_path_factory.mktemp("model"), network(initializer_range=0.1)), io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return sink.getvalue()


@pytest.fixture(scope="module")
def project(home, zipped):
    data = lines()
    path = home / "texts.jsonl"
    path.write_bytes(data)
    model = NetworkRequest(
        "folder", training=TRAINING, ridge=0.3, archive=FileRef(keep_upload(zipped, "tiny.zip"), "tiny.zip"), rank=2
    )
    ref = FileRef(keep_upload(data, "texts.jsonl"), "texts.jsonl")
    request = ProjectRequest("Mine", ref, guess_mapping(read_samples(path)).to_dict(), model)
    return prepare(ProjectRequest.from_json(request.job().arguments["request"]), silent, Store())


def test_a_project_of_texts_has_a_language_model_whose_adapters_are_trained(project):
    recipe = PROJECTS.load(project).recipe
    suite, model = recipe.suite(), base_model(project, Store())
    assert (suite.objective, recipe.architecture, recipe.config["rank"]) == (NEXT_TOKENS, "causal_text", 2)
    assert suite.task_names == ("books", "films", "prose", "swapped")
    assert recipe.parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert recipe.retraining == {**TRAINING, "ridge": 0.0}
    assert set(PROJECTS.load(project).about["perplexity"]) == {"train", "test"}
    assert measures_of(project) == ("loss", "perplexity", "margin")
    # one model, whoever builds it
    assert model_hash(model) == model_hash(base_model(project, Store()))


def test_gradex_sees_what_fine_tuning_does(project):
    estimates = compute(RunSettings(project, subsets=12, seed=3), silent, Store())
    truth = compute(RunSettings(project, "retraining", subsets=12, seed=3), silent, Store())
    assert estimates.meta["projection"] == "exact basis"
    assert truth.meta["estimator"] == "fine_tuning"
    assert estimates.meta["unit"] == truth.meta["unit"] == "nats a token"
    assert lds(truth.values, estimates.values) > 0.5
    again = RunSettings.like(truth.meta, subsets=3)
    assert again is not None
    assert again.estimator == "retraining"


def test_another_measure_computes_nothing_again(project):
    store = Store()
    loss = compute(RunSettings(project, "retraining", subsets=12, seed=3), silent, store)
    found = compute(RunSettings(project, "retraining", subsets=12, seed=3, measure="perplexity"), silent, store)
    assert store.computed == 0
    np.testing.assert_allclose(np.log(found.values), loss.values, rtol=1e-6)
    assert (found.meta["measure"], found.meta["unit"]) == ("perplexity", "tokens")


def test_costs_and_projections_are_those_of_a_language_model(project):
    recipe = PROJECTS.load(project).recipe
    assert "adapted" not in offered_projections(recipe, 512)
    settings = RunSettings(project, subsets=12)
    assert settings.projection == "exact"
    cost = estimate_cost(settings)
    assert min(cost.stages.values()) > 0
    assert cost.outputs == "margin"
    assert estimate_cost(RunSettings(project, "retraining", subsets=12)).stages["retraining"] > 0
    assert "leave_one_out" not in possible_for(project)
    assert "trak" not in possible_for(project)


def test_checks_and_confirmation(project):
    found = check(RunSettings(project, subsets=6, seed=9), silent, Store())
    assert found.projections == []
    assert 0 <= found.first_order.of_change < 1
    confirmed = confirm(ConfirmSettings(project, (3,), seeds=2), silent, Store())
    assert confirmed.measures[1].name == "perplexity"
    fine_tuned = confirmed.values["fine_tuned"]
    assert fine_tuned.shape == (2, 2, 3, 4)
    assert np.isfinite(fine_tuned).all()
    np.testing.assert_allclose(np.log(fine_tuned[:, :, 1]), fine_tuned[:, :, 0], rtol=1e-6)
    assert not np.allclose(fine_tuned[0], fine_tuned[1])  # another W0, and batches in another order
    assert not np.allclose(fine_tuned[:, 0], fine_tuned[:, 1])


def test_a_session_file_takes_it_along(project, tmp_path, monkeypatch):
    data = write_session({"run": "digits"}, {"tables": {}, "projects": {project: ""}}, cache_root())
    weights = model_hash(base_model(project, Store()))
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "other"))
    read_session(data, "session.zip", tmp_path / "other")
    recipe = PROJECTS.load(project).recipe
    assert recipe.objective == NEXT_TOKENS
    assert find(recipe.suite()).name == NEXT_TOKENS
    assert model_hash(base_model(project, Store())) == weights  # trained anew from the same texts and model


def test_a_mapping_file_keeps_the_rank(tmp_path, home):
    mapping = guess_mapping(read_samples(home / "texts.jsonl"))
    path = tmp_path / "mapping.json"
    path.write_text(mapping_file("texts.jsonl", mapping, NetworkRequest("packaged", rank=2, training=TRAINING)))
    columns, network = read_mapping_file(path)
    assert columns == mapping
    assert (network.origin, network.rank, network.training) == ("train", 2, TRAINING)


def test_the_command_line_takes_texts_and_a_mapping(home, tmp_path, monkeypatch, capsys):
    folder = save(tmp_path / "tiny", network(initializer_range=0.1))
    # the packaged model takes half a minute to unpack
    monkeypatch.setattr("kernelsm.models.language_model._default_model", lambda: load_language_model(str(folder)))
    monkeypatch.setattr("kernelsm.pipelines.text_recipe.LAYERS_OF_PACKAGED", 1)
    language_model.cache_clear()
    path, out = tmp_path / "mapping.json", tmp_path / "outcomes.parquet"
    mapping = guess_mapping(read_samples(home / "texts.jsonl"))
    path.write_text(mapping_file("texts.jsonl", mapping, NetworkRequest("packaged", rank=1, training=TRAINING)))
    words = ["run", f"--samples={home / 'texts.jsonl'}", f"--mapping={path}", "--subsets=6", f"--out={out}"]
    main([*words, "--measure=perplexity"])
    outcomes = Outcomes.load(out)
    assert (outcomes.m, outcomes.K, outcomes.meta["unit"]) == (6, 4, "tokens")
    assert (outcomes.values > 1).all()
    language_model.cache_clear()


CODE = """
import sys
sys.path.insert(0, {tests!r})
from small_language_model import tiny_model
from kernelsm.models.causal_text import causal_text
from kernelsm.tasks.text_suite import Passage, text_suite


def make():
    model = tiny_model(start=True)
    texts = [Passage(f" {{word}}", source, "Text:") for source in "ab" for word in ("good", "a bad book", "positive")]
    return causal_text(model, rank=2), text_suite(texts, texts[:3], model.encode, length=16)
"""


def test_gradient_features_of_code_are_brought_as_a_project(tmp_path):
    code, out = tmp_path / "mine.py", tmp_path / "features.npz"
    code.write_text(CODE.format(tests=str(Path(__file__).parents[1] / "models")))
    main(["features", f"{code}:make", str(out)])
    ref = FileRef(keep_upload(out.read_bytes(), "features.npz"), "features.npz")
    key = prepare(ProjectRequest("Theirs", ref, {}, NetworkRequest("features")), silent, Store())
    assert PROJECTS.load(key).recipe.objective == NEXT_TOKENS
    outcomes = compute(RunSettings(key, subsets=3), silent, Store())
    assert outcomes.meta["unit"] == "nats a token"
    assert np.isfinite(outcomes.values).all()


@pytest.mark.parametrize(
    ("model", "place"),
    [
        (NetworkRequest("weights"), "model"), (NetworkRequest("packaged", training={"validation": 0.1}), "training"),
        (NetworkRequest("packaged", rank=0), "rank"),
    ],
)  # fmt: skip
def test_networks_that_mean_nothing_are_refused(model, place):
    with pytest.raises(InputError, match=place):
        text_settings(model, None)
