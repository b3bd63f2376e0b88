"""From a built-in example to its outcomes, in one resumable piece of work: base model, gradients, estimates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.runs import is_run, load_run, save_run
from kernelsm.outcomes.samplers import bernoulli_masks, fixed_size_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.jobs import JobSpec
from kernelsm.runtime.progress import Report, Stages
from kernelsm.runtime.store import Store
from kernelsm.tasks.digits import digits_suite
from kernelsm.tasks.planted import planted_game

if TYPE_CHECKING:
    from torch import nn

    from kernelsm.outcomes.estimation import Estimator
    from kernelsm.tasks.suite import TaskSuite

EstimatorName = Literal["gradex", "retraining", "game"]
ESTIMATORS: dict[str, tuple[EstimatorName, ...]] = {"digits": ("gradex", "retraining"), "planted": ("game",)}
MAX_SUBSETS = 20_000
DIGITS_LAYERS = (64, 32, 10)
_SAMPLES_PER_CHUNK = 64
_MASKS_PER_BLOCK = 32
# seconds of one chunk, relative to a chunk of gradients (measured on two cores; they only shape the progress bar)
_COST = {"base": 8, "gradients": 1, "exact": 40, "gaussian": 12, "retraining": 4}
# what outcomes of one table have in common
_ONE_WAY = ("estimator", "ridge", "projection")
_UNIT_SECONDS, _START_SECONDS = 0.12, 6.0


@dataclass(frozen=True)
class RunSettings:
    """Which outcomes to compute, and how.

    Parameters
    ----------
    example : {"digits", "planted"}
    estimator : {"gradex", "retraining", "game"}
        "game" plays the planted game; the other two need a model.
    subsets : int
        m, 3 to 20,000.
    p : float
        Inclusion probability of the Bernoulli sampler.
    size : int, optional
        Tasks per subset; replaces the Bernoulli sampler by the fixed-size one.
    seed : int
        Seed of the sampler (and of the planted noise).
    ridge : float
        λ of the pull towards W0.
    projection : {"exact", "gaussian"}
    dim : int
        Dimension of the Gaussian projection.
    chosen : sequence of str
        Subsets to compute instead of random ones, each K characters of 0 and 1; then `subsets` is their number, and
        `p` and `size` mean nothing.
    onto : str
        Key of the table that the job appends the outcomes to: the name of an example, or 40 hex digits; "" for none.

    Raises
    ------
    InputError
        A setting out of its range, or an estimator that the example does not have.
    """

    example: str
    estimator: str = "gradex"
    subsets: int = 400
    p: float = 0.5
    size: int | None = None
    seed: int = 0
    ridge: float = 0.03
    projection: str = "exact"
    dim: int = 512
    chosen: tuple[str, ...] = ()
    onto: str = ""

    def __post_init__(self) -> None:
        if self.example not in ESTIMATORS:
            raise InputError(
                "example", repr(self.example), " or ".join(map(repr, ESTIMATORS)), "Choose one of these."
            )
        if self.estimator not in ESTIMATORS[self.example]:
            expected = " or ".join(map(repr, ESTIMATORS[self.example]))
            raise InputError(f"estimator of {self.example}", repr(self.estimator), expected, "Choose one of these.")
        object.__setattr__(self, "chosen", _checked_subsets(self.chosen, task_count(self.example)))
        if self.chosen:
            object.__setattr__(self, "subsets", len(self.chosen))
        fewest = 1 if self.chosen else 3
        checks = (
            ("subsets", self.subsets, fewest <= self.subsets <= MAX_SUBSETS, f"{fewest} to {MAX_SUBSETS:,}"),
            ("p", self.p, 0.0 < self.p < 1.0, "a probability between 0 and 1"),
            ("size", self.size, self.size is None or 1 <= self.size <= task_count(self.example), "1 to K"),
            ("seed", self.seed, self.seed >= 0, "0 or more"),
            ("ridge", self.ridge, self.ridge > 0 and math.isfinite(self.ridge), "a number above 0"),
            ("dim", self.dim, 2 <= self.dim <= 4096, "2 to 4,096"),
            ("projection", self.projection, self.projection in ("exact", "gaussian"), "'exact' or 'gaussian'"),
            ("onto", self.onto, self.onto in ("", *ESTIMATORS) or is_run(self.onto), "an example or 40 hex digits"),
        )
        for place, found, fine, expected in checks:
            if not fine:
                raise InputError(place, repr(found), expected, "Change this setting.")

    @classmethod
    def like(cls, meta: Mapping[str, Any], **changes: Any) -> RunSettings | None:
        """Return settings that compute further outcomes in the way of a table with this metadata.

        None where the metadata does not name a built-in example and how its outcomes were computed.
        """
        written = str(meta.get("projection", ""))
        gaussian = re.fullmatch(r"Gaussian, (\d{1,4}) dimensions", written)
        known = {"ridge": meta["ridge"]} if "ridge" in meta else {}
        if gaussian:
            known |= {"projection": "gaussian", "dim": int(gaussian[1])}
        try:
            return cls(meta["example"], meta["estimator"], **{**known, **changes})
        except (InputError, KeyError, TypeError):  # anything may stand in the metadata of an uploaded file
            return None

    def masks(self) -> NDArray[np.bool_]:
        """The subsets these settings name, shape (m, K)."""
        K = task_count(self.example)
        if self.chosen:
            return np.array([[character == "1" for character in subset] for subset in self.chosen])
        if self.size is not None:
            return fixed_size_masks(K, self.subsets, size=self.size, seed=self.seed)
        return bernoulli_masks(K, self.subsets, p=self.p, seed=self.seed)

    def sampler(self) -> dict[str, Any]:
        """The sampler, for the metadata of the outcomes."""
        kind: dict[str, Any]
        if self.chosen:
            kind = {"sampler": "next best"}
        else:
            bernoulli = self.size is None
            kind = {"sampler": "bernoulli", "p": self.p} if bernoulli else {"sampler": "fixed", "size": self.size}
        return {**kind, "seed": self.seed}

    def job(self) -> JobSpec:
        """The job that computes these outcomes."""
        return JobSpec("kernelsm.outcomes.pipeline:run", asdict(self))


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: compute outcomes, append them to a table where one is named, keep it, and return {"run": content hash}."""
    wanted = RunSettings(**settings)
    before = _table(wanted.onto, store) if wanted.onto else None  # a table that is not here fails before the work
    outcomes = compute(wanted, report, store)
    if before is not None:
        outcomes = appended(before, outcomes, wanted.onto)
    return {"run": save_run(outcomes, store.root.parent)}


def appended(before: Outcomes, outcomes: Outcomes, onto: str) -> Outcomes:
    """Return a table with further outcomes below those of another.

    Parameters
    ----------
    before : Outcomes
        The table continued.
    outcomes : Outcomes
        The new rows; their metadata is kept, with `onto` and the number of rows `added`.
    onto : str
        Key of `before`.

    Raises
    ------
    InputError
        Other tasks or targets, or outcomes estimated in another way.
    """
    for place, have, new in (
        ("tasks", before.task_names, outcomes.task_names),
        ("targets", before.target_names, outcomes.target_names),
        ("sign", before.higher_is_better, outcomes.higher_is_better),
        # rows of a table without metadata may have come from anywhere
        *((key, before.meta.get(key), outcomes.meta.get(key)) for key in _ONE_WAY if key in before.meta),
    ):
        if have != new:
            raise InputError(
                f"{place} of the table {onto}", repr(have)[:200], repr(new)[:200],
                "Outcomes are appended to a table of the same tasks and targets, computed in the same way.",
            )  # fmt: skip
    return Outcomes(
        np.vstack([before.masks, outcomes.masks]), np.vstack([before.values, outcomes.values]),
        task_names=before.task_names, target_names=before.target_names, higher_is_better=before.higher_is_better,
        meta={**outcomes.meta, "onto": onto, "added": outcomes.m},
    )  # fmt: skip


def _table(key: str, store: Store) -> Outcomes:
    if key in ESTIMATORS:
        from kernelsm.outcomes.examples import load_example  # which needs this module

        return load_example(key)
    try:
        return load_run(key, store.root.parent)
    except KeyError:
        raise InputError("onto", repr(key), "a table that is here", "Upload or compute the table again.") from None


def compute(settings: RunSettings, report: Report, store: Store) -> Outcomes:
    """Compute the outcomes that `settings` name; finished chunks come from the store."""
    masks = settings.masks()
    if settings.estimator == "game":
        outcomes = play(settings.seed, masks)
        report(1, 1, "game")
    else:
        outcomes = _estimate(settings, masks, report, store)
    return Outcomes(
        outcomes.masks, outcomes.values, task_names=outcomes.task_names, target_names=outcomes.target_names,
        meta={**outcomes.meta, **settings.sampler(), "example": settings.example, "unit": "nats"},
    )  # fmt: skip


def play(seed: int, masks: NDArray[np.bool_], *, noise: bool = True) -> Outcomes:
    """Outcomes of the planted game, with or without its noise."""
    game = planted_game()
    values = game.play(masks, seed=seed + 1) if noise else game.truth(masks)
    meta = {"estimator": "game" if noise else "game without noise"}
    return Outcomes(masks, values, task_names=game.task_names, target_names=("loss",), meta=meta)


def base_model(suite: TaskSuite, store: Store) -> nn.Module:
    """Return the digits example's network at W0, an MLP 64-32-10 trained on all tasks."""
    import torch

    from kernelsm.models.mlp import mlp

    weights = store.call(_train_weights, suite.content_hash, DIGITS_LAYERS, heavy={"suite": suite})
    model = mlp(DIGITS_LAYERS)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model.eval()


def _train_weights(suite_hash: str, layers: tuple[int, ...], suite: TaskSuite) -> dict[str, NDArray[np.float32]]:
    """Weights W0 by parameter name; all but `suite` is the store's key."""
    from kernelsm.models.mlp import mlp, train_base

    return {name: value.numpy() for name, value in train_base(mlp(layers), suite).state_dict().items()}


def _estimate(settings: RunSettings, masks: NDArray[np.bool_], report: Report, store: Store) -> Outcomes:
    from kernelsm.outcomes.retraining import Retraining
    from kernelsm.runtime.threads import use_torch_threads

    # a network this small trains as fast on one thread, and ten times faster where cores are shared
    use_torch_threads(1)
    suite = digits_suite()
    stages = Stages(report, _stages(settings, suite))
    before = store.reused
    model = base_model(suite, store)
    stages.stage(0)(1, 1, "base model", reused=store.reused > before)
    estimator: Estimator
    if settings.estimator == "retraining":
        estimator = Retraining(suite, model, ridge=settings.ridge)
    else:
        use_torch_threads()
        estimator = _gradex(settings, suite, model, stages, store)
    return estimator.outcomes(masks, store=store, report=stages.stage(-1))


def _stages(settings: RunSettings, suite: TaskSuite) -> list[tuple[int, int]]:
    """Chunks of each stage and the cost of one: base model, then training, or gradients (train, test) and blocks."""
    base = (1, _COST["base"])
    if settings.estimator == "retraining":
        return [base, (settings.subsets, _COST["retraining"])]
    train, test = (math.ceil(len(part) / _SAMPLES_PER_CHUNK) for part in (suite.inputs, suite.test_inputs))
    gradients = _COST["gradients"]
    blocks = math.ceil(settings.subsets / _MASKS_PER_BLOCK)
    return [base, (train, gradients), (test, gradients), (blocks, _COST[settings.projection])]


def _gradex(settings: RunSettings, suite: TaskSuite, model: nn.Module, stages: Stages, store: Store) -> Estimator:
    from kernelsm.gradients.features import gradient_features
    from kernelsm.outcomes.gradex import GradEx

    train, test = (
        gradient_features(
            model, inputs, labels, settings.projection, settings.dim, _SAMPLES_PER_CHUNK, store, stages.stage(index)
        )
        for index, (inputs, labels) in enumerate(
            ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels)), start=1
        )
    )
    return GradEx(suite, train, test, ridge=settings.ridge, block=_MASKS_PER_BLOCK)


def _checked_subsets(chosen: Any, K: int) -> tuple[str, ...]:
    """Subsets as a tuple; JSON brings a list."""
    expected = f"a list of subsets, each {K} characters of 0 and 1"
    fix = "Write 1 for a task that is in and 0 for one that is not, in the order of the tasks."
    if not isinstance(chosen, list | tuple):
        raise InputError("chosen", repr(chosen)[:80], expected, fix)
    for row, subset in enumerate(chosen, start=1):
        if not (isinstance(subset, str) and re.fullmatch("[01]*", subset) and len(subset) == K):
            raise InputError(f"chosen, subset {row}", repr(subset)[:80], expected, fix)
    return tuple(chosen)


def task_count(example: str) -> int:
    """K of an example, without loading it."""
    return {"digits": 20, "planted": planted_game().K}[example]


@dataclass(frozen=True)
class Cost:
    """What a computation needs on two cores with nothing cached.

    Parameters
    ----------
    seconds : float
        From measured costs of a chunk.
    chunks : int
        Pieces that are kept as they finish.
    memory : int
        Bytes of the largest arrays, roughly.
    coordinates : int
        Gradient coordinates of each logit.
    """

    seconds: float
    chunks: int
    memory: int
    coordinates: int


def estimate_cost(settings: RunSettings) -> Cost:
    """Estimate what `settings` will need, without starting anything or importing torch."""
    if settings.estimator == "game":
        return Cost(seconds=0.1, chunks=1, memory=0, coordinates=0)
    parameters = sum(wide * narrow + narrow for wide, narrow in pairwise(DIGITS_LAYERS))
    suite = digits_suite()
    stages = _stages(settings, suite)
    seconds = _START_SECONDS + _UNIT_SECONDS * sum(count * cost for count, cost in stages)
    chunks = sum(count for count, _ in stages)
    if settings.estimator == "retraining":
        return Cost(seconds, chunks, 0, parameters)
    coordinates = parameters if settings.projection == "exact" else settings.dim
    # features once as loaded and, for training samples, once more centred
    memory = 2 * 4 * (len(suite.inputs) + len(suite.test_inputs)) * DIGITS_LAYERS[-1] * coordinates
    return Cost(seconds, chunks, memory, coordinates)
