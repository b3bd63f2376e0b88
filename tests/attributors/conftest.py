"""Losses of a small network and of its features."""

import pytest
import torch

from kernelsm import gradient_features

RIDGE = 0.05


@pytest.fixture(scope="session")
def network(blobs, blobs_model):
    from kernelsm.attributors.network_losses import NetworkLosses

    return NetworkLosses(blobs, blobs_model, ridge=RIDGE)


@pytest.fixture(scope="session")
def features(blobs, blobs_model):
    torch.set_num_threads(1)
    train = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    return train, gradient_features(blobs_model, blobs.test_inputs, blobs.test_labels, outputs=train.outputs)


@pytest.fixture(scope="session")
def linear(blobs, features):
    from kernelsm.attributors.feature_losses import FeatureLosses

    return FeatureLosses(blobs, *features, ridge=RIDGE)
