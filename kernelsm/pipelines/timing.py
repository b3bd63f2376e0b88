"""A short measurement of what a network costs on this machine, before any long work is begun."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from queue import Empty, Queue
from threading import Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.estimators.gradex import GradEx
from kernelsm.estimators.recipe import Rates
from kernelsm.estimators.retraining import Retraining
from kernelsm.gradients.choices import EXACT_UP_TO, choose_linearisation
from kernelsm.gradients.features import GradientFeatures, gradient_features
from kernelsm.gradients.projections import RANDOM
from kernelsm.objectives.objective import Linearisation
from kernelsm.objectives.registry import find
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.threads import use_torch_threads
from kernelsm.tasks.suite import TaskSuite

_DIM = 512
_DENSE = ("gaussian", "rademacher")
_MOST_NUMBERS = 2**25  # of a dense map that is timed: to draw more takes seconds
_ENOUGH_SECONDS = 1.0
_LONGEST_SECONDS, _ALL_SECONDS = 20.0, 60.0  # of one measurement, and of all of them
_FEW_SAMPLES, _MOST_SAMPLES = 4, 128
_MASKS = 32
_MOST_REPEATED = 2**26  # bytes of features that are repeated to as many samples as there are
_RETRAINED = 16  # subsets, where a batch of them is trained together
_WORTH_A_TRY = 60.0  # seconds, by passes, of a subset that is trained to see what it takes
_CORES = 2  # that estimates are for
QUICK = {"precision": "single", "relative_tolerance": 0.01, "max_steps": 100}
"""How networks of many parameters are retrained: to a hundredth of the first gradient."""
# passes over the training samples until retraining has converged: to full accuracy (the digits take 80 to 200), and
# to a hundredth of the first gradient
_PASSES, _FEW_PASSES = 150, 40


def measure_rates(
    suite: TaskSuite,
    model: nn.Module,
    *,
    base_seconds: float,
    ridge: float,
    quick: bool,
    report: Report = silent,
    seen: dict[str, str] | None = None,
) -> Rates:
    """Time gradients of a few samples, a few subsets of GradEx, and one pass of retraining.

    Parameters
    ----------
    suite : TaskSuite
    model : torch.nn.Module
        At W0.
    base_seconds : float
        What training W0 took.
    ridge : float
        λ of the pull towards W0.
    quick : bool
        Whether retraining ends at a hundredth of the first gradient, see `QUICK`.
    report : Report
        Told after each projection and at the end.
    seen : dict, optional
        Takes the `engine` that gradients are computed by, and why faster ones are not (`engine_because`).

    Returns
    -------
    Rates
        Infinity where a measurement took too long and was given up.
    """
    d = sum(p.numel() for p in model.parameters() if p.requires_grad)
    names = ["kronecker", *(["exact"] if d <= EXACT_UP_TO else []), *(name for name in RANDOM if name != "kronecker")]
    gradients = {}
    clock = _Clock(model)
    found: dict[str, str] = {}
    clock.rate(partial(_see_engine, suite, found=found))
    if seen is not None:
        seen |= found
    for done, name in enumerate(names):
        dim = max(2, min(_DIM, _MOST_NUMBERS // d)) if name in _DENSE else _DIM
        gradients[name] = clock.rate(partial(_gradient_rate, suite, name=name, dim=dim))
        if dim < _DIM and math.isfinite(
            gradients[name]
        ):  # the map of a dense projection costs d·k, the gradients below it what they cost Kronecker
            own = gradients["kronecker"]
            gradients[name] = own + max(gradients[name] - own, 0.0) * _DIM / dim
        report(done + 1, len(names) + 2, f"timing {name} gradients", reused=None)
    gradex = {"projected": clock.rate(partial(_gradex_rate, suite, name="kronecker", ridge=ridge))}
    if d <= EXACT_UP_TO:
        gradex["exact"] = clock.rate(partial(_gradex_rate, suite, name="exact", ridge=ridge))
    report(len(names) + 1, len(names) + 2, "timing GradEx", reused=None)
    retraining = clock.rate(partial(_pass_seconds, suite), threads=1) * (_FEW_PASSES if quick else 2 * _PASSES)
    if retraining < _WORTH_A_TRY:  # passes say little: a batch of small networks is trained at once
        tried = clock.rate(partial(_retraining_rate, suite, ridge=ridge, settings=QUICK if quick else {}), threads=1)
        retraining = tried if math.isfinite(tried) else retraining
    report(len(names) + 2, len(names) + 2, "timing retraining", reused=None)
    return Rates(base=base_seconds, gradients=gradients, gradex=gradex, retraining=retraining)


def measure_text_rates(
    suite: TaskSuite,
    model: nn.Module,
    *,
    base_seconds: float,
    ridge: float,
    epochs: int,
    report: Report = silent,
    seen: dict[str, str] | None = None,
) -> Rates:
    """Time what is needed of a language model with adapters on a few texts; a pass through it takes a while.

    Parameters
    ----------
    suite, model, base_seconds, ridge, report, seen
        As of `measure_rates`.
    epochs : int
        Of fine-tuning on a subset.
    """
    use_torch_threads(1)
    few = _part(suite, _FEW_SAMPLES)
    inputs, labels = torch.from_numpy(few.inputs), torch.from_numpy(few.labels)
    objective = find(suite)

    def forward_and_backward() -> None:
        model.zero_grad()
        objective.loss(model(inputs), labels).mean().backward()

    forward_and_backward()
    text = _seconds(forward_and_backward) / len(inputs)
    model.zero_grad()
    report(1, 3, "timing fine-tuning", reused=None)
    rows = np.arange(len(few.inputs))
    linearisation = _linearisation(suite)
    features: list[GradientFeatures] = []
    compute = _features(few, model, "kronecker", _DIM, rows, linearisation)
    seconds = _seconds(lambda: features.append(compute()))
    if seen is not None:
        seen |= _engine_of(features[0])
    # the engine is chosen by comparing it, on a few of them, with gradients one by one
    rate = 1000 * max(seconds / len(rows) / 2, text)
    found = dict.fromkeys(("exact", *RANDOM), rate)
    report(2, 3, "timing gradients", reused=None)
    gradex = {"projected": _gradex_rate(few, model, "kronecker", ridge) * len(suite.inputs) / len(few.inputs)}
    if sum(p.numel() for p in model.parameters() if p.requires_grad) <= EXACT_UP_TO:
        gradex["exact"] = gradex["projected"]
    report(3, 3, "timing GradEx", reused=None)
    # half of the texts, some times over, and then the test texts, without a backward pass
    retraining = text * (epochs * len(suite.inputs) / 2 + len(suite.test_inputs) / 2)
    return Rates(base=base_seconds, gradients=found, gradex=gradex, retraining=retraining)


def features_rate(suite: TaskSuite, train: GradientFeatures, test: GradientFeatures, ridge: float) -> Rates:
    """Time GradEx on uploaded gradient features."""
    use_torch_threads()
    columns = train.features.shape[1]
    seconds = _solve_seconds(suite, train, test, ridge) * find(suite).outputs / columns
    return Rates(base=0.0, gradients={}, gradex={"exact": 1000 * seconds}, retraining=0.0)


class _Clock:
    """Gives each measurement its time, and all together theirs: what does not end in time is infinite.

    What runs on then ends with the process of the job, which ends soon. Until then it swaps weights of its network:
    each measurement has a copy of its own.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model, self.left = model, _ALL_SECONDS

    def rate(self, measure: Callable[[nn.Module], float], *, threads: int | None = None) -> float:
        """Return what a measurement finds with a copy of the network, or infinity."""
        found: Queue[float | Exception] = Queue()
        own = copy.deepcopy(self.model)

        def run() -> None:
            use_torch_threads(threads)  # of this thread of Python
            try:
                found.put(measure(own))
            except Exception as error:  # raised again by who waits for it
                found.put(error)

        begun = time.perf_counter()
        Thread(target=run, daemon=True).start()
        try:
            answer = found.get(timeout=max(0.1, min(_LONGEST_SECONDS, self.left)))
        except Empty:
            return math.inf
        finally:
            self.left -= time.perf_counter() - begun
        if isinstance(answer, Exception):
            raise answer
        return answer


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """Rows from all over the data."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.intp))


def _gradient_rate(suite: TaskSuite, model: nn.Module, name: str, dim: int) -> float:
    """Milliseconds a sample and output."""
    linearisation = _linearisation(suite)
    columns = linearisation.width(find(suite).outputs)
    few_rows = _spread(len(suite.inputs), _FEW_SAMPLES)
    # each call also chooses the engine, on a few samples: what more samples take beyond that is their own
    fixed = min(_seconds(_features(suite, model, name, dim, few_rows, linearisation)) for _ in range(2))
    if fixed > _ENOUGH_SECONDS or len(suite.inputs) < 2 * _FEW_SAMPLES:
        return 1000 * fixed / (len(few_rows) * columns)
    many_rows = _spread(len(suite.inputs), _MOST_SAMPLES)
    seconds = _seconds(_features(suite, model, name, dim, many_rows, linearisation))
    return 1000 * max(seconds - fixed, seconds / 10) / ((len(many_rows) - len(few_rows)) * columns)


def _see_engine(suite: TaskSuite, model: nn.Module, found: dict[str, str]) -> float:
    """Fill in the engine of gradients; seconds."""
    begun = time.perf_counter()
    rows = _spread(len(suite.inputs), _FEW_SAMPLES)
    found |= _engine_of(_features(suite, model, "kronecker", _DIM, rows, _linearisation(suite))())
    return time.perf_counter() - begun


def _engine_of(features: GradientFeatures) -> dict[str, str]:
    return {name: str(features.meta[name]) for name in ("engine", "engine_because") if features.meta.get(name)}


def _linearisation(suite: TaskSuite) -> Linearisation:
    """What "auto" linearises in the usual number of dimensions."""
    objective = find(suite)
    numbers = (len(suite.inputs) + len(suite.test_inputs)) * _DIM
    return choose_linearisation(objective.linearisations, "auto", objective.outputs, numbers)


def _features(
    suite: TaskSuite, model: nn.Module, name: str, dim: int, rows: NDArray[np.intp], linearisation: Linearisation
) -> Callable[[], GradientFeatures]:
    return lambda: gradient_features(
        model, suite.inputs[rows], suite.labels[rows], name, dim, outputs=linearisation.name, objective=find(suite)
    )


def _gradex_rate(suite: TaskSuite, model: nn.Module, name: str, ridge: float) -> float:
    """Milliseconds a subset with all outputs, from a part of the samples."""
    objective, linearisation = find(suite), _linearisation(suite)
    few = _part(suite, _MOST_SAMPLES)
    train, test = (
        gradient_features(model, inputs, labels, name, _DIM, outputs=linearisation.name, objective=objective)
        for inputs, labels in ((few.inputs, few.labels), (few.test_inputs, few.test_labels))
    )
    # what a subset costs does not grow in proportion: as many samples are solved as there are, if memory lets
    held = train.features.nbytes + test.features.nbytes
    times = max(1, min(len(suite.inputs) // len(few.inputs), _MOST_REPEATED // held))
    few, train, test = _repeated(few, times), _repeated_features(train, times), _repeated_features(test, times)
    share = (len(suite.inputs) + len(suite.test_inputs)) / (len(few.inputs) + len(few.test_inputs))
    whole = objective.outputs / linearisation.width(objective.outputs)
    return 1000 * _solve_seconds(few, train, test, ridge) * share * whole


def _solve_seconds(suite: TaskSuite, train: GradientFeatures, test: GradientFeatures, ridge: float) -> float:
    """Seconds a subset."""
    masks = np.random.default_rng(0).random((_MASKS, suite.K)) < 0.5
    gradex = GradEx(suite, train, test, ridge=ridge)
    gradex.outcomes(masks[:2])
    return _seconds(lambda: gradex.outcomes(masks)) / _MASKS


def _repeated(suite: TaskSuite, times: int) -> TaskSuite:
    """A suite with every sample several times."""
    return replace(
        suite, inputs=_times(suite.inputs, times), labels=_times(suite.labels, times),
        task_of=_times(suite.task_of, times), test_inputs=_times(suite.test_inputs, times),
        test_labels=_times(suite.test_labels, times), target_of=_times(suite.target_of, times),
    )  # fmt: skip


def _repeated_features(found: GradientFeatures, times: int) -> GradientFeatures:
    return replace(
        found, model_outputs=_times(found.model_outputs, times), features=_times(found.features, times),
        labels=_times(found.labels, times),
    )  # fmt: skip


def _times(values: NDArray[Any], times: int) -> NDArray[Any]:
    return np.concatenate([values] * times)


def _retraining_rate(suite: TaskSuite, model: nn.Module, ridge: float, settings: dict[str, Any]) -> float:
    """Seconds a subset on two cores, from a few that are retrained as a job does."""
    trainer = Retraining(suite, model, ridge=ridge, **settings)
    count = min(_RETRAINED, trainer.block)
    masks = np.random.default_rng(0).random((count, suite.K)) < 0.5
    return _seconds(lambda: trainer.outcomes(masks)) / count / _CORES


def _part(suite: TaskSuite, most: int) -> TaskSuite:
    """A suite of about so many samples in which every task and target has one."""
    first = np.unique(suite.task_of, return_index=True)[1]
    rows = np.union1d(_spread(len(suite.inputs), most), first)
    first = np.unique(suite.target_of, return_index=True)[1]
    tests = np.union1d(_spread(len(suite.test_inputs), most), first)
    return replace(
        suite, inputs=suite.inputs[rows], labels=suite.labels[rows], task_of=suite.task_of[rows],
        test_inputs=suite.test_inputs[tests], test_labels=suite.test_labels[tests], target_of=suite.target_of[tests],
    )  # fmt: skip


def _pass_seconds(suite: TaskSuite, model: nn.Module) -> float:
    """Seconds of one forward and backward pass over half of the training samples, which is what a subset holds."""
    rows = _spread(len(suite.inputs), _MOST_SAMPLES)
    inputs, labels = torch.from_numpy(suite.inputs[rows]), torch.from_numpy(suite.labels[rows])
    objective = find(suite)

    def once() -> None:
        model.zero_grad()
        objective.loss(model(inputs), labels).mean().backward()

    once()
    seconds = min(_seconds(once) for _ in range(3))
    model.zero_grad()
    return seconds * len(suite.inputs) / 2 / len(rows)


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
