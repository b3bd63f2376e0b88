"""The job that estimates prompts to first order: its table, its check, what is kept, and what stops it."""

import dataclasses
import json
import math

import numpy as np
import pytest
from small_language_model import tiny_model
from small_prompt_task import TASK

from kernelsm import InputError, Store
from kernelsm.pipelines import ask_model
from kernelsm.pipelines.ask_model import START_SECONDS, PromptSettings, compute
from kernelsm.pipelines.prompt_estimates import EstimateSettings, estimate, run
from kernelsm.prompts.first_order import FirstOrder
from kernelsm.prompts.first_order_check import PromptFirstOrderCheck, prompt_first_order_check
from kernelsm.prompts.prompting import Prompting
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Cancelled, silent
from kernelsm.workspace.prompt_projects import SECONDS_A_QUERY, PromptSource, find_prompts, keep_prompts
from kernelsm.workspace.tables import TABLES, load_run_orders

FEW = {"subsets": 8, "anchors": 3, "checked": 4, "seed": 5}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def source(tmp_path, monkeypatch, model):
    """The key of a small prompt task whose model is a tiny one."""
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path))
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name=None: model)
    monkeypatch.setattr(ask_model, "_likeness", lambda task, store: [0.5] * task.K)  # the encoder takes seconds
    return keep_prompts(PromptSource("small", TASK))


@pytest.mark.parametrize("combine", ["nearest", "mean"])
def test_the_job_keeps_the_estimates_and_how_far_they_are_from_the_model(source, model, combine):
    result = run(silent, Store(), source=source, **FEW, combine=combine)
    assert result == json.loads(json.dumps(result))
    assert "run" not in result  # it would be offered before its error is read
    found = TABLES.load(result["estimates"])
    masks = EstimateSettings(source, **FEW).masks()
    want = FirstOrder(TASK, model, anchors=3, seed=5, combine=combine).outcomes(masks)
    np.testing.assert_allclose(found.values, want.values, atol=1e-4)
    truth = Prompting(TASK, model, seed=5).outcomes(masks[:4])
    check = prompt_first_order_check(truth, want.take(range(4)))
    assert result["check"] == pytest.approx(check.to_json(), abs=1e-4, nan_ok=True)
    assert result["check"]["subsets"] == 4
    assert result["check"]["anchors"] == 3
    assert result["check"]["relative_error"] > 0


def test_the_table_says_what_it_is_and_which_texts_it_is_of(source):
    result = run(silent, Store(), source=source, **FEW)
    meta = TABLES.load(result["estimates"]).meta
    exact, _ = compute(PromptSettings(source, subsets=8, seed=5), silent, Store())
    assert meta["estimator"] == "first order"
    assert meta["first_order_check"] == result["check"]
    for name in ("sampler", "size", "prompts", "likeness", "task", "weights", "unit", "queries"):
        assert meta[name] == exact.meta[name]


def test_the_table_says_nothing_of_the_order(source):
    found, _ = estimate(EstimateSettings(source, **FEW), silent, Store())
    exact, _ = compute(PromptSettings(source, subsets=8, seed=5), silent, Store())
    assert exact.noise is not None
    assert found.noise is None
    assert "order_spread" not in found.meta
    assert load_run_orders(run(silent, Store(), source=source, **FEW)["estimates"]) is None


def test_the_exact_part_is_that_of_an_exact_job(source):
    def counted(*args, reused):
        if reused is not None:
            told.append(reused)

    told = []
    estimate(EstimateSettings(source, **FEW), counted, Store())
    told.clear()
    compute(PromptSettings(source, subsets=8, seed=5), counted, Store())
    assert told[:4] == [True] * 4  # the checked ones are not asked again
    assert not all(told)
    told.clear()
    # and the other way round: after an exact job only the anchors are new
    estimate(EstimateSettings(source, **{**FEW, "checked": 8, "anchors": 4}), counted, Store())
    assert told == [True] * 3 + [False] + [True] * 8


def test_finished_anchors_and_subsets_are_found_again_after_a_stop(source):
    def stop_at(words):
        def report(done, total, message="", *, reused):
            if words in message:
                raise Cancelled

        return report

    def counted(done, total, message="", *, reused):
        if reused is not None:
            told.append((message.split(":")[0], reused))

    told = []
    settings = EstimateSettings(source, **FEW)
    with pytest.raises(Cancelled):
        estimate(settings, stop_at("anchor prompts: 8 of 12"), Store())  # four queries at each anchor
    with pytest.raises(Cancelled):
        estimate(settings, stop_at("language model: 2 of 4"), Store())
    found, check = estimate(settings, counted, Store())
    anchors = [("finding gradients at anchor prompts", True)] * 3
    assert told[:5] == [*anchors, *[("asking the language model", True)] * 2]
    store = Store()
    same, same_check = estimate(settings, silent, store)
    assert store.computed == 0
    np.testing.assert_array_equal(found.values, same.values)
    assert check == same_check


def test_an_anchor_under_way_is_lost_but_no_other(source):
    def stop(done, total, message="", *, reused):
        if "anchor prompts: 8 of 12" in message:
            raise Cancelled

    def counted(done, total, message="", *, reused):
        if reused is not None and "anchor" in message:
            told.append(reused)

    told = []
    with pytest.raises(Cancelled):
        estimate(EstimateSettings(source, **FEW), stop, Store())
    estimate(EstimateSettings(source, **FEW), counted, Store())
    assert told == [True, False, False]


def test_progress_only_rises_to_its_end(source):
    told = []
    estimate(EstimateSettings(source, **FEW), lambda done, total, *_, reused: told.append((done, total)), Store())
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({total for _, total in told}) == 1
    assert told[-1][0] == told[-1][1]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"anchors": 0}, "anchors"), ({"anchors": 65}, "anchors"), ({"combine": "best"}, "combine"),
        ({"checked": 2}, "checked"), ({"checked": 201}, "checked"), ({"subsets": 2}, "subsets"),
        ({"orders": 0}, "orders"), ({"orders": 25}, "orders"), ({"seed": -1}, "seed"),
        ({"subsets": 10}, "checked"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(source, changes, place):
    with pytest.raises(InputError) as caught:
        EstimateSettings(source, **changes)
    assert caught.value.place == place


def test_a_source_that_is_not_here_is_named(source):
    with pytest.raises(InputError, match="prompts"):
        EstimateSettings("0" * 40)


def test_the_checked_subsets_are_the_first_and_the_job_names_the_work(source):
    settings = EstimateSettings(source, **FEW)
    np.testing.assert_array_equal(settings.exact.masks(), settings.masks()[:4])
    np.testing.assert_array_equal(settings.masks(), PromptSettings(source, subsets=8, seed=5).masks())
    job = settings.job()
    assert isinstance(job, JobSpec)
    assert job.key == EstimateSettings(source, **FEW, combine="nearest").job().key
    assert job.key != EstimateSettings(source, **FEW, combine="mean").job().key
    assert EstimateSettings(**job.arguments) == settings


def test_no_more_are_estimated_or_checked_than_there_are(source):
    settings = EstimateSettings(source, subsets=40, checked=30)  # two of five candidates are 10 prompts
    assert (settings.subsets, settings.checked, len(settings.masks())) == (10, 10, 10)
    assert settings.job() == EstimateSettings(source, subsets=200).job()
    assert EstimateSettings(**settings.job().arguments) == settings


def test_the_cost_grows_with_anchors_and_checked_prompts_but_not_with_estimated_ones(source):
    def seconds(**changes):
        return EstimateSettings(source, **changes).seconds()

    assert seconds(anchors=8) > seconds() > seconds(checked=4)
    assert seconds(subsets=2000) == seconds()
    # a model that was found ten times slower takes ten times as long, but for its start
    slow = dataclasses.replace(find_prompts(source), pace=10 * SECONDS_A_QUERY)
    usual = seconds()
    assert keep_prompts(slow) == source
    assert seconds() - START_SECONDS == pytest.approx(10 * (usual - START_SECONDS))
    # two of five candidates have 20 ordered pairs: there are no more anchors
    assert seconds(anchors=64) == seconds(anchors=20) > seconds(anchors=19)


GOOD = {"subsets": 4, "anchors": 3, "spearman": 0.5, "lds": -0.1, "relative_error": 0.2, "error_of_mean": 0.1}


@pytest.mark.parametrize(
    "found",
    [
        None, [], "x", {}, {**GOOD, "subsets": "<b>"}, {**GOOD, "subsets": 4.0}, {**GOOD, "subsets": 10**400},
        {**GOOD, "anchors": True}, {**GOOD, "anchors": 0}, {**GOOD, "subsets": math.nan}, {**GOOD, "spearman": "0.5"},
        {**GOOD, "lds": 2.0}, {**GOOD, "relative_error": -1.0}, {**GOOD, "error_of_mean": math.inf},
        {**GOOD, "spearman": None}, {name: value for name, value in GOOD.items() if name != "lds"},
        {**GOOD, "spearman": [0.5]},
    ],
    ids=str,
)  # fmt: skip
def test_a_check_that_a_file_has_wrong_is_refused(found):
    with pytest.raises(InputError, match="check"):
        PromptFirstOrderCheck.from_json(found)


def test_a_check_is_read_back_and_what_else_a_file_says_is_left_out():
    check = PromptFirstOrderCheck(**GOOD)
    assert PromptFirstOrderCheck.from_json({**json.loads(json.dumps(check.to_json())), "more": "<b>"}) == check
    constant = PromptFirstOrderCheck.from_json(json.loads(json.dumps({**GOOD, "spearman": math.nan})))
    assert math.isnan(constant.spearman)
