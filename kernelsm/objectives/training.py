"""Training of the base model W0 on all tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from kernelsm.models.seeding import seeded
from kernelsm.models.weights import own_state
from kernelsm.objectives.early_stopping import Validation, held_out
from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_counts, check_number
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.tasks.suite import TaskSuite


@dataclass(frozen=True)
class EpochLosses:
    """A row of the training curve.

    Parameters
    ----------
    epoch : int
        From 1.
    train_loss : float
        Mean loss of the samples trained on, in its own unit, as seen while training; tasks are weighed as the suite
        says.
    validation_loss : float, optional
        Mean loss of the samples held out after the epoch, with tasks weighed alike. None where none are.
    validation_headline : float, optional
        The objective's headline measure of the samples held out: the accuracy for classes.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None = None
    validation_headline: float | None = None


def train_base(
    model: nn.Module,
    suite: TaskSuite,
    *,
    epochs: int = 100,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.0,
    batch_size: int | None = None,
    target_loss: float | None = None,
    validation: float = 0.0,
    patience: int | None = None,
    curve: list[EpochLosses] | None = None,
    seed: int = 0,
    report: Report = silent,
) -> nn.Module:
    """Train `model` in place on all tasks of the suite and return it in eval mode.

    It is the paper's eq. 1 with s all ones: each task weighs the same, or each sample, as the suite's
    `task_weighting` says. Adam, on the loss of the suite's objective; the same initial weights, arguments and number
    of threads give the same W0.

    Parameters
    ----------
    model : torch.nn.Module
        Maps a batch of the suite's inputs to outputs (n, C).
    suite : TaskSuite
    epochs : int
        Largest number of passes over the training samples.
    learning_rate : float
        Of Adam.
    weight_decay : float
        Shrinks every weight by this times the learning rate in each step, apart from Adam (AdamW).
    batch_size : int, optional
        Samples per step, drawn anew in each epoch; by default all of them.
    target_loss : float, optional
        Stop after the first epoch whose mean training loss, as seen while training, is no more than this.
    validation : float
        Fraction of the training samples, 0 to 0.5, that is held out of the training loss: the same fraction of each
        task, as nearly as whole samples allow. Every task keeps at least one.
    patience : int, optional
        Stop when the validation loss has not improved for this many epochs, and go back to the weights with the
        lowest, also where another rule ends training.
    curve : list of EpochLosses, optional
        Each epoch is appended to it before it is reported.
    seed : int
        Of the samples held out, of the batches and of dropout.
    report : Report
        Called after each epoch; an early end is reported as the last epoch.

    Raises
    ------
    InputError
        An argument out of its range, or a loss that is not finite.
    """
    check_counts(
        epochs=epochs,
        **({} if batch_size is None else {"batch_size": batch_size}),
        **({} if patience is None else {"patience": patience}),
    )
    check_number("learning_rate", learning_rate, above=0)
    check_number("weight_decay", weight_decay, least=0)
    if patience is not None and not validation:
        raise InputError("patience", repr(patience), "samples held out for it", "Set validation above 0.")
    objective = find(suite)
    held = Validation(suite, held_out(suite, validation, seed=seed), batch_size=batch_size) if validation else None
    kept = held.rest if held else suite
    best, best_epoch = math.inf, 0
    best_weights: dict[str, torch.Tensor] = {}
    inputs, labels = torch.from_numpy(kept.inputs), torch.from_numpy(kept.labels)
    weights = torch.from_numpy(kept.sample_weights(np.ones((1, kept.K), dtype=np.bool_))[0])
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
                loss = (weights[rows] * objective.loss(model(inputs[rows]), labels[rows])).sum()
                seen += loss.item()
                # a batch stands for all samples: its loss is scaled to theirs
                (loss * (len(whole) / len(rows))).backward()
                optimizer.step()
            checked: tuple[float, ...] = held.losses(model) if held else ()
            for value in (seen, *checked):
                if not math.isfinite(value):
                    raise InputError(
                        f"training, epoch {epoch}", f"a loss of {value}", "a finite number",
                        "Lower the learning rate, or look for inputs that are not finite.",
                    )  # fmt: skip
            if curve is not None:
                curve.append(EpochLosses(epoch, seen, *checked))
            if patience is not None and checked[0] < best:
                best, best_epoch = checked[0], epoch
                best_weights = {name: value.clone() for name, value in own_state(model).items()}
            reached = target_loss is not None and seen <= target_loss
            ended = reached or (patience is not None and epoch - best_epoch >= patience)
            report(epochs if ended else epoch, epochs, "base model")
            if ended:
                break
    if patience is not None:
        model.load_state_dict(best_weights, strict=False)
    return model.eval()


def _batches(count: int, size: int, order: torch.Generator) -> tuple[torch.Tensor, ...]:
    """All rows in random order, in batches of nearly equal size."""
    return torch.tensor_split(torch.randperm(count, generator=order), math.ceil(count / size))
