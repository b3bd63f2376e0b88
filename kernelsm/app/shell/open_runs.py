"""Runs for the pages, cached by content: any session that asks for the same gets it at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import streamlit as st

from kernelsm.app.shell.rights import may_use
from kernelsm.examples.catalog import EXAMPLES, RECIPES, built_in, load_example, load_truth
from kernelsm.examples.example import Example
from kernelsm.outcomes.measured_word import measured_unit, measured_word
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.orders import OrderedOutcomes, with_noise
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.reading import fixed_size_of, of_target, usual_readout
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES, load_run_orders, prompts_of, source_of

_FIRST = "~first"


class RunMissing(LookupError):  # noqa: N818 - a state of the link, not of the program
    """A link names a table that this server does not have."""


@dataclass(frozen=True)
class Run:
    """A table of outcomes and what is known about it.

    Parameters
    ----------
    key : str
        Example name or content hash.
    outcomes : Outcomes
    example : Example, optional
        The built-in example of samples and a network, if it is one.
    truth : Outcomes, optional
        Held-out truth, if there is one.
    whole : int, optional
        Number of subsets of the table, where `outcomes` are only the first of them.
    """

    key: str
    outcomes: Outcomes
    example: Example | None
    truth: Outcomes | None
    whole: int | None = None

    @property
    def fits(self) -> str:
        """Key of what is fitted: that of the table, with the number of its subsets where these are not all."""
        return self.key if self.whole is None else f"{self.key}{_FIRST}{self.outcomes.m}"

    @property
    def m(self) -> int:
        """Number of subsets of the whole table."""
        return self.whole or self.outcomes.m

    def first(self, used: int | None) -> Run:
        """Return the run of the first `used` of its subsets; of all of them for None, or where it has no more."""
        if used is None or used >= self.m:
            return self if self.whole is None else open_run(self.key)
        return open_run(f"{self.key}{_FIRST}{used}")

    @property
    def title(self) -> str:
        """What a built-in example is called; "" for any other."""
        known = built_in().get(self.key)
        return known.title if known else ""

    @property
    def unit(self) -> str:
        """What is measured, with its unit."""
        return measured_unit(self.outcomes)

    @cached_property
    def fixed_size(self) -> int | None:
        """Number of tasks of every subset, if all have the same (and neither none nor all)."""
        return fixed_size_of(self.outcomes)

    @property
    def source(self) -> str:
        """The example with a model, or the session's own project, that outcomes were computed from; "" for others.

        A table may claim to be of any project: that alone gives nobody the project.
        """
        return self.computed_from if may_use(self.computed_from) else ""

    @property
    def computed_from(self) -> str:
        """What `source` is, whoever owns it: to compare and to say, not to compute with."""
        if self.example:
            return self.key if self.key in RECIPES else ""
        return source_of(self.outcomes)

    @property
    def source_is_not_yours(self) -> bool:
        """Whether its outcomes were computed from a project that is here, but that this session does not own."""
        return self.computed_from != self.source

    @property
    def prompts(self) -> str:
        """The prompt task that its outcomes belong to, an example's name or a key; "" for any other run."""
        return prompts_of(self.outcomes)

    def slots(self, task: PromptTask) -> int:
        """Demonstrations in a prompt of these texts: as many as in the measured ones."""
        return self.fixed_size or task.k

    @property
    def truth_is_exact(self) -> bool:
        """Whether the truth is free of noise, as a formula's is."""
        return self.truth is not None and self.truth.meta.get("estimator") == "game without noise"

    @property
    def estimated(self) -> bool:
        """Whether GradEx estimated the outcomes, whose own error no interval holds."""
        return self.outcomes.meta.get("estimator") == "gradex"

    @property
    def calibrated(self) -> bool:
        """Whether the outcomes say of themselves that label words were calibrated."""
        return self.outcomes.meta.get("calibrated") is True

    @property
    def word(self) -> str:
        """What is measured, in a word or two."""
        return measured_word(self.outcomes)


def is_here(key: str) -> bool:
    """Whether a run of that name is on this server."""
    return key in built_in() or TABLES.is_here(key)


def source_title(source: str) -> str:
    """What an example or a project is called."""
    return EXAMPLES[source].title if source in EXAMPLES else PROJECTS.title(source)


# with a thousand queries it takes seconds to say what many orders tell of the noise
@st.cache_resource(max_entries=64, show_spinner="Opening the outcomes ...")
def open_run(key: str) -> Run:
    """Return a run by its key, or the first subsets of one by the key of its fits (see `Run.fits`).

    Raises
    ------
    RunMissing
        There is none of that name on this server.
    """
    name, _, used = key.partition(_FIRST)
    if used:
        run = open_run(name)
        return replace(run, outcomes=run.outcomes.take(range(int(used))), whole=run.outcomes.m)
    if key in EXAMPLES:
        return Run(key, load_example(key), EXAMPLES[key], load_truth(key))
    if key in built_in():
        return Run(key, load_example(key), None, None)
    if not TABLES.is_here(key):
        raise RunMissing("The link names a table that is not on this server: upload it again to see it.")
    try:
        return Run(key, with_noise(TABLES.load(key), load_run_orders(key)), None, None)
    except InputError as error:
        raise RunMissing(f"The table that the link names is damaged: {error}") from None


def known_orders(key: str) -> OrderedOutcomes | None:
    """Return the single orders of the prompts that are fitted (see `Run.fits`); None where there are none."""
    run = open_run(key)
    found = load_run_orders(run.key)
    return found if found is None or run.whole is None else found.of_subsets(run.outcomes.masks)


def target_outcomes(run: Run, target: str) -> Outcomes:
    """Outcomes of one target, or of the mean over targets for ""."""
    return of_target(run.outcomes, target)


def shown_readout(run: Run, chosen: str) -> str:
    """The chosen readout, or the default of the run: with subsets of one size the others lie far from the data."""
    return chosen or usual_readout(run.outcomes)
