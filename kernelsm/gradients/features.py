"""GradientFeatures: logits and projected per-sample gradients of a model at W0, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.gradients.choices import Outputs, outputs_name
from kernelsm.gradients.per_sample import (
    Engine,
    choose_engine,
    evaluating,
    logits_of,
    margin,
    trainable,
)
from kernelsm.gradients.projections import Projection, choose_projection
from kernelsm.gradients.sketches import Sketch
from kernelsm.models.identity import model_hash
from kernelsm.runtime.array_file import ArrayFile, Layout
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store, content_hash

_CHUNK_BUDGET = 2**27
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
        logits = torch.from_numpy(np.array(self.logits))
        return margin(logits, torch.from_numpy(self.labels)).numpy()


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
        Samples per chunk; chosen so that a chunk takes about 128 MiB.
    store : Store, optional
        Keeps each chunk on disk, which makes the work resumable and memory independent of n.
    report : Report
        Told after each chunk.
    outputs : {"auto", "logits", "margin"}
        What to linearise. "auto" is all logits where their features take at most 256 MiB (n·C·k·4 bytes), else the
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
    _check(inputs, labels)
    weights = trainable(model)
    if not weights:
        raise InputError("model", "no parameter that requires a gradient", "one or more", "Unfreeze a layer.")
    d = sum(p.numel() for p in weights.values())
    chosen = choose_projection(projection, d, dim)
    with evaluating(model):
        few = _batch(model, inputs[:2])
        with torch.no_grad():
            classes = logits_of(model, few).shape[1]
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(
                "labels", f"{labels.min()}..{labels.max()}", f"0..{classes - 1}", "Number classes from 0."
            )
        sketch = chosen.bind({name: p.shape for name, p in weights.items()})
        wanted = outputs_name(outputs, len(inputs) * classes * sketch.dim)
        engine, slow = choose_engine(model, few, torch.from_numpy(labels[:2]).to(few.device), wanted)
        columns = classes if wanted == "logits" else 1
        meta = {
            "projection": chosen.name, "map": repr(chosen), "outputs": wanted, "parameters": d,
            "weights": model_hash(model), "engine": engine.name, **({"engine_because": slow} if slow else {}),
        }  # fmt: skip
        size = batch_size or _chunk_size(
            engine, chosen, max(p.numel() for p in weights.values()), columns, sketch.dim
        )
        layout = Layout(len(inputs), size, {"logits": (classes,), "features": (columns, sketch.dim)}, meta)
        kept = _open(store, layout, inputs, labels)
        logits, features = _compute(model, engine, sketch, layout, inputs, labels, kept, store, report)
    return GradientFeatures(logits, features, labels, meta)


def _check(inputs: NDArray[Any], labels: NDArray[np.int64]) -> None:
    if len(inputs) != len(labels):
        raise InputError("labels", f"{len(labels)}", f"{len(inputs)}, one per input", "Give one label per input.")
    if not len(inputs):
        raise InputError("inputs", "no sample", "one or more", "Give samples.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError("labels", f"type {labels.dtype}", "whole numbers", "Number the classes from 0.")


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
            found = engine.project(batch, y, layout.arguments["outputs"], sketch)
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


def _check_finite(logits: NDArray[np.float32], features: NDArray[np.float32], start: int) -> None:
    wrong = ~np.isfinite(features).all(axis=(1, 2)) | ~np.isfinite(logits).all(axis=1)
    if wrong.any():
        place = f"gradients of sample {start + int(np.flatnonzero(wrong)[0])}"
        fix = (
            "Look at this sample and at the weights: both must be finite, and so must what the network makes of them."
        )
        raise InputError(place, "values that are not finite", "finite numbers", fix)
