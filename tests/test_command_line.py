"""`python -m kernelsm` in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernelsm import ConvergenceError, Outcomes
from kernelsm.__main__ import main

HOME = Path(__file__).resolve().parents[1]


@pytest.fixture
def kernelsm(cache_folder):
    """Run the command and return the finished process."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "kernelsm", *map(str, arguments)], cwd=HOME, capture_output=True, text=True,
            env={**os.environ, "KERNELSM_CACHE": str(cache_folder)}, timeout=120, check=False,
        )  # fmt: skip

    return run


def test_evaluate_ends_in_one_line_of_json(kernelsm):
    done = kernelsm("evaluate", "--example", "digits")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout.splitlines()[-1])
    assert scores["example"] == "digits"
    assert scores["source"] == "shipped"
    assert scores["spearman"] >= 0.95
    assert scores["lds"] >= 0.90
    assert 0 < scores["relative_error"] <= 0.05
    assert 0.5 < scores["lds_linear"] <= 1
    assert 0.5 < scores["lds_rbf"] <= 1
    assert scores["lds_linear"] < scores["lds_default"] <= 1


def test_evaluate_without_a_model_scores_the_surrogates(kernelsm):
    done = kernelsm("evaluate", "--example", "planted")
    scores = json.loads(done.stdout.splitlines()[-1])
    assert scores["lds_rbf"] > scores["lds_linear"] > 0.5
    assert "spearman" not in scores


def test_a_refusal_is_the_exit_status_of_the_process(kernelsm, tmp_path):
    done = kernelsm("run", "--example", "planted", "--out", tmp_path / "x.txt")
    assert done.returncode == 2
    assert done.stderr.startswith("kernelsm: --out")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_run_writes_a_table_that_loads(kernelsm, tmp_path, ending):
    out = tmp_path / "new" / f"x.{ending}"
    done = kernelsm("run", "--example", "planted", "--subsets", 20, "--seed", 5, "--out", out)
    assert done.returncode == 0, done.stderr
    outcomes = Outcomes.load(out)
    assert (outcomes.m, outcomes.K, outcomes.q) == (20, 10, 1)
    assert str(out) in done.stdout


@pytest.mark.parametrize(
    ("arguments", "m", "design", "said"),
    [
        (["--design", "auto"], 1024, "all", "1024 subsets instead of 400: design all"),
        (["--design", "leave-outs", "--subsets", "100"], 100, "leave_outs", ""),
        (["--design", "distinct", "--size", "2"], 45, "distinct", "45 subsets instead of 400: design distinct"),
        (["--subsets", "100"], 100, None, ""),
    ],
)
def test_the_design_is_a_choice_and_the_table_names_it(capsys, tmp_path, arguments, m, design, said):
    out = tmp_path / "x.parquet"
    assert main(["run", "--example", "planted", *arguments, "--out", str(out)]) == 0
    outcomes = Outcomes.load(out)
    assert outcomes.m == m
    assert outcomes.meta.get("design") == design
    printed = capsys.readouterr().out
    assert said in printed
    assert ("instead of" in printed) == bool(said)


def test_a_computation_that_does_not_converge_is_told_in_one_line(capsys, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ConvergenceError("GradEx", "a norm of 1", "0", "Raise the ridge.")

    monkeypatch.setattr("kernelsm.__main__.compute", fails)
    assert main(["run", "--example", "planted", "--out", str(tmp_path / "x.csv")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "kernelsm: GradEx did not converge: it reached a norm of 1; wanted 0. Raise the ridge."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--example", "planted", "--out", "x.txt"), ("--out", ".parquet or .csv")),
        (("run", "--example", "planted", "--subsets", "1", "--out", "x.csv"), ("subsets", "3 to 20,000")),
        (("run", "--example", "planted", "--estimator", "gradex", "--out", "x.csv"), ("estimator", "'game'")),
        (("run", "--example", "planted", "--p", "nan", "--out", "x.csv"), ("p", "probability")),
        (("run", "--example", "digits", "--ridge", "0", "--out", "x.csv"), ("ridge", "0.0", "above 0")),
        (("run", "--example", "digits", "--dim", "1", "--out", "x.csv"), ("dim", "2 to 4,096")),
        (("run", "--example", "modular-addition", "--projection", "exact", "--out", "x.csv"),
         ("projection", "'exact'", "'kronecker'")),
    ],
)  # fmt: skip
def test_input_that_cannot_be_used_ends_in_one_clear_line(capsys, tmp_path, arguments, words):
    status = main([*arguments[:-1], str(tmp_path / arguments[-1])])
    shown = capsys.readouterr()
    assert status == 2
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith("kernelsm: ")
    assert all(word in line for word in words)
    assert not (tmp_path / arguments[-1]).exists()


def test_a_run_takes_the_examples_own_ridge_and_the_projection_that_is_asked_for(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)
    own, other = tmp_path / "own.parquet", tmp_path / "other.parquet"
    asked = ["run", "--example", "digits", "--subsets", "3", "--projection", "kronecker", "--dim", "64"]
    assert main([*asked, "--out", str(own)]) == 0
    outcomes = Outcomes.load(own)
    assert (outcomes.meta["ridge"], outcomes.meta["projection"]) == (0.03, "Kronecker, 64 dimensions")
    capsys.readouterr()
    assert main([*asked, "--ridge", "0.03", "--out", str(other)]) == 0
    assert "0 chunks computed" in capsys.readouterr().out
    assert (Outcomes.load(other).values == outcomes.values).all()


def test_a_file_that_cannot_be_written_ends_in_one_clear_line(kernelsm, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = kernelsm("run", "--example", "planted", "--subsets", 5, "--out", tmp_path / "file" / "x.csv")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_another_projection_or_output_is_a_usage_error(kernelsm, tmp_path):
    for *wrong, words in (
        ("--projection", "dense", "invalid choice"), ("--outputs", "labels", "'auto' or 'logits' or 'margin'"),
    ):  # fmt: skip
        done = kernelsm("run", "--example", "digits", *wrong, "--out", tmp_path / "x.csv")
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_example_lists_the_finished_tables(kernelsm):
    done = kernelsm("example", "planted")
    assert done.returncode == 0
    assert "outcomes.parquet: Outcomes(m=300, K=10, q=1" in done.stdout
    assert "truth.parquet: Outcomes(m=100" in done.stdout


def test_compare_prints_costs_scores_and_one_json_object(capsys):
    assert main(["compare", "--example", "planted", "--methods", "linear", "datamodels", "trak"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    found = json.loads(lines[-1])
    assert set(found["methods"]) == {"default", "linear", "datamodels"}
    assert {"lds", "leave_one_out", "seconds", "lds_gain"} <= set(found["methods"]["linear"])
    assert "trak" in found["refused"]
    assert "the default surrogate predicts best" in lines[-2]
    assert main(["compare", "--example", "planted", "--methods", "nothing"]) == 2
    assert "influence_cg" in capsys.readouterr().err


def test_compare_takes_prompt_tasks_and_leaves_out_what_the_limit_does(capsys):
    assert main(["compare", "--example", "coin-flip", "--methods", "all", "linear", "--limit", "0.05"]) == 0
    printed = capsys.readouterr().out
    assert "prompt_tracin is left out: about 480 s; name it to run it" in printed
    found = json.loads(printed.splitlines()[-1])
    assert {"default", "linear"} <= set(found["methods"])
    assert found["truth_subsets"] == 40
    assert found["methods"]["linear"]["agreement"] is None
