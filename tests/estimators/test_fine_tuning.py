"""Fine-tuning: against a loop written by hand, seeds, what is frozen, the store, and GradEx where it converges."""

import numpy as np
import pytest
import torch
from small_language_model import tiny_model

from kernelsm import ConvergenceError, GradEx, InputError, bernoulli_masks, gradient_features, lds
from kernelsm.estimators.fine_tuning import FineTuning
from kernelsm.models.causal_text import causal_text
from kernelsm.models.registry import build_model
from kernelsm.runtime.executors import using
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.store import Store
from kernelsm.tasks.text_suite import Passage, text_suite

MASK = np.array([[True, False, True, True, False]])


@pytest.fixture
def model():
    return build_model("mlp", sizes=[4, 6, 3], seed=0)


def test_it_is_adam_with_the_pull_on_the_included_samples(blobs, model):
    settings = {"ridge": 0.3, "epochs": 3, "learning_rate": 0.01}
    found = FineTuning(blobs, model, batch_size=10**6, **settings).fine_tune(MASK[0])
    by_hand = build_model("mlp", sizes=[4, 6, 3], seed=0)
    start = [p.detach().clone() for p in by_hand.parameters()]
    rows = torch.from_numpy(np.flatnonzero(MASK[0][blobs.task_of]))
    weights = torch.from_numpy(blobs.sample_weights(MASK)[0])[rows]
    optimizer = torch.optim.Adam(by_hand.parameters())
    for step in range(3):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 3)
        optimizer.zero_grad()
        logits = by_hand(torch.from_numpy(blobs.inputs)[rows])
        losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(blobs.labels)[rows], reduction="none")
        pull = sum(((p - value) ** 2).sum() for p, value in zip(by_hand.parameters(), start, strict=True))
        ((weights * losses).sum() + 0.3 / 2 * pull).backward()
        optimizer.step()
    for one, other in zip(found.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_model_stays_and_the_empty_subset_leaves_it(blobs, model):
    before = [p.detach().clone() for p in model.parameters()]
    tuning = FineTuning(blobs, model, epochs=2, learning_rate=0.05)
    tuned, empty = tuning.fine_tune(MASK[0]), tuning.fine_tune(np.zeros(5, dtype=bool))
    assert all(torch.equal(p, value) for p, value in zip(model.parameters(), before, strict=True))
    assert all(torch.equal(p, value) for p, value in zip(empty.parameters(), before, strict=True))
    assert not all(torch.equal(p, value) for p, value in zip(tuned.parameters(), before, strict=True))


def test_seeds_change_the_batches_and_nothing_else(blobs, model):
    def values(seed):
        return FineTuning(blobs, model, learning_rate=0.05, batch_size=5, seed=seed).outcomes(MASK).values

    assert np.array_equal(values(0), values(0))
    assert not np.array_equal(values(0), values(1))


def test_finished_subsets_are_found_again_and_processes_find_the_same(blobs, model):
    masks = bernoulli_masks(5, 4, seed=1)
    tuning = FineTuning(blobs, model, batch_size=16)
    alone = tuning.outcomes(masks, store=Store())
    again = Store()
    assert np.array_equal(tuning.outcomes(masks[:3], store=again).values, alone.values[:3])
    assert (again.reused, again.computed) == (3, 0)
    with LocalProcesses(2, start_seconds=0) as processes, using(processes):
        assert np.array_equal(tuning.outcomes(masks).values, alone.values)
    assert alone.meta["estimator"] == "fine_tuning"
    accuracies = tuning.outcomes(masks, measure="accuracy", store=again).values
    assert ((accuracies >= 0) & (accuracies <= 1)).all()


def test_adapters_of_a_language_model_share_its_weights():
    model = tiny_model(start=True)
    texts = [Passage(f" {word}", source, "Text:") for source in "ab" for word in ("good", "a bad book", "positive")]
    suite = text_suite(texts, texts[:3], model.encode, length=16)
    network = causal_text(model, rank=2)
    tuning = FineTuning(suite, network, epochs=20, learning_rate=0.05, batch_size=3)
    tuned = tuning.fine_tune(np.array([True, True]))
    by_name = dict(network.named_parameters())
    for name, parameter in tuned.named_parameters():
        assert (parameter is by_name[name]) == (not parameter.requires_grad)
    both, none = tuning.outcomes(np.array([[True, True], [False, False]])).values[:, 0]
    assert both < 0.8 * none


def test_long_fine_tuning_comes_to_where_gradex_is(blobs):
    model = build_model("logistic", inputs=4, classes=3)  # linear in its weights: GradEx is exact
    train, test = (
        gradient_features(model, inputs, labels)
        for inputs, labels in ((blobs.inputs, blobs.labels), (blobs.test_inputs, blobs.test_labels))
    )
    masks = bernoulli_masks(5, 6, seed=0)
    exact = GradEx(blobs, train, test, ridge=0.5).outcomes(masks)
    tuned = FineTuning(blobs, model, ridge=0.5, epochs=400, learning_rate=0.05, batch_size=10**6).outcomes(masks)
    assert np.abs(tuned.values / exact.values - 1).max() < 0.01
    assert lds(tuned.values, exact.values) > 0.95


def test_products_in_half_precision_end_near_and_leave_no_setting_behind(blobs, model):
    single, half = (
        FineTuning(blobs, model, epochs=5, learning_rate=0.02, precision=precision).outcomes(MASK)
        for precision in ("single", "bfloat16")
    )
    assert np.abs(half.values - single.values).max() < 0.02 * np.abs(single.values).max()
    assert (single.meta.get("precision"), half.meta["precision"]) == (None, "bfloat16")
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"precision": "double"}, "precision"),
        ({"ridge": -1.0}, "ridge"), ({"epochs": 0}, "epochs"), ({"learning_rate": 0.0}, "learning_rate"),
        ({"batch_size": 0}, "batch_size"), ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(blobs, model, changes, place):
    with pytest.raises(InputError, match=place):
        FineTuning(blobs, model, **changes)


def test_a_loss_that_runs_away_ends_it(blobs, model):
    with pytest.raises(ConvergenceError, match="Lower the learning rate"):
        FineTuning(blobs, model, learning_rate=1e30, epochs=5).outcomes(MASK)
