"""Samples held out of training, early stopping, and the curve of losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.models.mlp import mlp
from kernelsm.models.resnet import resnet9
from kernelsm.objectives.early_stopping import Validation, held_out
from kernelsm.objectives.training import train_base


def suite_of(sizes, blobs, seed=0):
    """Tasks of these sizes, with samples like those of the blobs."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(blobs.labels), sum(sizes))
    task_of = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    names = tuple(f"task {k}" for k in range(len(sizes)))
    return replace(
        blobs,
        inputs=blobs.inputs[rows],
        labels=blobs.labels[rows],
        task_of=task_of.astype(np.int64),
        task_names=names,
    )


@pytest.fixture(scope="module")
def many(blobs):
    return suite_of((60, 40, 80, 20, 50), blobs)


@pytest.mark.parametrize("weighting", ["equally", "by_size"])
def test_losses_are_weighed_as_the_suite_says(many, weighting):
    suite = replace(many, task_weighting=weighting)
    held, model = held_out(suite, 0.2), mlp((4, 6, 3), seed=1)
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(
            model(torch.from_numpy(suite.inputs)), torch.from_numpy(suite.labels), reduction="none"
        ).numpy()

    def mean(rows):
        by_task = [losses[rows & (suite.task_of == k)] for k in range(suite.K)]
        return np.concatenate(by_task).mean() if weighting == "by_size" else np.mean([one.mean() for one in by_task])

    found, _ = Validation(suite, held, batch_size=7).losses(model)
    assert found == pytest.approx(mean(held), rel=1e-5)
    curve = []
    train_base(model, suite, epochs=1, validation=0.2, curve=curve)
    assert curve[0].train_loss == pytest.approx(mean(~held), rel=1e-5)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.25, 1 / 3, 0.5])
@pytest.mark.parametrize("sizes", [(60, 40, 80, 20, 50), (3, 2, 1, 7), (1, 1, 90), (4,) * 60])
def test_each_task_gives_its_share_and_keeps_a_sample(blobs, sizes, fraction):
    suite = suite_of(sizes, blobs)
    large = sum(size for size in sizes if size > 1)
    if int(fraction * large) == 0:
        with pytest.raises(InputError, match="validation"):
            held_out(suite, fraction)
        return
    held = held_out(suite, fraction)
    assert held.sum() == int(fraction * large)
    given = np.bincount(suite.task_of[held], minlength=len(sizes))
    for size, out in zip(sizes, given, strict=True):
        if size == 1:
            assert out == 0
        else:
            assert abs(out - fraction * size) < 1
            assert out < size


def test_the_draw_follows_the_seed_and_favours_no_sample(many):
    assert np.array_equal(held_out(many, 0.2, seed=3), held_out(many, 0.2, seed=3))
    assert not np.array_equal(held_out(many, 0.2, seed=3), held_out(many, 0.2, seed=4))
    assert not held_out(many, 0.0).any()
    draws = np.mean([held_out(many, 0.2, seed=seed) for seed in range(300)], axis=0)
    assert draws.min() > 0.1
    assert draws.max() < 0.3


def test_samples_held_out_do_not_touch_training(many):
    held = held_out(many, 0.2, seed=5)
    changed = replace(
        many,
        inputs=np.where(held[:, None], -3 * many.inputs, many.inputs).astype(np.float32),
        labels=np.where(held, (many.labels + 1) % 3, many.labels),
    )
    one, other = (train_base(mlp((4, 3)), s, epochs=8, validation=0.2, seed=5) for s in (many, changed))
    torch.testing.assert_close(flat(one), flat(other), rtol=1e-4, atol=1e-5)


def test_what_is_kept_is_trained_on_as_a_suite_of_its_own(many):
    held = held_out(many, 0.2, seed=5)
    rest = Validation(many, held).rest
    assert len(rest.labels) == (~held).sum()
    for batch_size in (None, 32):
        one = train_base(mlp((4, 3)), many, epochs=8, validation=0.2, seed=5, batch_size=batch_size)
        other = train_base(mlp((4, 3)), rest, epochs=8, seed=5, batch_size=batch_size)
        torch.testing.assert_close(flat(one), flat(other), rtol=1e-4, atol=1e-5)


def test_asking_for_the_curve_changes_no_weight(many):
    curve = []
    plain = train_base(mlp((4, 3)), many, epochs=6, batch_size=32)
    watched = train_base(mlp((4, 3)), many, epochs=6, batch_size=32, curve=curve)
    torch.testing.assert_close(flat(plain), flat(watched), rtol=1e-4, atol=1e-5)
    assert [row.epoch for row in curve] == [1, 2, 3, 4, 5, 6]
    assert all(row.validation_loss is None and row.validation_headline is None for row in curve)


@pytest.mark.parametrize("batch_size", [None, 32])
def test_the_curve_is_what_the_network_loses_on_the_samples_held_out(many, batch_size):
    curve, told = [], []

    def report(done, total, message="", *, reused=False):
        told.append((done, len(curve)))  # a row is there before its epoch is reported

    model = train_base(
        mlp((4, 3)), many, epochs=7, validation=0.3, seed=2, batch_size=batch_size, curve=curve, report=report
    )
    assert told == [(epoch, epoch) for epoch in range(1, 8)]
    held = held_out(many, 0.3, seed=2)
    with torch.no_grad():
        logits = model(torch.from_numpy(many.inputs[held]))
    labels = torch.from_numpy(many.labels[held])
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none").numpy()
    by_task = [losses[many.task_of[held] == k].mean() for k in range(many.K)]
    assert curve[-1].validation_loss == pytest.approx(np.mean(by_task), rel=1e-5)
    assert curve[-1].validation_headline == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    assert curve[0].train_loss > curve[-1].train_loss


def overfitting(blobs):
    """Labels by chance: what is learned of them is of no use to others."""
    suite = suite_of((30, 30), blobs, seed=1)
    return replace(suite, labels=np.random.default_rng(2).integers(0, 3, 60))


def test_patience_ends_training_and_brings_back_the_best_epoch(blobs):
    suite, curve = overfitting(blobs), []
    settings = {"learning_rate": 0.02, "validation": 0.3, "seed": 1}
    model = train_base(mlp((4, 32, 3)), suite, epochs=200, patience=5, curve=curve, **settings)
    best = min(curve, key=lambda row: row.validation_loss)
    assert len(curve) < 200
    assert curve[-1].epoch - best.epoch == 5
    short = train_base(mlp((4, 32, 3)), suite, epochs=best.epoch, **settings)
    torch.testing.assert_close(flat(model), flat(short), rtol=1e-4, atol=1e-5)
    assert not model.training


def test_the_best_epoch_comes_back_also_where_the_epochs_run_out(blobs):
    suite, curve = overfitting(blobs), []
    settings = {"learning_rate": 0.02, "validation": 0.3, "seed": 1}
    model = train_base(mlp((4, 32, 3)), suite, epochs=60, patience=1000, curve=curve, **settings)
    best = min(curve, key=lambda row: row.validation_loss)
    assert len(curve) == 60 > best.epoch
    short = train_base(mlp((4, 32, 3)), suite, epochs=best.epoch, **settings)
    torch.testing.assert_close(flat(model), flat(short), rtol=1e-4, atol=1e-5)


def test_an_early_end_is_reported_as_the_last_epoch(blobs):
    told = []
    train_base(
        mlp((4, 32, 3)), overfitting(blobs), epochs=200, learning_rate=0.02, validation=0.3, patience=5, seed=1,
        report=lambda *a, **_: told.append(a[:2]),
    )  # fmt: skip
    assert told[-1] == (200, 200)
    assert told[-2][0] < 199


def test_looking_at_samples_held_out_leaves_the_statistics_of_batches_alone(blobs):
    rng = np.random.default_rng(3)
    suite = replace(blobs, inputs=rng.normal(size=(45, 1, 8, 8)).astype(np.float32))
    curve = []
    model = train_base(resnet9(1, 3, width=2), suite, epochs=3, validation=0.2, curve=curve)
    rest = Validation(suite, held_out(suite, 0.2)).rest
    other = train_base(resnet9(1, 3, width=2), rest, epochs=3)
    for name, value in model.state_dict().items():
        # numbers of batches exactly
        torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-3, atol=1e-3 * value.is_floating_point())


def test_samples_held_out_that_are_not_finite_end_training_with_the_epoch(many):
    inputs = many.inputs.copy()
    inputs[np.flatnonzero(held_out(many, 0.2))[0], 1] = np.inf
    with pytest.raises(InputError, match="training, epoch 1: found a loss of"):
        train_base(mlp((4, 3)), replace(many, inputs=inputs), validation=0.2)


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"validation": -0.1}, "validation"),
        ({"validation": 0.6}, "validation"),
        ({"validation": float("nan")}, "validation"),
        ({"validation": 0.001}, "validation"),
        ({"patience": 3}, "patience"),
        ({"validation": 0.2, "patience": 0}, "patience"),
        ({"validation": 0.2, "patience": 2.5}, "patience"),
    ],
)
def test_senseless_settings_are_refused_before_a_step_is_taken(many, settings, place):
    model = mlp((4, 3))
    before = flat(model)
    with pytest.raises(InputError) as caught:
        train_base(model, many, **settings)
    assert caught.value.place == place
    assert torch.equal(flat(model), before)
