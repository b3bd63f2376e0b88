"""Retraining: the ground truth of F(s), by really training the network on each subset."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.estimators.batched_retraining import StackedModel, bytes_per_subset, tune_together
from kernelsm.estimators.estimator import BlockWork, SuiteEstimator, task_weight_key
from kernelsm.models.hashing import model_hash
from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_choice, check_number, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import TaskSuite

Start = Literal["base", "scratch"]
Method = Literal["auto", "batched", "sequential"]
Precision = Literal["double", "single"]
BLOCK_CHUNKS = ChunkKind("retraining", version=2)
MEMORY_BUDGET = 512 * 2**20
# samples times parameters beyond which one pass of one subset keeps the processor busy by itself (measured: a batch
# of 2,410 parameters on 1,200 samples is no faster on two cores, one of 60 parameters on 45 is)
BATCHED_UP_TO = 300_000
_LARGEST_BLOCK = 32


class Retraining(SuiteEstimator):
    """Trains the whole network on each subset, to convergence.

    With `start` "base", minimise over W the mean loss of f_W on the included tasks (paper eq. 1, or the mean over all
    their samples: as the suite's `task_weighting` says) plus ridge/2 ‖W - W0‖², from W = W0: what `GradEx` minimises
    without its linearisation; no randomness is left. The loss is that of the suite's objective. With "scratch",
    minimise the mean loss plus ridge/2 ‖W‖² (weight decay) from fresh initial weights drawn by `seed`; then the LDS
    of one seed's outcomes against another's (`kernelsm.lds`) is the noise ceiling, which no estimate of one of them
    can be expected to exceed by much. Both by full-batch L-BFGS in eval mode (no dropout). The empty subset leaves
    the model at W0, or, from scratch, at weights 0.

    At the kinks of a ReLU network the search may end where the gradient does not vanish; what is left to gain there
    was at most 0.1 % of the sum on small networks. Batched and sequential searches may end at different kinks.

    Parameters
    ----------
    suite : TaskSuite
    model : torch.nn.Module
        At W0; it is not changed.
    ridge : float
        λ > 0, the strength of the pull.
    task_weights : sequence of float, length K, optional
        Positive; included tasks weigh proportionally to them. By default as the suite's `task_weighting` says.
    start : {"base", "scratch"}
    seed : int
        Of the fresh initial weights; "base" does not use it.
    method : {"auto", "batched", "sequential"}
        "batched" trains the subsets of a block together; "auto" does so where one pass is little work (samples times
        parameters up to 300,000) and the memory budget holds at least two subsets. The choice is in the metadata.
    block : int, optional
        Subsets trained together and kept as one chunk. None chooses 1 for sequential training, and else as many as
        512 MiB hold, at most 32.
    max_steps : int
        Bound on L-BFGS steps per subset.
    precision : {"double", "single"}
        Of the training; single takes half the time. Batched training is always double.
    relative_tolerance : float, optional
        Stop where no entry of the gradient is larger than this share of the largest at the start. By default the
        bound is 1e-6, whatever the start.

    Raises
    ------
    InputError
        ridge ≤ 0, weights that are not positive, an unknown start, method or precision, a seed below 0, or a
        tolerance that is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import Retraining, build_model
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite = digits_suite()
    >>> model = build_model("logistic", inputs=64, classes=10)
    >>> retraining = Retraining(suite, model, ridge=1.0, precision="single", relative_tolerance=0.01)
    >>> outcomes = retraining.outcomes(np.array([[True] * suite.K]))
    >>> outcomes.mean_target().values.ravel().round(1).tolist()  # as GradEx says: this network is linear
    [2.2]
    """

    def __init__(
        self,
        suite: TaskSuite,
        model: nn.Module,
        *,
        ridge: float = 0.03,
        task_weights: Sequence[float] | None = None,
        start: Start = "base",
        seed: int = 0,
        method: Method = "auto",
        block: int | None = None,
        max_steps: int = 1000,
        precision: Precision = "double",
        relative_tolerance: float | None = None,
    ) -> None:
        check_number("ridge", ridge, above=0, fix="0.03 is the examples' value.")
        if block is not None:
            check_whole("block", block, fix="None chooses one that fits.")
        check_choice("start", start, get_args(Start))
        check_choice("method", method, get_args(Method))
        check_choice("precision", precision, get_args(Precision))
        if relative_tolerance is not None and not 0 < relative_tolerance < 1:
            fix = "0.01 stops where the gradient has fallen to a hundredth."
            raise InputError("relative_tolerance", f"{relative_tolerance}", "between 0 and 1", fix)
        if seed < 0:
            raise InputError("seed", f"{seed}", "0 or more", "Number the seeds from 0.")
        self.objective = find(suite)
        self.suite, self.model, self.ridge, self.max_steps = suite, model, ridge, max_steps
        self.task_weights = task_weight_key(suite, task_weights)
        self.precision, self.relative_tolerance = precision, relative_tolerance
        self.start: Start = start
        self.seed = seed if start == "scratch" else 0
        self._bytes = bytes_per_subset(copy.deepcopy(model).eval(), torch.tensor(suite.inputs))
        fits = MEMORY_BUDGET // self._bytes
        work = len(suite.inputs) * sum(p.numel() for p in model.parameters())
        small = work <= BATCHED_UP_TO and fits >= 2 and precision == "double" and relative_tolerance is None
        self.method = ("batched" if small else "sequential") if method == "auto" else method
        self.block = block or (max(1, min(_LARGEST_BLOCK, fits)) if self.method == "batched" else 1)

    def _work(self, store: Store | None) -> BlockWork:
        weights = model_hash(self.model)
        return BlockWork(
            ChunkedWork(self._task, BLOCK_CHUNKS, "retraining"),
            key=(
                self.suite.content_hash, weights, self.ridge, self.task_weights, self.start, self.seed, self.method,
                self.max_steps, self.precision, self.relative_tolerance, self.measure_names,
            ),
            meta={
                "estimator": "retraining", "ridge": self.ridge, "max_steps": self.max_steps, "method": self.method,
                "precision": self.precision, "relative_tolerance": self.relative_tolerance,
                **({"start": "scratch", "seed": self.seed} if self.start == "scratch" else {}),
                "suite": self.suite.content_hash, "weights": weights, **self.weighing(),
            },
        )  # fmt: skip

    def _task(self) -> Task:
        return Task(self._retrain_block, memory=self.block * self._bytes)

    def fine_tune(self, mask: NDArray[np.bool_]) -> nn.Module:
        """Return a copy of the model, in the chosen precision, trained on one subset (sequentially)."""
        model = self._initial_model()
        dtype = torch.double if self.precision == "double" else torch.float
        centre = [p.detach().clone() * (self.start == "base") for p in model.parameters() if p.requires_grad]
        weight = torch.from_numpy(self.suite.sample_weights(mask[None], self.task_weights)[0]).to(dtype)
        inside = weight > 0
        inputs = in_precision(self.suite.inputs, dtype)[inside]
        labels, weight = torch.tensor(self.suite.labels)[inside], weight[inside]
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not len(labels):  # the minimum is the centre itself, which a search would only come close to
            with torch.no_grad():
                for parameter, value in zip(parameters, centre, strict=True):
                    parameter.copy_(value)
            return model.eval()

        def pulled_loss() -> torch.Tensor:
            model.zero_grad()
            pull = sum(
                ((parameter - value).square().sum() for parameter, value in zip(parameters, centre, strict=True)),
                torch.zeros(()),
            )
            losses = self.objective.loss(model(inputs), labels)
            loss: torch.Tensor = self.ridge / 2 * pull + (weight * losses).sum()
            loss.backward()
            return loss

        tolerance = 1e-6
        if self.relative_tolerance is not None:
            pulled_loss()
            tolerance = self.relative_tolerance * max(
                float(p.grad.abs().max()) for p in parameters if p.grad is not None
            )
        optimizer = torch.optim.LBFGS(
            parameters, max_iter=self.max_steps, max_eval=2 * self.max_steps, tolerance_grad=tolerance,
            tolerance_change=1e-12, history_size=20, line_search_fn="strong_wolfe",
        )  # fmt: skip
        optimizer.step(pulled_loss)
        return model.eval()

    def tune_many(self, masks: NDArray[np.bool_]) -> tuple[StackedModel, torch.Tensor]:
        """Return the network and its weights (m, P), in double precision, trained on each subset together."""
        stacked = StackedModel(self._initial_model(), self.suite.inputs.ndim)
        start = stacked.weights
        tuned = tune_together(
            stacked,
            self.objective,
            in_precision(self.suite.inputs, torch.double),
            torch.tensor(self.suite.labels),
            torch.from_numpy(self.suite.sample_weights(masks, self.task_weights)).double(),
            start=start,
            centre=start if self.start == "base" else torch.zeros_like(start),
            ridge=self.ridge,
            max_steps=self.max_steps,
        )
        return stacked, tuned

    def _retrain_block(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """All measures of a few masks, shape (m, measures, q)."""
        suite = self.suite
        inputs = in_precision(suite.test_inputs, torch.double if self.precision == "double" else torch.float)
        with torch.no_grad():
            if self.method == "batched":
                with torch.enable_grad():
                    stacked, tuned = self.tune_many(masks)
                outputs = stacked.outputs(tuned, inputs)
            else:
                with torch.enable_grad():
                    models = [self.fine_tune(mask) for mask in masks]
                outputs = torch.stack([model(inputs) for model in models])
            found = self.objective.measure_model(
                outputs, torch.tensor(suite.test_labels), torch.from_numpy(suite.target_of), len(suite.target_names)
            )
        return np.asarray(found.double().numpy())

    def _initial_model(self) -> nn.Module:
        """A copy of the model in the chosen precision, at W0 or at fresh weights; eval mode, as GradEx has it."""
        model = copy.deepcopy(self.model)
        if self.start == "scratch":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                for module in model.modules():
                    if callable(reset := getattr(module, "reset_parameters", None)):
                        reset()
        return (model.double() if self.precision == "double" else model.float()).eval()


def in_precision(inputs: NDArray[Any], dtype: torch.dtype) -> torch.Tensor:
    """Inputs as a tensor, floating ones in the given precision; tokens stay whole numbers."""
    found = torch.tensor(inputs)
    return found.to(dtype) if found.is_floating_point() else found
