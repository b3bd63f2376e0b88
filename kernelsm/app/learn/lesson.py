"""What a lesson is: a question, a prediction, one control, and what is true; checked field by field.

A lesson is data: nothing in it is run. Its texts are Markdown with formulas and `[[names]]` of its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from kernelsm.examples.catalog import EXAMPLES, PROMPT_EXAMPLES
from kernelsm.runtime.checks import check_choice, check_number, check_whole, shown
from kernelsm.runtime.errors import InputError

KINDS = ("loss", "change", "interactions", "attributions", "fit", "order")
KERNELS = ("auto", "rbf", "linear")
READOUTS = ("leave_one_out", "shapley")
PAGES = ("data", "subsets", "fit", "explore", "decide", "demonstrations", "compare")
_MOST_TEXT, _MOST_POSITIONS = 4_000, 12
_MARKUP = re.compile(r"<\s*[A-Za-z/!]|!\[")
_NAME = re.compile(r"\[\[(.*?)\]\]")


@dataclass(frozen=True)
class LessonView:
    """What a lesson shows: one of a few kinds, on a finished example.

    Parameters
    ----------
    kind : {"loss", "change", "interactions", "attributions", "fit", "order"}
        "loss": the predicted outcome without the tasks `off`. "change": the same minus that of all tasks.
        "interactions": second differences of `pairs`. "attributions": what each task does, by one or two `readouts`.
        "fit": error on fitted and on held-out subsets. "order": the measured outcome of a prompt in this `order`.
    run : str
        Name of a built-in example.
    kernel : {"auto", "rbf", "linear"}
        "auto" is the default surrogate; "linear" is tuned, and "rbf" too where no `gamma` is given.
    gamma : float, optional
    ridge : float
    subsets : int, optional
        How many of the subsets are used, the first ones; None for all.
    off : tuple of str
        Tasks left out.
    pairs : tuple of (str, str)
    tasks : tuple of str
        Tasks of "attributions"; () for all.
    readouts : tuple of {"leave_one_out", "shapley"}
    order : tuple of int
        Demonstrations as they stand in the prompt, counted from 0.
    truth : bool
        Whether a known truth is drawn beside.
    short_names : bool
        Whether what stands in brackets in names of tasks is left out.
    axis : (float, float), optional
        Ends of the chart's axis.
    """

    kind: str
    run: str
    kernel: str = "auto"
    gamma: float | None = None
    ridge: float = 0.1
    subsets: int | None = None
    off: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    tasks: tuple[str, ...] = ()
    readouts: tuple[str, ...] = ("leave_one_out",)
    order: tuple[int, ...] = ()
    truth: bool = False
    short_names: bool = False
    axis: tuple[float, float] | None = None


@dataclass(frozen=True)
class Position:
    """A position of the control, and the view there."""

    label: str
    view: LessonView


@dataclass(frozen=True)
class Prediction:
    """What a student predicts: one of `answers`, or a number between `low` and `high`.

    `right` is the index of the right answer, or the name of the number that is right; then a prediction within `near`
    of it counts.
    """

    text: str
    answers: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    right: int | str = 0
    near: float = 0.0

    @property
    def steps(self) -> tuple[float, ...]:
        """Numbers to choose from, where it is a number."""
        return tuple(
            round(self.low + i * self.step, 10) for i in range(round((self.high - self.low) / self.step) + 1)
        )

    @property
    def options(self) -> int:
        """How many predictions there are."""
        return len(self.answers) or len(self.steps)


@dataclass(frozen=True)
class Number:
    """A number that a lesson's texts name: read where the control is at `at`, from `row` and `series`.

    `stated` is what whoever wrote the lesson saw: a test holds it to lie within the number's interval. With `margin`
    the number is the half-width of the interval itself, and `stated` must be within a tenth of it. With `change` it
    is how much more the outcome is there than where all tasks are in.
    """

    name: str
    at: int
    row: str
    series: str
    stated: float
    signed: bool = True
    margin: bool = False
    change: bool = False


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Parameters
    ----------
    place : str
        File that it was read from, for messages.
    title, question, reveal, theory, link : str
        Texts; `link` is what the way on is called.
    page : str
        Page where it goes on.
    prediction : Prediction
    label : str
        What the control is called.
    slider : bool
        Whether the control is a slider; else a choice.
    positions : tuple of Position
        From left to right; the last one reveals.
    numbers : dict of str to Number
    """

    place: str
    title: str
    question: str
    reveal: str
    theory: str
    link: str
    page: str
    prediction: Prediction
    label: str
    slider: bool
    positions: tuple[Position, ...]
    numbers: dict[str, Number] = field(default_factory=dict)


def read_lesson(found: Mapping[str, Any], place: str) -> Lesson:
    """Check what a file says and return its lesson.

    Parameters
    ----------
    found : mapping
        As TOML reads it.
    place : str
        The file's name, for messages.

    Raises
    ------
    InputError
        Names the file and the field that is missing, unknown or wrong.
    """
    top = _Table(found, place)
    top.only("title", "question", "view", "prediction", "control", "numbers", "reveal", "theory", "next")
    base = _view(top.table("view"), None)
    control = top.table("control")
    control.only("label", "slider", "positions")
    positions = tuple(
        Position(each.text("label"), _view(each, base)) for each in control.tables("positions", 2, _MOST_POSITIONS)
    )
    numbers = {number.name: number for each in top.tables("numbers", 1, 20) for number in [_number(each, positions)]}
    onward = top.table("next")
    onward.only("page", "text")
    page = onward.text("page")
    check_choice(onward.at("page"), page, PAGES)
    lesson = Lesson(
        place, top.text("title"), top.text("question"), top.text("reveal"), top.text("theory"), onward.text("text"),
        page, _prediction(top.table("prediction"), numbers), control.text("label"), control.flag("slider"), positions,
        numbers,
    )  # fmt: skip
    for name in ("question", "reveal", "theory"):
        for named in _NAME.findall(getattr(lesson, name)):
            check_choice(f"{place}, {name}, [[{named}]]", named, numbers)
    return lesson


def told(text: str, words: Mapping[str, str]) -> str:
    """Return a lesson's text with its `[[names]]` replaced by numbers in words."""
    return _NAME.sub(lambda name: words[name[1]], text)


@dataclass(frozen=True)
class _Table:
    """A table of the file, whose fields are checked as they are read."""

    found: Mapping[str, Any]
    place: str

    def at(self, name: str) -> str:
        return f"{self.place}, {name}"

    def only(self, *names: str) -> None:
        for name in self.found:
            if name not in names:
                expected = f"one of {', '.join(names)}"
                raise InputError(self.at(name), "a field that lessons do not have", expected, "Correct its name.")

    def _wanted(self, name: str, expected: str) -> Any:
        if name not in self.found:
            raise InputError(self.at(name), "nothing", expected, "Add this field.")
        return self.found[name]

    def text(self, name: str) -> str:
        return checked_text(self._wanted(name, "a text"), self.at(name))

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.found.get(name, default)
        if not isinstance(value, bool):
            raise InputError(self.at(name), shown(value), "true or false", "Change this field.")
        return value

    def number(self, name: str, default: float | None = None, **bounds: float) -> float:
        value = self.found.get(name, default) if default is not None else self._wanted(name, "a number")
        check_number(self.at(name), value, fix="Change this field.", **bounds)
        return float(value)

    def table(self, name: str) -> _Table:
        value = self._wanted(name, "a table")
        if not isinstance(value, Mapping):
            raise InputError(self.at(name), shown(value), "a table", f"Begin it with [{name}].")
        return _Table(value, self.at(name))

    def tables(self, name: str, least: int, most: int) -> list[_Table]:
        value = self._wanted(name, "tables")
        if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
            raise InputError(self.at(name), shown(value), "tables", f"Begin each with [[{name}]].")
        if not least <= len(value) <= most:
            fix = "Add what is missing, or leave some out."
            raise InputError(self.at(name), f"{len(value)} of them", f"{least} to {most}", fix)
        return [_Table(each, f"{self.at(name)} {i}") for i, each in enumerate(value, 1)]


def checked_text(value: Any, place: str) -> str:
    """Return a text that is Markdown without HTML and pictures, neither empty nor too long."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(place, shown(value), "a text", "Write it between quotation marks.")
    if len(value) > _MOST_TEXT:
        raise InputError(place, f"{len(value):,} characters", f"at most {_MOST_TEXT:,}", "Shorten it.")
    if found := _MARKUP.search(value):
        fix = "Use Markdown, and \\lt for 'less than' in formulas."
        raise InputError(place, shown(value[found.start() : found.start() + 20]), "no HTML and no pictures", fix)
    return value.strip()


_LISTS = {"off", "tasks", "readouts"}


def _view(table: _Table, base: LessonView | None) -> LessonView:
    """Read a view, or what a position changes of it."""
    names = {each.name for each in fields(LessonView)}
    table.only(*sorted(names if base is None else {*names - {"kind", "run", "axis", "truth"}, "label"}))
    if base is None:
        kind, run = table.text("kind"), table.text("run")
        check_choice(table.at("kind"), kind, KINDS)
        check_choice(table.at("run"), run, tuple(PROMPT_EXAMPLES) if kind == "order" else tuple(EXAMPLES))
        base = LessonView(kind, run)
    given: dict[str, Any] = {name: _texts(table.found[name], table.at(name)) for name in _LISTS & set(table.found)}
    for readout in given.get("readouts", ()):
        check_choice(table.at("readouts"), readout, READOUTS)
    for name in ("gamma", "ridge"):
        if name in table.found:
            given[name] = table.number(name, least=1e-6, most=1e3)
    if "subsets" in table.found:
        given["subsets"] = check_whole(table.at("subsets"), table.found["subsets"], 10, fix="Change this field.")
    if "kernel" in table.found:
        check_choice(table.at("kernel"), table.found["kernel"], KERNELS)
        given["kernel"] = table.found["kernel"]
    if "order" in table.found:
        given["order"] = _order(table.found["order"], table.at("order"))
    if "pairs" in table.found:
        given["pairs"] = _pairs(table.found["pairs"], table.at("pairs"))
    if "axis" in table.found:
        given["axis"] = _axis(table.found["axis"], table.at("axis"))
    for name in ("truth", "short_names"):
        if name in table.found:
            given[name] = table.flag(name)
    return replace(base, **given)


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(place, shown(value), "a list of texts", 'Write ["one", "another"].')
    return tuple(value)


def _order(value: Any, place: str) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= 50:
        raise InputError(place, shown(value), "a list of whole numbers", "Write [4, 25, 46, 32].")
    return tuple(check_whole(place, each, 0, fix="Change this field.") for each in value)


def _pairs(value: Any, place: str) -> tuple[tuple[str, str], ...]:
    pairs = [_texts(each, place) for each in value] if isinstance(value, list) else []
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise InputError(place, shown(value), "a list of pairs of tasks", 'Write [["lock", "key"]].')
    return tuple((pair[0], pair[1]) for pair in pairs)


def _axis(value: Any, place: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(place, shown(value), "two numbers", "Write [-0.5, 0.5].")
    check_number(place, value[0])
    check_number(place, value[1], above=value[0], fix="The second one is the larger.")
    return float(value[0]), float(value[1])


def _number(table: _Table, positions: Sequence[Position]) -> Number:
    table.only("name", "at", "row", "series", "stated", "signed", "margin", "change")
    labels = [position.label for position in positions]
    at = table.text("at")
    check_choice(table.at("at"), at, labels)
    view = positions[labels.index(at)].view
    if table.flag("change") and view.kind != "loss":
        raise InputError(table.at("change"), "true", "a view of the kind 'loss'", "Leave it out.")
    optional = {name: table.text(name) if name in table.found else "" for name in ("row", "series")}
    return Number(
        table.text("name"), labels.index(at), optional["row"], optional["series"], table.number("stated"),
        table.flag("signed", True), table.flag("margin"), table.flag("change"),
    )  # fmt: skip


def _prediction(table: _Table, numbers: Mapping[str, Number]) -> Prediction:
    if "answers" in table.found:
        table.only("text", "answers", "right")
        answers = _texts(table.found["answers"], table.at("answers"))
        for i, answer in enumerate(answers, 1):
            checked_text(answer, f"{table.at('answers')} {i}")
        if not 2 <= len(answers) <= 6 or len(set(answers)) < len(answers):
            raise InputError(table.at("answers"), shown(list(answers)), "2 to 6 different answers", "Change them.")
        right = check_whole(
            table.at("right"), table.found.get("right"), 1, len(answers), fix="Count the answers from 1."
        )
        return Prediction(table.text("text"), answers, right=right - 1)
    table.only("text", "low", "high", "step", "right", "near")
    low = table.number("low")
    high = table.number("high", above=low)
    step = table.number("step", least=(high - low) / 200, most=high - low)
    right_name = table.text("right")
    check_choice(table.at("right"), right_name, numbers)
    return Prediction(table.text("text"), (), low, high, step, right_name, table.number("near", least=0.0))
