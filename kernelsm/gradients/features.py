"""GradientFeatures: logits and projected per-sample gradients of a model at W0, computed once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.gradients.choices import Outputs, outputs_name
from kernelsm.gradients.per_sample import (
    Engine,
    Loop,
    choose_engine,
    evaluating,
    logits_of,
    margin,
    trainable,
)
from kernelsm.gradients.projections import Projection, choose_projection
from kernelsm.gradients.sample_axes import Unsupported
from kernelsm.gradients.sketches import Sketch
from kernelsm.models.hashing import model_hash
from kernelsm.runtime.array_file import ArrayFile, Layout
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store, content_hash

logger = logging.getLogger(__name__)

_CHUNK_BUDGET = 2**29
_LARGEST_CHUNK = 512


@dataclass(frozen=True, eq=False)
class GradientFeatures:
    """What GradEx needs of a model, and all it needs.

    Parameters
    ----------
    logits : ndarray of float32, shape (n, C)
        f_W0(x).
    features : ndarray of float32, shape (n, C, k) or (n, 1, k)
        Projected gradients with respect to the parameters, at W0: of each logit, or (`outputs` "margin") of the
        margin alone. A memory map where they come from a store.
    labels : ndarray of int64, shape (n,)
        Classes.
    meta : dict
        Projection, outputs, number of parameters d, content hash of the weights and the engine used.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> Outputs:
        """What was linearised: every logit, or the margin."""
        found: Outputs = self.meta.get("outputs", "logits")
        return found

    @property
    def margins(self) -> NDArray[np.float32]:
        """Log-odds of the true class at W0, log p_y - log(1 - p_y), shape (n,); the loss is log(1 + exp(-margin))."""
        logits, labels = torch.from_numpy(np.array(self.logits)), torch.from_numpy(self.labels.astype(np.int64))
        return margin(logits, labels).numpy()


def gradient_features(
    model: nn.Module,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    projection: Projection | str = "auto",
    dim: int = 512,
    batch_size: int | None = None,
    store: Store | None = None,
    report: Report = silent,
    *,
    outputs: Outputs | Literal["auto"] = "auto",
) -> GradientFeatures:
    """Compute logits and projected per-sample gradients of `model` at its weights W0 (paper Algorithm 1, line 2).

    The model runs in eval mode, on the device and in the precision of its parameters; parameters that do not require
    a gradient are left out. Gradients come from hooks on the layers' functions where every use of a parameter has a
    rule, else from `torch.func`, else sample by sample; `meta["engine"]` says which.

    Parameters
    ----------
    model : torch.nn.Module
        Maps a batch of inputs (n, ...) to logits (n, C); samples must not influence each other.
    inputs, labels : ndarray
        Samples, shape (n, ...), floating or whole numbers, and their classes (n,).
    projection : {"auto", "exact", "kronecker", "gaussian", "rademacher", "sparse"} or Projection
        "auto" is exact up to 4,096 parameters and Kronecker beyond.
    dim : int
        k, dimension of a random projection.
    batch_size : int, optional
        Samples per chunk; chosen so that a chunk takes about 512 MiB, at most 512.
    store : Store, optional
        Keeps each chunk on disk, which makes the work resumable and memory independent of n.
    report : Report
        Told after each chunk.
    outputs : {"auto", "logits", "margin"}
        What to linearise. "auto" is all logits where their features take at most 1.5 GiB (n·C·k·4 bytes), else the
        margin, the log-odds of the true class. Features that belong together need the same: give it for the second.

    Returns
    -------
    GradientFeatures

    Raises
    ------
    InputError
        Unknown projection, lengths differ, a label out of range, a forward pass that fails or does not return
        logits, gradients that are not finite, or no room on the disk.
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
        few, their_labels = _few(model, inputs, labels)
        with torch.no_grad():
            classes = logits_of(model, few).shape[1]
        if classes < 2:
            fix = "A model of two classes with one logit z returns [0, z] for each sample."
            raise InputError("model", "one logit for each sample", "two or more, one per class", fix)
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(
                "labels", f"{labels.min()}..{labels.max()}", f"0..{classes - 1}", "Number classes from 0."
            )
        sketch = chosen.bind({name: p.shape for name, p in weights.items()})
        wanted = outputs_name(outputs, len(inputs) * classes * sketch.dim)
        engine, slow = choose_engine(model, few, their_labels, wanted)
        columns = classes if wanted == "logits" else 1
        made = {
            "projection": chosen.name, "map": repr(chosen), "outputs": wanted, "parameters": d,
            "weights": model_hash(model), "engine": engine.name,
        }  # fmt: skip
        size = batch_size or _chunk_size(
            engine, chosen, max(p.numel() for p in weights.values()), columns, sketch.dim
        )
        layout = Layout(len(inputs), size, {"logits": (classes,), "features": (columns, sketch.dim)}, made)
        kept = _open(store, layout, inputs, labels)
        logits, features = _compute(model, engine, sketch, layout, inputs, labels, kept, store, report)
    return GradientFeatures(logits, features, labels, {**made, "engine_because": slow} if slow else made)


def _checked(inputs: Any, labels: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Arrays that torch can hold, one label for each input."""
    inputs, labels = np.asanyarray(inputs), np.asarray(labels)
    if inputs.dtype.kind not in "fiub" or inputs.dtype.itemsize > 8:
        raise InputError(
            "inputs", f"type {inputs.dtype}", "floating or whole numbers", "Convert them, e.g. to float32."
        )
    if not inputs.dtype.isnative:
        inputs = inputs.astype(inputs.dtype.newbyteorder("="))
    if labels.ndim != 1:
        fix = "Give the class of each sample as a number; argmax(axis=1) turns one-hot rows into classes."
        raise InputError("labels", f"shape {labels.shape}", f"({len(inputs)},)", fix)
    if len(inputs) != len(labels):
        raise InputError("labels", f"{len(labels)}", f"{len(inputs)}, one per input", "Give one label per input.")
    if not len(inputs):
        raise InputError("inputs", "no sample", "one or more", "Give samples.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError("labels", f"type {labels.dtype}", "whole numbers", "Number the classes from 0.")
    return inputs, labels.astype(np.int64)


def _few(model: nn.Module, inputs: NDArray[Any], labels: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples from all over the data, to check an engine on; numbers also with noise: those few may be alike."""
    rows = np.unique(np.linspace(0, len(inputs) - 1, 4).astype(int))
    few = _batch(model, inputs[rows])
    y = torch.from_numpy(labels[rows]).to(few.device)
    if few.is_floating_point():
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(few.shape, generator=generator).to(few)
        spread = few.std() if few.numel() > 1 else few.new_ones(())
        few = torch.cat([few, few + noise * torch.where(spread > 0, spread, 1.0).nan_to_num(1.0)])
        y = torch.cat([y, y])
    return few, y


def _chunk_size(engine: Engine, projection: Projection, largest: int, columns: int, k: int) -> int:
    """Samples per chunk: factors and features of all outputs, and one written-down gradient where it is needed."""
    written = 0 if projection.from_factors else 2 * largest
    per_sample = 4 * (engine.numbers_per_sample * (columns + 2) + columns * (2 * k + written))
    return max(1, min(_LARGEST_CHUNK, _CHUNK_BUDGET // per_sample))


def _batch(model: nn.Module, inputs: NDArray[Any]) -> torch.Tensor:
    """Inputs on the model's device, floating ones in its precision."""
    parameter = next(model.parameters())
    batch = torch.from_numpy(np.ascontiguousarray(inputs))
    return batch.to(parameter.device, parameter.dtype if batch.is_floating_point() else None)


def _open(store: Store | None, layout: Layout, inputs: NDArray[Any], labels: NDArray[np.int64]) -> ArrayFile | None:
    if store is None:
        return None
    own = labels if layout.arguments["outputs"] == "margin" else None  # logits do not depend on the labels
    key = content_hash(inputs, own, layout.header())
    return store.arrays("gradient_features", key, layout)


def _compute(
    model: nn.Module,
    engine: Engine,
    sketch: Sketch,
    layout: Layout,
    inputs: NDArray[Any],
    labels: NDArray[np.int64],
    kept: ArrayFile | None,
    store: Store | None,
    report: Report,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and features of all samples, chunk by chunk, from the array file where there is one."""
    whole = [np.empty((layout.rows, *shape), np.float32) for shape in layout.fields.values()] if kept is None else []
    for number in range(layout.chunks):
        start, stop = layout.span(number)
        reused = kept is not None and number in kept.finished
        if not reused:
            batch = _batch(model, inputs[start:stop])
            y = torch.from_numpy(np.ascontiguousarray(labels[start:stop], dtype=np.int64)).to(batch.device)
            found = _project(model, engine, number, batch, y, layout.arguments["outputs"], sketch)
            logits, features = (part.float().cpu().numpy() for part in found)
            _check_finite(logits, features, start)
            if kept is not None:
                kept.write(number, logits=logits, features=features)
            else:
                whole[0][start:stop], whole[1][start:stop] = logits, features
        if store is not None:
            store.count(reused=reused)
        report(number + 1, layout.chunks, "gradients", reused=reused)
    if kept is None:
        return whole[0], whole[1]
    fields = kept.read()
    return fields["logits"], fields["features"]


def _project(
    model: nn.Module,
    engine: Engine,
    number: int,
    batch: torch.Tensor,
    labels: torch.Tensor,
    outputs: Outputs,
    sketch: Sketch,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Project a chunk; sample by sample where it does not behave as the samples the engine was checked on."""
    try:
        found = engine.project(batch, labels, outputs, sketch)
        one = number % len(batch)
        with torch.no_grad():
            alone = logits_of(model, batch[one : one + 1])
        tolerance = 0.05 if alone.dtype in (torch.bfloat16, torch.float16) else 1e-3
        if torch.allclose(found[0][one], alone[0], rtol=tolerance, atol=tolerance, equal_nan=True):
            return found
        reason = "a sample has other logits alone than among others"
    except Unsupported as unsupported:
        reason = f"no rule for {unsupported}"
    logger.warning("chunk %d: gradients are taken sample by sample, %s", number, reason)
    return Loop(model, batch[:1]).project(batch, labels, outputs, sketch)


def _check_finite(logits: NDArray[np.float32], features: NDArray[np.float32], start: int) -> None:
    wrong = ~np.isfinite(features).all(axis=(1, 2)) | ~np.isfinite(logits).all(axis=1)
    if wrong.any():
        place = f"gradients of sample {start + int(np.flatnonzero(wrong)[0])}"
        fix = (
            "Look at this sample and at the weights: both must be finite, and so must what the network makes of them."
        )
        raise InputError(place, "values that are not finite", "finite numbers", fix)
