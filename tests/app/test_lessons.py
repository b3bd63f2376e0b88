"""Lessons: their files, the numbers that they state, and the page that walks through them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_harness import ROOT, charts, open_app, press, texts

from kernelsm.app.learn import walk
from kernelsm.app.learn.lesson import Lesson, read_lesson, told
from kernelsm.app.learn.lesson_files import BUILT_IN, FOLDER, lesson_files, load_lessons, read_lesson_file
from kernelsm.app.learn.shown import HELD_OUT, TRAINING, number_of, right_number, show, words_of
from kernelsm.evaluation.metrics import lds
from kernelsm.examples.catalog import load_example, load_example_orders, load_truth
from kernelsm.examples.planted.game import planted_game
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.auto import default_surrogate
from kernelsm.surrogates.kernel import KernelSurrogate

FILES = lesson_files(BUILT_IN)


@pytest.fixture(scope="module")
def lessons() -> list[Lesson]:
    return [read_lesson_file(file) for file in FILES]


def test_there_are_eight_lessons_and_no_file_is_left_out() -> None:
    refused: list[InputError] = []
    assert len(load_lessons(refused.append)) == 8
    assert not refused


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_stated_number_lies_within_the_interval_of_the_computed_one(file: Path) -> None:
    lesson = read_lesson_file(file)
    shown_at = [show(position.view) for position in lesson.positions]
    for number in lesson.numbers.values():
        value, margin = number_of(lesson, number, shown_at)
        if number.margin:
            assert number.stated == pytest.approx(margin, rel=0.1), number.name
        else:
            assert abs(value - number.stated) <= margin + 1e-9, number.name
    words = words_of(lesson, shown_at)
    for text in (lesson.question, lesson.reveal, lesson.theory):
        assert "[[" not in told(text, words)
    if not lesson.prediction.answers:  # some step of the slider is right, and few are
        true = right_number(lesson, shown_at)
        near = [abs(step - true) <= lesson.prediction.near for step in lesson.prediction.steps]
        assert any(near)
        assert sum(near) < len(near) / 3


def numbers(lesson: Lesson) -> dict[str, tuple[float, float]]:
    shown_at = [show(position.view) for position in lesson.positions]
    return {name: number_of(lesson, number, shown_at) for name, number in lesson.numbers.items()}


def test_numbers_of_the_planted_game_agree_with_the_library_and_hold_the_truth(lessons: list[Lesson]) -> None:
    g, game = default_surrogate().fit_outcomes(load_example("planted")), planted_game()
    loo, pairs = g.attribution("leave_one_out"), g.interactions("second_difference")
    shapley = g.attribution("shapley")
    one, blind, copies, _, _, two = (numbers(lesson) for lesson in lessons[:6])
    key, copy = game.task_names.index("key (with lock)"), game.task_names.index("copy one")
    assert one["difference"] == pytest.approx((-loo.values[key, 0], loo.margin()[key, 0]), rel=0.02)
    assert blind["kernel"][0] == pytest.approx(pairs.values[8, 9, 0], rel=0.02)
    assert blind["linear"] == (0.0, 0.0)
    assert two["loo"][0] == pytest.approx(loo.values[copy, 0], abs=1e-3)
    assert two["shapley"][0] == pytest.approx(shapley.values[copy, 0], rel=0.02)
    truths = {"copy": 0.0, "copies": 0.25, "lock": 0.40, "both": 0.40}
    for name, (value, margin) in {**copies, "difference": one["difference"]}.items():
        assert abs(value - truths.get(name, 0.40)) <= 1.5 * margin, name
    assert abs(blind["kernel"][0] - game.interactions()[8, 9]) <= blind["kernel"][1]
    # the points of the lessons: told apart by their intervals
    assert copies["copies"][0] - copies["copies"][1] > copies["copy"][0] + copies["copy"][1]
    assert two["shapley"][0] + two["shapley"][1] < two["loo"][0] - two["loo"][1]


def test_too_stiff_and_too_wiggly_fail_on_subsets_that_were_never_fitted(lessons: list[Lesson]) -> None:
    fitted, truth = load_example("planted"), load_truth("planted")
    seen = {mask.tobytes() for mask in fitted.masks}
    new = truth.take([row for row, mask in enumerate(truth.masks) if mask.tobytes() not in seen])
    assert 0 < new.m < truth.m
    found = numbers(lessons[3])
    for gamma, name in ((1e-4, "stiff"), (0.1, "best"), (10.0, "missed")):
        g = KernelSurrogate(gamma=gamma, ridge=0.02).fit(fitted.masks, fitted.values[:, 0])
        missed = np.mean((g.predict(new.masks) - new.values[:, 0]) ** 2) / new.values.var()
        assert found[name][0] == pytest.approx(missed)
    assert found["best_ranks"][0] == pytest.approx(
        lds(new.values, KernelSurrogate(gamma=0.1, ridge=0.02).fit_outcomes(fitted).predict(new.masks).reshape(-1, 1))
    )
    views = [show(position.view) for position in lessons[3].positions]
    errors = {row: [view.series[0].values[view.rows.index(row)] for view in views] for row in (TRAINING, HELD_OUT)}
    assert errors[TRAINING][-1] < 0.01 * errors[TRAINING][0]
    lowest = int(np.argmin(errors[HELD_OUT]))
    assert 0 < lowest < len(views) - 1
    assert errors[HELD_OUT][-1] > 10 * errors[HELD_OUT][lowest]


def test_more_subsets_narrow_the_interval_and_always_hold_the_truth_of_key(lessons: list[Lesson]) -> None:
    views = [show(position.view) for position in lessons[4].positions]
    row = views[0].rows.index("key")
    margins = [view.series[0].margins[row] for view in views]
    assert margins[-1] < margins[0] / 4
    assert all(abs(view.series[0].values[row] + 0.40) <= view.series[0].margins[row] * 1.5 for view in views)


def test_leave_one_out_tells_one_wrong_label_from_zero_and_shapley_all_three(lessons: list[Lesson]) -> None:
    loo, shapley = (show(position.view) for position in lessons[6].positions)
    wrong = {name.partition(" (")[0] for name in load_example("digits").task_names if "labelled" in name}
    assert wrong == {"digit 1B", "digit 3B", "digit 6B"}

    def hurt(view: Any) -> set[str]:
        series = view.series[0]
        return {view.rows[k] for k in np.flatnonzero(series.values > series.margins)}

    assert hurt(loo) == {"digit 3B"}
    assert hurt(shapley) == wrong


def test_two_orders_hold_the_same_sentences_and_were_measured(lessons: list[Lesson]) -> None:
    first, second = (position.view.order for position in lessons[7].positions)
    assert sorted(first) == sorted(second)
    assert first[:2] == second[1::-1]
    orders = load_example_orders("movie-reviews")
    assert orders
    losses = {tuple(order): values for order, values in zip(orders.orders.tolist(), orders.values, strict=True)}
    found = numbers(lessons[7])
    assert found["first"][0] == pytest.approx(losses[first].mean())
    assert found["second"][0] == pytest.approx(losses[second].mean())
    gap = losses[first] - losses[second]  # the same queries: a paired interval
    assert gap.mean() > 5 * gap.std() / np.sqrt(len(gap))


def changed(change: dict[str, Any], file: int = 0) -> dict[str, Any]:
    fields = tomllib.loads(FILES[file].read_text())
    for path, value in change.items():
        *tables, last = path.split(".")
        place: Any = fields
        for table in tables:
            place = place[int(table)] if table.isdigit() else place[table]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return fields


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"question": None}, "x.toml, question"),
        ({"title": 3}, "x.toml, title"),
        ({"colour": "red"}, "x.toml, colour"),
        ({"reveal": "See <script>alert(1)</script>"}, "x.toml, reveal"),
        ({"theory": "![](http://elsewhere/x.png)"}, "x.toml, theory"),
        ({"reveal": "It is [[nothing]]."}, "x.toml, reveal, [[nothing]]"),
        ({"view.kind": "video"}, "x.toml, view, kind"),
        ({"view.run": "../../etc"}, "x.toml, view, run"),
        ({"view.gamma": -1.0}, "x.toml, view, gamma"),
        ({"view.gama": 1.0}, "x.toml, view, gama"),
        ({"view.axis": [2.0, 1.0]}, "x.toml, view, axis"),
        ({"view.subsets": 3}, "x.toml, view, subsets"),
        ({"view.kernel": "spline"}, "x.toml, view, kernel"),
        ({"view.off": "key"}, "x.toml, view, off"),
        ({"view.readouts": ["owen"]}, "x.toml, view, readouts"),
        ({"prediction.right": "nothing"}, "x.toml, prediction, right"),
        ({"prediction.high": 0.5}, "x.toml, prediction, high"),
        ({"prediction.step": 1e-9}, "x.toml, prediction, step"),
        ({"prediction.answers": ["only one"]}, "x.toml, prediction, low"),
        ({"control.positions": []}, "x.toml, control, positions"),
        ({"control.positions.1.label": ""}, "x.toml, control, positions 2, label"),
        ({"control.positions.1.run": "digits"}, "x.toml, control, positions 2, run"),
        ({"numbers.0.at": "elsewhere"}, "x.toml, numbers 1, at"),
        ({"numbers.0.stated": "much"}, "x.toml, numbers 1, stated"),
        ({"next.page": "administration"}, "x.toml, next, page"),
    ],
)
def test_a_wrong_field_is_refused_by_the_names_of_file_and_field(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as refused:
        read_lesson(changed(change), "x.toml")
    assert refused.value.place == place


@pytest.mark.parametrize(
    ("text", "said"),
    [("title = ", "expected TOML"), ("a = 1\0", "NUL"), ("x" * 100_001, "too large"), ("[" * 2_000, "expected TOML")],
)
def test_a_file_that_is_no_lesson_is_refused_by_its_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        read_lesson_file(tmp_path / "mine.toml")
    assert refused.value.place.startswith("mine.toml")


def test_a_task_that_the_example_does_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(FILES[0].read_text().replace('["key (with lock)"]', '["<b>key</b>"]'))
    with pytest.raises(InputError, match=re.escape("mine.toml, position out, task: found '<b>key</b>'")):
        read_lesson_file(tmp_path / "mine.toml")


def test_the_lesson_that_the_docs_show_is_one() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "teaching.md").read_text(), flags=re.S)
    lesson = read_lesson(tomllib.loads(text), "docs")
    found = numbers(lesson)
    assert all(abs(found[name][0] - number.stated) <= found[name][1] for name, number in lesson.numbers.items())
    assert found["change"][0] < 0  # the answer that the docs call right: it falls


@pytest.fixture
def fresh_lessons() -> Any:
    yield
    walk._read.clear()
    walk._finished.clear()


@pytest.mark.usefixtures("fresh_lessons")
def test_a_teachers_folder_adds_its_lessons_and_a_broken_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(FILES[1].read_text().replace("Linear is blind", "My lesson"))
    (tmp_path / "broken.toml").write_text("title = 1")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    walk._read.clear()
    walk._finished.clear()
    app = open_app("learn", lesson="9", mode="class")
    assert app.title[0].value == "9. My lesson"
    (error,) = app.error
    assert re.match(r"A lesson is left out\. broken\\\.toml, view", error.value)


def test_a_lesson_asks_first_then_moves_then_tells() -> None:
    app = open_app("learn", lesson="1")
    assert app.segmented_control(key="view_at_1").disabled
    assert "1.60" not in texts(app)
    app.select_slider(key="view_guess_1").set_value(1.5).run()
    app.segmented_control(key="view_at_1").set_value(1).run()
    assert not app.exception
    assert re.search(r"You predicted 1\.5|Your prediction, 1\.5, is right", texts(app))
    assert "raises the loss by +0.388 ± 0.031" in texts(app)
    assert app.query_params == {"lesson": "1", "guess": "10", "at": "1", "answered": "1"}
    press(app, "Once more")
    assert app.segmented_control(key="view_at_1").disabled
    assert app.query_params == {"lesson": "1"}


def test_one_lesson_stands_alone_and_a_class_walks() -> None:
    alone = open_app("", lesson="2")
    assert alone.title[0].value == "2. Linear is blind"
    assert not alone.selectbox
    assert "Next lesson" not in [button.label for button in alone.button]
    app = open_app("", mode="class")
    assert app.title[0].value == "1. One task"
    assert not app.selectbox
    for number in range(2, 9):
        press(app, "Next lesson")
        assert app.title[0].value.startswith(f"{number}. ")
    assert "Next lesson" not in [button.label for button in app.button]
    assert app.query_params == {"lesson": "8", "mode": "class"}


def test_among_all_pages_the_lessons_keep_the_run_picker() -> None:
    app = open_app("learn")
    assert app.selectbox(key="kernelsm_run_picker").value == "digits"
    press(app, "Next lesson")
    assert app.selectbox(key="kernelsm_run_picker").value == "digits"
    assert app.title[0].value == "2. Linear is blind"


def test_a_chart_of_a_lesson_can_be_neither_moved_nor_zoomed_and_its_text_holds_the_numbers() -> None:
    for number in range(1, 9):
        app = open_app("learn", lesson=str(number), answered=str(number), at="1")
        (chart,) = charts(app)
        axes = [axis for name, axis in chart["layout"].items() if name.startswith(("xaxis", "yaxis"))]
        assert all(axis["fixedrange"] for axis in axes)
        assert chart["layout"]["dragmode"] is False
        assert re.search(r"\d\.\d", app.get("plotly_chart")[0].proto.alt)
