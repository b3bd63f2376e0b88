"""What a recipe says of its example is what its samples and its network are."""

import inspect
import json
from dataclasses import replace

import pytest
import torch

from kernelsm.estimators.recipe import Size
from kernelsm.estimators.retraining import Retraining
from kernelsm.examples.catalog import EXAMPLES, RECIPES
from kernelsm.gradients.choices import OF_RUNS
from kernelsm.models.registry import build_model
from kernelsm.objectives.registry import find
from kernelsm.objectives.training import train_base
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost
from kernelsm.runtime.errors import InputError

# a language model takes half a minute to unpack: test_instructions.py looks at that one
every_recipe = pytest.mark.parametrize("name", [name for name in RECIPES if name != "instructions"])


def allowed_projections(name):
    """Projections that settings of this example accept."""
    for projection in OF_RUNS:
        try:
            yield RunSettings(name, projection=projection).projection
        except InputError:
            assert projection == "exact"


@every_recipe
def test_the_network_has_the_parameters_and_classes_that_are_said(name):
    recipe = RECIPES[name]
    model, suite = build_model(recipe.architecture, **recipe.config, seed=0), recipe.suite()
    assert sum(p.numel() for p in model.parameters()) == recipe.parameters
    outputs = find(suite).outputs
    assert model.eval()(torch.tensor(suite.inputs[:3])).shape == (3, outputs)
    assert model(torch.tensor(suite.test_inputs[:3])).shape == (3, outputs)
    assert find(suite).name == recipe.objective
    assert recipe.size == Size.of(suite)
    if suite.classes:
        assert set(suite.labels) <= set(range(suite.classes))
    assert recipe.suite() is suite  # built once: pages ask for it on every click


@every_recipe
def test_all_arguments_are_those_of_what_they_are_given_to_and_survive_json(name):
    recipe = RECIPES[name]
    assert json.loads(json.dumps(recipe.config)) == recipe.config
    assert set(recipe.training) <= set(inspect.signature(train_base).parameters) - {
        "model",
        "suite",
        "seed",
        "report",
    }
    assert set(recipe.retraining) <= set(inspect.signature(Retraining).parameters) - {"suite", "model", "ridge"}
    Retraining(
        recipe.suite(), build_model(recipe.architecture, **recipe.config), ridge=recipe.ridge, **recipe.retraining
    )


@every_recipe
def test_every_projection_and_estimator_that_settings_allow_has_a_cost(name):
    recipe = RECIPES[name]
    assert recipe.ridge > 0
    allowed = list(allowed_projections(name))
    assert set(allowed) == {*recipe.rates.gradients, "adapted"}
    assert ("exact" in recipe.rates.gradex) == ("exact" in allowed)
    for projection in allowed:
        cost = estimate_cost(RunSettings(name, projection=projection, subsets=100))
        assert list(cost.stages) == [*(["inputs"] if recipe.rates.inputs else []), "base", "train", "test", "gradex"]
        assert min(cost.stages.values()) > 0
        assert cost.seconds > sum(cost.stages.values())
    half, whole = (estimate_cost(RunSettings(name, "retraining", subsets=m)).stages["retraining"] for m in (50, 100))
    assert 0 < half == whole / 2


@every_recipe
def test_settings_without_a_ridge_have_that_of_the_example_and_are_the_same_job(name):
    settings = RunSettings(name)
    assert settings.ridge == RECIPES[name].ridge
    assert settings.job().key == RunSettings(name, ridge=RECIPES[name].ridge).job().key
    assert settings.job().key != RunSettings(name, ridge=2 * RECIPES[name].ridge).job().key


@pytest.mark.parametrize(
    ("name", "projection"),
    [("digits", "exact"), ("modular-addition", "adapted"), ("modular-quadratic", "adapted")],
)
def test_auto_is_exact_for_a_small_network_and_adapted_for_a_larger_one(name, projection):
    settings = RunSettings(name)
    assert settings.projection == projection
    assert settings.job().key == RunSettings(name, projection=projection).job().key
    if projection == "adapted":  # 1 GiB holds no more directions of this network
        assert RunSettings(name, dim=1024).projection == "kronecker"
    other = "gaussian"
    assert settings.job().key != replace(settings, projection=other).job().key


def test_all_logits_are_linearised_where_their_gradients_fit_and_else_the_margin():
    assert estimate_cost(RunSettings("digits")).outputs == "logits"
    assert estimate_cost(RunSettings("modular-quadratic", dim=512)).outputs == "logits"
    assert estimate_cost(RunSettings("modular-quadratic", dim=1024)).outputs == "margin"
    assert estimate_cost(RunSettings("digits", outputs="margin")).outputs == "margin"
    one, all_logits = (estimate_cost(RunSettings("digits", outputs=outputs)).disk for outputs in ("margin", "logits"))
    assert all_logits == RECIPES["digits"].suite().classes * one


def test_recipes_are_the_examples_that_have_a_model():
    assert set(RECIPES) == {name for name, example in EXAMPLES.items() if example.has_model}
