"""One story on a page: headline, bars, veil, captions and lists go by the same verdicts, and every task is found."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from app_harness import charts, open_app, texts
from streamlit.testing.v1 import AppTest

from kernelsm import Attribution, Interactions, Outcomes
from kernelsm.app.explore.task_bars import FIND_KEY, TABLE_KEY
from kernelsm.app.shell import findings
from kernelsm.app.shell.fits import Readout, read_off
from kernelsm.surrogates.wording import Verdict
from kernelsm.workspace.tables import save_run


def readout(values: list[float], std: list[float], pairs: dict[tuple[int, int], float], pair_std: float) -> Readout:
    """Effects and interactions with made-up deviations; an effect of 0.1 would matter."""
    K, matters = len(values), np.array([0.1])
    names = tuple(f"t{k}" for k in range(K))
    table = np.zeros((K, K, 1))
    for (j, k), value in pairs.items():
        table[j, k] = table[k, j] = value
    effects = Attribution(np.array(values)[:, None], names, ("loss",), std=np.array(std)[:, None], matters=matters)
    together = Interactions(
        table, names, ("loss",), pair_std=lambda j, k: np.full((len(j), 1), pair_std), matters=matters
    )
    return Readout(effects, together, 0.1, effects.verdicts(), together.verdicts(), K * (K - 1) // 2)


def run_of(K: int = 8, m: int = 120, noise: float = 0.05, *, names: tuple[str, ...] | None = None) -> str:
    rng = np.random.default_rng(5)
    masks = rng.random((m, K)) < 0.5
    effects = np.where(np.arange(K) < 4, [(-1) ** k * 0.3 / (1 + k) for k in range(K)], 0.0)
    values = 1.0 + masks @ effects + rng.normal(0, noise, m)
    return save_run(Outcomes(masks, values, task_names=names, meta={"unit": "nats"}))


# --- headlines and captions -----------------------------------------------------------------------------------------


def test_the_headline_is_the_largest_of_those_told_from_zero() -> None:
    # the largest estimate is the least known one
    found = readout([0.9, 0.3, -0.5, 0.01], [0.9, 0.01, 0.02, 0.01], {(0, 1): 0.8, (2, 3): -0.3}, 0.03)
    assert findings.headline_task(found) == 2
    assert findings.tasks_headline(found).startswith("Including **t2** lowers the loss by 0.500")
    assert findings.headline_pair(found) == (0, 1)
    wide = readout([0.9], [0.9], {}, 0.1)
    assert findings.headline_task(wide) is None
    said = findings.tasks_headline(wide)
    assert said == "What including **t0** does to the loss is not measured well enough yet: +0.9 ± 1.5."


def test_where_nothing_is_clear_the_headline_says_why() -> None:
    wide = readout([0.1, -0.1, 0.0], [0.3, 0.3, 0.3], {(0, 1): 0.2}, 0.5)
    assert findings.tasks_headline(wide) == (
        "**None of the 3 effects can be told from zero**: all are not measured well enough yet."
    )
    assert findings.pairs_headline(wide).startswith("**None of the 3 pairs can be told from zero**: all are not")
    narrow = readout([0.001, 0.0, -0.001], [0.01, 0.01, 0.01], {(0, 1): 0.001}, 0.01)
    assert findings.tasks_headline(narrow) == "**None of the 3 effects is large enough to matter.**"
    assert findings.pairs_headline(narrow) == "**None of the 3 pairs is large enough to matter.**"
    mixed = readout([0.001, 0.0, 0.2], [0.01, 0.01, 0.3], {}, 0.5)
    assert findings.tasks_headline(mixed).endswith("2 would not matter, 1 is not measured well enough yet.")


def test_the_caption_counts_every_task_once() -> None:
    found = readout([0.9, 0.3, -0.5, 0.01], [0.9, 0.01, 0.02, 0.01], {(0, 1): 0.8, (2, 3): -0.3}, 0.03)
    assert findings.tasks_caption(found) == (
        "2 of 4 effects can be told from zero, with all of them in mind. Pale: 1 with no effect that would matter "
        "(all of the interval within ± 0.1). Hatched: 1 not measured well enough yet. Whiskers are 90% intervals."
    )
    said = findings.tasks_caption(found, estimated=True)
    assert said.endswith("Whiskers are 90% intervals, to which GradEx's own error comes.")
    assert findings.pairs_caption(found) == (
        "2 of 6 pairs can be told from zero; with so many looked at, about one in ten of these may be chance. "
        "Veiled: 4 with no interaction that would matter (all of the interval within ± 0.1)."
    )


def test_pairs_that_were_not_tested_are_counted_apart() -> None:
    found = readout([0.0] * 5, [0.1] * 5, {(0, 1): 0.8, (0, 2): 0.05}, 0.01)
    few = replace(found, tested=2, pair_verdicts=found.interactions.verdicts(most=2))
    assert "The 8 weakest were not tested, and are veiled too." in findings.pairs_caption(few)
    assert findings.listed_pairs(few, 2) == [(0, 1), (0, 2)]


def test_lists_begin_with_what_is_told_from_zero() -> None:
    table = {(0, 1): 0.5, (0, 2): 0.4, (1, 2): 0.3}
    found = readout([0.0] * 3, [0.1] * 3, table, 0.1)
    told = found.pair_verdicts.copy()
    told[0, 1] = told[1, 0] = Verdict.NOT_MEASURED
    assert findings.listed_pairs(replace(found, pair_verdicts=told), 3) == [(0, 2), (1, 2), (0, 1)]


@pytest.mark.parametrize("page", ["start", "explore"])
@pytest.mark.parametrize("noise", [0.0, 0.05, 2.0])
def test_sentence_bars_and_caption_of_a_page_agree(page: str, noise: float) -> None:
    run = run_of(noise=noise)
    app = open_app(page, run=run)
    words = texts(app)
    found = read_off(run, "", "auto", None, 0.0, "leave_one_out")
    bars = next(figure["data"][0] for figure in charts(app) if figure["data"][0]["type"] == "bar")
    outlines = np.frombuffer(base64.b64decode(bars["marker"]["line"]["width"]["bdata"]))
    clear = int((found.task_verdicts == Verdict.CLEAR).sum())
    assert int((outlines == 0.0).sum()) == clear
    headline = findings.headline_task(found)
    assert (headline is None) == (clear == 0)
    if headline is None:
        assert "**None of the 8 effects" in words
    else:
        name = found.attribution.task_names[headline]
        assert re.search(rf"Including \*\*{name}\*\* (raises|lowers) the loss by [^:]*: it (helps|hurts)\.", words)
        assert f"{clear} of 8 effects can be told" in words or f"All {clear} effects can be told" in words


# --- what-if --------------------------------------------------------------------------------------------------------


def test_leaving_one_task_out_is_told_as_its_bar_is() -> None:
    run = run_of(noise=0.6)
    found = read_off(run, "", "auto", None, 0.0, "leave_one_out")
    for k, verdict in enumerate(found.task_verdicts):
        words = texts(open_app("explore", run=run, off=str(k)))
        expected = {
            Verdict.CLEAR: "than with all tasks",
            Verdict.NO_EFFECT: "predicted as with all tasks",
            Verdict.NOT_MEASURED: "the difference from all tasks is not measured well enough yet",
        }[Verdict(verdict)]
        assert f"7 of 8 tasks are in: {'predicted ' if verdict == Verdict.CLEAR else ''}" in words
        assert expected in words


# --- many tasks -----------------------------------------------------------------------------------------------------

MANY = 70


@pytest.fixture
def many() -> str:
    return run_of(MANY, 300, names=tuple(sorted(f"site_{k}" for k in range(MANY))))


def drawn(app: AppTest) -> list[str]:
    bars = next(figure for figure in charts(app) if figure["data"][0]["type"] == "bar")
    return list(bars["layout"]["yaxis"]["ticktext"])


def find(app: AppTest, text: str) -> AppTest:
    app.text_input(key=FIND_KEY).set_value(text).run()
    assert not app.exception
    return app


def test_every_one_of_many_tasks_is_in_the_table_and_can_be_drawn(many: str) -> None:
    app = open_app("explore", run=many)
    assert f"Drawn are the 60 strongest of {MANY} tasks, those told from zero first." in texts(app)
    assert len(drawn(app)) == 60
    assert set(app.dataframe[0].value["task"]) == {f"site_{k}" for k in range(MANY)}
    missing = {f"site_{k}" for k in range(MANY)} - set(drawn(app))
    for name in sorted(missing)[:2]:
        found = find(app, name.upper())
        assert name in drawn(found)
        assert name in set(found.dataframe[0].value["task"])
    assert drawn(find(app, "site_6")) == ["site_6", *(f"site_6{k}" for k in range(10))]
    assert "Drawn are the 60 strongest" not in texts(app)
    assert "No task has this in its name." in [info.value for info in find(app, "nowhere").info]


def test_the_natural_order_is_one_click_away_and_lists_of_many_have_it(many: str) -> None:
    app = open_app("explore", run=many)
    assert app.dataframe[0].value["task"].tolist()[:3] == ["site_0", "site_1", "site_10"]
    app.selectbox(key="view_order").set_value("name").run()
    assert app.dataframe[0].value["task"].tolist() == [f"site_{k}" for k in range(MANY)]
    assert app.query_params["order"] in ("name", ["name"])
    assert list(app.selectbox(key="view_focus0").options) == [f"site_{k}" for k in range(MANY)]
    app.selectbox(key="view_order").set_value("strength").run()
    effects = np.abs(app.dataframe[0].value["effect"].to_numpy())
    assert (np.diff(effects) <= 1e-12).all()


def test_the_table_of_few_tasks_waits_until_it_is_opened() -> None:
    app = open_app("explore", run=run_of())
    assert len(app.dataframe) == 1  # the strongest pairs
    app.session_state[TABLE_KEY] = True
    app.run()
    assert not app.exception
    table = app.dataframe[0].value
    assert table["task"].tolist() == [f"task {k + 1}" for k in range(8)]
    found = read_off(run_of(), "", "auto", None, 0.0, "leave_one_out")
    np.testing.assert_allclose(table["effect"], found.attribution.values[:, 0])
    assert set(table["verdict"]) <= {"helps", "hurts", "no effect", "not measured well enough yet"}


# --- small numbers --------------------------------------------------------------------------------------------------


def test_effects_of_a_tiny_loss_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((150, 6)) < 0.5
    values = 1e-4 * (1 + masks @ np.array([0.3, -0.2, 0.1, 0, 0, 0])) + rng.normal(0, 3e-6, 150)
    app = open_app("explore", run=save_run(Outcomes(masks, values, meta={"unit": "nats"})), off="0")
    said = re.search(r"Including \*\*task 1\*\* raises the loss by ([\d.]+) ± ([\d.]+): it hurts", texts(app))
    assert said
    assert float(said[1]) == pytest.approx(3e-5, rel=0.15)
    assert 0 < float(said[2]) < 1e-5
    corners = [float(cell) for cell in app.table[0].value.to_numpy().ravel()]
    assert len(set(corners)) == 4
    assert float(app.metric[0].value.split(" ± ")[0]) == pytest.approx(1e-4, rel=0.3)
    (heatmap,) = (figure for figure in charts(app) if figure["data"][0]["type"] == "heatmap")
    shown = json.dumps(heatmap["data"][0]["text"])
    assert '"0.00"' not in shown
    assert '"-0.00"' not in shown
