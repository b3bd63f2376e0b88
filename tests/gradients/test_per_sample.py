"""Per-sample gradients: hooks agree with torch.func layer by layer; without a rule there is another way."""

import warnings

import numpy as np
import pytest
import torch
from layer_cases import (
    WITH_RULES,
    WITHOUT_RULES,
    C,
    D,
    Net,
    T,
    by_torch_func,
    close,
    project,
    ready,
)
from torch import nn

from kernelsm import gradient_features
from kernelsm.gradients.per_sample import Hooks, Loop, Vmap, choose_engine
from kernelsm.gradients.sample_axes import Unsupported
from kernelsm.objectives.classification import EveryLogit, margin


@pytest.mark.parametrize("name", WITH_RULES)
def test_hooks_are_torch_func_layer_by_layer(name):
    # as many samples as places in a sequence, channels and one more: no axis is taken for another
    model, batch = ready(WITH_RULES[name], 7)
    engine = Hooks(model, batch[:1])
    for n in (1, 2, 3, T, D, 7):
        logits, gradients = project(engine, batch[:n])
        torch.testing.assert_close(logits, model(batch[:n]).detach(), rtol=1e-9, atol=1e-9)
        close(gradients, by_torch_func(model, batch[:n]), 1e-10)


@pytest.mark.parametrize("name", WITH_RULES)
def test_hooks_are_chosen_and_right_in_single_precision(name):
    model, batch = ready(WITH_RULES[name], 5, torch.float32)
    engine, why = choose_engine(model, batch[:2], torch.zeros(2, dtype=torch.int64), EveryLogit())
    assert (engine.name, why) == ("hooks", "")
    close(project(engine, batch)[1], by_torch_func(model, batch), 1e-5)


@pytest.mark.parametrize("name", ["linear, 3 axes", "conv2d, groups", "encoder, masks", "tied embedding and output"])
def test_the_margins_gradient_is_the_chain_rule_of_the_logits(name):
    model, batch = ready(WITH_RULES[name], 5)
    logits, gradients = project(Hooks(model, batch[:1]), batch)
    labels = torch.arange(5) % logits.shape[1]
    (of_logits,) = torch.autograd.grad(margin(logits.requires_grad_(), labels).sum(), logits)
    for kind in (Hooks, Vmap, Loop):
        found = project(kind(model, batch[:1]), batch, labels, "margin")[1]
        assert found.shape == (5, 1, gradients.shape[2])
        close(found[:, 0], torch.einsum("nc,ncd->nd", of_logits, gradients), 1e-10)


@pytest.mark.parametrize("name", WITHOUT_RULES)
def test_what_hooks_cannot_do_is_said_and_right_all_the_same(name):
    model, batch = ready(WITHOUT_RULES[name], 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch has no batched LSTM and says so
        engine, why = choose_engine(model, batch[:2], torch.zeros(2, dtype=torch.int64), EveryLogit())
        gradients = project(engine, batch)[1]
    assert engine.name in ("vmap", "loop")
    assert why.startswith("hooks: ")
    close(gradients, by_torch_func(model, batch), 1e-10)


def test_the_reason_names_the_function_and_the_parameter():
    model, batch = ready(WITHOUT_RULES["einsum"], 2)
    with pytest.raises(Unsupported, match="einsum of w"):
        Hooks(model, batch[:1])
    model = Net(lambda m, x: m.a(x, x) * (1.0 if x.sum().item() > 0 else 2.0), a=nn.Bilinear(D, D, C))
    found = gradient_features(model, np.ones((2, D)), np.zeros(2, dtype=np.int64))
    assert found.meta["engine"] == "loop"
    assert "bilinear of a.bias, a.weight" in found.meta["engine_because"]
    assert "vmap: RuntimeError" in found.meta["engine_because"]
