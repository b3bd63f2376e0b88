"""Figure 3: how well surrogates fit where the loss is more and less curved, and whether kernels bear it better.

A small transformer learns modular arithmetic in three ways: plainly, by sharpness-aware minimisation (SAM) and by
noise stability optimisation (NSO), which both look for flat minima. Fifty networks, each from the same start on a
random subset of the cells, are trained together and measured every few epochs; so is the trace of the Hessian of the
network trained on all cells. A second order of the batches says what of the outcomes is chance: the rank correlation
of the two orders' outcomes is a ceiling that no surrogate can pass by much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from kernelsm.examples.modular import modular_suite
from kernelsm.models.transformer import transformer
from kernelsm.outcomes.samplers import bernoulli_masks
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.tasks.suite import TaskSuite

Array = NDArray[np.float64]
Way = Literal["plain", "SAM", "NSO"]
WAYS: tuple[Way, ...] = get_args(Way)
MODULUS, CELL, WIDTH = 19, 4, 16
SUBSETS, SHARE, BLOCK = 50, 0.9, 50
EPOCHS, TRACE_EPOCHS = (10, 20, 30, 40, 60), (10, 20, 40, 60, 80, 110)
BATCH, LEARNING_RATE = 64, 5e-3
SAM_RADIUS, NSO_DEVIATION = 0.05, 0.01
PROBES = 10
CURVES = ChunkKind("paper_curvature", version=1)

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Course:
    """Networks in the course of training, after some epochs.

    Parameters
    ----------
    losses : ndarray, shape (m, epochs, q)
        Mean test loss of each target, in nats.
    training_loss : ndarray, shape (m, epochs)
        Mean over the cells that a network is trained on.
    trace : ndarray, shape (epochs,)
        Of the Hessian of the training loss of the first network, by Hutchinson's estimate; NaN where not asked for.
    seconds : float
        That the processor worked on it.
    """

    losses: Array
    training_loss: Array
    trace: Array
    seconds: float = 0.0


def small_arithmetic() -> TaskSuite:
    """Return a² + ab + b² mod 19 in K = 25 cells, three tenths of the table for testing."""
    return modular_suite("quadratic", MODULUS, cell=CELL, test_fraction=0.3)


def subsets(K: int) -> NDArray[np.bool_]:
    """Return the random subsets that hold nine tenths of the cells."""
    return bernoulli_masks(K, SUBSETS, p=SHARE, seed=0, distinct=True)


def course_of(way: Way, order: int, store: Store, report: Report = silent) -> Course:
    """Train a network on every subset, measured at `EPOCHS`; finished blocks come from the store.

    Parameters
    ----------
    way : {"plain", "SAM", "NSO"}
    order : int
        Seed of the order of batches, and of NSO's noise.
    store, report
        Keeps finished blocks; told of progress.
    """
    check_choice("way", way, WAYS)
    suite = small_arithmetic()
    masks = subsets(suite.K)
    parts = []
    for at in range(0, len(masks), BLOCK):
        block = masks[at : at + BLOCK]
        train = partial(_train, suite, block, way, order, EPOCHS)
        parts.append(store.chunk(CURVES, _key(suite, block, way, order, EPOCHS, 0), train))
        report(at + len(block), len(masks), way)
    return Course(
        np.concatenate([part.losses for part in parts]),
        np.concatenate([part.training_loss for part in parts]),
        np.full(len(EPOCHS), np.nan),
        sum(part.seconds for part in parts),
    )


def course_of_all(way: Way, order: int, store: Store) -> Course:
    """Train one network on all cells, with the trace of its Hessian at `TRACE_EPOCHS`; else as `course_of`."""
    suite = small_arithmetic()
    everything = np.ones((1, suite.K), dtype=np.bool_)
    train = partial(_train, suite, everything, way, order, TRACE_EPOCHS, probes=PROBES)
    found: Course = store.chunk(CURVES, _key(suite, everything, way, order, TRACE_EPOCHS, PROBES), train)
    return found


def _key(
    suite: TaskSuite, masks: NDArray[np.bool_], way: Way, order: int, epochs: tuple[int, ...], probes: int
) -> tuple[object, ...]:
    return (
        suite.content_hash, masks, way, order, epochs, probes, WIDTH, BATCH, LEARNING_RATE, SAM_RADIUS, NSO_DEVIATION,
    )  # fmt: skip


@sdpa_kernel(SDPBackend.MATH)  # torch's fused attention neither stacks networks nor has a forward-mode derivative
def _train(
    suite: TaskSuite, masks: NDArray[np.bool_], way: Way, order: int, epochs: tuple[int, ...], probes: int = 0
) -> Course:
    begun = time.process_time()
    model = transformer(MODULUS + 2, MODULUS, 4, width=WIDTH, seed=0)
    inputs, labels = torch.from_numpy(suite.inputs), torch.from_numpy(suite.labels)
    test_inputs, test_labels = torch.from_numpy(suite.test_inputs), torch.from_numpy(suite.test_labels)
    sample_weights = torch.from_numpy(suite.sample_weights(masks)).float()
    weights = {
        name: value.detach().expand(len(masks), *value.shape).clone() for name, value in model.named_parameters()
    }

    def losses_of(one: Weights, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(functional_call(model, one, (x,)), y, reduction="none")

    def weighted(one: Weights, weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (weight * losses_of(one, x, y)).sum()

    gradients = vmap(grad(weighted), in_dims=(0, 0, None, None))
    moments = [{name: torch.zeros_like(value) for name, value in weights.items()} for _ in range(2)]
    batches, noise = torch.Generator().manual_seed(order), torch.Generator().manual_seed(1_000 + order)
    step, q = 0, len(suite.target_names)
    found = Course(
        np.empty((len(masks), len(epochs), q)), np.empty((len(masks), len(epochs))), np.full(len(epochs), np.nan)
    )
    for epoch in range(1, epochs[-1] + 1):
        for rows in torch.randperm(len(labels), generator=batches).split(BATCH):
            shares = sample_weights[:, rows] * (len(labels) / len(rows))  # a batch stands for all samples
            slope = partial(_on_batch, gradients, shares, inputs[rows], labels[rows])
            step += 1
            _adam(weights, _flat_slope(way, weights, slope, noise), moments, step)
        if epoch not in epochs:
            continue
        position = epochs.index(epoch)
        with torch.no_grad():
            every = vmap(losses_of, in_dims=(0, None, None))
            tested, trained = every(weights, test_inputs, test_labels), every(weights, inputs, labels)
        found.losses[:, position] = _by_target(tested.double().numpy(), suite)
        found.training_loss[:, position] = (sample_weights * trained).sum(dim=1).double().numpy()
        if probes:
            whole = partial(weighted, weight=sample_weights[0], x=inputs, y=labels)
            found.trace[position] = _trace(whole, {name: value[0] for name, value in weights.items()}, probes)
    return replace(found, seconds=time.process_time() - begun)


def _on_batch(
    gradients: Callable[..., Weights], shares: torch.Tensor, x: torch.Tensor, y: torch.Tensor, weights: Weights
) -> Weights:
    return gradients(weights, shares, x, y)


def _flat_slope(way: Way, weights: Weights, slope: Callable[[Weights], Weights], noise: torch.Generator) -> Weights:
    """Return the gradient that each way follows: here, at the worst point nearby, or averaged over two noisy ones."""
    if way == "plain":
        return slope(weights)
    if way == "SAM":
        uphill = slope(weights)
        size = sum((value.flatten(1) ** 2).sum(dim=1) for value in uphill.values()) ** 0.5 + 1e-12
        return slope(
            {
                name: value + SAM_RADIUS * uphill[name] / size.reshape(-1, *[1] * (value.ndim - 1))
                for name, value in weights.items()
            }
        )
    # the same noise for all networks, as they see the same batches
    moves = {name: NSO_DEVIATION * torch.randn(value.shape[1:], generator=noise) for name, value in weights.items()}
    ahead, behind = (
        slope({name: value + sign * moves[name] for name, value in weights.items()}) for sign in (1.0, -1.0)
    )
    return {name: (ahead[name] + behind[name]) / 2 for name in weights}


def _adam(weights: Weights, slope: Weights, moments: list[Weights], step: int) -> None:
    first, second = moments
    for name, value in weights.items():
        first[name].mul_(0.9).add_(slope[name], alpha=0.1)
        second[name].mul_(0.98).addcmul_(slope[name], slope[name], value=0.02)
        size = (second[name] / (1 - 0.98**step)).sqrt_().add_(1e-8)
        value.sub_(LEARNING_RATE * (first[name] / (1 - 0.9**step)) / size)


def _by_target(losses: Array, suite: TaskSuite) -> Array:
    """Mean over the test samples of each target, (m, q) from (m, tested)."""
    member = suite.target_of == np.arange(len(suite.target_names))[:, None]
    return np.asarray(losses @ (member / member.sum(axis=1, keepdims=True)).T)


def _trace(loss: Callable[[Weights], torch.Tensor], weights: Weights, probes: int) -> float:
    """Mean of v'Hv over random signs v (Hutchinson), in double precision."""
    generator = torch.Generator().manual_seed(0)
    at = {name: value.double() for name, value in weights.items()}
    total = 0.0
    for _ in range(probes):
        signs = {
            name: torch.randint(0, 2, value.shape, generator=generator).double() * 2 - 1 for name, value in at.items()
        }
        along = jvp(grad(loss), (at,), (signs,))[1]
        total += sum(float((signs[name] * along[name]).sum()) for name in at)
    return total / probes
