"""Retraining: the proximal objective, minimised, without randomness and without touching the model."""

import copy

import numpy as np
import pytest
import torch

from kernelsm import InputError, Retraining
from kernelsm.models.mlp import mlp
from kernelsm.objectives.training import train_base
from kernelsm.runtime.store import Store

MASKS = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]], dtype=bool)


def test_equal_seeds_are_bit_equal_and_others_are_not(blobs):
    def outcomes(seed):
        model = train_base(mlp((4, 6, 3), seed=seed), blobs, epochs=20)
        return Retraining(blobs, model, ridge=0.1, max_steps=100).outcomes(MASKS).values

    assert np.array_equal(outcomes(0), outcomes(0))
    assert not np.allclose(outcomes(0), outcomes(1), rtol=1e-3)


def test_the_model_is_not_changed(blobs, blobs_model):
    before = copy.deepcopy(blobs_model.state_dict())
    Retraining(blobs, blobs_model, ridge=0.1).outcomes(MASKS)
    after = blobs_model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.dtype == torch.float32 for p in blobs_model.parameters())
    assert all(p.grad is None or not p.grad.isnan().any() for p in blobs_model.parameters())
    assert not blobs_model.training


def test_the_empty_subset_has_the_losses_of_w0(blobs, blobs_model):
    found = Retraining(blobs, blobs_model).outcomes(np.zeros((1, 5), dtype=bool))
    with torch.no_grad():
        logits = blobs_model(torch.from_numpy(blobs.test_inputs))
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(blobs.test_labels), reduction="none").numpy()
    expected = [losses[blobs.target_of == j].mean() for j in range(3)]
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-5)


def objective(suite, model, start, mask, ridge):
    """The proximal objective from its definition: mean over tasks of the mean over samples, plus the pull."""
    inputs, labels = torch.from_numpy(suite.inputs).double(), torch.from_numpy(suite.labels)
    losses = torch.nn.functional.cross_entropy(model(inputs), labels, reduction="none")
    of_task = [losses[torch.from_numpy(suite.task_of == k)].mean() for k in np.flatnonzero(mask)]
    pull = sum(((p - p0.double()) ** 2).sum() for p, p0 in zip(model.parameters(), start.parameters(), strict=True))
    return torch.stack(of_task).mean() + ridge / 2 * pull


@pytest.fixture(scope="module")
def smooth_model(blobs):
    """A network without kinks, where converged means that the gradient is zero."""
    model = mlp((4, 6, 3), seed=1)
    return train_base(torch.nn.Sequential(model[0], torch.nn.Tanh(), model[2]), blobs, epochs=40)


each_mask = pytest.mark.parametrize("mask", MASKS, ids=["all", "two tasks", "one task"])


@each_mask
def test_the_result_is_a_stationary_point_of_the_proximal_objective(blobs, smooth_model, mask):
    tuned = Retraining(blobs, smooth_model, ridge=0.05).fine_tune(mask)
    value = objective(blobs, tuned, smooth_model, mask, 0.05)
    gradient = torch.autograd.grad(value, list(tuned.parameters()))
    assert float(torch.cat([g.flatten() for g in gradient]).abs().max()) < 1e-5
    # and a real one, not W0 itself
    assert value.item() < 0.99 * float(
        objective(blobs, copy.deepcopy(smooth_model).double(), smooth_model, mask, 0.05)
    )


@each_mask
def test_another_optimizer_gains_next_to_nothing_on_a_network_with_kinks(blobs, blobs_model, mask):
    # at a kink of a ReLU the gradient need not vanish; that nothing is left to gain is what counts
    tuned = Retraining(blobs, blobs_model, ridge=0.05).fine_tune(mask)
    values = []
    adam = torch.optim.Adam(tuned.parameters(), lr=1e-3)
    for _ in range(150):
        adam.zero_grad()
        value = objective(blobs, tuned, blobs_model, mask, 0.05)
        value.backward()
        values.append(value.item())
        adam.step()
    assert min(values) > 0.999 * values[0]


def test_a_larger_ridge_stays_closer_to_w0(blobs, blobs_model):
    def distance(ridge):
        tuned = Retraining(blobs, blobs_model, ridge=ridge).fine_tune(MASKS[1])
        moved = [(p - p0).square().sum() for p, p0 in zip(tuned.parameters(), blobs_model.parameters(), strict=True)]
        return float(sum(moved))

    assert distance(1.0) < distance(0.1) < distance(0.01)


def test_dropout_brings_no_randomness(blobs):
    # the outcome of a subset is that of the network itself, the one GradEx linearises
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(6, 3)
    ).eval()
    first, second = (Retraining(blobs, model, ridge=0.1, max_steps=100).outcomes(MASKS).values for _ in range(2))
    assert np.array_equal(first, second)


def test_sequential_chunks_are_kept_one_subset_each(blobs, blobs_model):
    counts = []
    for rows in (2, 3, 3):
        store = Store()
        Retraining(blobs, blobs_model, ridge=0.1, method="sequential").outcomes(MASKS[:rows], store=store)
        counts.append((store.computed, store.reused))
    assert counts == [(2, 0), (1, 2), (0, 3)]
    store = Store()
    Retraining(blobs, blobs_model, ridge=0.2, method="sequential").outcomes(MASKS, store=store)
    assert store.reused == 0


@pytest.mark.parametrize("ridge", [0.0, -0.1, float("nan")])
def test_a_ridge_that_is_not_positive_is_refused(blobs, blobs_model, ridge):
    with pytest.raises(InputError, match="ridge"):
        Retraining(blobs, blobs_model, ridge=ridge)


def test_training_the_base_model_needs_no_luck(blobs):
    # equal initial weights give equal W0, and initialising leaves the global generator alone
    state = torch.get_rng_state()
    first, second = (train_base(mlp((4, 6, 3), seed=3), blobs, epochs=30) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    with torch.no_grad():
        accuracy = (first(torch.from_numpy(blobs.inputs)).argmax(1).numpy() == blobs.labels)[blobs.task_of < 4].mean()
    assert accuracy > 0.6


def test_batched_agrees_with_sequential(blobs, smooth_model):
    masks = np.unique(np.random.default_rng(0).random((20, 5)) < 0.5, axis=0)
    weights = [1.0, 2.0, 0.5, 3.0, 1.0]
    tables = [
        Retraining(blobs, smooth_model, ridge=0.05, task_weights=weights, method=method).outcomes(masks)
        for method in ("batched", "sequential")
    ]
    assert [table.meta["method"] for table in tables] == ["batched", "sequential"]
    np.testing.assert_allclose(tables[0].values, tables[1].values, atol=1e-3)


def test_a_batch_reaches_the_minimum_whoever_else_is_in_it(blobs, smooth_model):
    retraining = Retraining(blobs, smooth_model, ridge=0.05)
    stacked, together = retraining.tune_many(MASKS)
    names = list(stacked.shapes)
    for mask, weights in zip(MASKS, together, strict=True):
        tuned = retraining.fine_tune(mask)
        best = objective(blobs, tuned, smooth_model, mask, 0.05).item()
        pieces = weights.split([shape.numel() for shape in stacked.shapes.values()])
        state = {name: p.reshape(stacked.shapes[name]) for name, p in zip(names, pieces, strict=True)}
        tuned.load_state_dict(state)
        assert objective(blobs, tuned, smooth_model, mask, 0.05).item() == pytest.approx(best, rel=1e-6)


def test_the_method_follows_the_work(blobs, blobs_model, monkeypatch):
    from kernelsm.estimators import retraining

    assert Retraining(blobs, blobs_model).method == "batched"
    monkeypatch.setattr(retraining, "BATCHED_UP_TO", 100)
    assert Retraining(blobs, blobs_model).method == "sequential"
    monkeypatch.undo()
    monkeypatch.setattr(retraining, "MEMORY_BUDGET", 1000)
    assert Retraining(blobs, blobs_model).method == "sequential"


@pytest.mark.parametrize("method", ["batched", "sequential"])
def test_from_scratch_is_weight_decay_from_weights_drawn_by_seed(blobs, smooth_model, method):
    def table(seed):
        made = Retraining(blobs, smooth_model, ridge=0.02, start="scratch", seed=seed, method=method)
        return made.outcomes(np.vstack([MASKS, np.zeros((1, 5), dtype=bool)]))

    first, again, other = table(0), table(0), table(1)
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    # no sample, nothing but decay: all classes are as likely
    np.testing.assert_allclose(first.values[-1], np.log(3), rtol=1e-6)
    assert first.meta["seed"] == 0
    assert first.meta["start"] == "scratch"


@pytest.mark.parametrize("method", ["batched", "sequential"])
def test_from_scratch_the_empty_subset_has_no_class_that_rounding_prefers(blobs, smooth_model, method):
    made = Retraining(blobs, smooth_model, ridge=0.02, start="scratch", method=method)
    empty = np.zeros((1, 5), dtype=bool)
    # of three classes that are as likely, none is more probable than each other one, and each has odds of 1 to 2
    assert made.outcomes(empty, measure="accuracy").values.tolist() == [[0.0] * 3]
    np.testing.assert_allclose(made.outcomes(empty, measure="margin").values, -np.log(2), rtol=1e-6)


def test_one_training_gives_all_measures(blobs, blobs_model):
    store = Store()
    retraining = Retraining(blobs, blobs_model, ridge=0.1)
    loss, accuracy, margin = (
        retraining.outcomes(MASKS, measure=name, store=store) for name in ("loss", "accuracy", "margin")
    )
    assert (store.computed, store.reused) == (1, 2)
    assert (loss.higher_is_better, accuracy.higher_is_better, margin.higher_is_better) == (False, True, True)
    assert np.isin(accuracy.values * 7, range(8)).all()


@pytest.mark.parametrize(
    ("change", "place"),
    [({"start": "fresh"}, "start"), ({"method": "fast"}, "method"), ({"seed": -1}, "seed"), ({"block": 0}, "block")],
)
def test_unknown_settings_are_refused(blobs, blobs_model, change, place):
    with pytest.raises(InputError, match=place):
        Retraining(blobs, blobs_model, **change)
