"""Does the answer depend on the pull towards W0? The part of the Gradients page that tries a handful of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.shell import controls, frame, session, spoken
from kernelsm.app.shell.fits import fitted
from kernelsm.app.shell.job_panel import job_panel, open_result, registry
from kernelsm.app.shell.open_runs import Run, open_run, shown_readout
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.view import PULLS
from kernelsm.app.shell.words import plain
from kernelsm.charts.pull_sweep import effects_over_pulls, fidelity_over_pulls
from kernelsm.estimators.recipe import Recipe
from kernelsm.objectives.registry import find_class
from kernelsm.pipelines.pull_sweep import MOST_PULLS, PullSweep, TriedPull
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.base import AttributionKind
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.tables import TABLES

_CHOSEN = "gradients_pulls"
_USUAL_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
_GOOD_LDS = 0.9
_NAMED = 6

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EffectsOverPulls:
    """Effects of the K tasks with P pulls, half their 90 % intervals, and which are told from zero; (K, P) each."""

    effects: Array
    margins: Array
    clear: NDArray[np.bool_]

    def surviving(self, columns: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tasks that are told from zero with the same sign in all of these columns, shape (K,)."""
        signs = np.sign(self.effects[:, columns])
        return np.asarray(self.clear[:, columns].all(axis=1) & (np.abs(signs.sum(axis=1)) == columns.sum()))

    def turning(self, columns: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tasks that are told from zero with either sign in some of these columns, shape (K,)."""
        signs = np.where(self.clear, np.sign(self.effects), 0.0)[:, columns]
        return np.asarray((signs > 0).any(axis=1) & (signs < 0).any(axis=1))


def pull_sweep(settings: RunSettings) -> None:
    """Draw the choice of pulls, the job that tries them, and what came of it."""
    st.header("Does the answer depend on the pull towards W0?")
    recipe = find_recipe(settings.source)
    retrained = "fine-tuned" if recipe.objective == NEXT_TOKENS else "retrained with each pull"
    checked = "" if recipe.features else (
        f" Beside it, a few subsets are really {retrained}: that shows for which of them GradEx is right."
    )  # fmt: skip
    st.markdown(
        "Outcomes hold for one strength of the pull: a weak one lets the network go where the samples lead it, a "
        "strong one keeps it near W0. What a task does only with one of them says little about the task. This "
        f"computes the outcomes with a handful of pulls from the same gradients.{checked}"
    )
    usual = recipe.ridge
    grid = sorted({*PULLS, *(_near(usual * factor, usual) for factor in _USUAL_FACTORS)})
    chosen = st.multiselect(
        "Pulls to try", grid, default=[_near(usual * factor, usual) for factor in _USUAL_FACTORS],
        format_func=lambda pull: f"{pull:g}" + (" (usual)" if pull == usual else ""), max_selections=MOST_PULLS,
        key=f"{_CHOSEN}_{settings.source}", persist_state="session",
    )  # fmt: skip
    try:
        sweep = PullSweep(settings, tuple(chosen))
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    spec = sweep.job()
    job_panel(spec, sweep.seconds(), "", start="Try these pulls", cancel="Cancel the pulls", key="pulls")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _results([TriedPull.from_json(one) for one in status.result["pulls"]], recipe)


def _near(pull: float, usual: float) -> float:
    """The value of the grid nearest to a pull; the usual one as it is."""
    return usual if pull == usual else min(PULLS, key=lambda value: abs(np.log(value / pull)))


def _results(tried: list[TriedPull], recipe: Recipe) -> None:
    usual = recipe.ridge
    for one in tried:
        if one.error:
            st.warning(f"Pull {one.ridge:g}: {plain(one.error)}", icon=":material/warning:")
    here = [one for one in tried if one.run and TABLES.is_here(one.run)]
    if len(here) < 2:
        st.info("Fewer than two pulls have outcomes here: try others.", icon=":material/info:")
        return
    first = open_run(here[0].run)
    with st.container(horizontal=True, gap="medium"):
        controls.target_picker(first)
    target = session.view().target if session.view().target in first.outcomes.target_names else ""
    found = _effects(tuple(one.run for one in here), target, shown_readout(first, session.view().readout))
    trusted = np.array([one.first_order is None or one.first_order.lds >= _GOOD_LDS for one in here])
    columns = trusted if trusted.sum() > 1 else np.ones(len(here), dtype=np.bool_)
    names = first.outcomes.task_names
    said = sentence(found, columns, names, higher_is_better=first.outcomes.higher_is_better)
    st.markdown(said)
    spoken.say(said, "pulls")
    if not trusted.all():
        _say_untrusted(here, trusted)
    order = _order(found, columns)
    left, right = frame.panels()
    pulls = [one.ridge for one in here]
    with left:
        st.markdown("### What each task does with each pull")
        chart = effects_over_pulls(
            pulls, found.effects[order], found.clear[order], [names[k] for k in order], unit=first.unit,
            higher_is_better=first.outcomes.higher_is_better, dark=frame.is_dark(), usual=usual,
        )  # fmt: skip
        frame.show(chart, "pulls_effects")
        st.caption(
            "Blue helps, orange hurts; colours compare the tasks of one column, because a stronger pull makes all "
            "effects smaller. In brackets and without colour: not told from zero, with all tasks in mind."
        )
    with right:
        _fidelity(here, recipe)
    _table(here, found, order, names, columns)
    _open_one(here, usual)


@st.cache_resource(max_entries=16, show_spinner="Fitting a surrogate for every pull ...")
def _effects(runs: tuple[str, ...], target: str, readout: str) -> EffectsOverPulls:
    """Read the effects off the default surrogate of every run."""
    effects, margins, clear = [], [], []
    for key in runs:
        run = open_run(key)
        surrogate = fitted(key, target, "auto", None, 0.0)
        size = run.fixed_size if readout == "inclusion" else None
        attribution = surrogate.attribution(cast(AttributionKind, readout), size=size)
        effects.append(attribution.values[:, 0])
        margins.append(attribution.margin()[:, 0])
        clear.append(attribution.told_from_zero())
    return EffectsOverPulls(np.array(effects).T, np.array(margins).T, np.array(clear).T)


def sentence(
    found: EffectsOverPulls, columns: NDArray[np.bool_], names: tuple[str, ...], *, higher_is_better: bool
) -> str:
    """Say which effects survive in these columns, and which change their sign."""
    survive, turn = found.surviving(columns), found.turning(columns)
    helps = (found.effects[:, columns].mean(axis=1) > 0) == higher_is_better
    parts = [
        f"**{int(which.sum())} {verb}** ({_listed(which, names, found, columns)})"
        if which.any()
        else f"**none {verb}**"
        for which, verb in ((survive & ~helps, "hurt"), (survive & helps, "help"))
    ]
    said = f"Of {len(names)} tasks, with every one of {int(columns.sum())} pulls {parts[0]} and {parts[1]}"
    rest = len(names) - int(survive.sum())
    said += f"; {rest} cannot be told from zero with some of them." if rest else "."
    if turn.any():
        said += (
            f" **{int(turn.sum())} change their sign** between pulls ({_listed(turn, names, found, columns)}): what "
            "they do depends on how far the network may go."
        )
    return said


def _listed(
    which: NDArray[np.bool_], names: tuple[str, ...], found: EffectsOverPulls, columns: NDArray[np.bool_]
) -> str:
    strength = np.abs(found.effects[:, columns]).mean(axis=1)
    order = [k for k in rising(-strength) if which[k]]
    more = f" and {len(order) - _NAMED} more" if len(order) > _NAMED else ""
    return ", ".join(plain(names[k]) for k in order[:_NAMED]) + more


def _order(found: EffectsOverPulls, columns: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Surviving tasks first, then by strength in units of each column's strongest."""
    largest = np.abs(found.effects).max(axis=0, initial=0.0)
    share = np.abs(found.effects / np.where(largest > 0, largest, 1.0))[:, columns].mean(axis=1)
    return rising(-(share + 2.0 * found.surviving(columns)))


def _say_untrusted(here: list[TriedPull], trusted: NDArray[np.bool_]) -> None:
    few = ", ".join(f"{one.ridge:g}" for one, good in zip(here, trusted, strict=True) if not good)
    if trusted.sum() > 1:
        st.caption(
            f"Not counted: {few}, where estimates and retraining disagree (LDS below {_GOOD_LDS:g}). They are "
            "drawn all the same."
        )
    else:
        st.warning(
            f"With pulls of {few} estimates and retraining disagree (LDS below {_GOOD_LDS:g}): take stronger pulls, "
            "or retraining as the estimator.",
            icon=":material/warning:",
        )


def _fidelity(here: list[TriedPull], recipe: Recipe) -> None:
    retrained = "fine-tuned" if recipe.objective == NEXT_TOKENS else "retrained with each pull"
    outputs = find_class(recipe.objective).output_word
    checked = [(one.ridge, one.first_order) for one in here if one.first_order is not None]
    st.markdown("### How near retraining each pull is")
    if not checked:
        st.info(
            "Gradient features came without their network: nothing can be retrained here to compare with.",
            icon=":material/info:",
        )
        return
    pulls, checks = zip(*checked, strict=True)
    chart = fidelity_over_pulls(
        pulls, [check.lds for check in checks], [check.of_change for check in checks], dark=frame.is_dark()
    )
    frame.show(chart, "pulls_fidelity")
    st.caption(
        f"{checks[0].subsets} fresh subsets were really {retrained}. LDS: rank correlation of estimated and true "
        f"outcomes, mean over targets. Share missed: of the change of the {outputs}, what lies beyond the first "
        "order."
    )


def _table(
    here: list[TriedPull], found: EffectsOverPulls, order: NDArray[np.intp], names: tuple[str, ...],
    columns: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Draw every number: fidelity by pull, and effects with their intervals by task."""
    rows = pd.DataFrame({"task": [names[k] for k in order], "survives": found.surviving(columns)[order]})
    for number, one in enumerate(here):
        rows[f"pull {one.ridge:g}"] = found.effects[order, number]
        rows[f"± ({one.ridge:g})"] = found.margins[order, number]
    show_table(
        rows, hide_index=True, key="pulls_table", height=360,
        margins={f"pull {one.ridge:g}": f"± ({one.ridge:g})" for one in here},
        alt=f"Effects of {len(names)} tasks with every pull, with half of their 90% intervals",
    )  # fmt: skip
    checks = [one for one in here if one.first_order is not None]
    if checks:
        fidelity = pd.DataFrame(
            {
                "pull": [f"{one.ridge:g}" for one in checks],
                **{
                    name: [getattr(one.first_order, field) for one in checks]
                    for name, field in (
                        ("LDS", "lds"), ("Spearman, overall loss", "spearman"),
                        ("relative error, overall loss", "relative_error"), ("relative error, outputs", "of_logits"),
                        ("share of the change missed", "of_change"),
                    )
                },
            }
        )  # fmt: skip
        show_table(
            fidelity.round(4), hide_index=True, key="pulls_fidelity_table",
            alt="Estimates against retraining with every pull",
        )  # fmt: skip


def _open_one(here: list[TriedPull], usual: float) -> None:
    """Offer to turn all pages to the outcomes of one pull."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Outcomes of one pull", here, format_func=lambda one: f"{one.ridge:g}", width=200, key="pulls_open"
        )
        title = f"{session.title_of(_source(open_run(chosen.run)))}: pull {chosen.ridge:g}"
        st.button(
            "Show them on all pages", icon=":material/visibility:", on_click=open_result, args=(chosen.run, title),
            key="pulls_open_button",
        )  # fmt: skip


def _source(run: Run) -> str:
    return str(run.outcomes.meta["computed_from"])
