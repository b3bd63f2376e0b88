"""SampleMapping: which columns of a file are labels, inputs, tasks, split and targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from kernelsm.runtime.checks import check_choice, check_number, check_whole, shown
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, REGRESSION, SEVERAL_LABELS
from kernelsm.tasks.weighting import EQUALLY, WEIGHTING_FIELDS, Weighting, check_weighting

InputKind = Literal["tabular", "text", "image", "tokens"]
RuleKind = Literal["column", "label", "clusters", "slices"]

TARGET_ALL = ""
TARGET_TASK = "(task)"
TARGET_LABEL = "(label)"

MAX_CATEGORIES = 50  # a text column with more distinct values is no input of a table

_SEEDS = 2**32  # seeds of scikit-learn are below


@dataclass(frozen=True)
class TaskRule:
    """How the training samples are cut into tasks.

    Parameters
    ----------
    kind : {"column", "label", "clusters", "slices"}
        By the values of columns, by label, by k-means clusters, or into random slices of the same size.
    columns : tuple of str
        "column": the columns, whose values are crossed where there are several. "clusters": the columns whose numbers
        are clustered, the inputs if none are given. Otherwise empty.
    count : int
        Number of clusters or slices, 2 or more.
    seed : int
        Of clusters and slices.

    Raises
    ------
    InputError
        A value out of its range, or columns that do not suit the kind.
    """

    kind: RuleKind
    columns: tuple[str, ...] = ()
    count: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("tasks, kind", self.kind, get_args(RuleKind))
        _check_columns("tasks, columns", self.columns)
        check_whole("tasks, count", self.count, 2)
        check_whole("tasks, seed", self.seed, 0, _SEEDS - 1)
        if self.kind == "column" and not self.columns:
            raise InputError("tasks, columns", "no column", "one or more", "Choose the columns that name the task.")
        if self.kind in ("label", "slices") and self.columns:
            fix = "Leave the columns out or choose another kind."
            raise InputError("tasks, columns", shown(list(self.columns)), f"none for {self.kind!r}", fix)


@dataclass(frozen=True)
class SampleMapping:
    """What the columns of a file of samples mean.

    Parameters
    ----------
    label : str
        Column of the labels; "" while it is not chosen. Of text that follows: the column of what is to be written.
    inputs : tuple of str
        Columns of the inputs. Of text that follows: those of the prompt, or none.
    kind : {"tabular", "text", "image", "tokens"}
        What the inputs are.
    tasks : TaskRule
        How training samples are grouped into tasks.
    split : str
        Column that says training or test; "" draws the test samples at random.
    test_fraction : float
        Share drawn for testing where there is no split column, above 0 and below 1.
    target : str
        Column that groups the test samples into targets; `TARGET_ALL`, `TARGET_TASK` and `TARGET_LABEL` make one
        target of all, or group them by task or by label.
    seed : int
        Of the draw of the test samples.
    task_weighting, target_weighting : {"equally", "by_size"}
        As of `TaskSuite`: whether each task counts the same in training or each sample, and each target in the mean
        over targets or each test sample. Mappings that do not say mean "equally"; a guess proposes "by_size".
    objective : {"classification", "regression", "several labels", "next tokens"}
        What the label is: a class, a quantity, one of several labels of which each applies or not, or text that a
        language model is to write after the prompt.
    more_labels : tuple of str
        Columns of further quantities or labels.

    Raises
    ------
    InputError
        A value of the wrong type or out of its range, a label among the inputs, or tasks or targets by label where
        labels are no classes.
    """

    label: str
    inputs: tuple[str, ...]
    kind: InputKind
    tasks: TaskRule
    split: str = ""
    test_fraction: float = 0.25
    target: str = TARGET_ALL
    seed: int = 0
    task_weighting: Weighting = EQUALLY
    target_weighting: Weighting = EQUALLY
    objective: str = CLASSIFICATION
    more_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for place in ("label", "split", "target"):
            if not isinstance(getattr(self, place), str):
                raise InputError(place, shown(getattr(self, place)), "the name of a column", "Choose a column.")
        _check_columns("inputs", self.inputs)
        check_choice("kind", self.kind, get_args(InputKind))
        if not isinstance(self.tasks, TaskRule):
            raise InputError("tasks", shown(self.tasks), "a TaskRule", "Say how the samples are grouped into tasks.")
        check_whole("seed", self.seed, 0, _SEEDS - 1)
        check_number("test_fraction", self.test_fraction, above=0, below=1, fix="Write for example 0.25.")
        for place in WEIGHTING_FIELDS:
            check_weighting(place, getattr(self, place))
        self._check_labels()
        for place, column in (*(("label", column) for column in self.labels), ("split", self.split)):
            if column and column in self.inputs:
                fix = "Take it out of the inputs: a model that sees it has nothing to learn."
                raise InputError("inputs", f"the {place} column {shown(column)}", "other columns only", fix)

    def _check_labels(self) -> None:
        check_choice("objective", self.objective, (CLASSIFICATION, REGRESSION, SEVERAL_LABELS, NEXT_TOKENS))
        _check_columns("more_labels", self.more_labels)
        if self.label in self.more_labels:
            raise InputError("more_labels", f"{shown(self.label)} a second time", "each label once", "Leave it out.")
        if self.objective == NEXT_TOKENS and self.kind != "text":
            fix = "Say that the inputs are text, or that the label is something else."
            raise InputError("kind", repr(self.kind), "'text', which a language model continues", fix)
        if self.objective in (CLASSIFICATION, NEXT_TOKENS) and self.more_labels:
            fix = "Leave the others out, or say that they are quantities or several labels."
            raise InputError("more_labels", shown(list(self.more_labels)), "one label", fix)
        if self.objective == CLASSIFICATION:
            return
        for place, found in (("tasks", self.tasks.kind == "label"), ("target", self.target == TARGET_LABEL)):
            if found:
                fix = "Group by a column, or say that the label is a class."
                raise InputError(place, "groups by label", "groups by something else", fix)

    @property
    def labels(self) -> tuple[str, ...]:
        """All columns of labels; none while the first is not chosen."""
        return (self.label, *self.more_labels) if self.label else ()

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping as JSON types, which `from_dict` reads."""
        values = asdict(self)
        values["more_labels"] = list(self.more_labels)
        if self.objective == CLASSIFICATION:  # as it was written when there was no other: the same work is one job
            del values["objective"], values["more_labels"]
        values["inputs"] = list(self.inputs)
        values["tasks"]["columns"] = list(self.tasks.columns)
        return values

    @classmethod
    def from_dict(cls, values_by_name: object) -> SampleMapping:
        """Read what `to_dict` wrote, or what a user wrote by hand.

        Raises
        ------
        InputError
            Names the first field that is unknown, missing or not what it should be.
        """
        values = _fields_of(cls, "mapping", values_by_name)
        rule = _fields_of(TaskRule, "tasks", values["tasks"])
        if "columns" in rule:
            rule["columns"] = _listed("tasks, columns", rule["columns"])
        for name in ("inputs", "more_labels"):
            if name in values:
                values[name] = _listed(name, values[name])
        return cls(**{**values, "tasks": TaskRule(**rule)})

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield the field and the name of every chosen column."""
        yield from (("label", column) for column in self.labels)
        yield from (("inputs", column) for column in self.inputs)
        yield from (("tasks", column) for column in self.tasks.columns)
        if self.split:
            yield "split", self.split
        if self.target not in (TARGET_ALL, TARGET_TASK, TARGET_LABEL):
            yield "target", self.target


def _fields_of(kind: type[SampleMapping] | type[TaskRule], place: str, values_by_name: object) -> dict[str, Any]:
    """Return the fields of a dataclass from a dict, after checking their names."""
    known = {field.name: field for field in fields(kind)}
    if not isinstance(values_by_name, dict):
        expected = f"a dict with {', '.join(known)}"
        raise InputError(place, shown(values_by_name), expected, "Write it as SampleMapping.to_dict does.")
    for name in values_by_name:
        if name not in known:
            found = f"the unknown field {shown(name)}"
            raise InputError(place, found, ", ".join(known), "Rename the field or leave it out.")
    needed = ("label", "inputs", "kind", "tasks") if kind is SampleMapping else ("kind",)
    for name in needed:
        if name not in values_by_name:
            raise InputError(place, f"no field {name!r}", ", ".join(needed), "Add the field.")
    return cast(dict[str, Any], dict(values_by_name))


def _listed(place: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(place, shown(value), "a list of column names", "Write for example ['age', 'income'].")
    return tuple(value)


def _check_columns(place: str, columns: object) -> None:
    if not isinstance(columns, tuple) or not all(isinstance(column, str) for column in columns):
        raise InputError(place, shown(columns), "names of columns", "Write for example ['age', 'income'].")
    for column in columns:
        if not column:
            raise InputError(place, "an empty name", "names of columns", "Leave it out.")
        if columns.count(column) > 1:
            raise InputError(place, f"{shown(column)} a second time", "each column once", "Leave it out once.")
