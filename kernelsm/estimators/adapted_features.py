"""Gradient features along the directions in which fine-tuning on the tasks moves the weights.

Random directions keep all inner products of gradients a little; GradEx needs those few directions well in which its
solutions lie. The solution for a subset is a sum of gradients of the samples' losses, and solutions for different
subsets are alike, so that a few directions for each task span them nearly. They are found as reduced bases are
(greedily, by residuals): solve some subsets in the directions at hand, compute the gradient that is left in all d
coordinates, and add it. What is left also says how far the solution is from that in all coordinates, which is at most
the norm of what is left, over λ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.estimators.estimator import task_weight_key
from kernelsm.estimators.gradex_solver import LinearisedProblem
from kernelsm.gradients.choices import ADAPTED, PROBES, USUAL_ROUNDS, choose_linearisation
from kernelsm.gradients.directions import Directions
from kernelsm.gradients.features import GradientFeatures, gradient_features, model_batch
from kernelsm.gradients.per_sample import evaluating, outputs_of, trainable
from kernelsm.models.hashing import model_hash
from kernelsm.objectives.objective import Linearisation
from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.runtime.threads import one_thread
from kernelsm.tasks.suite import TaskSuite

DIRECTION_CHUNKS = ChunkKind("adapted_directions")
_BATCH = 512
# directions that hold less than this share of the largest candidate are rounding
_NEGLIGIBLE = 1e-4


def adapted_features(
    suite: TaskSuite,
    model: nn.Module,
    *,
    ridge: float,
    dim: int = 512,
    residual: float = 0.1,
    task_weights: Sequence[float] | None = None,
    outputs: str = "auto",
    store: Store | None = None,
    report: Report = silent,
) -> tuple[GradientFeatures, GradientFeatures]:
    """Return the features of a suite's training and test samples along directions found for its tasks.

    The first directions are the gradients of the tasks' losses at W0, one each. Each round then solves GradEx for
    40 random subsets of all sizes in the directions so far and adds what is left of their gradients, until that is
    small or there are `dim` directions. The residual is stated in the metadata.

    Parameters
    ----------
    suite : TaskSuite
    model : torch.nn.Module
        At W0.
    ridge : float
        λ > 0 of the GradEx that the features are for. A weaker pull needs more directions.
    dim : int
        Most directions. They take 4·d·dim bytes of memory for d parameters.
    residual : float
        Stop where the gradients that are left have at most this share of the pull's, λ‖Z‖, in the mean over the
        subsets of a round; 0 for `dim` directions in any case.
    task_weights : sequence of float, length K, optional
        As of `GradEx`.
    outputs : str
        As of `gradient_features`.
    store : Store, optional
        Keeps each round.
    report : Report
        Called during each round, in hundredths of the usual number of rounds.

    Returns
    -------
    GradientFeatures, GradientFeatures
        Of the training and of the test samples.

    Raises
    ------
    InputError
        As `gradient_features`; a number out of its range.

    Examples
    --------
    >>> from kernelsm import GradEx, adapted_features, bernoulli_masks, build_model
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite = digits_suite()
    >>> model = build_model("logistic", inputs=64, classes=10)
    >>> train, test = adapted_features(suite, model, ridge=1.0)
    >>> train.features.shape[2] < 650  # fewer than the network has parameters
    True
    >>> outcomes = GradEx(suite, train, test, ridge=1.0).outcomes(bernoulli_masks(suite.K, 10))
    """
    check_number("ridge", ridge, above=0, fix="0.03 is the examples' value.")
    check_number("residual", residual, least=0)
    dim = check_whole("dim", dim, fix="512 is the default.")
    d = sum(p.numel() for p in trainable(model).values())
    most, dim = dim, min(dim, d)
    objective = find(suite)
    count = len(suite.inputs) + len(suite.test_inputs)
    linearisation = choose_linearisation(objective.linearisations, outputs, objective.outputs, count * dim)
    weighing = task_weight_key(suite, task_weights)
    key = (suite.content_hash, model_hash(model), ridge, weighing, linearisation.name, PROBES)

    def project(inputs: NDArray[Any], labels: NDArray[Any], directions: torch.Tensor) -> GradientFeatures:
        return gradient_features(
            model, inputs, labels, Directions(directions, ADAPTED), store=store, report=steps.next(),
            outputs=linearisation.name, objective=objective,
        )  # fmt: skip

    steps = _Steps(report)

    search = _Search(suite, model, linearisation, ridge, task_weights)
    directions, left = torch.zeros((0, d)), math.inf
    train: GradientFeatures | None = None
    for number in range(dim + 1):
        compute = partial(search.round, number, train, directions, steps.next())
        found = store.chunk(DIRECTION_CHUNKS, (*key, number, len(directions)), compute) if store else compute()
        new, left = torch.from_numpy(found["new"])[: dim - len(directions)], float(found["left"])
        if not len(new) or left <= residual:
            break
        directions = torch.cat([directions, new])
        block = project(suite.inputs, suite.labels, new)
        features = block.features if train is None else np.concatenate([train.features, block.features], axis=2)
        train = replace(block, features=features)
    if train is None:
        fix = "Train it, or lower the pull towards W0."
        raise InputError("model", "a loss that no weight changes", "gradients of the tasks that are not all 0", fix)
    test = project(suite.test_inputs, suite.test_labels, directions)
    report(100, 100, "adapted features")
    meta = {**test.meta, "residual": round(left, 4), "most_directions": most}
    return replace(train, meta=meta), replace(test, meta=meta)


class _Steps:
    """One bar for steps of which it is not known how many there will be; it never goes back."""

    def __init__(self, report: Report) -> None:
        self.report, self.number = report, -1

    def next(self) -> Report:
        """Return the report of the next step."""
        self.number += 1
        begun, usual = self.number, 2 * (USUAL_ROUNDS + 2)

        def report(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
            position = begun + done / max(total, 1)
            share = position / (position + max(usual - position, 1.0))
            self.report(int(100 * share), 100, message, reused=reused)

        return report


def orthonormal(candidates: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Orthonormal rows that span what candidates (P, d) have outside the span of directions (k, d), largest first."""
    largest = float(candidates.norm(dim=1).max())
    left = candidates
    for _ in range(2):  # once leaves rounding of what is taken away
        left = left - (left @ directions.T) @ directions
    _, size, rows = torch.linalg.svd(left.double(), full_matrices=False)
    found: torch.Tensor = rows[size > _NEGLIGIBLE * max(largest, float(size[0]))].float()
    return found


class _Search:
    """Gradients that are left in all d coordinates.

    Parameters are those of `adapted_features`.
    """

    def __init__(
        self,
        suite: TaskSuite,
        model: nn.Module,
        linearisation: Linearisation,
        ridge: float,
        task_weights: Sequence[float] | None,
    ) -> None:
        self.suite, self.model, self.linearisation, self.ridge = suite, model, linearisation, ridge
        self.task_weights = task_weights

    def round(
        self, number: int, train: GradientFeatures | None, directions: torch.Tensor, report: Report
    ) -> dict[str, NDArray[np.float32]]:
        """New directions (r, d) of one round, and the mean share of the pull that was left before it."""
        if train is None:
            alone = self.suite.sample_weights(np.eye(self.suite.K, dtype=np.bool_), self.task_weights)
            residuals, left = self._weight_gradients(None, torch.from_numpy(alone), None, report), math.inf
        else:
            masks = probe_masks(self.suite.K, number)
            weights = torch.from_numpy(self.suite.sample_weights(masks, self.task_weights))
            z = self._solutions(train, weights)
            residuals = self._weight_gradients(train, weights, z, report) + self.ridge * (z @ directions)
            left = float((residuals.norm(dim=1) / (self.ridge * z.norm(dim=1)).clamp(min=1e-30)).mean())
        return {"new": orthonormal(residuals, directions).numpy(), "left": np.array(left, dtype=np.float32)}

    def _solutions(self, train: GradientFeatures, weights: torch.Tensor) -> torch.Tensor:
        """Z (P, k) of GradEx for sample weights (P, n) in the directions so far."""
        task_of, labels = torch.from_numpy(self.suite.task_of), torch.tensor(train.labels)
        problem = LinearisedProblem(
            self.linearisation.loss,
            self.linearisation.offsets(torch.tensor(train.model_outputs), labels),
            self.linearisation.features(torch.tensor(train.features)),
            self._targets(labels, train),
            task_of,
            self.ridge,
        )
        shares = weights.new_zeros((len(weights), self.suite.K)).index_add_(1, task_of, weights)
        # threads would solve parts of the subsets apart: what comes out is not to depend on their number
        with one_thread():
            return problem.solve(shares).z

    def _targets(self, labels: torch.Tensor, train: GradientFeatures) -> torch.Tensor:
        outputs = torch.tensor(train.model_outputs[:1])
        return self.linearisation.targets(labels, self.linearisation.offsets(outputs, labels[:1]).shape[1])

    def _weight_gradients(
        self, train: GradientFeatures | None, weights: torch.Tensor, z: torch.Tensor | None, report: Report
    ) -> torch.Tensor:
        """Gradients (P, d) of losses weighted by (P, n), of the linear model at Z (P, k) or at W0."""
        parameters = list(trainable(self.model).values())
        total = torch.zeros((len(weights), sum(p.numel() for p in parameters)))
        # samples of a task stand together: what weighs few tasks needs few backward passes
        batches = torch.argsort(torch.from_numpy(self.suite.task_of), stable=True).split(_BATCH)
        for done, rows in enumerate(batches, start=1):
            batch = model_batch(self.model, self.suite.inputs[rows.numpy()])
            labels = torch.tensor(self.suite.labels[rows.numpy()])
            with evaluating(self.model), torch.enable_grad():
                u = self.linearisation.offsets(outputs_of(self.model, batch), labels.to(batch.device))
            here = u.detach().float().cpu().T[..., None].expand(-1, -1, len(weights))
            if train is not None and z is not None:
                gradients = self.linearisation.features(torch.tensor(train.features[rows.numpy()]))
                here = here + (gradients @ z.T).transpose(0, 1)
            targets = self.linearisation.targets(labels, u.shape[1]).to(here).T[..., None]
            slopes = self.linearisation.loss.expand(here, targets).slope * weights[:, rows].T
            some = torch.nonzero(weights[:, rows].sum(dim=1) > 0).squeeze(1).tolist()
            for probe in some:
                found = torch.autograd.grad(
                    u, parameters, slopes[..., probe].T.to(u), retain_graph=probe != some[-1], materialize_grads=True
                )
                total[probe] += torch.cat(
                    [(g.to_dense() if g.is_sparse else g).flatten().float().cpu() for g in found]
                )
            report(done, len(batches), "directions", reused=None)
        return total


def probe_masks(K: int, number: int) -> NDArray[np.bool_]:
    """The subsets (PROBES, K) of a round: all tasks together, and random ones of all sizes; none is empty."""
    rng = np.random.default_rng([K, number])
    masks = rng.random((PROBES, K)) < rng.uniform(0.2, 0.95, (PROBES, 1))
    masks[0] = True
    empty = np.flatnonzero(~masks.any(axis=1))
    masks[empty, rng.integers(0, K, len(empty))] = True
    return masks
