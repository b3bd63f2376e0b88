"""The error of the first-order expansion, on networks whose curvature is known in closed form."""

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

from kernelsm import Outcomes
from kernelsm.evaluation.first_order import FirstOrderCheck, LogitError, first_order_check, logit_error


class Squared(nn.Module):
    """Logits (w² x, 0): its second derivative in w is 2 x everywhere."""

    def __init__(self, w, dtype=torch.float32):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(float(w), dtype=dtype))

    def forward(self, x):
        first = self.w**2 * x[:, 0]
        return torch.stack([first, torch.zeros_like(first)], dim=1)


class SquaredEmbedding(nn.Module):
    """Logits of a token are the squares of its two numbers."""

    def __init__(self, numbers):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(torch.tensor(numbers), freeze=False)

    def forward(self, tokens):
        return self.table(tokens) ** 2


def moved(model, scale, seed=3):
    """A double-precision copy of a network, each weight moved by random steps of this size."""
    direction = torch.Generator().manual_seed(seed)
    copied = copy.deepcopy(model).double()
    with torch.no_grad():
        for p in copied.parameters():
            p.add_(scale * torch.randn(p.shape, generator=direction))
    return copied


def test_a_network_that_is_linear_in_its_parameters_has_no_error():
    base = nn.Linear(4, 3)
    error = logit_error(base, moved(base, 1.0), np.random.default_rng(0).normal(size=(9, 4)))
    assert error.of_logits == pytest.approx(0, abs=1e-12)
    assert error.of_change == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("h", [0.5, -0.25, 2.0])
def test_the_error_of_a_square_is_the_square_of_the_step(h):
    # (1 + h)² = 1 + 2h + h²: the first order misses h²
    found = logit_error(Squared(1.0), Squared(1.0 + h), np.array([[0.5], [-3.0], [20.0]]))
    assert found.of_logits == pytest.approx(h**2 / (1 + h) ** 2)
    assert found.of_change == pytest.approx(h**2 / abs(2 * h + h**2))


def test_a_logit_error_is_a_mean_over_samples_and_the_error_of_the_change_is_not():
    base, tuned = [[1.0, 1.0], [1.0, 1.0]], [[2.0, 1.0], [1.5, 1.5]]
    found = logit_error(SquaredEmbedding(base), SquaredEmbedding(tuned), np.array([0, 1]))
    # token 0: missed (1, 0) of logits (4, 1); token 1: missed (1/4, 1/4) of (9/4, 9/4)
    assert found.of_logits == pytest.approx((1 / np.sqrt(17) + 1 / 9) / 2)
    # changes: (3, 0) and (5/4, 5/4)
    assert found.of_change == pytest.approx(np.sqrt((1 + 1 / 8) / (9 + 25 / 8)))


def test_the_precision_of_inputs_and_of_the_tuned_network_does_not_matter():
    inputs = np.array([[1], [2], [-3]])  # held exactly by all three types
    wanted = logit_error(Squared(1.0), Squared(1.5), inputs.astype(np.float64))
    assert logit_error(Squared(1.0), Squared(1.5), inputs.astype(np.float32)) == wanted
    assert logit_error(Squared(1.0), Squared(1.5), inputs) == wanted
    assert logit_error(Squared(1.0), Squared(1.5, torch.float64), inputs) == wanted


def test_a_network_that_did_not_move_has_no_error():
    assert logit_error(Squared(2.0), Squared(2.0), np.ones((4, 1))) == LogitError(0.0, 0.0)


def test_dropout_is_off_and_both_networks_stay_as_they_were():
    base = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    tuned = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).double()
    before = {name: p.clone() for name, p in base.state_dict().items()}
    inputs = np.random.default_rng(0).normal(size=(9, 4))
    first = logit_error(base, tuned, inputs)
    assert first == logit_error(base, tuned, inputs)
    assert first.of_change > 0.01
    assert base.training
    assert all(torch.equal(before[name], p) for name, p in base.state_dict().items())
    assert all(p.dtype == torch.float32 for p in base.parameters())


def test_a_small_step_misses_a_share_of_the_change_as_small_as_the_step(blobs, blobs_model):
    """The part that is missed is of second order, the change of first."""

    def at(scale):
        return logit_error(blobs_model, moved(blobs_model, scale), blobs.test_inputs).of_change

    assert at(1e-4) == pytest.approx(10 * at(1e-5), rel=0.2)
    assert 1e-7 < at(1e-5) < 1e-3


@pytest.fixture
def tables():
    """Truth and estimates of four subsets and two targets: one target nearly right, one upside down."""
    masks = np.eye(4, dtype=bool)
    truth = Outcomes(masks, np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]))
    return truth, Outcomes(masks, np.array([[1.0, 4.0], [2.0, 3.0], [4.0, 2.0], [3.0, 1.0]]))


def test_a_check_agrees_with_numbers_worked_out_by_hand(tables):
    class Suite:
        test_inputs = np.array([[1.0], [2.0]])

    truth, estimates = tables
    found = first_order_check(Suite, Squared(1.0), [Squared(1.5), Squared(2.0)], truth, estimates)
    assert found.subsets == 4
    assert found.lds == pytest.approx((0.8 - 1.0) / 2)
    # overall: truth 1, 2, 3, 4 and estimates 2.5, 2.5, 3, 2
    assert found.spearman == pytest.approx(-1.5 / np.sqrt(5 * 4.5))
    assert found.relative_error == pytest.approx(4 / 10)
    assert [error.of_logits for error in found.logits] == pytest.approx([0.25 / 2.25, 1 / 4])
    assert found.of_logits == pytest.approx((0.25 / 2.25 + 1 / 4) / 2)
    assert found.of_change == pytest.approx((0.25 / 1.25 + 1 / 3) / 2)


def test_a_check_survives_json():
    check = FirstOrderCheck(4, [LogitError(0.1, 0.2), LogitError(0.3, 0.4)], 0.9, 0.05, 0.8)
    again = FirstOrderCheck.from_json(json.loads(json.dumps(check.to_json())))
    assert again == check
    assert (again.of_logits, again.of_change) == pytest.approx((0.2, 0.3))
