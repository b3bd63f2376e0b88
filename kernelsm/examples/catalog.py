"""The built-in examples by name, and their finished results, shipped with the package."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernelsm.estimators.recipe import Recipe
from kernelsm.examples.coin_flip.example import COIN_FLIP
from kernelsm.examples.digits.example import DIGITS
from kernelsm.examples.example import Example, PromptExample, TableExample
from kernelsm.examples.instructions.example import INSTRUCTIONS_EXAMPLE
from kernelsm.examples.modular_addition.example import MODULAR_ADDITION
from kernelsm.examples.modular_quadratic.example import MODULAR_QUADRATIC
from kernelsm.examples.movie_reviews.example import MOVIE_REVIEWS
from kernelsm.examples.mt10.example import MT10, MT10_RETURNS
from kernelsm.examples.planted.example import PLANTED
from kernelsm.examples.sentiment.example import SENTIMENT
from kernelsm.outcomes.table import Outcomes
from kernelsm.policies.record import PolicyRecord
from kernelsm.prompts.orders import OrderedOutcomes, load_orders, with_noise
from kernelsm.runtime.checks import check_choice, check_whole

if TYPE_CHECKING:
    from kernelsm.prompts.selection_record import SelectionRecord

TRUTH_SEED = 1

_ALL = (DIGITS, SENTIMENT, INSTRUCTIONS_EXAMPLE, MODULAR_ADDITION, MODULAR_QUADRATIC, MT10, PLANTED)
EXAMPLES: dict[str, Example] = {example.name: example for example in _ALL if example.is_finished}
UNFINISHED: dict[str, Example] = {example.name: example for example in _ALL if not example.is_finished}
"""Examples whose results are still to be computed, by `python -m kernelsm example NAME --rebuild`."""
TABLE_EXAMPLES: dict[str, TableExample] = {one.name: one for one in (MT10_RETURNS,) if one.is_finished}
PROMPT_EXAMPLES: dict[str, PromptExample] = {example.name: example for example in (MOVIE_REVIEWS, COIN_FLIP)}
RECIPES: dict[str, Recipe] = {
    name: example.recipe for name, example in EXAMPLES.items() if example.recipe is not None
}
"""Of the examples with a model."""
ALL_RECIPES: dict[str, Recipe] = {example.name: example.recipe for example in _ALL if example.recipe is not None}
"""Those of unfinished examples as well."""


def built_in() -> dict[str, Example | TableExample | PromptExample]:
    """Return all built-in examples, in the order in which they are shown."""
    return {**EXAMPLES, **TABLE_EXAMPLES, **PROMPT_EXAMPLES}


def get_example(name: str) -> Example:
    """Return a built-in example of tasks.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if name in UNFINISHED:
        return UNFINISHED[name]
    check_choice("example", name, EXAMPLES)
    return EXAMPLES[name]


def results_folder(name: str) -> Path:
    """Return the folder of the finished results of a built-in example or prompt task.

    Raises
    ------
    InputError
        There is none of that name.
    """
    return PROMPT_EXAMPLES[name].folder if name in PROMPT_EXAMPLES else get_example(name).folder


def load_example(name: str) -> Outcomes:
    """Return the finished outcomes of a built-in example or prompt task, shipped with the package.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> load_example("digits")
    Outcomes(m=400, K=20, q=10, loss, mean=...)
    """
    if name in TABLE_EXAMPLES:
        return Outcomes.load(TABLE_EXAMPLES[name].path)
    outcomes = Outcomes.load(results_folder(name) / "outcomes.parquet")
    return with_noise(outcomes, load_example_orders(name)) if name in PROMPT_EXAMPLES else outcomes


def load_truth(name: str) -> Outcomes:
    """Return the held-out truth of a built-in example: subsets that no surrogate was fitted to.

    Examples
    --------
    >>> from kernelsm import load_truth
    >>> load_truth("digits")
    Outcomes(m=100, K=20, q=10, loss, mean=...)
    """
    return Outcomes.load(get_example(name).folder / "truth.parquet")


def load_leave_one_out(name: str, network: int = 0) -> Outcomes:
    """Return a built-in example's outcomes of all tasks together and of all but each one, really fine-tuned.

    Parameters
    ----------
    name : str
        Of an example with a model, whose retrainings are shipped (see `Example.networks`).
    network : int
        0 starts from the shipped W0, as the outcomes and the truth do; 1, 2, ... from W0 of the same network trained
        from that seed, which says how much leave-one-out owes to the chance of training.

    Returns
    -------
    Outcomes
        K + 1 rows: all tasks first, then without task 0, 1, ... See `leave_one_out_effects`.

    Raises
    ------
    InputError
        No example with such retrainings of that name, or not so many networks.

    Examples
    --------
    >>> from kernelsm import load_leave_one_out
    >>> load_leave_one_out("digits")
    Outcomes(m=21, K=20, q=10, loss, mean=...)
    """
    check_choice("example with leave-one-out", name, [key for key in EXAMPLES if EXAMPLES[key].networks])
    example = EXAMPLES[name]
    check_whole("network", network, 0, example.networks - 1)
    every = Outcomes.load(example.folder / "leave_one_out.parquet")
    rows = every.m // example.networks
    found = every.take(range(network * rows, (network + 1) * rows))
    return replace(found, meta={**found.meta, "weights": found.meta["weights"][network], "network": network})


def load_estimates_of_truth(name: str) -> Outcomes | None:
    """Return GradEx' estimates for the subsets of the truth; None for an example without a model."""
    example = get_example(name)
    return Outcomes.load(example.folder / "estimates.parquet") if example.has_model else None


def load_example_orders(name: str) -> OrderedOutcomes | None:
    """Return the single orders of a built-in prompt task, by its name among `PROMPT_EXAMPLES`."""
    return load_orders(PROMPT_EXAMPLES[name].folder / "orders.npz")


def load_policy_record(name: str) -> PolicyRecord | None:
    """Return what policies of a built-in example do in their simulator; None for any other, or an unfinished one."""
    path = MT10.folder / "policies.json"
    if name not in (MT10.name, MT10_RETURNS.name) or not path.is_file():
        return None
    return PolicyRecord.from_json(json.loads(path.read_text()))


def load_selection(name: str) -> SelectionRecord | None:
    """Return how good choices are for a built-in prompt task; None for anything else."""
    if name not in PROMPT_EXAMPLES:
        return None
    from kernelsm.prompts.selection_record import SelectionRecord  # needs scikit-learn, which tables do not

    return SelectionRecord.from_json(json.loads((PROMPT_EXAMPLES[name].folder / "selection.json").read_text()))


def load_zero_shot(name: str) -> dict[str, list[float] | None] | None:
    """Return the mean loss and accuracy without demonstrations of a built-in prompt task; None for anything else.

    They are {"queries": [loss, accuracy], "fresh": [loss, accuracy]}.
    """
    if name not in PROMPT_EXAMPLES:
        return None
    found: dict[str, list[float] | None] = json.loads((PROMPT_EXAMPLES[name].folder / "zero_shot.json").read_text())
    return found
