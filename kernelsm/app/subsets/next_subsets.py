"""The next best subsets: what they would bring, which they are, and how to measure them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.shell import frame, rights, session
from kernelsm.app.shell.job_panel import job_panel
from kernelsm.app.shell.open_runs import Run, open_run, shown_readout, target_outcomes
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import KERNEL_NAMES
from kernelsm.app.subsets.learning_curve import AT_ONCE, asked_for, nothing_left, percent, tuned_parameters
from kernelsm.charts.learning import variance_left_chart
from kernelsm.export.csv_text import csv_text
from kernelsm.outcomes.completeness import subsets_left
from kernelsm.outcomes.designs import all_masks, possible_subsets
from kernelsm.outcomes.repeated_rows import rows_agree
from kernelsm.outcomes.samplers import bernoulli_masks, fixed_size_masks, masks_of_size
from kernelsm.outcomes.table_validation import TASK_PREFIX
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost
from kernelsm.surrogates.base import AttributionKind, Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.measured_rows import without_noise
from kernelsm.surrogates.next_subsets import candidate_masks, next_subsets
from kernelsm.surrogates.reading import new_surrogate
from kernelsm.surrogates.subset_distributions import Array
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES

_READOUT_WORDS = {"leave_one_out": "leave-one-out", "inclusion": "inclusion", "shapley": "Shapley"}
_RANDOM_POINTS = 8
_MOST_CANDIDATES = 1_024
_NAMES_SHOWN, _LONGEST_NAME = 6, 40


@dataclass(frozen=True)
class Proposal:
    """Subsets to measure next and what is expected of them.

    Parameters
    ----------
    masks : ndarray of bool, shape (count, K)
        Best first.
    left : ndarray, shape (count,)
        Share of the readout's variance left after each.
    random_counts : ndarray of int, shape (R,)
        Numbers of random subsets compared with; the last is count.
    random_left : ndarray, shape (R,)
        Share of the variance left after as many random subsets.
    again : int
        How many of the proposed subsets were measured before.
    """

    masks: NDArray[np.bool_]
    left: Array
    random_counts: NDArray[np.intp]
    random_left: Array
    again: int


def next_best(run: Run) -> None:
    """Draw the proposal for the view's readout and the two ways to measure it."""
    view = session.view()
    m = run.outcomes.m
    if not subsets_left(run.outcomes.masks):
        st.info(nothing_left(run.outcomes), icon=":material/check_circle:")
        return
    if m > AT_ONCE:
        cost = f"A surrogate is fitted to {m:,} subsets and asked about 1,000 others"
        if not asked_for(run, "next", "Propose subsets", cost, 6.0 * (m / 3000) ** 3 + 1.0):
            return
    readout = shown_readout(run, view.readout)
    proposed = proposal(run.key, view.target, *view.surrogate, readout, view.more)
    if proposed is None:
        st.info("All subsets were measured: there is none left to propose.", icon=":material/info:")
        return
    left, right = frame.panels()
    with left:
        st.markdown(_promise(proposed, _READOUT_WORDS[readout]))
        if len(proposed.masks) < view.more:
            st.markdown(f"There are only {len(proposed.masks)} subsets to choose from.")
        if proposed.again:
            st.markdown(
                f"{proposed.again} of them {'was' if proposed.again == 1 else 'were'} measured before: where "
                "outcomes are noisy, measuring again can be worth more than a new subset."
            )
        frame.show(
            variance_left_chart(proposed.left, proposed.random_counts, proposed.random_left, dark=frame.is_dark()),
            "subsets_next",
            toolbar=False,
        )
        st.caption(_how(run, readout))
    with right:
        table = _preview(proposed, run.outcomes.task_names)
        show_table(
            table, hide_index=True, height=420, alt=f"The {len(table)} proposed subsets, best first",
            column_config={
                "subset": st.column_config.NumberColumn(width=60),
                "variance left": st.column_config.NumberColumn(format="%.1f%%", width=90),
                "tasks": st.column_config.NumberColumn("tasks in", width=70),
                "in": st.column_config.TextColumn("which", width="large"),
            },
        )  # fmt: skip
        _measure(run, proposed)


@st.cache_resource(max_entries=16, show_spinner="Choosing the next subsets ...")
def proposal(
    key: str, target: str, kernel: str, gamma: float | None, ridge: float, readout: str, count: int
) -> Proposal | None:
    """Choose subsets to measure next; None where no subset is left. Shared by all sessions: never change it."""
    run = open_run(key)
    outcomes = target_outcomes(run, target)
    surrogate = _surrogate(key, target, kernel, gamma, ridge).fit_outcomes(outcomes)
    pool, random = _candidates(run), random_masks(run, count + outcomes.m)
    if not is_noisy(run):  # a subset has the same outcome every time
        pool, random = pool[~_among(pool, outcomes.masks)], random[~_among(random, outcomes.masks)]
    count = min(count, len(pool))
    if count == 0:
        return None
    kind, size = cast(AttributionKind, readout), run.fixed_size if readout == "inclusion" else None
    chosen = next_subsets(surrogate, count, kind, size=size, candidates=pool)
    counts = np.unique(np.geomspace(1, count, _RANDOM_POINTS).round().astype(np.intp))
    random_left = [
        next_subsets(surrogate, n, kind, size=size, candidates=random[:n]).variance_left[-1] for n in counts
    ]
    again = int(_among(chosen.masks, outcomes.masks).sum())
    return Proposal(chosen.masks, chosen.variance_left, counts, np.array(random_left), again)


def random_masks(run: Run, count: int) -> NDArray[np.bool_]:
    """Different random subsets like those of the run, shape (count, K); fewer where there are no more."""
    K, seed = run.outcomes.K, run.outcomes.m
    if run.fixed_size:
        return fixed_size_masks(K, count, size=run.fixed_size, seed=seed, distinct=True)
    return bernoulli_masks(K, count, p=_inclusion_rate(run), seed=seed, distinct=True)


def _candidates(run: Run) -> Array:
    """Subsets to choose from: all there are, or many of them."""
    K, size = run.outcomes.K, run.fixed_size
    if possible_subsets(K, size) > _MOST_CANDIDATES:
        return candidate_masks(run.outcomes.masks)
    found = all_masks(K) if size is None else masks_of_size(K, size)
    return np.unique(found.astype(np.float64), axis=0)


def is_noisy(run: Run) -> bool:
    """Whether a subset that is measured again may have another outcome, as far as one can know."""
    outcomes = run.outcomes
    settings = _settings_like(run, np.ones((1, outcomes.K), dtype=np.bool_), "random")
    if settings is not None:
        return settings.estimator == "game"
    if outcomes.noise is not None:
        return not without_noise(outcomes.noise)
    return not rows_agree(outcomes.masks.astype(np.float64), outcomes.values)


def continued(run: Run, masks: NDArray[np.bool_], design: str = "random") -> RunSettings | None:
    """Settings of the job that measures `masks` and appends them to the run.

    None for a table from elsewhere, and for one of a project that this session does not own. `design` is "leave_outs"
    where that is what they are.
    """
    settings = _settings_like(run, masks, design)
    return settings if settings and rights.may_use(settings.source) else None


def _settings_like(run: Run, masks: NDArray[np.bool_], design: str) -> RunSettings | None:
    """Settings by which the outcomes of `masks` would be computed as those of the run were, whoever may."""
    chosen = tuple("".join("1" if inside else "0" for inside in mask) for mask in masks)
    # the planted game draws its noise from the seed: new rows must get new noise
    meta, seed = run.outcomes.meta, run.outcomes.m
    settings = RunSettings.like(meta, seed=seed, chosen=chosen, onto=run.key, design=design)
    if settings is None:
        return None
    if PROJECTS.is_here(settings.source):  # its key and its tasks are those of the content
        return settings
    example = open_run(settings.source).outcomes
    same_names = (example.task_names, example.target_names) == (run.outcomes.task_names, run.outcomes.target_names)
    return settings if same_names else None


def _surrogate(key: str, target: str, kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    if kernel == "auto":
        return new_surrogate("rbf", *tuned_parameters(key, target))
    if kernel == "linear":  # as a Gaussian process, which `next_subsets` asks for
        return KernelSurrogate(kernel="linear", ridge=ridge)
    return new_surrogate(kernel, gamma, ridge)


def _promise(proposed: Proposal, readout: str) -> str:
    count = len(proposed.masks)
    these = f"these {count} subsets are" if count > 1 else "this subset is"
    best, random = float(proposed.left[-1]), float(proposed.random_left[-1])
    return (
        f"Once {these} measured, **{percent(best)}** of the variance of the {readout} attributions is expected to be "
        f"left; {count} random {'ones' if count > 1 else 'one'} would leave {percent(random)}. "
        f"Error bars shrink with its square root: to {percent(best**0.5)} of their width, against "
        f"{percent(random**0.5)}."
    )


def _how(run: Run, readout: str) -> str:
    view = session.view()
    if view.kernel == "auto":
        gamma, ridge = tuned_parameters(run.key, view.target)
        surrogate = f"an RBF surrogate with γ = {gamma:.3g} and ridge {ridge:.3g}, chosen by leave-one-out"
    else:
        parameters = "ridge" if view.kernel == "linear" else "γ and ridge"
        surrogate = f"the {KERNEL_NAMES[view.kernel]} surrogate with the {parameters} of Fit"
    like = f"r = {run.fixed_size}" if run.fixed_size else f"p = {_inclusion_rate(run):.2g}"
    near = " Leave-one-out compares all tasks with all but one, so it wants subsets near these."
    return (
        f"Expected by {surrogate}, as long as its parameters stay right; random subsets with {like}. Which subsets "
        "are best does not depend on their outcomes, so all can be measured at once."
        + (near if readout == "leave_one_out" and view.kernel != "linear" and not run.fixed_size else "")
    )


def _measure(run: Run, proposed: Proposal) -> None:
    """Draw the file to measure from, and the job where the outcomes can be computed here."""
    st.download_button(
        "Download these subsets (CSV)", subsets_csv(proposed.masks, run.outcomes.task_names), "next-subsets.csv",
        "text/csv", icon=":material/download:",
    )  # fmt: skip
    settings = continued(run, proposed.masks)
    if settings is None:
        if run.source_is_not_yours:
            rights.say_not_yours("The samples and the network", "no further outcomes are computed here")
        st.caption(
            "Each row is a prompt: the demonstrations whose columns are 1. The model is asked with random prompts on "
            "Demonstrations; asking it with chosen ones is not offered here."
            if run.prompts
            else "The file holds the columns `task:NAME` only. Measure each row, add its outcome as a column "
            "`target:NAME`, put the rows below those of your table, and upload the longer table on Data & model."
        )
        return
    name = run.title or session.titles(TABLES).get(run.key, "table")
    count = len(proposed.masks)
    job_panel(
        settings.job(), estimate_cost(settings).seconds, f"{name} + {count} subsets", start=f"Measure these {count}"
    )
    st.caption("Their outcomes are computed as those of this run were, and a longer table is made; this run stays.")


def subsets_csv(masks: NDArray[np.bool_], task_names: tuple[str, ...]) -> str:
    """Subsets as the task columns of the table format, one row each."""
    columns = [f"{TASK_PREFIX}{name}" for name in task_names]
    return csv_text(pd.DataFrame(masks.astype(int), columns=columns))


def in_words(mask: NDArray[np.bool_], task_names: tuple[str, ...]) -> str:
    """Say which tasks are in a subset by the shorter of both lists: those in, or those left out."""
    inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
    if len(outside) == 0:
        return "all tasks"
    if len(inside) == 0:
        return "none"
    if len(outside) < len(inside):
        return f"all but {_listed(outside, task_names)}"
    return _listed(inside, task_names)


def _listed(tasks: NDArray[np.intp], task_names: tuple[str, ...]) -> str:
    names = [task_names[k] for k in tasks[:_NAMES_SHOWN]]
    shown = ", ".join(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in names)
    more = len(tasks) - len(names)
    return f"{shown} and {more} more" if more else shown


def _preview(proposed: Proposal, task_names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subset": np.arange(1, len(proposed.masks) + 1),
            "variance left": 100 * proposed.left,
            "tasks": proposed.masks.sum(axis=1),
            "in": [in_words(mask, task_names) for mask in proposed.masks],
        }
    )


def _among(masks: NDArray[np.bool_] | Array, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows of `masks` are rows of `known`."""
    rows = {row.tobytes() for row in np.ascontiguousarray(known, dtype=np.bool_)}
    return np.array([row.astype(np.bool_).tobytes() in rows for row in masks], dtype=np.bool_)


def _inclusion_rate(run: Run) -> float:
    """How often a task was in, kept away from always and never."""
    return round(float(np.clip(run.outcomes.masks.mean(), 0.05, 0.95)), 2)
