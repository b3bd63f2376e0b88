"""What other processes compute has the same bits as what this one does, chunk by chunk."""

import numpy as np
import pytest
import torch

from kernelsm import GradEx, InputError, Retraining, Store, gradient_features
from kernelsm.runtime.executors import InProcess, using
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.progress import Cancelled

MASKS = np.random.default_rng(3).random((13, 5)) < 0.5


@pytest.fixture(scope="module")
def processes():
    with LocalProcesses(2, start_seconds=0) as found:
        yield found


def both(processes, compute):
    """What is computed here and what two processes compute."""
    with using(InProcess(1)):
        here = compute()
    with using(processes):
        return here, compute()


@pytest.mark.parametrize(
    ("method", "block", "start"), [("sequential", None, "base"), ("batched", 4, "base"), ("sequential", 3, "scratch")]
)
def test_retraining(processes, blobs, blobs_model, method, block, start):
    estimator = Retraining(blobs, blobs_model, ridge=0.3, method=method, block=block, start=start)
    here, there = both(processes, lambda: estimator.outcomes(MASKS).values)
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("projection", ["exact", "gaussian"])
@pytest.mark.parametrize("outputs", ["logits", "margin"])
def test_features_and_gradex(processes, blobs, blobs_model, projection, outputs, tmp_path):
    turns = iter((Store(tmp_path / "here"), Store(tmp_path / "there")))

    def computed():
        store = next(turns)
        settings = {"projection": projection, "dim": 8, "batch_size": 7, "outputs": outputs, "store": store}
        train = gradient_features(blobs_model, blobs.inputs, blobs.labels, **settings)
        test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, **settings)
        return train, test, GradEx(blobs, train, test, ridge=0.3, block=4).outcomes(MASKS).values, store.computed

    here, there = both(processes, computed)
    for side in (0, 1):
        np.testing.assert_array_equal(here[side].features, there[side].features)
        np.testing.assert_array_equal(here[side].model_outputs, there[side].model_outputs)
        assert here[side].meta == there[side].meta
    np.testing.assert_array_equal(here[2], there[2])
    assert here[3] == there[3] == 10


def test_gradex_in_threads(blobs, blobs_model):
    train = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, outputs=train.outputs)
    gradex = GradEx(blobs, train, test, ridge=0.3, block=4)
    found = []
    for threads in (1, 3):
        with using(InProcess(threads)):
            found.append(gradex.outcomes(MASKS).values)
    np.testing.assert_array_equal(*found)
    assert gradex.train is train  # blocks are sent without the features, which stay here


def test_outcomes_do_not_depend_on_how_many_threads_torch_uses(blobs, blobs_model):
    found = []
    train = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, outputs=train.outputs)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        gradex = GradEx(blobs, train, test, ridge=0.3, block=4)
        retraining = Retraining(blobs, blobs_model, ridge=0.3)
        found.append([estimator.outcomes(MASKS).values for estimator in (gradex, retraining)])
    np.testing.assert_array_equal(*found)


def test_features_of_samples_that_are_not_finite_are_refused_as_here(processes, blobs, blobs_model):
    inputs = blobs.inputs.copy()
    inputs[17] = np.inf
    for executor in (InProcess(1), processes):
        with using(executor), pytest.raises(InputError, match="gradients of sample 17"):
            gradient_features(blobs_model, inputs, blobs.labels, batch_size=7)


@pytest.mark.parametrize("first_here", [True, False])
def test_stopped_work_is_resumed_by_whatever_computes_then(processes, blobs, blobs_model, first_here):
    store, estimator = Store(), Retraining(blobs, blobs_model, ridge=0.3, method="sequential")
    masks = np.unique(MASKS, axis=0)

    def stop(done, *_, **__):
        if done == 5:
            raise Cancelled

    with using(InProcess(1) if first_here else processes), pytest.raises(Cancelled):
        estimator.outcomes(masks, store=store, report=stop)
    assert store.computed == 5
    with using(processes if first_here else InProcess(1)):
        found = estimator.outcomes(masks, store=store)
    assert (store.computed, store.reused) == (len(masks), 5)
    np.testing.assert_array_equal(found.values, estimator.outcomes(masks).values)
