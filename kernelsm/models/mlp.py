"""A multilayer perceptron and the base model W0 trained on all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from kernelsm.tasks.suite import TaskSuite


def mlp(sizes: Sequence[int], *, seed: int = 0) -> nn.Sequential:
    """Return Linear layers of the given sizes with ReLU between them, e.g. (64, 32, 10), freshly initialised."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for i, (wide, narrow) in enumerate(pairwise(sizes)):
        layers += [nn.ReLU()] if i else []
        layers.append(nn.Linear(wide, narrow))
    torch.set_rng_state(generator_state)
    return nn.Sequential(*layers)


def train_base(model: nn.Module, suite: TaskSuite, *, epochs: int = 100, learning_rate: float = 1e-2) -> nn.Module:
    """Train `model` in place on all tasks of the suite (paper eq. 1 with s all ones) and return it.

    Full-batch Adam without randomness: the same initial weights give the same W0.
    """
    inputs = torch.from_numpy(suite.inputs)
    labels = torch.from_numpy(suite.labels)
    weights = torch.from_numpy(suite.sample_weights(np.ones((1, suite.K), dtype=np.bool_))[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    model.train()
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = (weights * nn.functional.cross_entropy(model(inputs), labels, reduction="none")).sum()
        loss.backward()
        optimizer.step()
    return model.eval()
