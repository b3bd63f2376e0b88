"""Training of the base model W0 on all tasks."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from kernelsm.models.arguments import check_counts
from kernelsm.models.seeding import seeded
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.tasks.suite import TaskSuite


def train_base(
    model: nn.Module,
    suite: TaskSuite,
    *,
    epochs: int = 100,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.0,
    batch_size: int | None = None,
    target_loss: float | None = None,
    seed: int = 0,
    report: Report = silent,
) -> nn.Module:
    """Train `model` in place on all tasks of the suite (paper eq. 1 with s all ones) and return it in eval mode.

    Adam; the same initial weights, arguments and number of threads give the same W0.

    Parameters
    ----------
    model : torch.nn.Module
        Maps a batch of the suite's inputs to logits (n, C).
    suite : TaskSuite
    epochs : int
        Most passes over the training samples.
    learning_rate : float
        Of Adam.
    weight_decay : float
        Shrinks every weight by this times the learning rate in each step, apart from Adam (AdamW).
    batch_size : int, optional
        Samples per step, drawn anew in each epoch; all of them if not given.
    target_loss : float, optional
        Stop after the first epoch whose mean training loss, in nats, as seen while training, is no more than this.
    seed : int
        Of the batches and of dropout.
    report : Report
        Told after each epoch; an early end is reported as the last.

    Raises
    ------
    InputError
        An argument out of its range, or a training loss that is not finite.
    """
    check_counts(epochs=epochs, **({} if batch_size is None else {"batch_size": batch_size}))
    for place, value, fine, expected in (
        ("learning_rate", learning_rate, learning_rate > 0, "a finite number above 0"),
        ("weight_decay", weight_decay, weight_decay >= 0, "a finite number, 0 or more"),
    ):
        if not (fine and math.isfinite(value)):
            raise InputError(place, repr(value), expected, "Change this setting.")
    inputs, labels = torch.from_numpy(suite.inputs), torch.from_numpy(suite.labels)
    weights = torch.from_numpy(suite.sample_weights(np.ones((1, suite.K), dtype=np.bool_))[0])
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    whole = torch.arange(len(labels))
    order = torch.Generator().manual_seed(seed)
    model.train()
    with seeded(seed):
        for epoch in range(1, epochs + 1):
            batches = [whole] if batch_size is None else _batches(len(whole), batch_size, order)
            seen = 0.0
            for rows in batches:
                optimizer.zero_grad()
                losses = nn.functional.cross_entropy(model(inputs[rows]), labels[rows], reduction="none")
                loss = (weights[rows] * losses).sum()
                seen += loss.item()
                # a batch stands for all samples: its loss is scaled to theirs
                (loss * (len(whole) / len(rows))).backward()
                optimizer.step()
            if not math.isfinite(seen):
                raise InputError(
                    f"training, epoch {epoch}", f"a loss of {seen}", "a finite number",
                    "Lower the learning rate, or look for inputs that are not finite.",
                )  # fmt: skip
            reached = target_loss is not None and seen <= target_loss
            report(epochs if reached else epoch, epochs, "base model")
            if reached:
                break
    return model.eval()


def _batches(count: int, size: int, order: torch.Generator) -> tuple[torch.Tensor, ...]:
    """All rows in random order, in batches of nearly equal size."""
    return torch.tensor_split(torch.randperm(count, generator=order), math.ceil(count / size))
