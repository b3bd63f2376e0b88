"""Coordinates along given directions are inner products with the whole gradients."""

import numpy as np
import pytest
import torch
from layer_cases import WITH_RULES, C, by_torch_func, close, ready

from kernelsm import InputError, gradient_features
from kernelsm.gradients import directions
from kernelsm.gradients.directions import Directions
from kernelsm.gradients.per_sample import Hooks, choose_engine, evaluating, trainable
from kernelsm.objectives.classification import EveryLogit, Margin, margin


@pytest.mark.parametrize("name", WITH_RULES)
def test_they_are_inner_products_for_every_kind_of_layer(name, monkeypatch):
    """By all ways to compute them, for few directions and many, a few samples at a time or all together."""
    model, inputs = ready(WITH_RULES[name], 5, torch.float32)
    shapes = {name: p.shape for name, p in trainable(model).items()}
    whole = by_torch_func(model, inputs).detach()
    labels = torch.arange(5) % C
    for linearisation, expected in ((EveryLogit(), whole), (Margin(), margins_of(model, inputs, labels, whole))):
        for k, bytes_at_once in ((1, 1), (40, 1), (40, 2**26)):
            monkeypatch.setattr(directions, "_AT_ONCE", bytes_at_once)
            given = torch.randn((k, whole.shape[2]), generator=torch.Generator().manual_seed(1))
            sketch = Directions(given).bind(shapes)
            with evaluating(model):
                chosen, _ = choose_engine(model, inputs, labels, linearisation, along_directions=True)
                assert chosen.name == ("hooks" if "padding" in name and "embedding" in name else "forward")
                for engine in (chosen, Hooks(model, inputs[:1])):
                    _, found = engine.project(inputs, labels, linearisation, sketch)
                    close(found.detach(), expected @ given.T, 1e-4)


def margins_of(model, inputs, labels, gradients):
    """Gradients of the margins, (n, 1, d), from those of the logits."""
    logits = model(inputs).detach().requires_grad_()
    slopes = torch.autograd.grad(margin(logits, labels).sum(), logits)[0]
    return torch.einsum("nc,ncd->nd", slopes, gradients)[:, None]


def test_a_network_that_forward_differentiation_cannot_do_is_taken_another_way():
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    class Doubling(torch.nn.Linear):
        def forward(self, x):
            return Own.apply(super().forward(x))

    torch.manual_seed(0)
    model, inputs, labels = Doubling(3, 2), np.ones((4, 3), dtype=np.float32), np.zeros(4, dtype=np.int64)
    given = torch.randn((5, 8), generator=torch.Generator().manual_seed(1))
    exact, found = (gradient_features(model, inputs, labels, p) for p in ("exact", Directions(given)))
    assert found.meta["engine"] != "forward"
    assert "forward: " in found.meta["engine_because"]
    np.testing.assert_allclose(found.features, exact.features @ given.numpy().T, atol=1e-5)


def test_they_are_named_by_their_content():
    one, other = torch.eye(3)[:2], torch.eye(3)[1:]
    assert repr(Directions(one)) == repr(Directions(one.clone())) != repr(Directions(other))
    assert Directions(one, "adapted").name == "adapted, 2 dimensions"


def test_directions_of_another_model_are_refused(blobs, blobs_model):
    with pytest.raises(InputError, match="7 coordinates"):
        gradient_features(blobs_model, blobs.inputs, blobs.labels, Directions(torch.ones((2, 7))))
