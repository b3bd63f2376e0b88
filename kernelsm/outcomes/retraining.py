"""Retraining: the ground truth of F(s), by really training the network on each subset."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.outcomes.estimation import outcomes_by_block
from kernelsm.outcomes.gradex import group_means
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store, content_hash
from kernelsm.tasks.suite import TaskSuite


class Retraining:
    """Fine-tunes the whole network from W0 on each subset, to convergence.

    For each subset, minimise over W the mean cross-entropy of f_W on the included tasks (paper eq. 1) plus
    ridge/2 ‖W - W0‖², by full-batch L-BFGS in double precision: the objective of `GradEx` without its linearisation.
    No randomness is left: equal W0 gives equal outcomes. At the kinks of a ReLU network the search may end where the
    gradient does not vanish; what is left to gain there was at most 0.1 % of the objective on small networks.

    Parameters
    ----------
    suite : TaskSuite
    model : torch.nn.Module
        At W0; it is not changed.
    ridge : float
        λ > 0, the strength of the pull towards W0.
    max_steps : int
        Bound on L-BFGS steps per subset.

    Raises
    ------
    InputError
        ridge ≤ 0.
    """

    def __init__(self, suite: TaskSuite, model: nn.Module, *, ridge: float = 0.03, max_steps: int = 1000) -> None:
        if not (ridge > 0 and math.isfinite(ridge)):
            raise InputError("ridge", f"{ridge}", "a finite number above 0", "0.03 is the examples' value.")
        self.suite, self.model, self.ridge, self.max_steps = suite, model, ridge, max_steps

    def outcomes(self, masks: NDArray[np.bool_], *, store: Store | None = None, report: Report = silent) -> Outcomes:
        """Retrain on each mask.

        Returns
        -------
        Outcomes
            Mean test loss per target, in nats, shape (m, q). The empty subset leaves the model at W0.
        """
        weights = content_hash({n: p.numpy() for n, p in self.model.state_dict().items()}, repr(self.model))
        return outcomes_by_block(
            self.suite,
            masks,
            _retrain_block,
            key=(self.suite.content_hash, weights, self.ridge, self.max_steps),
            heavy={"retraining": self},
            block=1,
            store=store,
            report=report,
            message="retraining",
            meta={
                "estimator": "retraining", "ridge": self.ridge, "max_steps": self.max_steps,
                "suite": self.suite.content_hash, "weights": weights,
            },
        )  # fmt: skip

    def fine_tune(self, mask: NDArray[np.bool_]) -> nn.Module:
        """Return a copy of the model, in double precision, fine-tuned on one subset."""
        model = copy.deepcopy(self.model).double()
        model.eval()  # no dropout: the objective is the one GradEx linearises
        start = [p.detach().clone() for p in model.parameters()]
        weight = torch.from_numpy(self.suite.sample_weights(mask[None])[0]).double()
        inside = weight > 0
        inputs = torch.from_numpy(self.suite.inputs)[inside].double()
        labels, weight = torch.from_numpy(self.suite.labels)[inside], weight[inside]
        optimizer = torch.optim.LBFGS(
            model.parameters(), max_iter=self.max_steps, max_eval=2 * self.max_steps, tolerance_grad=1e-6,
            tolerance_change=1e-12, history_size=20, line_search_fn="strong_wolfe",
        )  # fmt: skip

        def objective() -> torch.Tensor:
            optimizer.zero_grad()
            pull = sum(
                ((p - p0).square().sum() for p, p0 in zip(model.parameters(), start, strict=True)), torch.zeros(())
            )
            loss = self.ridge / 2 * pull
            if len(labels):
                loss = loss + (weight * nn.functional.cross_entropy(model(inputs), labels, reduction="none")).sum()
            loss.backward()
            return loss

        optimizer.step(objective)
        return model.eval()


def _retrain_block(
    masks: NDArray[np.bool_], suite_hash: str, weights_hash: str, ridge: float, max_steps: int, retraining: Retraining
) -> NDArray[np.float64]:
    """Outcomes of a few masks, shape (masks, q); all but `retraining` is the store's key."""
    suite = retraining.suite
    inputs = torch.from_numpy(suite.test_inputs).double()
    labels = torch.from_numpy(suite.test_labels)
    losses = []
    for mask in masks:
        model = retraining.fine_tune(mask)
        with torch.no_grad():
            logits = model(inputs)
            losses.append(nn.functional.cross_entropy(logits, labels, reduction="none"))
    return group_means(torch.stack(losses, dim=1), suite)
