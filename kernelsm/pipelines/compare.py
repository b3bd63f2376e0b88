"""The job that compares attribution methods on one run: cost first, then each method as a chunk, then the scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.attributors.attributor import Attributor, MethodCost
from kernelsm.attributors.catalog import METHODS, Given, make_method, possible_methods
from kernelsm.evaluation.leave_one_out import leave_one_out_effects
from kernelsm.evaluation.method_scores import REFERENCE, MethodAnswer, MethodScore, score_methods, verdict
from kernelsm.examples.catalog import (
    EXAMPLES,
    PROMPT_EXAMPLES,
    get_example,
    load_example,
    load_leave_one_out,
    load_truth,
)
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.compute import base_model
from kernelsm.pipelines.method_sources import ALL_METHODS, asks_prompts, own_seconds, seconds_a_gradient
from kernelsm.pipelines.run_settings import RunSettings, estimators, linearisation_of
from kernelsm.prompts.attribution import check_measure
from kernelsm.prompts.method_catalog import PROMPT_METHODS
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.errors import ConvergenceError, InputError
from kernelsm.runtime.extras import MissingExtraError
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report, Stages
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.runtime.timed_store import TimedStore
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.prompt_projects import find_prompts
from kernelsm.workspace.tables import TABLES

if TYPE_CHECKING:
    from kernelsm.gradients.features import GradientFeatures
    from kernelsm.models.language_model import LanguageModel
    from kernelsm.prompts.embedding_gradients import EmbeddingGradients

ANSWER_CHUNKS = ChunkKind("method_answers", version=1)
ALL = "all"
SECONDS_A_METHOD = 300.0
"""Methods that are expected to take longer are left out of "all"; asked for by name they run."""
_HELD_OUT = 0.2


@dataclass(frozen=True)
class CompareSettings:
    """Which methods are compared, and on what.

    Parameters
    ----------
    source : str
        The name of an example or of a prompt task, or the key of a project or of texts for prompts; "" where there is
        a table alone.
    methods : sequence of str
        Names of the catalogs of `kernelsm.attributors` and `kernelsm.prompts`; "all" stands for those that
        have what they need and are expected to take at most `limit` seconds. The default surrogate is always among
        them.
    table : str
        Key of a table of outcomes that is kept here; the example's own if "".
    limit : float
        Seconds.

    Raises
    ------
    InputError
        An unknown source, method or table.
    """

    source: str
    methods: tuple[str, ...] = (ALL,)
    table: str = ""
    limit: float = SECONDS_A_METHOD

    def __post_init__(self) -> None:
        methods = tuple(self.methods) if isinstance(self.methods, list | tuple) else (self.methods,)
        for name in methods:
            if name != ALL and name not in ALL_METHODS:
                raise InputError("methods", repr(name)[:80], ", ".join((ALL, *ALL_METHODS)), "Choose among these.")
        check_number("limit", self.limit, above=0)
        if not self.table and self.source not in (*EXAMPLES, *PROMPT_EXAMPLES):
            raise InputError("table", "none", "the key of a table of outcomes", "Name the table that is compared on.")
        object.__setattr__(self, "methods", tuple(dict.fromkeys((REFERENCE, *methods))))

    def job(self) -> JobSpec:
        """The job that compares."""
        return JobSpec("kernelsm.pipelines.compare:run", asdict(self))


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Parameters
    ----------
    scores : list of MethodScore
        Best LDS first.
    truth_is : str
        What predictions were scored on, in words.
    truth_subsets : int
        How many subsets that is.
    answers : dict of str to MethodAnswer
        Effects, predictions and time of each method.
    refused : dict of str to str
        Methods that could not answer, and why.
    left_out : dict of str to str
        Methods that "all" left out, and why.
    """

    scores: list[MethodScore]
    truth_is: str
    truth_subsets: int
    answers: dict[str, MethodAnswer]
    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Who wins, or that nobody can be told from the default surrogate."""
        return verdict(self.scores, f"{self.truth_subsets} {self.truth_is}")

    def agreement_sentence(self, score: MethodScore) -> str:
        """How far a method's effects agree with measured leave-one-out: target by target and in their mean."""
        found = score.agreement
        if found is None or found.least is None:
            return f"{score.title}: no leave-one-out was measured."
        interval = "" if np.isnan(found.low) else f" ({found.low:.3f} to {found.high:.3f})"
        return (
            f"{score.title}, correlation with leave-one-out: {found.mean:.3f}{interval} in the mean over targets, "
            f"from {found.per_target[found.least]:.3f} for {self.target_names[found.least]} to "
            f"{np.nanmax(found.per_target):.3f}; of the effects on the mean target {found.of_mean:.3f}."
        )

    def to_json(self) -> dict[str, Any]:
        """Scores by method, and what was refused or left out; JSON types."""
        return {
            "methods": {one.name: one.to_json() for one in self.scores}, "truth": self.truth_is,
            "truth_subsets": self.truth_subsets, "refused": self.refused, "left_out": self.left_out,
        }  # fmt: skip


class MethodsAtHand:
    """The methods of some settings, made for their source; nothing long runs before it is asked for.

    Parameters
    ----------
    settings : CompareSettings
    store : Store
        Keeps features, networks and what methods find.
    """

    def __init__(self, settings: CompareSettings, store: Store) -> None:
        self.settings, self.store = settings, store
        self._made: dict[str, Attributor] = {}

    @cached_property
    def tables(self) -> tuple[Outcomes, Outcomes, str]:
        """The outcomes to fit, those to be scored on, and what the latter are in words."""
        settings = self.settings
        if not settings.table and settings.source in EXAMPLES:
            example = get_example(settings.source)
            return load_example(settings.source), load_truth(settings.source), _of_truth(example.truth_is)
        table = settings.table or settings.source
        if table in (*EXAMPLES, *PROMPT_EXAMPLES):
            outcomes = load_example(table)
        else:
            if not TABLES.is_here(table, self.store.root.parent):
                raise InputError("table", repr(table), "a table that is here", "Upload or compute it again.")
            outcomes = TABLES.load(table, self.store.root.parent)
        train, test = outcomes.split(1 - _HELD_OUT, seed=0)
        return train, test, "subsets held out of the table"

    @cached_property
    def given(self) -> Given:
        """What there is to attribute with."""
        outcomes = self.tables[0]
        source = self.settings.source
        if not source or self.prompts or (source in EXAMPLES and not EXAMPLES[source].has_model):
            return Given(outcomes, store=self.store)
        recipe = find_recipe(source)
        # methods that take hundreds of passes through a network take hours of a language model
        without = recipe.features or recipe.objective == NEXT_TOKENS
        model = None if without else base_model(source, self.store)
        return Given(
            outcomes, recipe.suite(), model, self._features, ridge=_pull_of(outcomes, recipe.ridge),
            retraining=recipe.retraining, retraining_seconds=recipe.rates.retraining, store=self.store,
        )  # fmt: skip

    def _features(self) -> tuple[GradientFeatures, GradientFeatures]:
        """Features of training and test samples, by the settings that the source's outcomes are computed with."""
        from kernelsm.gradients.features import gradient_features
        from kernelsm.gradients.training_span import in_training_span
        from kernelsm.objectives.registry import find

        source = self.settings.source
        recipe = find_recipe(source)
        suite = recipe.suite()
        if recipe.features:
            from kernelsm.gradients.features_file import load_features

            return load_features(recipe.features)[1:]
        settings = RunSettings(source, estimators(source)[0])
        outputs, objective = linearisation_of(settings, recipe).name, find(suite)
        text = recipe.objective == NEXT_TOKENS
        model = base_model(source, self.store) if text else self.given.model
        assert model is not None

        def features(inputs: NDArray[Any], labels: NDArray[Any]) -> GradientFeatures:
            return gradient_features(
                model, inputs, labels, settings.projection, settings.dim, store=self.store, outputs=outputs,
                objective=objective,
            )  # fmt: skip

        found = features(suite.inputs, suite.labels), features(suite.test_inputs, suite.test_labels)
        return in_training_span(*found) if text and settings.projection == "exact" else found

    @cached_property
    def prompts(self) -> bool:
        """Whether the source is texts for prompts."""
        return asks_prompts(self.settings.source, self.store.root.parent)

    @cached_property
    def embeddings(self) -> EmbeddingGradients:
        """Gradients at anchor prompts, which methods on prompts share; the model is loaded when they are asked for.

        Raises
        ------
        InputError
            The source is no texts for prompts, or the table is one of other texts or of another measure.
        """
        from kernelsm.prompts.embedding_gradients import EmbeddingGradients

        root, source, outcomes = self.store.root.parent, self.settings.source, self.tables[0]
        if not self.prompts:
            fix = "Ask for it on a prompt task, such as movie-reviews."
            raise InputError("source", repr(source)[:80], "texts for prompts and a language model", fix)
        check_measure(outcomes.meta.get("measure"), higher_is_better=outcomes.higher_is_better)
        found = EmbeddingGradients(
            find_prompts(source, root).task, self._language_model, seconds_a_gradient=seconds_a_gradient(source, root)
        )
        for place in ("task_names", "target_names"):
            if tuple(getattr(outcomes, place)) != tuple(getattr(found, place)):
                fix = "Take the table that was asked of the model with these texts."
                raise InputError(f"prompts, {place}", "others than the texts have", "the same", fix)
        return found

    def _language_model(self) -> LanguageModel:
        from kernelsm.pipelines.askers import source_model

        return source_model(find_prompts(self.settings.source, self.store.root.parent))

    def method(self, name: str) -> Attributor:
        """Return a method; it is made once.

        Raises
        ------
        InputError
            It cannot work with what there is; says why.
        """
        if name not in self._made:
            on_prompts = PROMPT_METHODS.get(name)
            self._made[name] = on_prompts.make(self.embeddings) if on_prompts else make_method(name, self.given)
        return self._made[name]

    def costs(self) -> tuple[dict[str, MethodCost], dict[str, str], dict[str, str]]:
        """Return the cost of each method that will run, why others cannot, and which "all" leaves out."""
        asked = self.settings.methods
        possible = [*possible_methods(self.given), *(PROMPT_METHODS if self.prompts else ())]
        names = possible if ALL in asked else [name for name in asked if name != ALL]
        costs, refused, left_out = {}, {}, {}
        for name in dict.fromkeys((*names, *(name for name in asked if name != ALL))):
            try:
                cost = self.method(name).cost()
            except (InputError, MissingExtraError) as error:
                refused[name] = str(error)
                continue
            if name not in asked and cost.seconds > self.settings.limit:
                left_out[name] = f"about {cost.seconds:,.0f} s; name it to run it"
            else:
                costs[name] = cost
        return costs, refused, left_out


def run(report: Report, store: Store, **settings: Any) -> dict[str, Any]:
    """Job: compare, and return scores, verdict and effects as JSON."""
    found = compare(CompareSettings(**settings), report, store)
    effects = {name: answer.effects.tolist() for name, answer in found.answers.items()}
    return {**found.to_json(), "verdict": found.verdict, "effects": effects}


def compare(
    settings: CompareSettings,
    report: Report,
    store: Store,
    *,
    announce: Callable[[dict[str, MethodCost]], None] | None = None,
) -> Comparison:
    """Run the methods, each a chunk, and score them.

    Parameters
    ----------
    settings : CompareSettings
    report, store
        Told of progress; keeps what each method found and how long that took.
    announce : callable, optional
        Told the cost of each method before the first one starts.

    Raises
    ------
    InputError
        Not even the default surrogate can answer.
    """
    from kernelsm.runtime.threads import use_torch_threads

    use_torch_threads(1)  # products this small are as fast on one thread, and far faster where cores are shared
    timed = TimedStore(store.root.parent)
    at_hand = MethodsAtHand(settings, timed)
    costs, refused, left_out = at_hand.costs()
    if announce:
        announce(costs)
    stages = Stages(report, own_seconds({name: cost.seconds for name, cost in costs.items()}))
    outcomes, truth, truth_is = at_hand.tables
    answers: dict[str, MethodAnswer] = {}
    for name in costs:
        method = at_hand.method(name)
        try:
            answers[name] = _answer(name, method, at_hand, truth, timed, stages.stage(name))
        except (InputError, ConvergenceError, MissingExtraError) as error:
            if name == REFERENCE:
                raise
            refused[name] = str(error)
    measured = _leave_one_out(settings.source, answers)
    return Comparison(
        score_methods(answers, truth.values, measured), truth_is, truth.m, answers, outcomes.task_names,
        outcomes.target_names, refused, left_out,
    )  # fmt: skip


def _answer(
    name: str, method: Attributor, at_hand: MethodsAtHand, truth: Outcomes, store: TimedStore, report: Report
) -> MethodAnswer:
    def answer() -> dict[str, Any]:
        _prepare(name, at_hand)
        # one thread's own time: others may be at work on this machine, and finished chunks took theirs before
        began, found_before = time.process_time(), store.found_seconds
        effects = method.attribute(store=store, report=report)
        predicted = method.predict(truth.masks, store=store)
        seconds = time.process_time() - began + store.found_seconds - found_before
        return {"effects": effects.values, "predicted": predicted, "seconds": seconds}

    losses: Any = getattr(method, "losses", None)
    key = (
        name, at_hand.given.outcomes.content_hash, () if losses is None else (losses.where, *losses.key),
        sorted(method.settings().items()), truth.masks,
    )  # fmt: skip
    before = store.reused
    found = store.chunk(ANSWER_CHUNKS, key, answer)
    report(1, 1, method.title, reused=store.reused > before)
    return MethodAnswer(**found, title=method.title, has_pairs=method.has_pairs, has_intervals=method.has_intervals)


def _prepare(name: str, at_hand: MethodsAtHand) -> None:
    """Compute what methods share before the clock starts: they would otherwise be timed unlike."""
    if name in PROMPT_METHODS:
        _ = at_hand.embeddings.model
    elif METHODS[name].needs != "outcomes" and at_hand.given.features is not None:
        _ = at_hand.given.linear


def _pull_of(outcomes: Outcomes, usual: float) -> float:
    """The pull towards W0 that outcomes were computed with; metadata of an uploaded file may hold anything."""
    found = outcomes.meta.get("ridge")
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 < found < np.inf:
        return float(found)
    return usual


def _leave_one_out(source: str, answers: dict[str, MethodAnswer]) -> NDArray[np.float64] | None:
    """Measured leave-one-out, shape (K, q): shipped with the example, or retrained just now; else None."""
    if source in EXAMPLES and EXAMPLES[source].networks:
        return leave_one_out_effects(load_leave_one_out(source)).values
    return answers["leave_one_out"].effects if "leave_one_out" in answers else None


def _of_truth(words: str) -> str:
    """The words of an example about its truth without the number, "100 further subsets on which ..."."""
    return words.partition(" ")[2]
