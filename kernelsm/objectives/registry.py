"""Finds the objective that a suite names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, POLICY, REGRESSION, SEVERAL_LABELS

if TYPE_CHECKING:
    from kernelsm.objectives.objective import Objective
    from kernelsm.tasks.suite import TaskSuite

DEFAULT = CLASSIFICATION
"""The objective where none is named, as in files written before there were others."""

_CLASS_PATHS = {
    DEFAULT: "kernelsm.objectives.classification:Classification",
    REGRESSION: "kernelsm.objectives.regression:Regression",
    SEVERAL_LABELS: "kernelsm.objectives.several_labels:SeveralLabels",
    NEXT_TOKENS: "kernelsm.objectives.causal_lm:NextTokens",
    POLICY: "kernelsm.objectives.policy:PolicyGradient",
}
_registered: dict[str, type[Objective]] = {}


def find_class(name: str) -> type[Objective]:
    """Return the objective class of that name.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if name in _registered:
        return _registered[name]
    if name not in _CLASS_PATHS:
        known = " or ".join(map(repr, (*_CLASS_PATHS, *_registered)))
        raise InputError("objective", repr(name)[:80], known, "Choose one of these, or register your own first.")
    module, _, class_name = _CLASS_PATHS[name].partition(":")
    found: type[Objective] = getattr(import_module(module), class_name)
    return found


def find(suite: TaskSuite) -> Objective:
    """Return the objective that a suite names, after it has checked the suite's labels.

    Raises
    ------
    InputError
        An unknown objective, settings that it does not have, or labels that do not fit it.

    Examples
    --------
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> objective = find(digits_suite())
    >>> objective.name, objective.outputs
    ('classification', 10)
    >>> [(measure.name, measure.unit) for measure in objective.measures]
    [('loss', 'nats'), ('accuracy', 'fraction'), ('margin', 'log-odds')]
    """
    kind = find_class(suite.objective)
    try:
        objective = kind.of(suite)
    except TypeError as error:
        raise InputError(
            f"settings of the objective {suite.objective!r}", f"{suite.objective_settings}"[:120],
            "those that it has", f"Python says: {error}.",
        ) from error  # fmt: skip
    objective.check_labels(suite.labels, "labels")
    objective.check_labels(suite.test_labels, "test_labels")
    return objective


def register(kind: type[Objective]) -> type[Objective]:
    """Make an objective of your own known by its name; also as a decorator of its class.

    Raises
    ------
    InputError
        kernelsm has an objective of that name.
    """
    if kind.name in _CLASS_PATHS:
        raise InputError("objective", repr(kind.name)[:80], "a name that is free", "Give the class another name.")
    _registered[kind.name] = kind
    return kind
