"""Gradients and curvature of task losses against plain autograd, on the network and on its features."""

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.network_losses import NetworkLosses
from kernelsm.attributors.task_losses import averaging


def gauss_newton(losses, w):
    """Σ_k a_k mean_i J_iᵀ C_i J_i from the Jacobian of all logits and the softmax' own second derivative."""
    jacobian = torch.func.jacrev(lambda v: losses.outputs(v, losses.inputs))(w)  # (n, C, d)
    p = losses.outputs(w, losses.inputs).softmax(dim=1)
    curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    weights = losses.shares @ averaging(losses.suite.task_of, losses.K, losses.dtype)
    return torch.einsum("n,ncd,nce,nef->df", weights, jacobian, curvature, jacobian)


@pytest.mark.parametrize("which", ["network", "linear"])
def test_gradients_are_those_of_the_losses(which, request):
    losses = request.getfixturevalue(which)
    w = losses.start + 0.1 * torch.randn(losses.d, generator=torch.Generator().manual_seed(1), dtype=losses.dtype)
    for found, function in (
        (losses.task_gradients(w), losses.task_losses),
        (losses.target_gradients(w), losses.target_losses),
    ):
        torch.testing.assert_close(found, torch.func.jacrev(function)(w), atol=1e-8, rtol=1e-6)


def test_curvature_is_the_gauss_newton_matrix(network):
    expected = gauss_newton(network, network.start)
    torch.testing.assert_close(network.dense_curvature(network.start), expected, atol=1e-10, rtol=1e-8)
    vectors = torch.randn(3, network.d, generator=torch.Generator().manual_seed(2), dtype=network.dtype)
    torch.testing.assert_close(network.curvature_times(network.start, vectors), vectors @ expected)


def test_features_in_the_exact_basis_are_the_network_at_w0(network, linear):
    torch.testing.assert_close(
        linear.task_gradients(linear.start), network.task_gradients(network.start), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        linear.target_gradients(linear.start), network.target_gradients(network.start), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        linear.dense_curvature(linear.start), network.dense_curvature(network.start), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        linear.target_losses(linear.start), network.target_losses(network.start), atol=1e-5, rtol=1e-5
    )


def test_products_with_features_are_those_with_their_matrix(linear):
    w = torch.full_like(linear.start, 0.05)
    vectors = torch.randn(4, linear.d, generator=torch.Generator().manual_seed(3), dtype=linear.dtype)
    torch.testing.assert_close(linear.curvature_times(w, vectors), vectors @ linear.dense_curvature(w))


def test_at_the_minimum_for_all_tasks_the_gradient_vanishes(blobs, features):
    losses = FeatureLosses(blobs, *features, ridge=0.05, point="all_tasks")
    gradient = losses.shares @ losses.task_gradients(losses.at) + losses.ridge * (losses.at - losses.start)
    before = losses.shares @ losses.task_gradients(losses.start)
    assert float(gradient.norm()) < 1e-2 * float(before.norm())


def test_the_network_tuned_on_all_tasks_has_a_lower_loss_with_the_pull(blobs, blobs_model, network):
    tuned = NetworkLosses(blobs, blobs_model, ridge=network.ridge, point="all_tasks")

    def pulled(w):
        return float(network.shares @ network.task_losses(w) + network.ridge / 2 * (w - network.start).square().sum())

    assert pulled(tuned.at) < pulled(network.at) - 1e-3


def test_tasks_weighed_by_size_weigh_so(blobs, blobs_model):
    from dataclasses import replace

    pooled = NetworkLosses(replace(blobs, task_weighting="by_size"), blobs_model, ridge=0.05)
    np.testing.assert_allclose(pooled.shares, np.array(blobs.tasks.sizes) / len(blobs.inputs))


def test_settings_out_of_range_are_refused(blobs, blobs_model):
    with pytest.raises(InputError, match="ridge"):
        NetworkLosses(blobs, blobs_model, ridge=0.0)
    with pytest.raises(InputError, match="point"):
        NetworkLosses(blobs, blobs_model, point="elsewhere")
