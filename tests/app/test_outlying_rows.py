"""Subsets and Fit name the subsets whose outcomes are far from everything else."""

from __future__ import annotations

import numpy as np
import pytest
from app_harness import open_app, texts

from kernelsm import Outcomes
from kernelsm.app.shell.outlying_rows import outlier_sentence, subset_name
from kernelsm.workspace.tables import save_run

NAMES = ("a", "b_1", "c", "d", "e")


def table(rows: list[list[int]], values: list[float], names: tuple[str, ...] = NAMES) -> Outcomes:
    return Outcomes(np.array(rows, dtype=bool), np.array(values), task_names=names)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([1, 1, 1, 1, 1], "all tasks"), ([0, 0, 0, 0, 0], "no task"), ([0, 1, 0, 0, 0], r"only b\_1"),
        ([1, 0, 1, 0, 0], "only a and c"), ([1, 0, 1, 1, 0], r"all but b\_1 and e"), ([1, 1, 1, 1, 0], "all but e"),
    ],
)  # fmt: skip
def test_a_subset_is_named_by_the_fewer_of_what_is_in_and_out(mask: list[int], said: str) -> None:
    assert subset_name(np.array(mask, dtype=bool), NAMES) == said


def test_long_lists_of_tasks_are_cut() -> None:
    names = [f"t{k}" for k in range(40)]
    assert subset_name(np.arange(40) < 9, names) == "only t0, t1, t2, t3, t4, t5 and 3 more"


def test_the_sentence_names_row_subset_and_value_beside_the_others() -> None:
    rows = [[1, 1, 1, 1, 1], [0, 0, 0, 1, 0], [1, 1, 0, 1, 1]]
    said = outlier_sentence(table(rows, [1.25, 5.9, 0.5]), [1])
    assert said.startswith("**One subset has an outcome far from everything else**: row 2, only d (5.9).")
    assert "The others lie between 0.5 and 1.25." in said
    assert "sets it aside" in said
    both = outlier_sentence(table(rows, [9.0, 5.9, 0.5]), [0, 1], numbered=False)
    assert both.startswith("**2 subsets have outcomes far from everything else**: all tasks (9); only d (5.9).")


def test_of_many_outliers_the_first_are_named() -> None:
    rows = np.random.default_rng(0).random((30, 5)) < 0.5
    said = outlier_sentence(Outcomes(rows, np.arange(60.0).reshape(30, 2)), list(range(8)))
    assert "; 3 more." in said
    assert "row 5, " in said
    assert "row 6, " not in said
    assert (
        "(" not in said.split("**: ")[1].split("; 3 more")[0]
    )  # with several targets no single number stands for it


def one_outlier() -> str:
    """An additive table without noise, with one subset 4.8 too high; that of a stranger, in small."""
    masks = np.array(np.meshgrid(*[[0, 1]] * 7)).reshape(7, -1).T.astype(bool)
    values = 1.0 - masks @ np.array([0.3, -0.2, 0.15, -0.1, 0.05, 0.02, 0.01])
    values[(masks == [0, 0, 0, 1, 0, 0, 0]).all(axis=1)] += 4.8
    return save_run(Outcomes(masks, values, task_names=tuple(f"t{k}" for k in range(7))))


def test_fit_and_subsets_name_the_outlier_and_explore_is_not_drowned_by_it() -> None:
    run = one_outlier()
    for page in ("subsets", "fit"):
        app = open_app(page, run=run)
        (said,) = (warning.value for warning in app.warning if "far from everything else" in warning.value)
        assert "only t3 (5.9)" in said, page
    said = texts(open_app("explore", run=run))
    assert "Including **t0** lowers the loss by 0.3 (measured): it helps." in said


def test_no_outlier_is_named_where_there_is_none() -> None:
    for page in ("subsets", "fit"):
        assert "far from everything else" not in texts(open_app(page, run="planted"))


def test_surrogates_that_keep_all_rows_name_none() -> None:
    assert "far from everything else" not in texts(open_app("subsets", run=one_outlier(), kernel="rbf"))
