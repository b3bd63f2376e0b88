"""GradientFeatures: outputs and projected per-sample gradients of a model at W0, computed once."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.gradients.choices import choose_linearisation
from kernelsm.gradients.directions import DirectionsSketch
from kernelsm.gradients.per_sample import Engine, Forward, Loop, choose_engine, evaluating, outputs_of, trainable
from kernelsm.gradients.projections import Projection, choose_projection
from kernelsm.gradients.sample_axes import Unsupported
from kernelsm.gradients.sketches import Sketch
from kernelsm.models.hashing import model_hash
from kernelsm.objectives.fit_check import check_same_answers
from kernelsm.objectives.objective import Linearisation, Objective
from kernelsm.objectives.registry import DEFAULT, find_class
from kernelsm.runtime.array_file import ArrayFile, Layout
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Chunk, Task, current
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.runtime.threads import one_thread

logger = logging.getLogger(__name__)

FEATURE_CHUNKS = ChunkKind("gradient_features", version=2)
_CHUNK_BUDGET = 2**29
_LARGEST_CHUNK = 512


@dataclass(frozen=True, eq=False)
class GradientFeatures:
    """Everything that GradEx needs of a model.

    Parameters
    ----------
    model_outputs : ndarray of float32, shape (n, C)
        f_W0(x), logits for classes.
    features : ndarray of float32, shape (n, Q, k)
        Projected gradients with respect to the parameters, at W0, of what is linearised of each sample: of every
        output (Q = C), or of the margin of the true class alone (Q = 1). A memory map where they come from a store.
    labels : ndarray, shape (n,) or (n, ...)
        Classes, as int64, or what else the objective asks for.
    meta : dict
        Projection, outputs, number of parameters d, content hash of the weights and the engine used.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import GradientFeatures
    >>> made_elsewhere = GradientFeatures(np.zeros((6, 3)), np.zeros((6, 3, 4)), np.arange(6) % 3)
    >>> made_elsewhere.features.shape
    (6, 3, 4)
    """

    model_outputs: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[Any]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> str:
        """Name of the linearisation: "logits" or "margin" for classes; "", the first, where `meta` does not say."""
        found: str = self.meta.get("outputs", "")
        return found

    @property
    def objective(self) -> str:
        """Name of the objective."""
        found: str = self.meta.get("objective", DEFAULT)
        return found


def gradient_features(
    model: nn.Module,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    projection: Projection | str = "auto",
    dim: int = 512,
    batch_size: int | None = None,
    store: Store | None = None,
    report: Report = silent,
    *,
    outputs: str = "auto",
    objective: Objective | None = None,
) -> GradientFeatures:
    """Compute outputs and projected per-sample gradients of `model` at its weights W0 (paper Algorithm 1, line 2).

    The model runs in eval mode, on the device and in the precision of its parameters; parameters that do not require
    a gradient are left out. Gradients come from hooks on the layers' functions where every use of a parameter has a
    rule, else from `torch.func`, else sample by sample, and derivatives along `Directions` from forward
    differentiation if it works; `meta["engine"]` says which.

    Parameters
    ----------
    model : torch.nn.Module
        Maps a batch of inputs (n, ...) to outputs (n, C); samples must not influence each other.
    inputs, labels : ndarray
        Samples, shape (n, ...), floating or whole numbers, and their labels: classes (n,), or what else the
        objective asks for.
    projection : {"auto", "exact", "kronecker", "gaussian", "rademacher", "sparse"} or Projection
        "auto" is exact up to 4,096 parameters and Kronecker beyond.
    dim : int
        k, dimension of a random projection.
    batch_size : int, optional
        Samples per chunk; chosen so that a chunk takes about 512 MiB, at most 512.
    store : Store, optional
        Keeps each chunk on disk, which makes the work resumable and memory independent of n.
    report : Report
        Called after each chunk.
    outputs : str
        What to linearise: "auto" or the name of one of the objective's linearisations. For classes these are
        "logits" and "margin", the log-odds of the true class; "auto" is all logits where their features take at most
        1.5 GiB (n·C·k·4 bytes), else the margin. Features that belong together need the same: give it for the second.
    objective : Objective, optional
        That of the suite, `kernelsm.objectives.registry.find(suite)`. Classification into as many classes as the
        model has outputs if not given.

    Returns
    -------
    GradientFeatures

    Raises
    ------
    InputError
        Unknown projection, lengths differ, a label that does not fit, a forward pass that fails or does not return
        outputs of samples or gives others each time, gradients that are not finite, or no room on the disk.

    Examples
    --------
    >>> from kernelsm import build_model, gradient_features
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite = digits_suite()
    >>> model = build_model("logistic", inputs=64, classes=10)
    >>> train = gradient_features(model, suite.inputs, suite.labels)
    >>> train.features.shape  # samples, classes, coordinates of a gradient
    (1198, 10, 650)
    >>> train.meta["projection"]
    'exact basis'
    >>> test = gradient_features(model, suite.test_inputs, suite.test_labels, outputs=train.outputs)
    """
    inputs, labels = _checked(inputs, labels)
    if batch_size is not None:
        batch_size = check_whole("batch_size", batch_size)
    weights = trainable(model)
    if not weights:
        raise InputError("model", "no parameter that requires a gradient", "one or more", "Unfreeze a layer.")
    d = sum(p.numel() for p in weights.values())
    chosen = choose_projection(projection, d, dim)
    with evaluating(model):
        few, rows = _engine_samples(model, inputs)
        with torch.no_grad():
            seen = outputs_of(model, few)
            check_same_answers(seen, outputs_of(model, few), "model")
        count = seen.shape[1]
        objective = objective or find_class(DEFAULT)(count)
        objective.check_outputs(count, "model")
        labels = objective.check_labels(labels, "labels")
        sketch = chosen.bind({name: p.shape for name, p in weights.items()})
        linearisation = choose_linearisation(objective.linearisations, outputs, count, len(inputs) * sketch.dim)
        with one_thread():  # the choice is between what agrees and what does not: the same on any number of cores
            engine, engine_because = choose_engine(
                model, few, torch.from_numpy(labels[rows]).to(few.device), linearisation,
                along_directions=isinstance(sketch, DirectionsSketch),
            )  # fmt: skip
        width = linearisation.width(count)
        made = {
            "projection": chosen.name, "map": repr(chosen), "outputs": linearisation.name, "parameters": d,
            "weights": model_hash(model), "engine": engine.name,
            **({"objective": objective.name} if objective.name != DEFAULT else {}),
        }  # fmt: skip
        size = batch_size or _chunk_size(engine, chosen, max(p.numel() for p in weights.values()), width, sketch.dim)
        layout = Layout(len(inputs), size, {"outputs": (count,), "features": (width, sketch.dim)}, made)
        kept = _open(store, layout, inputs, labels if linearisation.uses_labels else None)
        found, features = _compute(model, engine, linearisation, sketch, layout, inputs, labels, kept, store, report)
    return GradientFeatures(
        found, features, labels, {**made, "engine_because": engine_because} if engine_because else made
    )


def _checked(inputs: Any, labels: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Arrays that torch can hold, one label for each input."""
    inputs, labels = np.asanyarray(inputs), np.asarray(labels)
    if inputs.dtype.kind not in "fiub" or inputs.dtype.itemsize > 8:
        raise InputError(
            "inputs", f"type {inputs.dtype}", "floating or whole numbers", "Convert them, e.g. to float32."
        )
    if not inputs.dtype.isnative:
        inputs = inputs.astype(inputs.dtype.newbyteorder("="))
    if not labels.ndim or len(inputs) != len(labels):
        found = f"{len(labels)}" if labels.ndim else "a single number"
        raise InputError("labels", found, f"{len(inputs)}, one per input", "Give one label per input.")
    if not len(inputs):
        raise InputError("inputs", "no sample", "one or more", "Give samples.")
    return inputs, labels


def _engine_samples(model: nn.Module, inputs: NDArray[Any]) -> tuple[torch.Tensor, NDArray[np.intp]]:
    """A few samples from all over the data, to check an engine on, and their rows.

    Floating inputs are followed by noisy copies, because the samples may be alike.
    """
    rows = np.unique(np.linspace(0, len(inputs) - 1, 4).astype(np.intp))
    few = model_batch(model, inputs[rows])
    if not few.is_floating_point():
        return few, rows
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(few.shape, generator=generator).to(few)
    spread = few.std() if few.numel() > 1 else few.new_ones(())
    noisy = few + noise * torch.where(spread > 0, spread, 1.0).nan_to_num(1.0)
    return torch.cat([few, noisy]), np.concatenate([rows, rows])


def _chunk_size(engine: Engine, projection: Projection, largest: int, width: int, k: int) -> int:
    """Samples per chunk: factors and features of all Q numbers, and one written-down gradient where it is needed."""
    written = 0 if projection.from_factors else 2 * largest
    passes = 2 if isinstance(engine, Forward) else width
    per_sample = 4 * (engine.numbers_per_sample * (passes + 2) + width * (2 * k + written))
    return max(1, min(_LARGEST_CHUNK, _CHUNK_BUDGET // per_sample))


def model_batch(model: nn.Module, inputs: NDArray[Any]) -> torch.Tensor:
    """Inputs on the model's device, floating ones in its precision."""
    parameter = next(model.parameters())
    # copied: where an array lies in memory, which differs between processes, changes the last bits of products
    batch = torch.tensor(np.ascontiguousarray(inputs))
    return batch.to(parameter.device, parameter.dtype if batch.is_floating_point() else None)


def _open(store: Store | None, layout: Layout, inputs: NDArray[Any], labels: NDArray[Any] | None) -> ArrayFile | None:
    """The array file of these features; labels are None where the features do not depend on them."""
    return store.arrays(FEATURE_CHUNKS, (inputs, labels, layout.header()), layout) if store else None


def _compute(
    model: nn.Module,
    engine: Engine,
    linearisation: Linearisation,
    sketch: Sketch,
    layout: Layout,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    kept: ArrayFile | None,
    store: Store | None,
    report: Report,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Outputs and features of all samples, chunk by chunk, from the array file where there is one."""
    whole = [np.empty((layout.rows, *shape), np.float32) for shape in layout.fields.values()] if kept is None else []
    done, missing = 0, []
    for number in range(layout.chunks):
        if kept is not None and number in kept.finished:
            done += 1
            if store is not None:
                store.count(reused=True)
            report(done, layout.chunks, "gradients", reused=True)
            continue
        rows = slice(*layout.span(number))
        name = f"gradients, block {number + 1} of {layout.chunks}"
        missing.append(Chunk(number, (number, inputs[rows], labels[rows]), name))
    projection = _ChunkProjection(model, engine, linearisation, sketch)
    with closing(current().results(Task(projection, memory=2 * _CHUNK_BUDGET), missing)) as results:
        for result in results:
            start, stop = layout.span(result.index)
            outputs, features = result.value
            _check_finite(outputs, features, start)
            if kept is not None:
                kept.write(result.index, outputs=outputs, features=features)
            else:
                whole[0][start:stop], whole[1][start:stop] = outputs, features
            if store is not None:
                store.count(reused=False)
            done += 1
            report(done, layout.chunks, "gradients", reused=False)
    if kept is None:
        return whole[0], whole[1]
    fields = kept.read()
    return fields["outputs"], fields["features"]


class _ChunkProjection:
    """Outputs and projected gradients of a chunk of samples, in whatever process that is.

    Parameters as of `_compute`.
    """

    def __init__(self, model: nn.Module, engine: Engine, linearisation: Linearisation, sketch: Sketch) -> None:
        self.model, self.linearisation, self.sketch = model, linearisation, sketch
        self._engine: Engine | None = engine
        self._make_engine, self._sample = type(engine), engine.sample

    def __getstate__(self) -> dict[str, Any]:
        # an engine knows parameters by where they are in memory
        return {**vars(self), "_engine": None}

    def __call__(self, chunk: tuple[int, NDArray[Any], NDArray[Any]]) -> tuple[NDArray[np.float32], ...]:
        """Return outputs (n, C) and features (n, Q, k) of a numbered chunk of inputs and labels."""
        number, inputs, labels = chunk
        if self._engine is None:
            self._engine = self._make_engine(self.model, self._sample)
        batch = model_batch(self.model, inputs)
        y = torch.from_numpy(np.ascontiguousarray(labels)).to(batch.device)
        found = _project(self.model, self._engine, number, batch, y, self.linearisation, self.sketch)
        return tuple(part.float().cpu().numpy() for part in found)


def _project(
    model: nn.Module,
    engine: Engine,
    number: int,
    batch: torch.Tensor,
    labels: torch.Tensor,
    linearisation: Linearisation,
    sketch: Sketch,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Project a chunk; sample by sample if it behaves differently from the samples that the engine was checked on."""
    try:
        found = engine.project(batch, labels, linearisation, sketch)
        row = number % len(batch)
        with torch.no_grad():
            alone = outputs_of(model, batch[row : row + 1])
        tolerance = 0.05 if alone.dtype in (torch.bfloat16, torch.float16) else 1e-3
        if torch.allclose(found[0][row], alone[0], rtol=tolerance, atol=tolerance, equal_nan=True):
            return found
        reason = "a sample has other outputs alone than among others"
    except Unsupported as unsupported:
        reason = f"no rule for {unsupported}"
    logger.warning("chunk %d: gradients are taken sample by sample, %s", number, reason)
    return Loop(model, batch[:1]).project(batch, labels, linearisation, sketch)


def _check_finite(outputs: NDArray[np.float32], features: NDArray[np.float32], start: int) -> None:
    wrong = ~np.isfinite(features).all(axis=(1, 2)) | ~np.isfinite(outputs).all(axis=1)
    if wrong.any():
        place = f"gradients of sample {start + int(np.flatnonzero(wrong)[0])}"
        fix = (
            "Look at this sample and at the weights: both must be finite, and so must what the network makes of them."
        )
        raise InputError(place, "values that are not finite", "finite numbers", fix)
