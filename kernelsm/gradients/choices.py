"""What "auto" stands for; needs no torch, so that pages and estimates of cost can use it."""

from __future__ import annotations

from collections.abc import Sequence

from kernelsm.objectives.objective import Linearisation
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import NEXT_TOKENS

PROJECTIONS = ("exact", "kronecker", "gaussian", "rademacher", "sparse")
ADAPTED = "adapted"
"""Directions found for the tasks, which `adapted_features` takes in place of a projection."""
OF_RUNS = ("exact", ADAPTED, "kronecker", "gaussian", "rademacher", "sparse")
"""What a run may take: there the tasks are known."""
PROBES = 40
"""Subsets whose residuals are added to adapted directions in each round."""
USUAL_ROUNDS = 3
"""Rounds after which they are usually good enough; for estimates of cost."""
DIRECTIONS_BUDGET = 2**30
"""Bytes that adapted directions may take."""
EXACT_UP_TO = 4096
"""Parameters up to which every coordinate is kept."""
ALL_COORDINATES_BUDGET = 3 * 2**29
"""Bytes that the gradients of all samples of a language model may take in every coordinate of its adapters."""
OUTPUTS_BUDGET = 3 * 2**29
"""Bytes that the features of all outputs may take; beyond, fewer numbers of each sample are linearised."""


def adapted_fits(parameters: int, dim: int) -> bool:
    """Whether `dim` directions of so many parameters fit the budget of 1 GiB."""
    return 4 * parameters * dim <= DIRECTIONS_BUDGET


def all_coordinates_fit(objective: str, samples: int, parameters: int) -> bool:
    """Whether the gradients of text are kept in every coordinate of the adapters, at most 1.5 GiB.

    A sample has one number there, and a backward pass through a language model costs far more than to keep what it
    found: random maps would lose precision, and directions adapted to the tasks would take many passes more.
    """
    return objective == NEXT_TOKENS and 4 * samples * parameters <= ALL_COORDINATES_BUDGET


def usual_directions(tasks: int, dim: int, parameters: int) -> int:
    """How many directions are usually good enough for so many tasks, at most `dim`; for estimates of cost."""
    return min(tasks + USUAL_ROUNDS * PROBES, dim, parameters)


def run_projection(requested: str, parameters: int, dim: int) -> str:
    """Resolve "auto" for a run: exact up to 4,096 parameters, adapted while it fits, and Kronecker beyond."""
    if requested == "auto" and parameters > EXACT_UP_TO and adapted_fits(parameters, dim):
        return ADAPTED
    return ADAPTED if requested == ADAPTED else projection_name(requested, parameters)


def projection_name(requested: str, parameters: int) -> str:
    """Resolve "auto": exact up to 4,096 parameters, Kronecker beyond.

    Raises
    ------
    InputError
        The name is not known.
    """
    if requested == "auto":
        return "exact" if parameters <= EXACT_UP_TO else "kronecker"
    if requested not in PROJECTIONS:
        raise InputError("projection", repr(requested), "'auto', " + ", ".join(map(repr, PROJECTIONS)), "Choose one.")
    return requested


def choose_linearisation(
    linearisations: Sequence[Linearisation], requested: str, outputs: int, numbers: int
) -> Linearisation:
    """Resolve "auto": the first whose features take at most 1.5 GiB, or else the last; see `Objective`.

    Parameters
    ----------
    linearisations : sequence of Linearisation
        Those of an objective.
    requested : str
        "auto" or the name of one of them.
    outputs : int
        C, outputs of the model for each sample.
    numbers : int
        n·k single-precision numbers that the features of one output take.

    Raises
    ------
    InputError
        The name is not known.
    """
    if requested == "auto":
        fitting = (each for each in linearisations if 4 * numbers * each.width(outputs) <= OUTPUTS_BUDGET)
        return next(fitting, linearisations[-1])
    named = {each.name: each for each in linearisations}
    if requested not in named:
        raise InputError("outputs", repr(requested), " or ".join(map(repr, ("auto", *named))), "Choose one of these.")
    return named[requested]
