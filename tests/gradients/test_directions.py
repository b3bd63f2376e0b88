"""Coordinates along given directions are inner products with the whole gradients."""

import numpy as np
import pytest
import torch
from layer_cases import WITH_RULES, by_torch_func, ready

from kernelsm import InputError, gradient_features
from kernelsm.gradients import directions
from kernelsm.gradients.directions import Directions
from kernelsm.gradients.per_sample import trainable


@pytest.mark.parametrize("few", [1, 2**26], ids=["sample by sample", "together"])
@pytest.mark.parametrize("k", [1, 40])
@pytest.mark.parametrize("name", WITH_RULES)
def test_they_are_inner_products_for_every_kind_of_layer(name, k, few, monkeypatch):
    monkeypatch.setattr(directions, "_AT_ONCE", few)
    model, inputs = ready(WITH_RULES[name], 5, torch.float32)
    d = sum(p.numel() for p in trainable(model).values())
    given = torch.randn((k, d), generator=torch.Generator().manual_seed(1))
    expected = by_torch_func(model, inputs) @ given.T
    labels = np.zeros(len(inputs), dtype=np.int64)
    found = gradient_features(model, inputs.numpy(), labels, Directions(given), outputs="logits")
    scale = float(expected.abs().max())
    np.testing.assert_allclose(found.features, expected.detach(), atol=1e-4 * max(scale, 1e-3))
    margins = gradient_features(model, inputs.numpy(), labels, Directions(given), outputs="margin")
    exact = gradient_features(model, inputs.numpy(), labels, "exact", outputs="margin")
    np.testing.assert_allclose(margins.features, exact.features @ given.numpy().T, atol=1e-4 * max(scale, 1e-3))


def test_they_are_named_by_their_content():
    one, other = torch.eye(3)[:2], torch.eye(3)[1:]
    assert repr(Directions(one)) == repr(Directions(one.clone())) != repr(Directions(other))
    assert Directions(one, "adapted").name == "adapted, 2 dimensions"


def test_directions_of_another_model_are_refused(blobs, blobs_model):
    with pytest.raises(InputError, match="7 coordinates"):
        gradient_features(blobs_model, blobs.inputs, blobs.labels, Directions(torch.ones((2, 7))))
