"""Jobs that ask a language model: outcomes of prompts, and the check of chosen ones on fresh queries."""

import numpy as np
import pytest
from small_language_model import tiny_model
from small_prompt_task import QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.pipelines import ask_model
from kernelsm.pipelines.ask_model import CheckSettings, PromptSettings, check, compute, ordered_measures, run
from kernelsm.prompts.prompting import Prompting, score
from kernelsm.prompts.scoring import measure_labels
from kernelsm.runtime.progress import Cancelled, silent
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts
from kernelsm.workspace.tables import TABLES, load_run_orders


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def source(tmp_path, monkeypatch, model):
    """The key of a small prompt task whose model is a tiny one."""
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path))
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda name=None: model)
    monkeypatch.setattr(ask_model, "_likeness", lambda task, store: [0.0] * task.K)  # the encoder takes seconds
    return keep_prompts(PromptSource("small", TASK))


def test_the_job_keeps_the_table_that_the_model_gives(source, model, tmp_path):
    key = run(silent, Store(), source=source, subsets=6, orders=2, seed=3)["run"]
    found = TABLES.load(key)
    settings = PromptSettings(source, subsets=6, seed=3)
    want = Prompting(TASK, model, orders=2, seed=3).outcomes(settings.masks())
    np.testing.assert_allclose(found.values, want.values)
    assert (found.masks.sum(axis=1) == TASK.k).all()
    assert found.meta["prompts"] == source
    assert found.meta["task"] == TASK.content_hash
    assert found.meta["size"] == TASK.k
    ordered = load_run_orders(key)
    assert [tuple(order) for order in ordered.orders] == want_orders(model, settings)
    np.testing.assert_allclose(ordered.values.reshape(6, 2, -1).mean(axis=1), found.values, atol=1e-4)


def want_orders(model, settings):
    prompting = Prompting(TASK, model, orders=settings.orders, seed=settings.seed)
    return [order for mask in settings.masks() for order in prompting.orders_of(mask)]


def test_no_prompt_is_asked_twice_and_where_there_are_fewer_all_are_asked(source):
    told = []
    settings = PromptSettings(source, subsets=40, size=3)  # 10 different ones of these 5 candidates
    assert (settings.subsets, settings.all_there_are) == (10, True)
    assert settings.job() == PromptSettings(source, subsets=10, size=3).job()
    assert PromptSettings(**settings.job().arguments) == settings
    assert settings.seconds() == PromptSettings(source, subsets=10, size=3).seconds()
    found, _ = compute(settings, lambda done, total, *_, reused=False: told.append((total, reused)), Store())
    assert len(np.unique(found.masks, axis=0)) == found.m == 10
    assert {total for total, reused in told if reused is not None} == {10}
    few = PromptSettings(source, subsets=4, size=3)
    assert not few.all_there_are
    assert np.array_equal(few.masks(), found.masks[:4])


def test_too_few_different_prompts_are_refused(source):
    with pytest.raises(InputError, match="1 different prompt of 5 of 5"):
        PromptSettings(source, size=5)


def test_what_was_asked_is_not_asked_again_after_a_stop(source):
    seen = []

    def stop(done, total, message="", *, reused=False):
        seen.append(reused)
        if done == 3 and reused is not None:
            raise Cancelled

    settings = PromptSettings(source, subsets=8)
    with pytest.raises(Cancelled):
        compute(settings, stop, Store())
    told = []
    compute(settings, lambda done, total, message="", *, reused=False: told.append((done, total, reused)), Store())
    counted = [one for one in told if one[2] is not None]
    assert [done for done, _, _ in counted] == list(range(1, 9))
    assert sum(reused for *_, reused in counted) >= 3
    again = []
    compute(settings, lambda done, total, message="", *, reused=False: again.append(reused), Store())
    assert all(reused for reused in again if reused is not None)


def test_a_check_asks_fresh_queries_in_its_own_order_first(source, model):
    settings = CheckSettings(source, ((3, 1), (0, 4)), orders=2)
    found = check(silent, Store(), source=source, prompts=[[3, 1], [0, 4]], orders=2)["values"]
    assert settings.orders_of((3, 1)) == [(3, 1), (1, 3)]
    true = np.array([TASK.labels.index(query.label) for query in TASK.fresh])
    for prompt, values in zip(settings.prompts, found, strict=True):
        for order, given in zip(settings.orders_of(prompt), values, strict=True):
            want = measure_labels(score(model, TASK, order, TASK.fresh), true)[:2]
            np.testing.assert_allclose(given, want, atol=1e-4)
    assert len(TASK.fresh) != len(QUERIES)


def test_losses_of_fresh_queries_are_not_taken_for_those_of_others(source, model):
    store = Store()
    fresh, fit = (Prompting(TASK, model, fresh=which) for which in (True, False))
    for prompting in (fresh, fit, fresh, fit):
        true = np.array([TASK.labels.index(query.label) for query in prompting.queries])
        want = measure_labels(score(model, TASK, (3, 1), prompting.queries), true)
        np.testing.assert_allclose(ordered_measures(prompting, [(3, 1)], store)[0], want, atol=1e-4)
    assert (store.computed, store.reused) == (2, 2)


def test_orders_of_a_checked_prompt_are_different_and_no_more_than_there_are(source):
    assert len(CheckSettings(source, ((2,),), orders=4).orders_of((2,))) == 1
    found = CheckSettings(source, ((2, 0, 1),), orders=24).orders_of((2, 0, 1))
    assert found[0] == (2, 0, 1)
    assert len(set(found)) == len(found) == 6


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"subsets": 2}, "subsets"), ({"size": 0}, "size"), ({"size": 6}, "size"), ({"orders": 0}, "orders"),
        ({"orders": 25}, "orders"), ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(source, changes, place):
    with pytest.raises(InputError) as caught:
        PromptSettings(source, **changes)
    assert caught.value.place == place


@pytest.mark.parametrize(
    "changes",
    [{"prompts": ()}, {"prompts": ((0, 0),)}, {"prompts": ((0, 5),)}, {"orders": 0}, {"orders": 99}, {"seed": -1}],
)
def test_checks_that_make_no_sense_are_refused(source, changes):
    with pytest.raises(InputError):
        CheckSettings(source, **{"prompts": ((0, 1),), **changes})


def test_a_source_that_is_not_here_is_named(source):
    with pytest.raises(InputError, match="prompts"):
        PromptSettings("0" * 40)


def test_equal_work_is_one_job(source):
    assert PromptSettings(source).job().key == PromptSettings(source, size=TASK.k).job().key
    assert PromptSettings(source).job().key != PromptSettings(source, orders=3).job().key
