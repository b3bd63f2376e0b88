"""Error of the first-order estimate, against a network fine-tuned on a few subsets (paper Table 2)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.truth import score_estimates
from kernelsm.outcomes.table import Outcomes
from kernelsm.tasks.suite import TaskSuite

_DOUBLE_UP_TO = 10_000_000  # parameters; a language model would take minutes, and gigabytes
_SAMPLES_AT_ONCE = 16

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class LogitError:
    """How far the linearised logits are from those of a network that was really fine-tuned, on test samples.

    Parameters
    ----------
    of_logits : float
        Mean over samples of |ε_W(x)| / |f_W(x)|, ε_W(x) = f_W(x) - f_W0(x) - <∇f_W0(x), W - W0> (paper eq. 9 and
        Table 2); norms over classes.
    of_change : float
        |ε_W| / |f_W - f_W0| over all samples together: what share of the change the first order misses. Stricter: a
        network that hardly moves has a small `of_logits` whatever its curvature.
    """

    of_logits: float
    of_change: float


def logit_error(base: nn.Module, tuned: nn.Module, inputs: NDArray[Any]) -> LogitError:
    """Compare a fine-tuned network with the first-order expansion around W0, exactly (a forward-mode derivative).

    In double precision up to 10 million parameters, and in single beyond.

    Parameters
    ----------
    base : torch.nn.Module
        At W0.
    tuned : torch.nn.Module
        The same network at W.
    inputs : ndarray, shape (n, ...)
    """
    import torch  # imported here, because pages read finished checks without torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    numbers = sum(parameter.numel() for parameter in base.parameters())
    model = copy.deepcopy(base).eval()
    precision = torch.double if numbers <= _DOUBLE_UP_TO else torch.float
    model = model.to(precision)
    # what is frozen does not move
    start = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    moved = dict(tuned.named_parameters())
    step = {name: moved[name].detach().to(precision) - value for name, value in start.items()}
    fixed = {name: p.detach() for name, p in model.named_parameters() if name not in start}
    fixed |= dict(model.named_buffers())
    samples = torch.from_numpy(np.asarray(inputs))
    samples = samples.to(precision) if samples.is_floating_point() else samples
    parts = []
    # torch's fused attention has no forward-mode derivative
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        for x in samples.split(len(samples) if precision == torch.double else _SAMPLES_AT_ONCE):
            model(x)  # what a network keeps of its samples cannot be made within a transform

            def logits(weights: dict[str, torch.Tensor], x: torch.Tensor = x) -> torch.Tensor:
                out: torch.Tensor = torch.func.functional_call(model, {**weights, **fixed}, (x,))
                return out

            before, along = torch.func.jvp(logits, (start,), (step,))[:2]
            after = logits({name: start[name] + step[name] for name in start})
            parts.append((before.double(), along.double(), after.double()))
    before, along, after = (torch.cat(column) for column in zip(*parts, strict=True))
    missed = after - before - along
    per_sample = missed.norm(dim=1) / after.norm(dim=1).clamp(min=1e-30)
    return LogitError(float(per_sample.mean()), float(missed.norm() / (after - before).norm().clamp(min=1e-30)))


@dataclass(frozen=True)
class FirstOrderCheck:
    """What a few retrained subsets say about the first-order estimate.

    Parameters
    ----------
    subsets : int
        How many were retrained.
    logits : list of LogitError
        One for each subset whose logits were compared.
    spearman, relative_error : float
        Of the outcome averaged over targets.
    lds : float
        Mean over targets of the rank correlation over subsets.
    """

    subsets: int
    logits: list[LogitError]
    spearman: float
    relative_error: float
    lds: float

    @property
    def of_logits(self) -> float:
        """Mean over subsets of the relative error of the logits (paper Table 2)."""
        return float(np.mean([error.of_logits for error in self.logits]))

    @property
    def of_change(self) -> float:
        """Mean over subsets of the share of the logits' change that the first order misses."""
        return float(np.mean([error.of_change for error in self.logits]))

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> FirstOrderCheck:
        """Read what `to_json` wrote."""
        return cls(**{**found, "logits": [LogitError(**error) for error in found["logits"]]})


def first_order_check(
    suite: TaskSuite, base: nn.Module, tuned: list[nn.Module], truth: Outcomes, estimates: Outcomes
) -> FirstOrderCheck:
    """Compare outcomes of retraining with estimates of the same subsets, and logits of some of the networks.

    Parameters
    ----------
    suite : TaskSuite
    base : torch.nn.Module
        At W0.
    tuned : list of torch.nn.Module
        Networks fine-tuned on some of the subsets.
    truth, estimates : Outcomes
        Of the same masks.
    """
    scores = score_estimates(truth, estimates)
    return FirstOrderCheck(
        subsets=truth.m,
        logits=[logit_error(base, network, suite.test_inputs) for network in tuned],
        **{name: scores[name] for name in ("spearman", "relative_error", "lds")},
    )
