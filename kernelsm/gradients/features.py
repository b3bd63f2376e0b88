"""GradientFeatures: logits and projected per-sample gradients of every logit at W0, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.gradients.projections import Exact, Gaussian, Projection
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store, content_hash

EXACT_UP_TO = 4096
Outputs = Literal["logits", "margin"]


@dataclass(frozen=True, eq=False)
class GradientFeatures:
    """What GradEx needs of a model, and all it needs.

    Parameters
    ----------
    logits : ndarray of float32, shape (n, C)
        f_W0(x).
    features : ndarray of float32, shape (n, C, k) or (n, 1, k)
        Projected gradients with respect to the parameters, at W0: of each logit, or (`outputs` "margin") of the
        margin alone.
    labels : ndarray of int64, shape (n,)
        Classes.
    meta : dict
        Projection, outputs, number of parameters d and content hash of the weights.
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
        logits = torch.from_numpy(np.ascontiguousarray(self.logits))
        return margin(logits, torch.from_numpy(self.labels)).numpy()


def margin(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-odds of the true class, log p_y - log(1 - p_y), from logits (n, C) and classes (n,); shape (n,)."""
    true = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return true - others.logsumexp(dim=1)


def gradient_features(
    model: nn.Module,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    projection: Projection | str = "auto",
    dim: int = 512,
    batch_size: int | None = None,
    store: Store | None = None,
    report: Report = silent,
) -> GradientFeatures:
    """Compute logits and projected per-sample gradients of `model` at its weights W0 (paper Algorithm 1, line 2).

    Parameters
    ----------
    model : torch.nn.Module
        Maps a batch of inputs to logits (n, C); put it in eval mode first.
    inputs, labels : ndarray
        Samples, shape (n, ...), and their classes (n,).
    projection : {"auto", "exact", "gaussian"} or Projection
        "auto" is exact up to 4,096 parameters and Gaussian beyond.
    dim : int
        Dimension of the Gaussian projection.
    batch_size : int, optional
        Samples per chunk; chosen so that a chunk's raw gradients take at most 64 MiB.
    store : Store, optional
        Keeps each chunk by content, which makes the work resumable.
    report : Report
        Told after each chunk.

    Raises
    ------
    InputError
        Unknown projection, lengths differ, a label out of range, or gradients that are not finite.
    """
    if len(inputs) != len(labels):
        raise InputError("labels", f"{len(labels)}", f"{len(inputs)}, one per input", "Give one label per input.")
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    d = sum(p.numel() for p in parameters.values())
    map_ = choose_projection(projection, d, dim)
    weights = content_hash({name: p.numpy() for name, p in model.state_dict().items()}, repr(model))
    with torch.no_grad():
        classes = model(torch.from_numpy(inputs[:1])).shape[-1]
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise InputError("labels", f"{labels.min()}..{labels.max()}", f"0..{classes - 1}", "Number classes from 0.")
    size = batch_size or max(1, 2**26 // (4 * d * classes))
    bounds = list(range(0, len(inputs), size))
    logits, features = [], []
    for done, start in enumerate(bounds, start=1):
        batch = inputs[start : start + size]
        if store is None:
            found, reused = _chunk(content_hash(batch), weights, map_, model, batch), False
        else:
            before = store.reused
            found = store.call(_chunk, content_hash(batch), weights, map_, heavy={"model": model, "batch": batch})
            reused = store.reused > before
        logits.append(found[0])
        features.append(found[1])
        report(done, len(bounds), "gradients", reused=reused)
    meta = {"projection": map_.name, "map": repr(map_), "parameters": d, "weights": weights}
    return GradientFeatures(np.concatenate(logits), np.concatenate(features), labels, meta)


def choose_projection(projection: Projection | str, parameters: int, dim: int) -> Projection:
    """Return the projection that a name stands for.

    Raises
    ------
    InputError
        The name is not known.
    """
    if not isinstance(projection, str):
        return projection
    if projection == "auto":
        projection = "exact" if parameters <= EXACT_UP_TO else "gaussian"
    if projection == "exact":
        return Exact()
    if projection == "gaussian":
        return Gaussian(dim)
    raise InputError("projection", repr(projection), "'auto', 'exact' or 'gaussian'", "Choose one of these.")


def _chunk(
    batch_hash: str, weights_hash: str, projection: Projection, model: nn.Module, batch: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (n, C) and projected gradients (n, C, k) of one batch; the hashes are the store's key."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def logits_of(weights: dict[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = torch.func.functional_call(model, (weights, buffers), (x.unsqueeze(0),)).squeeze(0)
        return out, out

    x = torch.from_numpy(batch)
    jacobian = torch.func.jacrev(logits_of, has_aux=True)
    gradients, logits = torch.func.vmap(jacobian, in_dims=(None, 0))(parameters, x)
    flat = torch.cat([g.flatten(start_dim=2) for g in gradients.values()], dim=2)
    projected = projection.apply(flat)
    if not bool(torch.isfinite(projected).all()):
        raise InputError("gradients", "values that are not finite", "finite numbers", "Check weights and inputs.")
    return logits.detach().numpy(), projected.detach().numpy()
