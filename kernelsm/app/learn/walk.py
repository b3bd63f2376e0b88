"""The walk through the lessons: which one is open, what was predicted, where its control is, and what it reveals."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

from kernelsm.app.learn.lesson import Lesson, told
from kernelsm.app.learn.lesson_charts import lesson_chart, lesson_table
from kernelsm.app.learn.lesson_files import load_lessons
from kernelsm.app.learn.shown import Shown, right_number, show, words_of
from kernelsm.app.shell import frame, session, spoken
from kernelsm.app.shell.live_charts import Frame, LiveSlider, live_charts
from kernelsm.app.shell.view import ViewState
from kernelsm.app.shell.words import plain
from kernelsm.charts.marks import marks_of
from kernelsm.charts.style import Chart
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.wording import number


@dataclass(frozen=True)
class _Finished:
    """A lesson with all that it shows."""

    lesson: Lesson
    shown_at: tuple[Shown, ...]
    words: dict[str, str]
    right_number: float
    charts: dict[bool, tuple[Chart, ...]]
    """For the light theme (False) and the dark one, at each position."""

    def live_frames(self, key: str, *, dark: bool) -> list[Frame]:
        """What the chart of that key shows at each position of the control, while it is dragged."""
        positions = zip(self.lesson.positions, self.charts[dark], strict=True)
        return [
            Frame({key: marks_of(chart.figure)}, f"{self.lesson.label} {position.label}. {chart.alt}")
            for position, chart in positions
        ]


# lessons are read once: a server is started anew to read those that were added since
@st.cache_resource(show_spinner=False)
def _read() -> tuple[list[Lesson], list[str]]:
    """The lessons, and what is wrong with files that are none."""
    problems: list[InputError] = []
    lessons = load_lessons(problems.append)
    return lessons, [str(problem) for problem in problems]


def _lessons() -> list[Lesson]:
    return _read()[0]


@st.cache_resource(show_spinner="Computing what this lesson shows ...")
def _finished(index: int) -> _Finished:
    """Compute a lesson once for all visitors of the server."""
    lesson = _lessons()[index]
    shown_at = tuple(show(position.view) for position in lesson.positions)
    return _Finished(
        lesson, shown_at, words_of(lesson, shown_at),
        right_number(lesson, shown_at),
        {
            dark: tuple(lesson_chart(lesson, shown_at, at, dark=dark) for at in range(len(shown_at)))
            for dark in (False, True)
        },
    )  # fmt: skip


def walk() -> None:
    """Draw the page: the lessons there are, and the one that is open."""
    lessons = _lessons()
    open_now = min(max(session.view().lesson, 1), len(lessons))
    alone = session.view().one_lesson
    if not alone:
        _steps(lessons, open_now)
        for problem in _read()[1]:
            st.error(f"A lesson is left out. {plain(problem)}", icon=":material/error:")
    st.title(f"{open_now}. {lessons[open_now - 1].title}")
    try:
        finished = _finished(open_now - 1)
    except InputError as error:  # of a number whose row the view does not have: that is known once it is computed
        st.error(f"This lesson cannot be shown. {plain(str(error))}", icon=":material/error:")
        return
    _lesson(finished, open_now, 0 if alone or open_now == len(lessons) else open_now + 1)


def _steps(lessons: list[Lesson], open_now: int) -> None:
    """Draw the lessons as numbers, a tick at those that were answered."""
    answered = session.view().answered
    key = "view_lesson"
    st.session_state[key] = open_now

    def words(at: int) -> str:
        return f"{at} :material/check:" if at in answered else str(at)

    st.segmented_control(
        "Lessons", range(1, len(lessons) + 1), format_func=words, key=key, default=open_now, required=True,
        on_change=lambda: _turn_to(st.session_state[key]), label_visibility="collapsed", wrap=True,
    )  # fmt: skip


def _lesson(finished: _Finished, open_now: int, following: int) -> None:
    """Draw a lesson; `following` is the one that a button leads to, 0 for none."""
    lesson = finished.lesson
    view = session.view()
    revealed = open_now in view.answered
    guess = view.guess if view.guess is not None and view.guess < lesson.prediction.options else None
    at = min(view.at, len(lesson.positions) - 1) if revealed or guess is not None else 0
    st.markdown(told(lesson.question, finished.words))
    left, right = frame.panels(narrowest=320)
    with left:
        _prediction(lesson, guess, open_now, revealed=revealed)
        _control(lesson, at, open_now, revealed=revealed, predicted=guess is not None)
    chart = f"lesson_{open_now}"
    with right:
        frame.show(finished.charts[frame.is_dark()][at], chart, toolbar=False)
        spoken.say(plain(finished.charts[False][at].alt), "lesson")
        if finished.shown_at[at].lines:
            st.markdown("\n".join(f"{i}. {plain(line)}" for i, line in enumerate(finished.shown_at[at].lines, 1)))
    if lesson.slider and (revealed or guess is not None):
        frames = finished.live_frames(chart, dark=frame.is_dark())
        live_charts([LiveSlider(f"view_at_{open_now}", at, frames)], f"{chart}_live")
    if revealed:
        _reveal(finished, guess)
    with st.container(horizontal=True, gap="small"):
        if following:
            st.button(
                "Next lesson", icon=":material/arrow_forward:", on_click=_turn_to, args=(following,),
                key="lesson_next", type="primary" if revealed else "secondary",
            )  # fmt: skip
        if revealed:
            st.link_button(lesson.link, _link(lesson, at), icon=":material/open_in_new:")
            st.link_button("Try it on your own data", "data", icon=":material/upload:")
            st.button("Once more", icon=":material/replay:", on_click=_again, args=(open_now,), key="lesson_again")
    with st.expander("Show the chart as a table"):
        table = lesson_table(lesson, finished.shown_at, at)
        st.table(table.set_axis([plain(str(name)) for name in table.index], axis=0))


def _prediction(lesson: Lesson, guess: int | None, open_now: int, *, revealed: bool) -> None:
    """Draw what is to be predicted; it can be changed until the answer is on screen."""
    prediction = lesson.prediction
    key = f"view_guess_{open_now}"
    if prediction.answers:
        st.session_state[key] = guess
        st.radio(
            prediction.text, range(len(prediction.answers)), index=guess, key=key, disabled=revealed,
            format_func=prediction.answers.__getitem__, on_change=lambda: _predict(st.session_state[key]),
        )  # fmt: skip
        return
    steps = prediction.steps
    st.session_state[key] = steps[guess or 0]
    st.select_slider(
        prediction.text, steps, steps[guess or 0], format_func=lambda value: number(value), key=key,
        disabled=revealed, on_change=lambda: _predict(steps.index(st.session_state[key])),
    )  # fmt: skip


def _control(lesson: Lesson, at: int, open_now: int, *, revealed: bool, predicted: bool) -> None:
    """Draw the lesson's one control; it rests until there is a prediction."""
    labels = [position.label for position in lesson.positions]
    key = f"view_at_{open_now}"
    st.session_state[key] = at
    rests = not (revealed or predicted)

    def move() -> None:
        _move(st.session_state[key], open_now, len(labels) - 1)

    if lesson.slider:
        st.select_slider(
            lesson.label, range(len(labels)), at, format_func=labels.__getitem__, key=key, disabled=rests,
            on_change=move,
        )  # fmt: skip
    else:
        st.segmented_control(
            lesson.label, range(len(labels)), format_func=labels.__getitem__, default=at, key=key, required=True,
            disabled=rests, on_change=move, wrap=True,
        )  # fmt: skip
    if rests:
        st.caption("Predict first, then this can be moved.")
    elif not revealed:
        st.caption(f"Move it to **{labels[-1]}** for the answer.")


def _reveal(finished: _Finished, guess: int | None) -> None:
    """Say what is so. The box is an alert: a screen reader says it when it appears."""
    lesson = finished.lesson
    answer = told(lesson.reveal, finished.words)
    if guess is None:
        st.info(answer, icon=":material/lightbulb:")
    elif _is_right(finished, guess):
        st.success(f"**Your prediction, {_in_words(lesson, guess)}, is right.** {answer}", icon=":material/check:")
    else:
        st.info(f"**You predicted {_in_words(lesson, guess)}.** {answer}", icon=":material/lightbulb:")
    st.markdown(told(lesson.theory, finished.words))


def _is_right(finished: _Finished, guess: int) -> bool:
    prediction = finished.lesson.prediction
    if prediction.answers:
        return guess == prediction.right
    return abs(prediction.steps[guess] - finished.right_number) <= prediction.near


def _in_words(lesson: Lesson, guess: int) -> str:
    prediction = lesson.prediction
    return f"“{prediction.answers[guess]}”" if prediction.answers else number(prediction.steps[guess])


def _link(lesson: Lesson, at: int) -> str:
    """Where the lesson goes on: its page with the same run and surrogate; a link opens beside the lesson."""
    shown = lesson.positions[at].view
    view = ViewState(
        run=shown.run, kernel=shown.kernel, gamma=shown.gamma, ridge=shown.ridge,
        readout=shown.readouts[-1] if shown.kind == "attributions" else "", truth=shown.truth,
    )  # fmt: skip
    params = urlencode(view.to_params())
    return f"{lesson.page}?{params}" if params else lesson.page


def _predict(guess: int | None) -> None:
    session.update(guess=guess)


def _move(at: int, open_now: int, last: int) -> None:
    answered = session.view().answered
    done = answered if at < last or open_now in answered else tuple(sorted({*answered, open_now}))
    session.update(at=at, answered=done)


def _again(open_now: int) -> None:
    answered = tuple(at for at in session.view().answered if at != open_now)
    session.update(at=0, guess=None, answered=answered)


def _turn_to(lesson: int) -> None:
    """Open a lesson; one that was answered shows its answer."""
    view = session.view()
    last = len(_lessons()[lesson - 1].positions) - 1
    session.update(lesson=lesson, mode=view.mode or "open", guess=None, at=last if lesson in view.answered else 0)
