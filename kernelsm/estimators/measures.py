"""The three measures of a model on the targets: mean loss, accuracy and margin."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.runtime.checks import check_choice
from kernelsm.tasks.suite import TaskSuite

Measure = Literal["loss", "accuracy", "margin"]
MEASURES: tuple[Measure, ...] = ("loss", "accuracy", "margin")
UNITS: dict[str, str] = {"loss": "nats", "accuracy": "fraction", "margin": "log-odds"}


def check_measure(measure: str) -> int:
    """Return the place of a measure in `MEASURES`.

    Raises
    ------
    InputError
        There is none of that name.
    """
    check_choice("measure", measure, MEASURES)
    return MEASURES.index(measure)


def measured(logits: torch.Tensor, classes: torch.Tensor, suite: TaskSuite) -> NDArray[np.float64]:
    """Measure every model on every target.

    Parameters
    ----------
    logits : Tensor, shape (R, n, m)
        Of n test samples in m models, less the logit of the last class R, which is 0.
    classes : Tensor of int64, shape (n,)
        0..R. A model of the margin alone is one of two classes with R = 1 and every true class 0: its accuracy is
        the share of samples with p of the true class above 1/2, which is less than being the most probable class.
    suite : TaskSuite
        Says which target each sample belongs to.

    Returns
    -------
    ndarray, shape (m, 3, q)
        Means over the samples of each target, in the order of `MEASURES`: cross-entropy in nats, fraction of samples
        whose true class is more probable than each other one, and log p_y - log(1 - p_y).
    """
    logits = torch.cat([logits, torch.zeros_like(logits[:1])])
    place = classes[None, :, None].expand(1, -1, logits.shape[2])
    true = logits.gather(0, place).squeeze(0)
    others = logits.scatter(0, place, float("-inf"))
    margin = true - others.logsumexp(dim=0)
    correct = (true > others.amax(dim=0)).to(logits)
    samples = torch.stack([torch.nn.functional.softplus(-margin), correct, margin], dim=1)
    target = torch.from_numpy(suite.target_of)
    sums = samples.new_zeros((len(suite.target_names), *samples.shape[1:])).index_add_(0, target, samples)
    counts = torch.bincount(target, minlength=len(suite.target_names))
    return np.asarray((sums / counts[:, None, None]).permute(2, 1, 0).double().numpy())
