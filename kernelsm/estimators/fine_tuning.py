"""Fine-tuning as people do it, a few passes of Adam over small batches: the truth where models are large."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.estimators.estimator import BlockWork, SuiteEstimator, task_weight_key
from kernelsm.estimators.retraining import in_precision
from kernelsm.models.hashing import model_hash
from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_choice, check_counts, check_number, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork
from kernelsm.runtime.errors import ConvergenceError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import TaskSuite

SUBSET_CHUNKS = ChunkKind("fine_tuning", version=1)
Precision = Literal["single", "bfloat16"]
# samples that go through a network together; texts of similar length, the fewer the more alike
_TRAINED_AT_ONCE, _MEASURED_AT_ONCE = 8, 32


@contextmanager
def _products_in(precision: Precision) -> Iterator[None]:
    """Multiply matrices of single precision in this one."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bfloat16" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class FineTuning(SuiteEstimator):
    """Fine-tunes what is trainable in a network on each subset, from W0, for some passes over its samples.

    In expectation over batches each step follows the gradient of the mean loss of the included tasks (paper eq. 1,
    or as the suite's `task_weighting` says) plus ridge/2 ‖W - W0‖², the sum that `GradEx` minimises without its
    linearisation; but it stops after `epochs`, wherever it is then. Adam, with a learning rate that falls linearly to
    0. The network is in eval mode: no dropout. The order of the batches depends on `seed` alone; the LDS of one
    seed's outcomes against another's (`kernelsm.lds`) is the noise ceiling. The empty subset leaves the model at W0.

    Frozen parameters take no gradient and no copy: subsets of a language model cost the memory of its adapters.

    Parameters
    ----------
    suite : TaskSuite
    model : torch.nn.Module
        At W0; it is not changed. Parameters that require a gradient are trained.
    ridge : float
        λ ≥ 0, the strength of the pull.
    task_weights : sequence of float, length K, optional
        As of `GradEx`.
    epochs : int
    learning_rate : float
        Of the first step.
    batch_size : int
    seed : int
    precision : {"single", "bfloat16"}
        Of the products of matrices while training: with "bfloat16" their factors are rounded to it where the
        processor or the GPU has instructions for it, which takes a fraction of the time; sums, weights, gradients and
        what is measured afterwards stay in single precision.

    Raises
    ------
    InputError
        A number out of its range, or labels that do not fit the objective.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import build_model
    >>> from kernelsm.estimators.fine_tuning import FineTuning
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite = digits_suite()
    >>> model = build_model("logistic", inputs=64, classes=10)
    >>> found = FineTuning(suite, model, epochs=1).outcomes(np.array([[True] * suite.K, [False] * suite.K]))
    >>> bool(found.mean_target().values[0, 0] < found.mean_target().values[1, 0])  # trained, and at W0
    True
    """

    block = 1

    def __init__(
        self,
        suite: TaskSuite,
        model: nn.Module,
        *,
        ridge: float = 0.0,
        task_weights: Sequence[float] | None = None,
        epochs: int = 2,
        learning_rate: float = 1e-3,
        batch_size: int = 16,
        seed: int = 0,
        precision: Precision = "single",
    ) -> None:
        check_number("ridge", ridge, least=0)
        check_number("learning_rate", learning_rate, above=0)
        check_counts(epochs=epochs, batch_size=batch_size)
        check_choice("precision", precision, get_args(Precision))
        self.seed = check_whole("seed", seed, 0)
        self.objective = find(suite)
        self.suite, self.model, self.ridge = suite, model, ridge
        self.task_weights = task_weight_key(suite, task_weights)
        self.epochs, self.learning_rate, self.batch_size = epochs, learning_rate, batch_size
        self.precision = precision

    def _work(self, store: Store | None) -> BlockWork:
        weights = model_hash(self.model)
        settings = {
            "ridge": self.ridge, "epochs": self.epochs, "learning_rate": self.learning_rate,
            "batch_size": self.batch_size, "seed": self.seed,
            **({"precision": self.precision} if self.precision != "single" else {}),
        }  # fmt: skip
        return BlockWork(
            ChunkedWork(self._task, SUBSET_CHUNKS, "fine-tuning"),
            key=(self.suite.content_hash, weights, settings, self.task_weights, self.measure_names),
            meta={
                "estimator": "fine_tuning", **settings, "suite": self.suite.content_hash, "weights": weights,
                **self.weighing(),
            },
        )  # fmt: skip

    def _task(self) -> Task:
        trained = sum(p.numel() * p.element_size() for p in self.model.parameters() if p.requires_grad)
        return Task(self._fine_tuned, memory=2**28 + 4 * trained)

    def fine_tune(self, mask: NDArray[np.bool_]) -> nn.Module:
        """Return a copy of the model, trained on one subset; frozen parameters are those of the model itself."""
        frozen = {id(p): p for p in (*self.model.parameters(), *self.model.buffers()) if not p.requires_grad}
        model = copy.deepcopy(self.model, frozen).eval()
        with _products_in(self.precision):
            self._train(model, mask)
        return model

    def _train(self, model: nn.Module, mask: NDArray[np.bool_]) -> None:
        weight = torch.from_numpy(self.suite.sample_weights(mask[None], self.task_weights)[0])
        inside = torch.nonzero(weight > 0).squeeze(1)
        if not len(inside):
            return
        trained = [p for p in model.parameters() if p.requires_grad]
        start = [p.detach().clone() for p in trained]
        inputs, labels = in_precision(self.suite.inputs, trained[0].dtype), torch.from_numpy(self.suite.labels)
        optimizer = torch.optim.Adam(trained, lr=self.learning_rate)
        order = torch.Generator().manual_seed(self.seed)
        count = -(-len(inside) // self.batch_size)
        steps = self.epochs * count
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for _ in range(self.epochs):
            for rows in inside[torch.randperm(len(inside), generator=order)].tensor_split(count):
                optimizer.zero_grad()
                for part in _alike(model, inputs, rows, len(rows), _TRAINED_AT_ONCE):
                    losses = self.objective.loss(model(inputs[part]), labels[part])
                    # a batch stands for all samples of the subset
                    loss = (weight[part].to(losses) * losses).sum() * (len(inside) / len(rows))
                    if not torch.isfinite(loss):
                        found, fix = f"a loss of {loss.item()}", "Lower the learning rate."
                        raise ConvergenceError("fine-tuning", found, "a finite number", fix)
                    loss.backward()
                if self.ridge:
                    for parameter, value in zip(trained, start, strict=True):
                        if parameter.grad is not None:
                            parameter.grad.add_(parameter.detach() - value, alpha=self.ridge)
                optimizer.step()
                falling.step()

    def _fine_tuned(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """All measures of one subset, a block of masks, shape (1, measures, q)."""
        (mask,) = masks
        suite = self.suite
        model = self.fine_tune(mask)
        inputs = in_precision(suite.test_inputs, next(model.parameters()).dtype)
        parts = _alike(model, inputs, torch.arange(len(inputs)), _MEASURED_AT_ONCE, _MEASURED_AT_ONCE)
        with torch.no_grad():
            by_part = torch.cat([model(inputs[part]) for part in parts]).double()
            outputs = torch.empty_like(by_part)[None]
            outputs[0, torch.cat(parts)] = by_part
            found = self.objective.measure_model(
                outputs, torch.from_numpy(suite.test_labels), torch.from_numpy(suite.target_of),
                len(suite.target_names),
            )  # fmt: skip
        return np.asarray(found.numpy())


def _alike(
    model: nn.Module, inputs: torch.Tensor, rows: torch.Tensor, count: int, count_of_texts: int
) -> tuple[torch.Tensor, ...]:
    """Rows in parts; of texts those of similar length, so that few short ones are filled up to long ones.

    A part has at most `count` samples, or `count_of_texts` texts.
    """
    lengths = getattr(model, "text_lengths", None)
    if lengths is not None:
        rows, count = rows[torch.argsort(lengths(inputs[rows]), stable=True)], count_of_texts
    parts: tuple[torch.Tensor, ...] = rows.split(count)
    return parts
