"""What a built-in example is: its words, what computes its outcomes, and the folder of its finished results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernelsm.estimators.recipe import Recipe
from kernelsm.prompts.task import PromptTask

WEIGHTS = "weights.safetensors"
"""W0 in an example's folder."""
PROMPT_SIZES = {"candidates": 50, "queries": 100, "fresh": 200}
"""Texts of each group of a built-in prompt task."""


@dataclass(frozen=True)
class Example:
    """A built-in example of tasks.

    Parameters
    ----------
    name, title, summary : str
        Its name in links and commands, its title, and what there is to see.
    folder : Path
        Holds its finished results: `outcomes.parquet` and `truth.parquet`; with a model also `estimates.parquet`
        (GradEx for the subsets of the truth), `leave_one_out.parquet`, `checks.json` and W0.
    truth_is : str
        What the held-out truth is, in words.
    subsets : int
        m, how many subsets the outcomes are those of.
    p : float
        Inclusion probability by which they were drawn, with seed 0.
    recipe : Recipe, optional
        Samples and network; None for a game without a model.
    networks : int
        From how many networks the shipped leave-one-out retrainings start: the shipped W0, and others trained from
        the seeds 1, 2, ... How much their effects differ is the noise of training. 0: none are shipped.
    projection : str
        Of the gradients that the finished outcomes were computed from; "auto" for what a run takes by itself.
    truth_subsets : int
        How many held-out subsets the truth is that of.
    truth_p : float, optional
        Inclusion probability by which those were drawn; `p` if not given.
    """

    name: str
    title: str
    summary: str
    folder: Path
    truth_is: str
    subsets: int = 400
    p: float = 0.5
    recipe: Recipe | None = None
    networks: int = 0
    projection: str = "auto"
    truth_subsets: int = 100
    truth_p: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all of its finished results are in its folder: only such examples are shown."""
        last = "checks.json" if self.has_model else "truth.parquet"
        return (self.folder / last).is_file() and (self.folder / "outcomes.parquet").is_file()

    @property
    def has_model(self) -> bool:
        """Whether its outcomes can be computed anew from a model's gradients."""
        return self.recipe is not None


@dataclass(frozen=True)
class TableExample:
    """A built-in table of outcomes that the app cannot add to: what was measured in a simulator, say.

    Parameters
    ----------
    name, title, summary : str
        Its name in links and commands, its title, and what there is to see.
    path : Path
        Of the table.
    """

    name: str
    title: str
    summary: str
    path: Path

    @property
    def is_finished(self) -> bool:
        """Whether the table is there: only such examples are shown."""
        return self.path.is_file()


@dataclass(frozen=True)
class PromptExample:
    """A built-in prompt task.

    Parameters
    ----------
    name, title, summary : str
        Its name in links and commands, its title, and what there is to see.
    folder : Path
        Holds its finished results: `outcomes.parquet`, `orders.npz` (single orders), `selection.json` (how good
        choices of demonstrations are) and `zero_shot.json` (what the model says without demonstrations).
    make : callable
        Returns the `PromptTask`.
    """

    name: str
    title: str
    summary: str
    folder: Path
    make: Callable[[], PromptTask]
