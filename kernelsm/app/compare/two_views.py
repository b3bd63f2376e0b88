"""Two views side by side: a sentence, effects on one range, their difference with its interval, ranks, and pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.compare.found import compared, named
from kernelsm.app.compare.sides import two_sides
from kernelsm.app.shell import frame, pins
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.charts.attribution import MOST_BARS, attribution_bars
from kernelsm.charts.interactions import interaction_heatmap
from kernelsm.charts.two_views import difference_bars, difference_said, rank_scatter
from kernelsm.evaluation.two_views import TwoViews
from kernelsm.evaluation.two_views_words import (
    how_sentence,
    left_out_sentences,
    pairs_sentence,
    two_views_sentence,
)
from kernelsm.export.csv_text import csv_text
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.wording import Verdict

SENTENCE = (
    "Two of anything side by side: runs, surrogates, readouts, targets. What differs between them, and what cannot "
    "be told from zero."
)
_LABELS = ("First", "Second")
_NARROWEST = 380  # pixels: two stand side by side also beside the sidebar of a small screen
_MOST_IN_HEATMAP, _LISTED_PAIRS = 60, 15


def two_views() -> None:
    """Draw the choice of two views and all that is said of them."""
    first, second = two_sides()
    try:
        found = compared(named(first), named(second))
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    names = pins.names_of([first, second])
    titles = (names[0], names[1])
    shown = [f"**{plain(name)}**" for name in found.tasks.names]
    st.markdown(two_views_sentence(found, names=shown))
    for said in left_out_sentences(found, names=plain):
        st.info(said, icon=":material/info:")
    order = _order(found)
    st.subheader("What each task does in both")
    _effects(found, titles, order)
    _table(found, titles, order)
    left, right = frame.panels(2, _NARROWEST)
    with left:
        st.subheader("Ranks against ranks")
        chart = rank_scatter(
            found.ranks, found.tasks.names, titles, correlation=found.agreement.correlation, dark=frame.is_dark()
        )
        frame.show(chart, "views_ranks")
        st.caption(
            "Rank 1 helps most; on the dotted line both agree. The interval of the correlation is 90 % and holds "
            "where these tasks stand for others of their kind."
        )
    with right:
        _pairs(found)
    _pair_maps(found, titles)


def _order(found: TwoViews) -> Indices:
    """Tasks from the strongest in the first view on; of many, those that are strong in either."""
    first, second = (np.abs(side) / max(float(np.abs(side).max()), 1e-300) for side in found.effects)
    kept = rising(-np.maximum(first, second))[:MOST_BARS]
    return np.asarray(kept[rising(-first[kept])])


def _effects(found: TwoViews, titles: tuple[str, str], order: Indices) -> None:
    """Draw both views and their difference, in one order and on one range."""
    names = tuple(found.tasks.names[place] for place in order)
    places = found.tasks.first, found.tasks.second
    reach = [
        np.abs(effects) + np.nan_to_num(margin, posinf=0.0)
        for effects, margin in zip(found.effects, found.margins, strict=True)
    ]
    differences = found.differences
    if differences is not None:
        reach = [
            np.concatenate([*reach, np.abs(differences.values) + np.nan_to_num(differences.margin, posinf=0.0)])
        ] * 2
    limits = [1.05 * float(side.max()) or 1.0 for side in reach]
    columns = frame.panels(2 if differences is None else 3, 290)
    for number, (view, title) in enumerate(zip(found.views, titles, strict=True)):
        with columns[number]:
            st.markdown(f"**{_LABELS[number]}: {plain(title)}**")
            reading = view.reading
            measured = reading.attribution.measured
            chart = attribution_bars(
                found.effects[number][order], names, unit=view.unit,
                higher_is_better=view.outcomes.higher_is_better, margin=found.margins[number][order],
                verdicts=reading.task_verdicts[places[number]][order],
                measured=None if measured is None else measured[places[number]][order], dark=frame.is_dark(),
            )  # fmt: skip
            chart.figure.update_xaxes(range=[-limits[number], limits[number]])
            frame.show(chart, f"views_bars_{number}")
    if differences is not None:
        with columns[2]:
            st.markdown("**First less second**")
            chart = difference_bars(
                differences.values[order], names, margin=differences.margin[order],
                verdicts=differences.verdicts[order], unit=found.views[0].unit, limit=limits[0], dark=frame.is_dark(),
            )  # fmt: skip
            frame.show(chart, "views_difference")
    cut = (
        f" Drawn are the {len(order)} strongest of {len(found.tasks.names):,} tasks."
        if len(order) < len(found.tasks.names)
        else ""
    )
    how = "" if found.identical or differences is None else f" {how_sentence(found)}"
    ranges = "Both have one order of tasks" + (" and one range." if found.one_unit else ", and each its own unit.")
    st.caption(
        f"{ranges} Full bars are told from zero, pale ones would not matter, hatched ones are not measured well "
        f"enough yet; whiskers are 90 % intervals.{how}{cut}"
    )


def _table(found: TwoViews, titles: tuple[str, str], order: Indices) -> None:
    with st.expander(
        "Table of all tasks", icon=":material/table:", key="views_table_open", on_change="rerun"
    ) as place:
        if not place.open:
            return
        rows = _task_rows(found, titles)
        shown = rows.iloc[order] if len(order) == len(rows) else rows
        show_table(shown, hide_index=True, key="views_table", alt="Effects and ranks of all tasks in both views")
        st.download_button(
            "Download the comparison (CSV)", csv_text(rows).encode(), "two-views.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _task_rows(found: TwoViews, titles: tuple[str, str]) -> pd.DataFrame:
    """One row per task: what either view says, the difference, and both ranks."""
    columns: dict[str, object] = {"task": list(found.tasks.names)}
    for label, title, effects, margin in zip(("first", "second"), titles, found.effects, found.margins, strict=True):
        columns[f"{label}: {title}"] = effects
        columns[f"{label} ±"] = _known(margin)
    if found.differences is not None:
        columns["difference"] = found.differences.values
        columns["difference ±"] = _known(found.differences.margin)
        columns["verdict"] = [difference_said(code) for code in found.differences.verdicts]
    for label, ranks in zip(("first", "second"), found.ranks, strict=True):
        columns[f"{label} rank"] = ranks
    return pd.DataFrame(columns)


def _known(margin: Array) -> Array:
    return np.where(np.isfinite(margin), margin, np.nan)


def _pairs(found: TwoViews) -> None:
    """Draw what pairs do in both, or say why nothing can be compared."""
    st.subheader("What pairs do in both")
    pairs = found.pairs
    if pairs is None:
        st.caption(_why_no_pairs(found))
        return
    if found.identical:
        st.caption("Both sides are one view.")
        return
    names = [f"**{plain(name)}**" for name in found.tasks.names]
    st.markdown(pairs_sentence(found, pairs, names=names))
    first_clear = np.argsort((pairs.found.verdicts != Verdict.CLEAR)[pairs.found.by_size], kind="stable")
    listed = pairs.found.by_size[first_clear][:_LISTED_PAIRS]
    rows = pd.DataFrame(
        {
            "pair": [f"{found.tasks.names[pairs.j[p]]} × {found.tasks.names[pairs.k[p]]}" for p in listed],
            "first": pairs.found.first[listed], "second": pairs.found.second[listed],
            "difference": pairs.found.values[listed], "±": _known(pairs.found.margin[listed]),
            "verdict": [difference_said(code) for code in pairs.found.verdicts[listed]],
        }
    )  # fmt: skip
    number = st.column_config.NumberColumn
    show_table(
        rows, hide_index=True, key="views_pairs", alt=f"The {len(listed)} pairs that differ most",
        column_config={
            "±": number(format="%.2g", width=60),
            **{name: number(format="%+.3g", width=75) for name in ("first", "second", "difference")},
        },
    )  # fmt: skip


def _pair_maps(found: TwoViews, titles: tuple[str, str]) -> None:
    """Draw both heatmaps in one order and on one range of colours."""
    if found.pairs is None or found.identical or len(found.tasks.names) > _MOST_IN_HEATMAP:
        return
    places = found.tasks.first, found.tasks.second
    tables = [
        view.reading.interactions.values[np.ix_(rows, rows)][:, :, 0]
        for view, rows in zip(found.views, places, strict=True)
    ]
    limit = max(float(np.abs(table).max()) for table in tables) or 1.0
    for number, (panel, view, title) in enumerate(zip(frame.panels(2, _NARROWEST), found.views, titles, strict=True)):
        with panel:
            st.markdown(f"**{_LABELS[number]}: {plain(title)}**")
            chart = interaction_heatmap(
                tables[number], found.tasks.names, unit=view.unit, higher_is_better=view.outcomes.higher_is_better,
                distinguishable=view.reading.clear[np.ix_(places[number], places[number])], dark=frame.is_dark(),
                clickable=False, limit=limit,
            )  # fmt: skip
            frame.show(chart, f"views_pairs_{number}")


def _why_no_pairs(found: TwoViews) -> str:
    if len(found.tasks.names) < 2:
        return "One task in common has no pairs."
    if not found.one_unit:
        return "The two measure different things: their interactions cannot be subtracted."
    return "A linear surrogate has no interactions, so there is nothing to compare: choose another one on that side."
