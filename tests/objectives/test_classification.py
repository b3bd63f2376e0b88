"""Classification: its loss, what of it is linearised, and the measures of each target."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import f1_score, roc_auc_score

from kernelsm import InputError
from kernelsm.objectives.classification import Classification, EveryLogit, Margin, SoftmaxLoss, margin
from kernelsm.objectives.objective import find_measure

CLASSES = 5


def drawn(*shape, seed=0, scale=2.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_labels(n, seed=0):
    return torch.randint(0, CLASSES, (n,), generator=torch.Generator().manual_seed(seed))


# --- the loss ---


def test_the_loss_is_minus_log_of_the_true_class_whatever_axes_stand_in_front():
    logits = drawn(2, 3, 7, CLASSES)
    labels = torch.stack([some_labels(7, seed) for seed in range(6)]).reshape(2, 3, 7)
    p = softmax(logits.numpy(), axis=-1)
    expected = -np.log(np.take_along_axis(p, labels.numpy()[..., None], axis=-1))[..., 0]
    np.testing.assert_allclose(Classification(CLASSES).loss(logits, labels), expected, rtol=1e-10)


@pytest.mark.parametrize("linearisation", Classification.linearisations, ids=lambda one: one.name)
def test_slope_and_curvature_are_autograds(linearisation):
    """The derivatives of the loss itself, by the numbers u, at outputs that other weights would give."""
    objective, n = Classification(CLASSES), 4
    logits, labels = drawn(n, CLASSES), some_labels(n)
    moved = linearisation.offsets(logits, labels)
    moved = moved + drawn(*moved.shape, seed=1)
    targets = linearisation.targets(labels, moved.shape[1]).to(moved)
    expansion = linearisation.loss.expand(moved.T[..., None], targets.T[..., None])
    for i in range(n):

        def loss(u, i=i):
            if linearisation.name == "margin":
                return torch.nn.functional.softplus(-u[0])
            return objective.loss(torch.cat([u, u.new_zeros(1)])[None], labels[i : i + 1])[0]

        slope = torch.func.grad(loss)(moved[i])
        curvature = torch.func.hessian(loss)(moved[i])
        torch.testing.assert_close(expansion.slope[:, i, 0], slope, rtol=1e-10, atol=1e-12)
        found = expansion.curvature_times(torch.eye(len(slope)).double()[:, None, :].expand(-1, n, -1))[:, i]
        torch.testing.assert_close(found, curvature, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(expansion.own_curvature[:, i, 0], curvature.diag(), rtol=1e-9, atol=1e-12)


def test_the_loss_of_some_logits_is_the_whole_loss_while_the_others_stay():
    outputs, n = drawn(CLASSES - 1, 6, 3), 6
    targets = EveryLogit().targets(some_labels(n), CLASSES - 1).double().T[..., None]
    rows = torch.tensor([0, 3, 4, 9, 13, 21])  # two of sample 3, none of sample 2
    loss = SoftmaxLoss()
    restricted = loss.restrict(outputs, targets, rows)
    change = drawn(len(rows), 3, seed=2)
    moved = outputs.clone()
    moved.view(-1, 3)[rows] += change
    whole = loss.expand(moved, targets)
    for models in (torch.tensor([0, 1, 2]), torch.tensor([True, False, True])):
        found = restricted.of_models(models).expand(moved.flatten(0, 1)[rows][:, models])
        expected = whole.of_rows(rows).of_models(models)
        torch.testing.assert_close(found.slope, expected.slope, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(found.diagonal, expected.diagonal, rtol=1e-10, atol=1e-13)
        assert found.cross is found.diagonal
        assert expected.cross is expected.diagonal


# --- the margin ---


def by_log_odds(logits, labels):
    """log p_y - log(1 - p_y) in extended precision, other classes' probabilities summed."""
    wide = logits.astype(np.longdouble)
    shifted = wide - wide.max(axis=1, keepdims=True)
    others = np.exp(shifted)
    np.put_along_axis(others, labels[:, None], 0.0, axis=1)
    return (np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0] - np.log(others.sum(axis=1))).astype(float)


def margins_of(logits, labels):
    return margin(torch.tensor(logits), torch.tensor(labels)).numpy()


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e3])
def test_margins_are_log_odds(classes, scale):
    rng = np.random.default_rng(0)
    logits = (scale * rng.normal(size=(200, classes))).astype(np.float32)
    labels = rng.integers(0, classes, 200)
    found = margins_of(logits, labels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_log_odds(logits, labels), rtol=1e-5, atol=1e-6 * scale)
    if scale == 1.0:
        p = np.exp(logits.astype(float))
        p = (p / p.sum(axis=1, keepdims=True))[np.arange(200), labels]
        np.testing.assert_allclose(found, np.log(p / (1 - p)), rtol=1e-4, atol=1e-5)
        # the loss is a function of the margin alone
        np.testing.assert_allclose(np.log1p(np.exp(-found)), -np.log(p), rtol=1e-4, atol=1e-6)


def test_extreme_margins_stay_finite_and_one_class_is_certain():
    logits = np.array([[3e38, -3e38], [-1e5, 1e5], [0.0, 0.0], [1e5, 1e5 + 0.5]], dtype=np.float32)
    np.testing.assert_allclose(margins_of(logits[1:], np.array([0, 0, 1])), [-2e5, 0.0, 0.5])
    assert np.isposinf(margins_of(logits[:, :1], np.zeros(4, dtype=np.int64))).all()


# --- measures ---


def measured(rows, blobs, linearisation):
    labels, target_of = torch.tensor(blobs.test_labels), torch.tensor(blobs.target_of)
    return Classification(3).measure(rows, labels, target_of, 3, linearisation).numpy()


def test_measures_are_those_of_the_definitions(blobs):
    logits = np.random.default_rng(0).normal(size=(4, 21, 3))
    labels, target_of = torch.tensor(blobs.test_labels), torch.tensor(blobs.target_of)
    found = Classification(3).measure_model(torch.tensor(logits), labels, target_of, 3).numpy()
    assert found.shape == (4, 3, 3)
    p = softmax(logits, axis=2)
    true = p[:, np.arange(21), blobs.test_labels]
    right = p.argmax(axis=2) == blobs.test_labels
    for position, values in enumerate((-np.log(true), right, np.log(true / (1 - true)))):
        expected = [values[:, blobs.target_of == j].mean(axis=1) for j in range(3)]
        np.testing.assert_allclose(found[:, position], np.transpose(expected), rtol=1e-10)
    assert Classification(3).measure_headline(torch.tensor(logits[1]), labels) == pytest.approx(right[1].mean())


def test_with_the_margin_alone_right_means_more_likely_than_not(blobs):
    margins = np.random.default_rng(1).normal(size=(21, 4))
    found = measured(torch.tensor(margins)[None], blobs, Margin())
    for j in range(3):
        mine = margins[blobs.target_of == j]
        np.testing.assert_allclose(found[:, 0, j], np.logaddexp(0, -mine).mean(axis=0))
        np.testing.assert_allclose(found[:, 1, j], (mine > 0).mean(axis=0))
        np.testing.assert_allclose(found[:, 2, j], mine.mean(axis=0))


@pytest.mark.parametrize("linearisation", [EveryLogit(), Margin()])
def test_of_two_classes_f1_and_auc_are_those_of_scikit_learn(linearisation):
    rng = np.random.default_rng(2)
    labels, group_of = rng.integers(0, 2, 60), np.repeat([0, 1, 2], 20)
    labels[group_of == 2] = 1  # a target that has one class alone
    logits = torch.tensor(rng.normal(size=(3, 60, 2)) + 0.7 * np.eye(2)[labels])
    two = Classification(2)
    rows = linearisation.offsets(logits[0], torch.tensor(labels)).T[..., None]
    found = two.measure(rows, torch.tensor(labels), torch.tensor(group_of), 3, linearisation).numpy()
    every = two.measure_model(logits, torch.tensor(labels), torch.tensor(group_of), 3).numpy()
    np.testing.assert_allclose(found[0], every[0], rtol=1e-10)
    names = [measure.name for measure in two.measures_for(2)]
    assert names == ["loss", "accuracy", "margin", "F1", "AUC"]
    assert [measure.name for measure in two.measures_for(3)] == names[:3]
    f1, auc = names.index("F1"), names.index("AUC")
    for model in range(3):
        score = (logits[model, :, 1] - logits[model, :, 0]).numpy()
        for j in range(3):
            own = group_of == j
            expected = f1_score(labels[own], score[own] > 0, average="macro")
            assert every[model, f1, j] == pytest.approx(expected)
            if j < 2:
                assert every[model, auc, j] == pytest.approx(roc_auc_score(labels[own], score[own]))
    assert (every[:, auc, 2] == 0.5).all()


def test_a_sure_model_has_finite_measures(blobs):
    assert np.isfinite(measured(torch.full((2, 21, 1), 1e4), blobs, EveryLogit())).all()


def test_an_unknown_measure_is_refused():
    assert [find_measure(Classification.measures, name) for name in ("loss", "accuracy", "margin")] == [0, 1, 2]
    with pytest.raises(InputError, match="'loss' or 'accuracy' or 'margin'"):
        find_measure(Classification.measures, "f1")


# --- what is refused ---


@pytest.mark.parametrize(
    ("labels", "place", "found"),
    [
        (np.array([0, 2, 3, 1]), "y, row 2", "label 3"),
        (np.array([0, -1, 3]), "y, row 1", "label -1"),
        (np.array([0, 2**64 - 1], np.uint64), "y, row 1", "label 18446744073709551615"),
        (np.array([0.0, 1.0]), "y", "type float64"),
        (np.array([True, False]), "y", "type bool"),
        (np.eye(3, dtype=np.int64), "y", "shape (3, 3)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, place, found):
    with pytest.raises(InputError) as caught:
        Classification(3).check_labels(labels, "y")
    assert (caught.value.place, caught.value.found) == (place, found)


@pytest.mark.parametrize(("classes", "count"), [(3, 2), (3, 4), (3, 1), (1, 1)])
def test_another_number_of_logits_than_classes_is_refused(classes, count):
    Classification(3).check_outputs(3, "model")
    with pytest.raises(InputError) as caught:
        Classification(classes).check_outputs(count, "model")
    assert caught.value.place == "model"


def test_names_measures_and_sizes_are_known_without_torch():
    code = (
        "import sys\n"
        "from kernelsm.examples.digits.suite import digits_suite\n"
        "from kernelsm.objectives.registry import find\n"
        "found = find(digits_suite())\n"
        "print(found.outputs, [one.width(10) for one in found.linearisations], 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "10 [10, 1] False"
