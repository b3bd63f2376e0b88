"""The Gradients page: what it asks, what it starts, and whether the first order can be trusted."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from typing import Any

import pytest
from app_harness import open_app, texts
from streamlit.testing.v1 import AppTest

from kernelsm import load_truth
from kernelsm.app.gradients import compute, first_order_checks
from kernelsm.app.shell.job_panel import registry
from kernelsm.app.shell.words import plain
from kernelsm.evaluation.first_order import FirstOrderCheck, LogitError
from kernelsm.evaluation.truth import score_estimates
from kernelsm.examples.catalog import RECIPES, load_estimates_of_truth
from kernelsm.pipelines.gradex_check import CHECK_SUBSETS, Checks, check_cost, load_checks
from kernelsm.pipelines.run_settings import RunSettings, example_settings
from kernelsm.runtime.job import JobSpec, JobStatus, write_status


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The jobs that the page's buttons would start, as it was drawn last: the recomputation, then the check."""
    specs: list[JobSpec] = []
    for module in (compute, first_order_checks):
        draw = module.job_panel

        def recorded(spec: JobSpec, *rest: Any, draw: Any = draw, **named: Any) -> None:
            specs[:] = [*specs[-1:], spec]
            draw(spec, *rest, **named)

        monkeypatch.setattr(module, "job_panel", recorded)
    return specs


OUTPUTS = {"instructions": "log-probabilities", "mt10": "predictions"}


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def alternatives(app: AppTest) -> list[str]:
    """Alternative texts of the charts."""
    return [chart.proto.alt for chart in app.get("plotly_chart")]


@pytest.mark.parametrize("run", RECIPES)
def test_the_numbers_are_those_of_the_shipped_truth_and_checks(run: str) -> None:
    app = open_app("gradients", run=run)
    scores = score_estimates(load_truth(run), load_estimates_of_truth(run))
    checks = load_checks(run)
    assert metrics(app) == {
        "Spearman, overall loss": f"{scores['spearman']:.4f}",
        "LDS, mean over targets": f"{scores['lds']:.4f}",
        "Relative error, overall loss": f"{scores['relative_error']:.2%}",
        f"Relative error, {OUTPUTS.get(run, 'logits')}": f"{checks.first_order.of_logits:.2%}",
    }
    worst = max(scores["relative_error_per_target"].values())
    assert f"Largest relative error of a target: {worst:.1%} (" in texts(app)
    assert f"On {load_truth(run).m} subsets the network was really fine-tuned" in texts(app)
    if checks.ceiling is None:
        assert "LDS and Spearman" not in texts(app)
        return
    said = re.search(r"to LDS ([\d.-]+) and Spearman ([\d.-]+) \((\d+) of the subsets\)", texts(app))
    assert said
    ceiling = checks.ceiling
    assert said.groups() == (f"{ceiling.lds:.3f}", f"{ceiling.spearman:.3f}", str(ceiling.subsets))


def test_the_digits_need_no_warning() -> None:
    assert not open_app("gradients", run="digits").warning


def test_a_chart_shows_how_each_random_projection_distorts_the_gradients() -> None:
    app = open_app("gradients", run="digits")
    assert "2,410 coordinates" in texts(app)
    (found,) = [
        json.loads(chart.proto.spec)
        for chart, said in zip(app.get("plotly_chart"), alternatives(app), strict=True)
        if said.startswith("Root mean square error of inner products")
    ]
    assert [box["name"] for box in found["data"]] == ["Kronecker", "Gaussian", "Rademacher", "Sparse"]
    expected = load_checks("digits").expected_distortion
    assert sorted(line["x0"] for line in found["layout"]["shapes"]) == pytest.approx([-expected, expected])


def test_choosing_kronecker_gives_dimensions_to_choose_and_another_job(started: list[JobSpec]) -> None:
    app = open_app("gradients", run="digits")
    assert app.selectbox(key="view_projection").value == "auto"
    assert app.select_slider(key="view_dim").disabled
    assert "Exact basis with 2,410 coordinates" in texts(app)
    exact, check = started
    assert exact.key == RunSettings("digits").job().key

    app.selectbox(key="view_projection").set_value("kronecker").run()
    assert not app.exception
    assert not app.select_slider(key="view_dim").disabled
    assert "Kronecker with 512 coordinates" in texts(app)
    app.select_slider(key="view_dim").set_value(128).run()
    assert "Kronecker with 128 coordinates" in texts(app)
    assert started[0].key == RunSettings("digits", projection="kronecker", dim=128).job().key != exact.key
    assert started[1].arguments["projection"] == "kronecker"
    assert started[1].key != check.key

    app.selectbox(key="view_projection").set_value("exact").run()
    assert app.select_slider(key="view_dim").disabled
    assert [spec.key for spec in started] == [exact.key, check.key]  # dimensions that are not used change nothing


def test_the_check_measures_fresh_subsets_with_the_settings_chosen_above(started: list[JobSpec]) -> None:
    open_app("gradients", run="digits", p="0.3", seed="5", subsets="77", estimator="retraining")
    recomputed, check = started
    assert recomputed.arguments["estimator"] == "retraining"
    wanted = RunSettings(**check.arguments)
    assert (wanted.estimator, wanted.subsets, wanted.p) == ("gradex", CHECK_SUBSETS, 0.3)
    known = {*map(bytes, example_settings("digits").masks()), *map(bytes, load_truth("digits").masks)}
    fresh = replace(wanted, p=0.5).masks()
    assert not known & {bytes(mask) for mask in fresh}


def test_retraining_needs_no_gradients(started: list[JobSpec]) -> None:
    app = open_app("gradients", run="digits", estimator="retraining")
    assert app.selectbox(key="view_projection").disabled
    assert app.select_slider(key="view_dim").disabled
    assert "400 trainings to convergence of a network of 2,410 parameters" in texts(app)
    # a projection that retraining does not use is no part of its job
    before = started[0].key
    open_app("gradients", run="digits", estimator="retraining", projection="sparse", dim="64")
    assert started[0].key == before


def test_a_basis_too_large_for_the_network_falls_back_to_auto(started: list[JobSpec]) -> None:
    app = open_app("gradients", run="modular-addition", projection="exact")
    shown = app.selectbox(key="view_projection")
    assert shown.value == "auto"
    assert "Exact basis" not in shown.options
    assert not app.select_slider(key="view_dim").disabled
    assert "Adapted to the tasks with usually 145 coordinates" in texts(app)
    assert started[0].key == RunSettings("modular-addition").job().key


@pytest.mark.parametrize("run", ["digits", "modular-addition"])
def test_the_pull_starts_with_the_usual_one_and_is_part_of_the_job_the_check_and_the_link(
    run: str, started: list[JobSpec]
) -> None:
    usual = RECIPES[run].ridge
    app = open_app("gradients", run=run)
    slider = app.select_slider(key="view_pull")
    assert slider.value == usual
    assert f"{usual:g} (usual)" in slider.options
    before = [spec.key for spec in started]
    assert [spec.arguments["ridge"] for spec in started] == [usual, usual]
    slider.set_value(0.3).run()
    assert not app.exception
    assert [spec.arguments["ridge"] for spec in started] == [0.3, 0.3]
    assert app.query_params["pull"] == "0.3"
    assert "with a pull of 0.3 towards W0" in texts(app)
    app.segmented_control(key="view_estimator").set_value("retraining").run()
    assert started[0].arguments["ridge"] == 0.3
    assert "with a pull of 0.3 towards it" in texts(app)
    app.segmented_control(key="view_estimator").set_value("gradex").run()
    app.select_slider(key="view_pull").set_value(usual).run()
    assert "pull" not in app.query_params
    assert [spec.key for spec in started] == before


def test_unknown_values_in_a_link_are_ignored_and_named(started: list[JobSpec]) -> None:
    app = open_app(run="digits", projection="dense", dim="1", estimator="magic")
    (toast,) = app.toast
    assert all(plain(wrong) in toast.value for wrong in ("projection=dense", "dim=1", "estimator=magic"))
    app.switch_page("pages/2_gradients.py").run()
    assert not app.exception
    assert app.selectbox(key="view_projection").value == "auto"
    assert started[0].key == RunSettings("digits").job().key


def test_a_finished_check_shows_its_numbers_and_its_advice(started: list[JobSpec]) -> None:
    app = open_app("gradients", run="digits")
    spec = started[1]
    assert any(button.label == "Run the check" and not button.disabled for button in app.button)
    assert len(app.metric) == 4
    shipped = load_checks("digits")

    def finish(first_order: FirstOrderCheck) -> AppTest:
        checks = Checks(first_order, shipped.projections, shipped.expected_distortion, None)
        folder = registry().folder(spec.key)
        folder.mkdir(parents=True, exist_ok=True)
        result = {"checks": asdict(checks)}
        write_status(folder, JobStatus(state="done", done=1, total=1, computed=3, result=result))
        return app.run()

    fine = finish(FirstOrderCheck(8, [LogitError(0.012, 0.14)], 0.9876, 0.0123, 0.95))
    assert not fine.exception
    assert [metric.value for metric in fine.metric][4:] == ["0.99", "1.23%", "0.95", "1.20%"]
    assert "misses 14%" in fine.metric[-1].help
    assert not fine.warning
    # what a job takes is said until it is done
    assert sum("on two cores when nothing is cached" in caption.value for caption in fine.caption) == 2
    assert not any("Show this result" in button.label for button in fine.button)  # a check is no table

    curved = finish(FirstOrderCheck(8, [LogitError(0.2, 0.6)], 0.5, 0.3, 0.4))
    assert "20.0% of the logits, 60% of their change" in curved.warning[-1].value
    assert len(curved.warning) == 1  # the rank is a consequence: one advice, not two

    shuffled = finish(FirstOrderCheck(8, [LogitError(0.01, 0.1)], 0.5, 0.01, 0.4))
    assert "LDS 0.40" in shuffled.warning[-1].value


def test_the_page_says_what_a_check_costs() -> None:
    app = open_app("gradients", run="digits")
    few = RunSettings("digits", subsets=CHECK_SUBSETS)
    assert 5 < sum(check_cost(few).values()) < 30
    assert sum("on two cores when nothing is cached" in caption.value for caption in app.caption) == 3
