"""Which outcomes are to be computed, how, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernelsm.estimators.recipe import Recipe
from kernelsm.examples.catalog import ALL_RECIPES, RECIPES, get_example
from kernelsm.examples.planted.game import planted_game
from kernelsm.gradients.choices import (
    ADAPTED,
    EXACT_UP_TO,
    OF_RUNS,
    PROBES,
    USUAL_ROUNDS,
    adapted_fits,
    all_coordinates_fit,
    choose_linearisation,
    projection_name,
    run_projection,
    usual_directions,
)
from kernelsm.objectives.objective import Linearisation
from kernelsm.objectives.registry import DEFAULT, find_class
from kernelsm.outcomes.designs import (
    DESIGNS,
    MOST_TASKS_FOR_ALL,
    affordable_design,
    design_masks,
    possible_subsets,
)
from kernelsm.runtime.checks import check_choice, check_number, check_probability, check_whole, shown
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job import JobSpec
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import PROJECTS, find_recipe

EstimatorName = Literal["gradex", "retraining", "game"]
GAME = "planted"
MAX_SUBSETS = 20_000
START_SECONDS = 2.5
_LOADING_SECONDS = 0.1  # of the file of W0
_WORKERS_MEMORY = 2**28  # of the solver and two workers beside features: measured, see `benchmarks/estimates.py`


@dataclass(frozen=True)
class RunSettings:
    """Which outcomes to compute, and how.

    Parameters
    ----------
    source : str
        What the tasks are those of: the name of a built-in example, or the key of a project.
    estimator : {"gradex", "retraining", "game"}
        "game" plays the planted game; the other two need a model.
    subsets : int
        m, 3 to 20,000, as asked for; 2^K with "all". See `rows`.
    p : float
        Inclusion probability of the Bernoulli sampler.
    size : int, optional
        Tasks per subset; replaces the Bernoulli sampler by the fixed-size one.
    seed : int
        Seed of the sampler (and of the planted noise).
    ridge : float, optional
        λ of the pull towards W0; the example's own if not given.
    projection : {"auto", "exact", "adapted", "kronecker", "gaussian", "rademacher", "sparse"}
        Of the gradients; see `gradient_features`, and for "adapted" `adapted_features`. "auto" is exact up to 4,096
        parameters, adapted while `dim` directions take at most 1 GiB, and Kronecker beyond.
    dim : int
        Dimension of a random projection, or the most directions.
    outputs : str
        What is linearised: "auto" or a name that the objective knows, "logits" or "margin" for classes; see
        `gradient_features`.
    chosen : sequence of str
        Subsets to compute instead of random ones, each K characters of 0 and 1; then `subsets` is their number, and
        `p` and `size` mean nothing.
    onto : str
        Key of the table that the job appends the outcomes to: the name of an example, or 40 hex digits; "" for none.
    design : {"random", "distinct", "leave_outs", "all", "auto"}
        See `design_masks`. "auto" becomes "all" or "leave_outs", whichever can be afforded with what a subset costs
        here (see `affordable_design`), and may take more than `subsets`. "random" is what earlier versions drew.
        Beside `chosen`, "leave_outs" says what these are, and any other means nothing.
    measure : str
        What the outcomes are: "loss", or another measure of the source's objective, such as "accuracy" for classes
        or "R²" for quantities. All are kept together: another one is found without computing anew.

    Raises
    ------
    InputError
        A setting out of its range, a project that is not here, or an estimator that the source does not have.
    """

    source: str
    estimator: str = "gradex"
    subsets: int = 400
    p: float = 0.5
    size: int | None = None
    seed: int = 0
    ridge: float | None = None
    projection: str = "auto"
    dim: int = 512
    outputs: str = "auto"
    chosen: tuple[str, ...] = ()
    onto: str = ""
    design: str = "random"
    measure: str = "loss"

    def __post_init__(self) -> None:
        check_choice(f"estimator of {self.source}", self.estimator, estimators(self.source))
        object.__setattr__(self, "chosen", _checked_subsets(self.chosen, task_count(self.source)))
        if self.chosen:
            object.__setattr__(self, "subsets", len(self.chosen))
        check_choice("design", self.design, (*DESIGNS, "auto"))
        K = task_count(self.source)
        # one task has two subsets
        fewest = 1 if self.chosen else 3 if self.design == "random" else min(3, possible_subsets(K))
        recipe = recipe_of(self.source)
        ridge = self.ridge if self.ridge is not None else recipe.ridge if recipe else 1.0
        object.__setattr__(self, "ridge", ridge)
        check_whole("dim", self.dim, 2, 4096)
        # resolved here, so that equal work is one job
        if self.projection == "auto" and recipe and not recipe.features:
            object.__setattr__(self, "projection", resolved_projection("auto", recipe, self.dim))
        known = ("auto", *(OF_RUNS if recipe is None else offered_projections(recipe, self.dim)))
        objective = find_class(recipe.objective if recipe else DEFAULT)
        known_outputs = ("auto", *(one.name for one in objective.linearisations))
        check_whole("subsets", self.subsets, fewest, MAX_SUBSETS)
        check_probability("p", self.p)
        if self.size is not None:
            check_whole("size", self.size, 1, K)
        check_whole("seed", self.seed, 0)
        check_number("ridge", ridge, above=0)
        check_choice("projection", self.projection, known)
        check_choice("outputs", self.outputs, known_outputs)
        check_choice("measure", self.measure, measures_of(self.source))
        if not (self.onto in ("", GAME, *RECIPES) or is_content_hash(self.onto)):
            raise InputError("onto", shown(self.onto), "a name or 40 hex digits", "Change this setting.")
        # what means nothing is left at its default, for the same reason
        if recipe and recipe.features:
            object.__setattr__(self, "projection", "auto")
            object.__setattr__(self, "outputs", "auto")
        elif self.estimator != "gradex" and recipe:
            object.__setattr__(self, "projection", projection_name("auto", recipe.parameters))
            object.__setattr__(self, "outputs", "auto")
        if self.estimator != "gradex" or self.projection == "exact" or (recipe and recipe.features):
            object.__setattr__(self, "dim", 512)
        if self.chosen or self.size is not None:
            object.__setattr__(self, "p", 0.5)
        self._settle_design(K)

    def _settle_design(self, K: int) -> None:
        """Say what "auto" comes to and how many subsets there are: equal work is one job, whatever was asked for."""

        def settle(**found: Any) -> None:
            for name, value in found.items():
                object.__setattr__(self, name, value)

        if self.chosen:
            settle(design=self.design if self.design == "leave_outs" else "random")
            return
        if self.design == "auto":
            design, subsets = affordable_design(K, self.subsets, seconds_a_subset(self))
            settle(design=design, subsets=subsets)
        if self.design == "all" and K > MOST_TASKS_FOR_ALL:
            fix = 'Take "leave_outs": all tasks together, all but one, all but two, and random subsets.'
            raise InputError("design", f'"all" with {K} tasks', f"at most {MOST_TASKS_FOR_ALL} tasks", fix)
        if self.design == "distinct":
            settle(subsets=self.rows)
            settle(design="random" if np.array_equal(self.masks(), self._drawn("random")) else "distinct")
        if self.design != "random" and self.rows == possible_subsets(K):
            settle(design="all", subsets=self.rows, p=0.5, size=None)
            settle(seed=self.seed if self.estimator == "game" else 0)

    def _drawn(self, design: str) -> NDArray[np.bool_]:
        return _draw(task_count(self.source), self.subsets, design, self.p, self.size, self.seed)

    @classmethod
    def like(cls, meta: Mapping[str, Any], **changes: Any) -> RunSettings | None:
        """Return settings that compute further outcomes in the way of a table with this metadata.

        None where the metadata does not name a source that is here and how its outcomes were computed.
        """
        written = str(meta.get("projection", ""))
        random = re.fullmatch(r"(\w{1,20}), (\d{1,4}) dimensions", written)
        known = {name: meta[name] for name in ("ridge", "outputs", "measure") if name in meta}
        known |= {"projection": random[1].lower(), "dim": int(random[2])} if random else {}
        known |= {"projection": "exact"} if written == "exact basis" else {}
        known |= {"dim": meta["most_directions"]} if "most_directions" in meta else {}
        try:
            estimator = meta["estimator"]
            if estimator == "fine_tuning":  # the retraining of language models, whose pull is not that of GradEx
                estimator = "retraining"
                known.pop("ridge", None)
            return cls(meta["computed_from"], estimator, **{**known, **changes})
        except (InputError, KeyError, TypeError):  # anything may stand in the metadata of an uploaded file
            return None

    @property
    def rows(self) -> int:
        """How many subsets there are: as many as asked for, or fewer where the design finds no more."""
        return len(self.masks())

    def masks(self) -> NDArray[np.bool_]:
        """The subsets these settings name, shape (m, K)."""
        if self.chosen:
            return np.array([[character == "1" for character in subset] for subset in self.chosen])
        return self._drawn(self.design)

    def sampler(self) -> dict[str, Any]:
        """The sampler, for the metadata of the outcomes."""
        kind: dict[str, Any]
        if self.chosen:
            kind = {"sampler": "leave-outs" if self.design == "leave_outs" else "next best"}
        elif self.design == "all":
            kind = {"sampler": "all", "design": "all"}
        else:
            bernoulli = self.size is None
            kind = {"sampler": "bernoulli", "p": self.p} if bernoulli else {"sampler": "fixed", "size": self.size}
            kind |= {} if self.design == "random" else {"design": self.design}
        return {**kind, "seed": self.seed}

    def arguments(self) -> dict[str, Any]:
        """These settings as the arguments of a job."""
        known = asdict(self)
        if self.design == "random":  # the jobs of earlier versions, which knew no other, are found again
            del known["design"]
        if self.measure == "loss":
            del known["measure"]
        return known

    def job(self) -> JobSpec:
        """The job that computes these outcomes."""
        return JobSpec("kernelsm.pipelines.compute:run", self.arguments())


def offered_projections(recipe: Recipe, dim: int) -> tuple[str, ...]:
    """Return what a run of a recipe's network may take, besides "auto"."""
    text = recipe.objective == NEXT_TOKENS
    fits = {
        "exact": recipe.parameters <= EXACT_UP_TO or _every_coordinate_fits(recipe),
        # each round would take a backward pass through the language model for every probe
        ADAPTED: adapted_fits(recipe.parameters, dim) and not text,
    }
    return tuple(name for name in OF_RUNS if fits.get(name, True))


def resolved_projection(requested: str, recipe: Recipe, dim: int) -> str:
    """Resolve "auto" for a recipe; see `RunSettings`."""
    if requested == "auto" and recipe.objective == NEXT_TOKENS:
        return "exact" if "exact" in offered_projections(recipe, dim) else "kronecker"
    return run_projection(requested, recipe.parameters, dim)


def _every_coordinate_fits(recipe: Recipe) -> bool:
    if recipe.objective != NEXT_TOKENS:  # asked first: the size may have to be counted
        return False
    size = recipe.size
    return all_coordinates_fit(recipe.objective, size.samples + size.test_samples, recipe.parameters)


def example_settings(name: str) -> RunSettings:
    """Return the settings by which the finished outcomes of a built-in example were computed.

    Raises
    ------
    InputError
        There is no example of that name.
    """
    example = get_example(name)
    estimator = estimators(name)[0]
    return RunSettings(name, estimator, subsets=example.subsets, p=example.p, projection=example.projection)


@lru_cache(maxsize=16)  # pages ask for the same ones at every rerun
def _draw(K: int, m: int, design: str, p: float, size: int | None, seed: int) -> NDArray[np.bool_]:
    masks = design_masks(K, m, design, p=p, size=size, seed=seed)
    masks.flags.writeable = False
    return masks


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


def recipe_of(source: str) -> Recipe | None:
    """Return the recipe of a source; None for the planted game.

    Raises
    ------
    InputError
        There is no such source here.
    """
    if source == GAME:
        return None
    if source in ALL_RECIPES or PROJECTS.is_here(source):
        return find_recipe(source)
    expected = " or ".join(map(repr, (*RECIPES, GAME))) + ", or the 40 hex digits of a project"
    raise InputError("source", repr(source)[:80], expected, "Choose one of these.")


def estimators(source: str) -> tuple[EstimatorName, ...]:
    """Return the ways to get outcomes of a source, the usual one first."""
    recipe = recipe_of(source)
    if recipe is None:
        return ("game",)
    return ("gradex",) if recipe.features else ("gradex", "retraining")


def measures_of(source: str) -> tuple[str, ...]:
    """Return the names of what can be measured of a source; the first is the loss that is trained on."""
    recipe = recipe_of(source)
    if recipe is None:
        return ("loss",)
    return tuple(one.name for one in find_class(recipe.objective).measures_for(recipe.size.classes))


def task_count(source: str) -> int:
    """K of a source."""
    recipe = recipe_of(source)
    return recipe.size.tasks if recipe else planted_game().K


@dataclass(frozen=True)
class Cost:
    """What a computation needs on two cores with nothing cached.

    Parameters
    ----------
    seconds : float
        From measured rates; infinity where one of them was given up because it took too long.
    stages : dict
        Stage -> its seconds, in order; infinity as above.
    memory : int
        Bytes of the features, as loaded and as prepared for the solver, of adapted directions, and of the processes
        that work on them.
    coordinates : int
        Gradient coordinates of each output.
    outputs : str
        Name of what is linearised; "" where nothing is.
    disk : int
        Bytes of the features as the store keeps them.
    """

    seconds: float
    stages: dict[str, float]
    memory: int
    coordinates: int
    outputs: str
    disk: int = 0


def linearisation_of(settings: RunSettings, recipe: Recipe) -> Linearisation:
    """What is linearised: training and test features together must fit the budget for all outputs."""
    objective = find_class(recipe.objective)
    if recipe.features:
        return objective.linearisation(recipe.config["outputs"])
    samples = recipe.size.samples + recipe.size.test_samples
    # adapted directions may become as many as the settings allow
    k = settings.dim if settings.projection == ADAPTED else coordinates(settings, recipe)
    numbers = samples * k
    return choose_linearisation(objective.linearisations, settings.outputs, recipe.size.classes, numbers)


def coordinates(settings: RunSettings, recipe: Recipe) -> int:
    """Gradient coordinates of each output, k; as many as usual where they are adapted."""
    if settings.projection == ADAPTED:
        return usual_directions(recipe.size.tasks, settings.dim, recipe.parameters)
    if settings.projection == "exact" and recipe.parameters > EXACT_UP_TO:
        return min(recipe.parameters, recipe.size.samples)  # of the span of the training samples' gradients
    return recipe.parameters if settings.projection == "exact" or recipe.features else settings.dim


def estimate_cost(settings: RunSettings) -> Cost:
    """Estimate what `settings` will need, without starting anything or importing torch."""
    recipe = recipe_of(settings.source)
    if recipe is None:
        return Cost(seconds=0.1, stages={"game": 0.1}, memory=0, coordinates=0, outputs="")
    each = seconds_a_subset(settings)
    rates, size = recipe.rates, recipe.size
    stages = {"inputs": rates.inputs} if rates.inputs else {}
    # W0 of a project was kept when that was prepared
    is_there = recipe.trained_weights is not None or is_content_hash(settings.source)
    stages |= {} if recipe.features else {"base": _LOADING_SECONDS if is_there else rates.base}
    disk, memory, outputs, k = 0, 0, "", coordinates(settings, recipe)
    if settings.estimator == "retraining":
        stages["retraining"] = each * settings.rows
    else:
        linearisation = linearisation_of(settings, recipe)
        outputs, columns = linearisation.name, linearisation.width(size.classes)
        if not recipe.features:
            adapted = settings.projection == ADAPTED
            timed = settings.projection in rates.gradients
            sample = rates.gradients[settings.projection if timed else "kronecker"] * columns / 1000
            # dense maps cost d·k
            sample *= k / 512 if settings.projection in ("gaussian", "rademacher") else 1.0
            stages["train"], stages["test"] = sample * size.samples, sample * size.test_samples
            if adapted:  # the gradients of every round, and those of the subsets' losses
                stages["train"] *= (USUAL_ROUNDS + 1) * (1 + PROBES / columns)
        stages["gradex"] = each * settings.rows
        disk = 4 * (size.samples + size.test_samples) * columns * k
        memory = 2 * disk
        if settings.projection == "exact" and k < recipe.parameters:  # written down once, in all coordinates
            memory += 4 * (size.samples + size.test_samples) * columns * recipe.parameters
        memory += 4 * recipe.parameters * k if settings.projection == ADAPTED else 0
    beside = _WORKERS_MEMORY if memory else 0
    return Cost(START_SECONDS + sum(stages.values()), stages, memory + beside, k, outputs, disk)


def seconds_a_subset(settings: RunSettings) -> float:
    """What one subset more takes on two cores, from measured rates; 0 for the planted game."""
    recipe = recipe_of(settings.source)
    if recipe is None:
        return 0.0
    if settings.estimator == "retraining":
        return recipe.rates.retraining
    columns = linearisation_of(settings, recipe).width(recipe.size.classes)
    whole = "exact" in recipe.rates.gradex and (settings.projection == "exact" or recipe.features is not None)
    rate = recipe.rates.gradex["exact" if whole else "projected"]
    # a solve grows with the coordinates too
    return rate * (1.0 if whole else coordinates(settings, recipe) / 512) * columns / recipe.size.classes / 1000
