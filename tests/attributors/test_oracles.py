"""The same numbers as published libraries, where they compute the same thing: a softmax regression on the blobs.

There the Hessian is the Gauss-Newton matrix. kronfluence draws the labels of its factors at random, so that its
EK-FAC is not the expectation that is taken here: it is no oracle to four digits.
"""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from kernelsm import gradient_features
from kernelsm.attributors.descent import Descent
from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.gradient_products import TracIn
from kernelsm.attributors.influence import ConjugateGradientInfluence, ExactInfluence, NeumannInfluence
from kernelsm.attributors.network_losses import NetworkLosses
from kernelsm.attributors.trak import Trak

DAMPING = 0.2


@pytest.fixture(scope="module")
def pooled(blobs):
    """Libraries count samples alike."""
    return replace(blobs, task_weighting="by_size")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(5)
    return torch.nn.Sequential(torch.nn.Linear(4, 3)).double()


@pytest.fixture(scope="module")
def losses(pooled, model):
    return NetworkLosses(pooled, model, ridge=DAMPING)


def data(losses):
    train = TensorDataset(losses.inputs, losses.labels)
    return train, TensorDataset(losses.test_inputs, losses.test_labels)


def loader(dataset):
    return DataLoader(dataset, batch_size=len(dataset), shuffle=False)


def by_task_and_target(scores, suite):
    """Means of scores (n, test samples) over the samples of tasks and targets, shape (K, q)."""
    return np.array(
        [[scores[suite.task_of == k][:, suite.target_of == j].mean() for j in range(3)] for k in range(5)]
    )


def near(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("which", ["explicit", "cg", "lissa"])
def test_influence_functions_are_those_of_dattri(which, losses, pooled, model):
    algorithms = pytest.importorskip("dattri.algorithm", reason="dattri is not installed")
    tasks = pytest.importorskip("dattri.task", reason="dattri is not installed")

    def loss(params, batch):
        x, y = batch
        return torch.nn.functional.cross_entropy(torch.func.functional_call(network, params, (x,)), y.long())

    # its LiSSA turns samples into single precision, labels too
    precision = torch.float if which == "lissa" else torch.double
    network = deepcopy(model).to(precision)

    task = tasks.AttributionTask(loss_func=loss, model=network, checkpoints=network.state_dict(), target_func=loss)
    made = {  # its LiSSA damps the scaled Hessian
        "explicit": lambda: algorithms.IFAttributorExplicit(task=task, regularization=DAMPING),
        "cg": lambda: algorithms.IFAttributorCG(task=task, max_iter=15, tol=1e-7, regularization=DAMPING),
        "lissa": lambda: algorithms.IFAttributorLiSSA(
            task=task, batch_size=len(pooled.inputs), recursion_depth=600, damping=DAMPING / 10.0, scaling=10.0
        ),
    }[which]()
    train, test = data(losses)
    train, test = (TensorDataset(x.to(precision), y) for x, y in (part.tensors for part in (train, test)))
    made.cache(loader(train))
    scores = made.attribute(loader(train), loader(test)).detach().numpy()
    ours = {
        "explicit": ExactInfluence(losses, damping=DAMPING),
        "cg": ConjugateGradientInfluence(losses, damping=DAMPING, tolerance=1e-8),
        "lissa": NeumannInfluence(losses, damping=DAMPING, terms=600),
    }[which]
    near(ours.slopes(), -by_task_and_target(scores, pooled))


def test_curvature_and_its_inverse_are_those_of_curvlinops(losses, model):
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not installed")
    parameters = [p for p in model.parameters() if p.requires_grad]
    curvature = curvlinops.GGNLinearOperator(
        model, torch.nn.CrossEntropyLoss(), parameters, [(losses.inputs, losses.labels)]
    )
    matrix = curvature @ torch.eye(losses.d, dtype=torch.double)
    near(losses.dense_curvature(losses.start).numpy(), matrix.numpy())
    lifted = matrix + DAMPING * torch.eye(losses.d, dtype=torch.double)
    expected = -(losses.task_gradients(losses.at) @ torch.linalg.solve(lifted, losses.target_gradients(losses.at).T))
    near(ConjugateGradientInfluence(losses, damping=DAMPING, tolerance=1e-8).slopes(), expected.numpy())


def test_tracin_is_that_of_captum(losses, pooled, model, tmp_path):
    influence = pytest.importorskip("captum.influence", reason="captum is not installed")
    descent = Descent(losses, steps=4, checkpoints=2, learning_rate=0.1, momentum=0.0)
    paths = []
    for number, (weights, _) in enumerate(descent.checkpoints()):
        path = tmp_path / f"{number}.npy"
        np.save(path, weights.numpy())
        paths.append(str(path))

    def load(network, path):
        pieces = torch.from_numpy(np.load(path)).split([p.numel() for p in network.parameters()])
        with torch.no_grad():
            for parameter, piece in zip(network.parameters(), pieces, strict=True):
                parameter.copy_(piece.reshape(parameter.shape))
        return 0.1 * 2

    train, _ = data(losses)
    oracle = influence.TracInCP(
        deepcopy(model), train, paths, checkpoints_load_func=load,
        loss_fn=torch.nn.CrossEntropyLoss(reduction="none"), batch_size=len(train), sample_wise_grads_per_batch=False,
    )  # fmt: skip
    scores = oracle.influence((losses.test_inputs, losses.test_labels)).detach().numpy()  # (test, train)
    near(TracIn(losses, descent=descent).slopes(), -by_task_and_target(scores.T, pooled))


def test_scores_of_samples_are_those_of_traker(pooled, model, tmp_path):
    trak = pytest.importorskip("trak", reason="traker is not installed")
    projectors = pytest.importorskip("trak.projectors", reason="traker is not installed")
    network = torch.nn.Sequential(torch.nn.Linear(4, 3))
    network.load_state_dict(model.state_dict())
    network.eval()
    d = sum(p.numel() for p in network.parameters())
    oracle = trak.TRAKer(
        model=network, task="image_classification", train_set_size=len(pooled.inputs), save_dir=str(tmp_path),
        projector=projectors.NoOpProjector(d, d, 0, "identity", "cpu"), proj_dim=d, device="cpu", lambda_reg=0.05,
        use_half_precision=False,
    )  # fmt: skip
    oracle.load_checkpoint(network.state_dict(), model_id=0)
    train = [torch.from_numpy(pooled.inputs), torch.from_numpy(pooled.labels)]
    test = [torch.from_numpy(pooled.test_inputs), torch.from_numpy(pooled.test_labels)]
    oracle.featurize(batch=train, num_samples=len(train[1]))
    oracle.finalize_features()
    oracle.start_scoring_checkpoint("t", network.state_dict(), model_id=0, num_targets=len(test[1]))
    oracle.score(batch=test, num_samples=len(test[1]))
    scores = np.asarray(oracle.finalize_scores("t"), dtype=float)  # (train, test), of margins
    made = gradient_features(network, pooled.inputs, pooled.labels)
    tested = gradient_features(network, pooled.test_inputs, pooled.test_labels, outputs=made.outputs)
    features = FeatureLosses(pooled, made, tested, ridge=DAMPING)
    ours = Trak(features, dim=features.d)
    gram = ours.margins(test=False)[0]
    # gradients are divided by the root of their number there
    ours.regulariser = 0.05 * d / float((gram.T @ gram).diagonal().mean())
    remaining = ours.margins(test=True)[1].numpy()  # dF of the loss is -(1 - p) that of the margin
    expected, found = -by_task_and_target(scores * remaining, pooled), ours.slopes()
    # its inverse is divided by its own mean size
    near(found / np.abs(found).max(), expected / np.abs(expected).max())
