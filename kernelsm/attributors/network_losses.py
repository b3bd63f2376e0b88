"""Task losses of a network, as functions of its weights in one row."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kernelsm.attributors.task_losses import TaskLosses, averaging, shares_of
from kernelsm.estimators.retraining import Retraining, in_precision
from kernelsm.gradients.per_sample import checked_outputs, trainable
from kernelsm.models.hashing import model_hash
from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_choice, check_number
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import TaskSuite

Point = Literal["base", "all_tasks"]
"""W0, or the minimum of the training loss of all tasks with the pull towards W0."""

Precision = Literal["double", "single"]
TUNED_CHUNKS = ChunkKind("tuned_on_all_tasks", version=1)
_VECTORS_BUDGET = 256 * 2**20


class NetworkLosses(TaskLosses):
    """Losses of the tasks and targets of a suite under a network.

    Parameters
    ----------
    suite : TaskSuite
    model : torch.nn.Module
        At W0; it is not changed, and runs in eval mode.
    ridge : float
        λ > 0 of the pull towards W0.
    point : {"base", "all_tasks"}
        Where methods look that look at one place: at W0, or at the weights fine-tuned from there on all tasks.
    precision : {"double", "single"}
    retraining : mapping, optional
        Arguments of `Retraining` besides the ridge, by which "all_tasks" is fine-tuned.
    store : Store, optional
        Keeps the fine-tuned weights.

    Raises
    ------
    InputError
        ridge ≤ 0, or an unknown point or precision.
    """

    where = "network"

    def __init__(
        self,
        suite: TaskSuite,
        model: nn.Module,
        *,
        ridge: float = 0.03,
        point: Point = "base",
        precision: Precision = "double",
        retraining: Mapping[str, Any] | None = None,
        store: Store | None = None,
    ) -> None:
        check_number("ridge", ridge, above=0, fix="0.03 is the examples' value.")
        check_choice("point", point, get_args(Point))
        check_choice("precision", precision, get_args(Precision))
        self.suite, self.ridge, self.point, self.store = suite, float(ridge), point, store
        self.objective = find(suite)
        self.linearisation = self.objective.linearisations[0]
        self.dtype = torch.double if precision == "double" else torch.float
        self.base = model
        self.model = copy.deepcopy(model).to(self.dtype).eval()
        self.task_names, self.target_names = suite.task_names, suite.target_names
        self.shares = torch.from_numpy(shares_of(suite)).to(self.dtype)
        self.sizes = suite.tasks.sizes
        weights = trainable(self.model)
        self.names = {name: p.shape for name, p in weights.items()}
        self.start = torch.cat([p.detach().flatten() for p in weights.values()])
        self.frozen = {name: p.detach() for name, p in self.model.named_parameters() if name not in weights}
        self.frozen |= dict(self.model.named_buffers())
        self.retraining = dict(retraining or {})
        self.key = (
            suite.content_hash,
            model_hash(model),
            self.ridge,
            point,
            precision,
            sorted(self.retraining.items()),
        )
        self.inputs, self.labels = in_precision(suite.inputs, self.dtype), torch.tensor(suite.labels)
        self.test_inputs = in_precision(suite.test_inputs, self.dtype)
        self.test_labels = torch.tensor(suite.test_labels)
        self._of_task = [torch.from_numpy(np.flatnonzero(suite.task_of == k)) for k in range(suite.K)]
        self._of_target = [torch.from_numpy(np.flatnonzero(suite.target_of == j)) for j in range(self.q)]
        self._at: torch.Tensor | None = None

    @property
    def test_samples(self) -> int:
        """Number of test samples."""
        return len(self.test_labels)

    @property
    def at(self) -> torch.Tensor:
        """W0, or the weights fine-tuned on all tasks."""
        if self._at is None:
            self._at = self.start if self.point == "base" else torch.from_numpy(self._tuned()).to(self.dtype)
        return self._at

    def _tuned(self) -> NDArray[np.float64]:
        def tune() -> NDArray[np.float64]:
            trainer = Retraining(self.suite, self.base, ridge=self.ridge, **self.retraining)
            tuned = trainer.fine_tune(np.ones(self.suite.K, dtype=np.bool_))
            return np.asarray(torch.cat([p.detach().flatten() for p in trainable(tuned).values()]).double().numpy())

        return tune() if self.store is None else self.store.chunk(TUNED_CHUNKS, self.key, tune)

    def outputs(self, w: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs (n, C) of inputs at weights (d,); differentiable."""
        pieces = w.split([shape.numel() for shape in self.names.values()])
        weights = {
            name: piece.reshape(shape) for (name, shape), piece in zip(self.names.items(), pieces, strict=True)
        }
        # the other kernels have no derivative forward, or no second one
        with sdpa_kernel(SDPBackend.MATH):
            found = torch.func.functional_call(self.model, (weights, self.frozen), (inputs,))
        return checked_outputs(found, len(inputs))

    def task_losses(self, w: torch.Tensor) -> torch.Tensor:
        """Mean loss of each task, shape (K,)."""
        losses = self.objective.loss(self.outputs(w, self.inputs), self.labels)
        return averaging(self.suite.task_of, self.K, self.dtype) @ losses

    def target_losses(self, w: torch.Tensor) -> torch.Tensor:
        """Mean loss of each target, shape (q,)."""
        losses = self.objective.loss(self.outputs(w, self.test_inputs), self.test_labels)
        return averaging(self.suite.target_of, self.q, self.dtype) @ losses

    def _gradients(
        self, w: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor, groups: list[torch.Tensor]
    ) -> torch.Tensor:
        found = []
        for rows in groups:
            variable = w.detach().clone().requires_grad_()
            with torch.enable_grad():
                loss = self.objective.loss(self.outputs(variable, inputs[rows]), labels[rows]).mean()
            found.append(torch.autograd.grad(loss, variable)[0])
        return torch.stack(found)

    def task_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """One forward and backward pass over all training samples, task by task."""
        return self._gradients(w, self.inputs, self.labels, self._of_task)

    def target_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """One forward and backward pass over all test samples, target by target."""
        return self._gradients(w, self.test_inputs, self.test_labels, self._of_target)

    def numbers(self, rows: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """The numbers u that the loss of some samples is a function of, shape (n, R), as a function of weights."""
        inputs, labels = self.inputs[rows], self.labels[rows]
        return lambda w: self.linearisation.offsets(self.outputs(w, inputs), labels)

    def curvature_times(self, w: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Forward derivative, curvature of the loss, backward derivative, task by task."""
        total = torch.zeros_like(vectors)
        at_once = max(1, int(_VECTORS_BUDGET // (8 * max(self.sizes) * max(self.d // 50, 64))))
        for share, rows in zip(self.shares, self._of_task, strict=True):
            outputs = self.numbers(rows)
            pulled: Any = torch.func.vjp(outputs, w)
            u, backward = pulled
            targets = self.linearisation.targets(self.labels[rows], u.shape[1])
            expansion = self.linearisation.loss.expand(u.detach().T[..., None], targets.to(u).T[..., None])

            def forward(v: torch.Tensor, outputs: Any = outputs) -> torch.Tensor:
                found: torch.Tensor = torch.func.jvp(outputs, (w,), (v,))[1]
                return found

            change = torch.func.vmap(forward, chunk_size=at_once)(vectors)  # (r, n, R)
            curved = expansion.curvature_times(change.permute(2, 1, 0)).permute(2, 1, 0)
            (product,) = torch.func.vmap(backward, chunk_size=at_once)(curved.contiguous())
            total += share / len(rows) * product
        return total

    def _dense(self, w: torch.Tensor) -> torch.Tensor:
        found = torch.cat([self.curvature_times(w, part) for part in torch.eye(self.d, dtype=self.dtype).split(128)])
        return (found + found.T) / 2
