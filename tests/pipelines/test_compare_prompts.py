"""Comparing methods on prompts: sources, what is refused, cost that is shared, and scores on held-out prompts."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_language_model import tiny_model
from small_prompt_task import TASK

from kernelsm import InputError, Store, load_example
from kernelsm.attributors.from_table import SurrogateAttribution
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.pipelines.compare import CompareSettings, MethodsAtHand, compare
from kernelsm.pipelines.compare import run as run_job
from kernelsm.pipelines.method_sources import asks_prompts, expected_seconds, own_seconds, possible_for
from kernelsm.prompts import embedding_gradients
from kernelsm.prompts.method_catalog import PROMPT_METHODS
from kernelsm.prompts.prompting import Prompting
from kernelsm.runtime.progress import silent
from kernelsm.surrogates.linear import LinearSurrogateCV
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts
from kernelsm.workspace.tables import save_run


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def source(tmp_path, monkeypatch, model):
    """The key of a small prompt task whose model is a tiny one."""
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path))
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name=None: model)
    return keep_prompts(PromptSource("small", TASK))


@pytest.fixture
def outcomes(model):
    masks = fixed_size_masks(TASK.K, 10, size=2, seed=0, distinct=True)
    return Prompting(TASK, model).outcomes(masks)


def test_methods_on_prompts_are_scored_beside_the_surrogates(source, outcomes):
    table = save_run(outcomes)
    names = ("linear", *PROMPT_METHODS)
    told = []
    found = compare(CompareSettings(source, names, table), silent, Store(), announce=told.append)
    assert set(found.answers) == {"default", *names}
    assert not found.refused
    assert set(told[0]) == set(found.answers)
    by_name = {one.name: one for one in found.scores}
    held_out = outcomes.split(0.8, seed=0)[1]
    for name, kind in PROMPT_METHODS.items():
        method = kind.make(embedding_gradients.EmbeddingGradients(TASK, tiny_model))
        np.testing.assert_allclose(found.answers[name].predicted, method.predict(held_out.masks), atol=1e-6)
        assert by_name[name].lds_gain is not None
        assert by_name[name].leave_one_out is None
        assert by_name[name].cannot_say == "pairs and how sure it is"
    assert json.loads(json.dumps(found.to_json()))["methods"]["prompt_trak"]["title"] == "TRAK on embeddings"


def test_a_second_comparison_asks_the_model_nothing(source, outcomes, monkeypatch):
    settings = CompareSettings(source, ("prompt_tracin",), save_run(outcomes))
    first = run_job(silent, Store(), **vars(settings))
    monkeypatch.setattr(embedding_gradients, "slot_slopes", lambda *_: pytest.fail("the model was asked again"))
    again = run_job(
        silent, Store(), **vars(CompareSettings(source, ("prompt_tracin", "prompt_trak"), settings.table))
    )
    assert again["effects"]["prompt_tracin"] == first["effects"]["prompt_tracin"]
    assert again["methods"]["prompt_trak"]["seconds"] >= first["methods"]["prompt_tracin"]["seconds"] * 0.5


def test_all_takes_them_along_and_a_low_limit_leaves_them_out(source, outcomes):
    table = save_run(outcomes)
    costs, _, left_out = MethodsAtHand(CompareSettings(source, ("all",), table, limit=1e5), Store()).costs()
    assert {"default", "linear", *PROMPT_METHODS} <= {*costs}
    assert "trak" not in {*costs, *left_out}
    _, _, left_out = MethodsAtHand(CompareSettings(source, ("all",), table, limit=0.01), Store()).costs()
    assert {*PROMPT_METHODS} <= {*left_out}


def test_other_tables_and_measures_and_sources_are_refused_by_name(source, outcomes):
    def refused(changed, names=("prompt_tracin",), of=source):
        at_hand = MethodsAtHand(CompareSettings(of, names, save_run(changed)), Store())
        return at_hand.costs()[1]["prompt_tracin"]

    assert "measure of the outcomes" in refused(replace(outcomes, meta={**outcomes.meta, "measure": "accuracy"}))
    assert "prompts, task_names" in refused(replace(outcomes, task_names=tuple("vwxyz")))
    assert "texts for prompts and a language model" in refused(load_example("planted"), of="")
    assert "measure of the outcomes" in refused(replace(outcomes, higher_is_better=True))


def test_built_in_prompt_tasks_are_sources_and_their_cost_is_known_without_a_model(monkeypatch):
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name: pytest.fail("loaded"))
    assert CompareSettings("coin-flip", ("prompt_trak",)).methods == ("default", "prompt_trak")
    with pytest.raises(InputError, match="table"):
        CompareSettings("a" * 40, ("prompt_trak",))
    assert asks_prompts("movie-reviews")
    assert not asks_prompts("digits")
    assert not asks_prompts("")
    assert set(PROMPT_METHODS) <= set(possible_for("coin-flip"))
    outcomes = load_example("coin-flip")
    seconds = {name: expected_seconds(name, "coin-flip", outcomes) for name in possible_for("coin-flip")}
    together = sum(own_seconds(seconds).values())
    assert sum(seconds.values()) - together == pytest.approx(3 * (seconds["prompt_trak"] - 1.0))


def test_effects_of_prompts_stay_among_prompts_of_their_size():
    outcomes = load_example("planted")
    masks = fixed_size_masks(10, 120, size=3, seed=0, distinct=True)
    weights = np.linspace(-1.0, 1.0, 10)
    fixed = replace(outcomes, masks=masks, values=masks @ weights[:, None], noise=None, meta={})
    method = SurrogateAttribution(fixed, LinearSurrogateCV, "linear", "tuned linear surrogate", pairs=False)
    assert method.settings() == {"effect": "inclusion", "size": 3}
    # of an additive game: a task in place of the mean of the others
    np.testing.assert_allclose(method.attribute().values[:, 0], weights * 10 / 9, atol=1e-3)
    everything = SurrogateAttribution(outcomes, LinearSurrogateCV, "linear", "tuned linear surrogate", pairs=False)
    assert everything.settings() == {"effect": "leave_one_out"}
