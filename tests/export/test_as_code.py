"""The code that the app shows gives the numbers of the view."""

from __future__ import annotations

import contextlib
import io
import shlex

import numpy as np
import pytest
from results import EVIL_TARGET, evil, small_table

from kernelsm import load_example
from kernelsm.__main__ import _parser
from kernelsm.export.as_code import command_line, python_code
from kernelsm.export.result import Settings
from kernelsm.surrogates.reading import fit_of_target, read_surrogate

VIEWS = [
    {}, {"readout": "shapley"}, {"readout": "inclusion"}, {"kernel": "linear", "ridge": 0.3},
    {"kernel": "rbf", "gamma": 0.2, "ridge": 0.01}, {"kernel": "poly", "ridge": 2.0, "readout": "shapley"},
    {"target": "digit 3"}, {"target": "digit 3", "kernel": "rbf", "gamma": 0.07, "ridge": 0.5},
]  # fmt: skip


def ran(code: str) -> dict:
    space: dict = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(code, space)
    assert said.getvalue().strip()
    return space


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_python_gives_the_numbers_of_the_view(view: dict) -> None:
    outcomes = load_example("digits")
    settings = Settings.checked(outcomes, **view)
    space = ran(python_code(outcomes, settings, "digits", is_example=True))
    surrogate = fit_of_target(outcomes, settings.target, *settings.surrogate())
    expected = read_surrogate(surrogate, outcomes, settings.target, settings.readout)
    assert np.abs(space["effects"].values - expected.attribution.values).max() < 1e-9
    assert np.abs(space["pairs"].values - expected.interactions.values).max() < 1e-9


def test_subsets_of_one_size_are_read_off_at_their_size() -> None:
    outcomes = load_example("coin-flip")
    settings = Settings.checked(outcomes, kernel="rbf")
    space = ran(python_code(outcomes, settings, "coin-flip", is_example=True))
    surrogate = fit_of_target(outcomes, "", *settings.surrogate())
    expected = read_surrogate(surrogate, outcomes, "", "inclusion")
    assert np.abs(space["effects"].values - expected.attribution.values).max() < 1e-9
    assert np.abs(space["pairs"].values - expected.interactions.values).max() < 1e-9


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_command_means_the_settings_of_the_view(view: dict) -> None:
    outcomes = load_example("digits")
    settings = Settings.checked(outcomes, **view)
    words = shlex.split(command_line(outcomes, settings, "digits", "report", "x.html"))
    assert words[:3] == ["python", "-m", "kernelsm"]
    options = _parser().parse_args(words[3:])
    read = Settings.checked(
        outcomes, target=options.target, kernel=options.kernel, gamma=options.gamma, ridge=options.ridge,
        readout=options.readout,
    )  # fmt: skip
    assert (read.target, read.surrogate(), read.readout) == (
        settings.target, settings.surrogate(), settings.readout
    )  # fmt: skip
    assert (options.command, options.table, str(options.out)) == ("report", "digits", "x.html")


def test_names_of_strangers_are_quoted_for_the_shell_and_for_python() -> None:
    names = [EVIL_TARGET, "$(touch x); 'a' \"b\" `c`", "--out"]
    outcomes = small_table(q=3, target_names=names)
    for name in names:
        settings = Settings.checked(outcomes, target=name, kernel="linear")
        options = _parser().parse_args(shlex.split(command_line(outcomes, settings, "-t.csv"))[3:])
        assert (options.target, options.table) == (name, "./-t.csv")
        compile(python_code(outcomes, settings, "a'b.csv", is_example=False), "view", "exec")
    assert evil().settings.target == EVIL_TARGET
