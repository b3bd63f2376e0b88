"""Bayesian influence functions: covariances of task and target losses over weights drawn near W0."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.attributors.attributor import Array, MethodCost, effects_of
from kernelsm.attributors.first_order import FirstOrder
from kernelsm.attributors.solves import largest_eigenvalue
from kernelsm.attributors.task_losses import TaskLosses
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import ConvergenceError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.surrogates.results import Attribution

CHAIN_CHUNKS = ChunkKind("langevin_chains", version=1)


class BayesianInfluence(FirstOrder):
    """dF/dα_k = -nβ Cov(L_k, F) over w ~ exp(-nβ (Σ_k a_k L_k(w) + λ/2 ‖w - W0‖²)), drawn by Langevin dynamics.

    The pull towards W0 localises the draws. A step is w ← w - h ∇ + √(2h / nβ) ξ, on all samples. With nβ far above
    the number of weights the covariance is that of a quadratic, and effects are those of influence functions at the
    minimum.

    Parameters
    ----------
    losses : TaskLosses
    centred : bool
        See `kernelsm.attributors.attributor`.
    temperature : float, optional
        nβ; the number of training samples if not given, which is β = 1.
    chains : int
        Independent chains, a chunk each; the spread of their effects is the method's standard deviation.
    draws, burn_in : int
        Steps of a chain that count, and steps before these.
    step : float, optional
        h; 0.2 / the largest eigenvalue of the curvature with the pull if not given. Long steps draw too widely where
        the loss is steep, by a factor 1 / (1 - hσ/2) at an eigenvalue σ.
    seed : int
        Of the noise.

    References
    ----------
    Kreer et al. (2025), Bayesian influence functions for scalable data attribution.

    Examples
    --------
    >>> from kernelsm import build_model
    >>> from kernelsm.attributors.network_losses import NetworkLosses
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> from kernelsm.attributors.bayesian import BayesianInfluence
    >>> losses = NetworkLosses(digits_suite(), build_model("logistic", inputs=64, classes=10), ridge=1.0)
    >>> few = BayesianInfluence(losses, chains=2, draws=5, burn_in=0, step=0.01)
    >>> few.attribute().std.shape
    (20, 10)
    """

    name, title, has_intervals = "bif", "Bayesian influence functions", True

    def __init__(
        self, losses: TaskLosses, *, centred: bool = True, temperature: float | None = None, chains: int = 4,
        draws: int = 500, burn_in: int = 200, step: float | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(losses, centred=centred)
        self.temperature = float(sum(losses.sizes)) if temperature is None else temperature
        check_number("temperature", self.temperature, above=0)
        self.chains, self.draws = check_whole("chains", chains, 2), check_whole("draws", draws, 2)
        self.burn_in, self.seed = check_whole("burn_in", burn_in, 0), check_whole("seed", seed, 0)
        if step is not None:
            check_number("step", step, above=0)
        self.step = step

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {
            **super().settings(), "temperature": self.temperature, "chains": self.chains, "draws": self.draws,
            "burn_in": self.burn_in, "step": self.step, "seed": self.seed,
        }  # fmt: skip

    def cost(self) -> MethodCost:
        """A pass for each step and chain, and losses of the targets."""
        passes = self.chains * (self.burn_in + self.draws * 1.5)
        memory = 8 * (3 * self.losses.d + self.draws * (self.losses.K + self.losses.q))
        return MethodCost(passes, passes * self.losses.pass_seconds, memory)

    def _step(self) -> float:
        if self.step is not None:
            return self.step
        losses = self.losses

        def product(rows: torch.Tensor) -> torch.Tensor:
            return losses.curvature_times(losses.at, rows) + losses.ridge * rows

        return 0.2 / largest_eigenvalue(product, losses.at)

    def by_chain(self, *, store: Store | None = None, report: Report = silent) -> NDArray[np.float64]:
        """Return dF/dα of each chain, shape (chains, K, q)."""
        settings = {key: value for key, value in self.settings().items() if key not in ("centred", "chains")}
        keys = [(*self.losses.key, self.losses.where, sorted(settings.items()), n) for n in range(self.chains)]
        work = ChunkedWork(lambda: Task(partial(self._chain, self._step())), CHAIN_CHUNKS, "chains of draws")
        return np.array(computed_chunks(work, keys, range(self.chains), store, report))

    def _chain(self, h: float, number: int) -> NDArray[np.float64]:
        losses, generator = self.losses, torch.Generator().manual_seed(self.seed * 1000 + number)
        noise, w = float(np.sqrt(2 * h / self.temperature)), losses.at.clone()
        tasks, targets = [], []
        for step in range(self.burn_in + self.draws):
            variable = w.clone().requires_grad_()
            with torch.enable_grad():
                by_task = losses.task_losses(variable)
                (gradient,) = torch.autograd.grad(losses.shares @ by_task, variable)
            if step >= self.burn_in:
                with torch.no_grad():
                    tasks.append(by_task.detach().double().numpy())
                    targets.append(losses.target_losses(w).double().numpy())
            drawn = torch.randn(losses.d, generator=generator, dtype=torch.double).to(w)
            w = w - h * (gradient + losses.ridge * (w - losses.start)) + noise * drawn
        a, b = np.array(tasks), np.array(targets)
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            fix = "Lower the step."
            raise ConvergenceError(self.name, "losses that are not finite", "draws that stay near W0", fix)
        covariance = (a - a.mean(axis=0)).T @ (b - b.mean(axis=0)) / (len(a) - 1)
        return np.asarray(-self.temperature * covariance)

    def _slopes(self, store: Store | None, report: Report) -> Array:
        return np.asarray(self.by_chain(store=store, report=report).mean(axis=0))

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Return effects, mean over chains, with the standard deviation of that mean."""
        if self._found is None:
            shares = self.losses.shares.double().numpy()
            effects = np.array(
                [effects_of(one, shares, centred=self.centred) for one in self.by_chain(store=store, report=report)]
            )
            self._found = Attribution(
                effects.mean(axis=0), tuple(self.task_names), tuple(self.target_names),
                meta={"readout": self.name, **self.settings()}, degrees_of_freedom=self.chains - 1,
                std=effects.std(axis=0, ddof=1) / np.sqrt(self.chains),
            )  # fmt: skip
        return self._found
