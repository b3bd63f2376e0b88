"""TracIn and TRAK against their formulas sample by sample, EK-FAC on a network where it is exact."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.attributors.descent import Descent
from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.gradient_products import TracIn
from kernelsm.attributors.trak import TaskTrak, Trak
from kernelsm.objectives.classification import margin
from kernelsm.runtime.store import Store


def margin_gradients(network, inputs, labels):
    """Gradients (n, d) of log-odds and 1 - p, from autograd on the network."""

    def margins(w):
        return margin(network.outputs(w, inputs), labels)

    return torch.func.jacrev(margins)(network.start).numpy(), torch.sigmoid(-margins(network.start)).numpy()


def by_sample(network):
    train = margin_gradients(network, network.inputs, network.labels)
    return *train, *margin_gradients(network, network.test_inputs, network.test_labels)


def test_tracin_sums_the_products_of_samples(network, blobs):
    def losses(w, inputs, labels):
        return network.objective.loss(network.outputs(w, inputs), labels)

    train = torch.func.jacrev(lambda w: losses(w, network.inputs, network.labels))(network.start).numpy()
    test = torch.func.jacrev(lambda w: losses(w, network.test_inputs, network.test_labels))(network.start).numpy()
    products = train @ test.T
    expected = [
        [-0.5 * products[blobs.task_of == k][:, blobs.target_of == j].mean() for j in range(3)] for k in range(5)
    ]
    np.testing.assert_allclose(TracIn(network, learning_rate=0.5).slopes(), expected, rtol=1e-6, atol=1e-10)


def test_tracin_over_checkpoints_sums_them(network):
    descent = Descent(network, steps=6, checkpoints=3, learning_rate=0.1, momentum=0.0)
    state, expected = descent.first(), 0.0
    for step in range(6):
        if step % 2 == 0:
            G, Q = network.task_gradients(state[0]), network.target_gradients(state[0])
            expected = expected - 2 * 0.1 * (G @ Q.T).numpy()
        state = descent.step(state)
    np.testing.assert_allclose(TracIn(network, descent=descent).slopes(), expected, rtol=1e-6, atol=1e-10)


def test_a_descent_is_gradient_descent_and_is_found_again(network, tmp_path):
    store, descent = Store(tmp_path), Descent(network, steps=4, checkpoints=2, momentum=0.5)
    w, velocity = network.start.clone(), torch.zeros_like(network.start)
    for _ in range(4):
        variable = w.clone().requires_grad_()
        loss = network.shares @ network.task_losses(variable)
        loss = loss + network.ridge / 2 * (variable - network.start).square().sum()
        velocity = 0.5 * velocity + torch.autograd.grad(loss, variable)[0]
        w = w - descent.learning_rate * velocity
    found = descent.states(store=store)[-1]
    torch.testing.assert_close(found[0], w)
    torch.testing.assert_close(found[1], velocity)
    Descent(network, steps=4, checkpoints=2, momentum=0.5).states(store=store)
    assert (store.computed, store.reused) == (2, 2)


def test_trak_sums_the_published_scores_of_samples(network, linear, blobs):
    phi, residual, tested, remaining = by_sample(network)
    gram = phi.T @ phi
    gram += 1e-2 * np.diag(gram).mean() * np.eye(len(gram))
    scores = (tested * remaining[:, None]) @ np.linalg.solve(gram, (phi * residual[:, None]).T)
    n = len(phi)
    expected = [[-n * scores[blobs.target_of == j][:, blobs.task_of == k].mean() for j in range(3)] for k in range(5)]
    found = Trak(linear, dim=linear.d, regulariser=1e-2).slopes()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


def test_task_trak_is_the_formula_of_the_paper(network, linear, blobs):
    phi, residual, tested, remaining = by_sample(network)
    tasks = np.stack([phi[blobs.task_of == k].mean(axis=0) for k in range(5)])
    targets = np.stack([tested[blobs.target_of == j].mean(axis=0) for j in range(3)])
    Q = np.diag([residual[blobs.task_of == k].mean() for k in range(5)])
    scores = targets @ np.linalg.pinv(tasks.T @ tasks) @ tasks.T @ Q
    remaining_of = np.array([remaining[blobs.target_of == j].mean() for j in range(3)])
    found = TaskTrak(linear, dim=linear.d, regulariser=0.0).slopes()
    expected = -(scores * remaining_of[:, None]).T
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-3 * np.abs(expected).max())


def test_fewer_coordinates_are_a_fixed_projection(linear):
    first, again = (Trak(linear, dim=8).slopes() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert Trak(linear).dim == len(linear.train.labels) // 4
    with pytest.raises(InputError, match="dim"):
        Trak(linear, dim=0)


def test_features_of_margins_give_the_same_trak(linear, blobs, blobs_model):
    from kernelsm import gradient_features

    train = gradient_features(blobs_model, blobs.inputs, blobs.labels, outputs="margin")
    test = gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, outputs="margin")
    margins = FeatureLosses(blobs, train, test, ridge=linear.ridge)
    expected = Trak(linear, dim=linear.d, regulariser=1e-2).slopes()
    found = Trak(margins, dim=linear.d, regulariser=1e-2).slopes()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * np.abs(expected).max())


def test_kronecker_factors_refuse_other_layers_by_name(blobs):
    from kernelsm.attributors.ekfac import KroneckerInfluence
    from kernelsm.attributors.network_losses import NetworkLosses

    model = torch.nn.Sequential(torch.nn.LayerNorm(4), torch.nn.Linear(4, 3))
    with pytest.raises(InputError, match=r"in 0 \(LayerNorm\).*influence_cg"):
        KroneckerInfluence(NetworkLosses(blobs, model))


def test_kronecker_factors_refuse_features(linear):
    from kernelsm.attributors.ekfac import KroneckerInfluence

    with pytest.raises(InputError, match="a network"):
        KroneckerInfluence(linear)


def test_kronecker_factors_are_exact_where_curvature_is_a_product(blobs):
    """With a damping far above the curvature all approximations agree; with one layer and equal p they are exact."""
    pytest.importorskip("curvlinops", reason="curvlinops is not installed")
    from kernelsm.attributors.ekfac import KroneckerInfluence
    from kernelsm.attributors.influence import ExactInfluence
    from kernelsm.attributors.network_losses import NetworkLosses

    model = torch.nn.Sequential(torch.nn.Linear(4, 3))
    torch.nn.init.zeros_(model[0].weight)  # all p = 1/3: the curvature of the loss is the same for all samples
    torch.nn.init.zeros_(model[0].bias)
    # curvlinops counts samples alike
    losses = NetworkLosses(replace(blobs, task_weighting="by_size"), model, ridge=0.1)
    found, expected = KroneckerInfluence(losses).slopes(), ExactInfluence(losses).slopes()
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
