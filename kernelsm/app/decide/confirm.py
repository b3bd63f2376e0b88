"""Decide: retrain really, with and without the tasks, as a job; and what is missing where that cannot be done."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.decide import confirmed
from kernelsm.app.decide.confirmed import WAY_NAMES
from kernelsm.app.shell import controls, disk, navigation, rights, session
from kernelsm.app.shell.job_panel import cancel_button, job_panel, progress, registry
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import plain
from kernelsm.examples.planted.game import planted_game
from kernelsm.export.csv_text import csv_text
from kernelsm.outcomes.table_validation import TASK_PREFIX
from kernelsm.pipelines.confirm import MOST_SEEDS, ConfirmSettings, ways_of
from kernelsm.pipelines.run_settings import GAME
from kernelsm.runtime.errors import InputError
from kernelsm.selection.dropping import Drop
from kernelsm.surrogates.wording import number
from kernelsm.workspace.confirmations import CONFIRMATIONS
from kernelsm.workspace.projects import find_recipe

_SEEDS, _WAYS, _STARTED = "decide_seeds", "decide_ways", "kernelsm_confirm_jobs"
_USUAL_SEEDS = 5


def confirm(run: Run, drop: Drop | None) -> None:
    """Draw what to leave out, the job that retrains, its result, and those of before."""
    if drop is not None:
        st.header("Does it really? Retrain with and without")
        left_out = _left_out(run, drop)
        if not run.source or not ways_of(find_recipe(run.source)):
            _missing(run, left_out)
        elif 0 < len(left_out) < run.outcomes.K:
            _retrain(run, left_out)
        else:
            st.info("Leave out one task or more, but not all.", icon=":material/info:")
    confirmed.results(run, drop)


def _left_out(run: Run, drop: Drop) -> tuple[int, ...]:
    """What the user chose to leave out, here or on Explore; else the advice."""
    shown = session.view().off or drop.tasks
    controls.left_out_picker(run.outcomes.task_names, shown)
    if session.view().off and session.view().off != drop.tasks:
        st.button(
            "Take the advice above", icon=":material/undo:", on_click=session.update, kwargs={"off": ()},
            disabled=not drop.tasks,
        )  # fmt: skip
    return shown


def _retrain(run: Run, left_out: tuple[int, ...]) -> None:
    recipe = find_recipe(run.source)
    possible = ways_of(recipe)
    if len(possible) > 1:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            chosen = st.pills(
                "How", possible, selection_mode="multi", default=possible, format_func=WAY_NAMES.__getitem__,
                key=_WAYS, persist_state="session",
                help="**Fine-tuned from W0**: what the outcomes of this run are, and what is predicted. **Trained "
                "anew**: as W0 was trained, from its first weights, without these tasks, as you would in the end.",
            )  # fmt: skip
            seeds = int(
                st.number_input(
                    "Seeds", 1, MOST_SEEDS, _USUAL_SEEDS, key=_SEEDS, persist_state="session", width=140,
                    help="Of the first weights, the order of samples and those held out. With and without share each "
                    "seed, so that their difference is sharp; its interval is over the seeds.",
                )
            )  # fmt: skip
    else:
        chosen, seeds = list(possible), 1
        st.caption(
            "W0 came with its weights, and fine-tuning from it has no randomness: one training with all tasks and "
            "one without tell exactly what this network does. It cannot be trained anew here."
        )
    if not chosen:
        st.info("Choose one way to retrain, or both.", icon=":material/info:")
        return
    # λ of the run, so that what is measured is what was predicted
    ridge = run.outcomes.meta.get("ridge")
    try:
        settings = ConfirmSettings(
            run.source, left_out, seeds, tuple(chosen), ridge if isinstance(ridge, int | float) else None
        )
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    spec = settings.job()
    job_panel(
        spec, settings.seconds(), "", start="Retrain with and without", cancel="Cancel the retraining", key="confirm"
    )
    _note(run, spec.key, left_out)


def _note(run: Run, offered: str, left_out: tuple[int, ...]) -> None:
    """Remember the job on offer once it was started, list what finished, and show others that are still at work."""
    of_sources: dict[str, dict[str, str]] = st.session_state.setdefault(_STARTED, {})
    started = of_sources.setdefault(run.source, {})
    if registry().status(offered):
        names = ", ".join(run.outcomes.task_names[k] for k in left_out)
        started.setdefault(offered, f"Without {names}")
    for key, title in list(started.items()):
        status = registry().status(key)
        if status is None:
            del started[key]
        elif status.active and key != offered:
            st.markdown(plain(title))
            st.fragment(disk.telling(_other), run_every=visitors().refresh())(key)
        elif status.state == "done" and status.result:
            found = str(status.result["confirmed"])
            if found not in session.titles(CONFIRMATIONS) and CONFIRMATIONS.opens(found):
                # others may have retrained the same and call it otherwise
                session.bring(CONFIRMATIONS, found, "" if rights.owns(CONFIRMATIONS, found) else title)
            if key == offered:
                confirmed.shown_last(found)


def _other(key: str) -> None:
    status = registry().status(key)
    if status is None or not status.active:
        st.rerun()  # the whole page, which shows the result in place of the progress
    progress(status, key)
    cancel_button("Cancel", key, running=True, key=f"confirm_stop_{key}")


def _missing(run: Run, left_out: tuple[int, ...]) -> None:
    """Say what there would have to be to retrain, and how to get there."""
    if run.key == GAME or run.outcomes.meta.get("computed_from") == GAME:
        _game(run, left_out)
        return
    if run.source_is_not_yours:
        rights.say_not_yours("The samples and the network", "nothing is retrained here")
        return
    if run.source:
        missing = "This project holds gradient features that were computed elsewhere, and no network to retrain."
    else:
        missing = "This run is a table of outcomes: there are no samples and no network here to retrain."
    st.info(
        f"{missing} **Bring the samples and the network** on Data & model (a built-in network will do), compute "
        "their outcomes on Gradients, and retrain here with and without. **Or retrain where they are**: once with "
        "all tasks and once without these, several times with the same seeds for both, and compare the outcomes "
        "seed by seed.",
        icon=":material/info:",
    )
    with st.container(horizontal=True):
        st.page_link(navigation.DATA, label="Bring data and a model", icon=":material/upload:")
        if left_out:
            st.download_button(
                "Download both subsets (CSV)", _subsets_csv(run, left_out), "with-and-without.csv", "text/csv",
                icon=":material/download:",
            )  # fmt: skip


def _game(run: Run, left_out: tuple[int, ...]) -> None:
    """The planted game has no network; its formula says what is true."""
    game = planted_game()
    if not left_out or game.task_names != run.outcomes.task_names:
        return
    masks = np.ones((2, game.K), dtype=np.bool_)
    masks[1, list(left_out)] = False
    with_all, without = game.truth(masks)
    st.info(
        f"The planted game is a formula, so nothing has to be retrained: without these tasks its true loss is "
        f"**{number(without)}** in place of **{number(with_all)}**, a change of "
        f"**{number(without - with_all, signed=True)}**.",
        icon=":material/check:",
    )


def _subsets_csv(run: Run, left_out: tuple[int, ...]) -> str:
    masks = np.ones((2, run.outcomes.K), dtype=int)
    masks[1, list(left_out)] = 0
    return csv_text(pd.DataFrame(masks, columns=[TASK_PREFIX + name for name in run.outcomes.task_names]))
