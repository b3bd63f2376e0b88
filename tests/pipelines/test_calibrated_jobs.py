"""Jobs with calibrated label words: what they return and keep, and that without calibration all is as it was."""

import dataclasses

import numpy as np
import pytest
from small_language_model import tiny_model
from small_prompt_task import QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.pipelines import ask_model, zero_shot
from kernelsm.pipelines.ask_model import START_SECONDS, CheckSettings, PromptSettings, check, run
from kernelsm.pipelines.zero_shot import ZeroShotSettings
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.calibration import CONTENT_FREE, calibrated, content_free_queries, label_offsets
from kernelsm.prompts.prompting import Prompting, score
from kernelsm.prompts.scoring import measure_labels
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.progress import silent
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
    return keep_prompts(PromptSource("small", TASK, pace=0.5))


def kinds(store):
    return sorted(entry.kind for entry in store.entries())


def by_hand(model, order, queries):
    """Loss and accuracy as asked and calibrated, and the offsets."""
    asked, content_free = (score(model, TASK, order, some) for some in (queries, content_free_queries(TASK)))
    true = np.array([TASK.labels.index(query.label) for query in queries])
    found = [measure_labels(one, true)[:2] for one in (asked, calibrated(asked, content_free))]
    return (*found, label_offsets(content_free))


def test_the_table_of_a_calibrated_job_says_so_and_is_calibrated(source, model):
    store = Store()
    plain, key = (run(silent, store, source=source, subsets=4, **more)["run"] for more in ({}, {"calibrated": True}))
    found = TABLES.load(key)
    settings = PromptSettings(source, subsets=4, calibrated=True)
    want = Prompting(TASK, model, calibrated=True).outcomes(settings.masks())
    np.testing.assert_allclose(found.values, want.values, atol=1e-4)
    assert found.meta["calibrated"] is True
    assert "calibrated" not in TABLES.load(plain).meta
    assert plain != key
    ordered = load_run_orders(key)
    for order, values in zip(ordered.orders, ordered.values, strict=True):
        np.testing.assert_allclose(values, by_hand(model, order.tolist(), QUERIES)[1][0], atol=1e-4)


def test_a_calibrated_check_tells_both_and_the_offsets_from_the_same_answers(source, model):
    store, prompts = Store(), [[3, 1], [0, 4]]
    found = check(silent, store, source=source, prompts=prompts, orders=2, calibrated=True)
    settings = CheckSettings(source, prompts, orders=2, calibrated=True)
    for place, prompt in enumerate(settings.prompts):
        for at, order in enumerate(settings.orders_of(prompt)):
            plain, changed, offsets = by_hand(model, order, TASK.fresh)
            np.testing.assert_allclose(found["uncalibrated"][place][at], plain, atol=1e-4)
            np.testing.assert_allclose(found["values"][place][at], changed, atol=1e-4)
            np.testing.assert_allclose(found["offsets"][place][at], offsets, atol=1e-4)
    assert kinds(store) == ["prompt_label_words"] * 4


def test_checks_with_and_without_calibration_are_kept_apart(source):
    store = Store()
    asked = {"source": source, "prompts": [[3, 1]], "orders": 1}
    plain = check(silent, store, **asked)
    assert set(plain) == {"values"}
    changed = check(silent, store, **asked, calibrated=True)
    assert kinds(store) == ["prompt_label_words", "prompts_in_order"]
    computed = store.computed
    assert check(silent, store, **asked) == plain
    assert check(silent, store, **asked, calibrated=True) == changed
    assert store.computed == computed
    np.testing.assert_allclose(changed["uncalibrated"], plain["values"], atol=1e-4)
    assert not np.allclose(changed["values"], plain["values"], atol=1e-2)


def test_no_demonstration_is_asked_calibrated_too(source, model):
    found = zero_shot.run(silent, Store(), source=source, calibrated=True)
    for name, queries in (("queries", QUERIES), ("fresh", TASK.fresh)):
        np.testing.assert_allclose(found[name], by_hand(model, (), queries)[1].mean(axis=1), atol=1e-4)
    plain = zero_shot.run(silent, Store(), source=source)
    np.testing.assert_allclose(plain["queries"], by_hand(model, (), QUERIES)[0].mean(axis=1), atol=1e-4)


def all_settings(source, **more):
    return (
        PromptSettings(source, subsets=6, **more), CheckSettings(source, ((3, 1),), **more),
        ZeroShotSettings(source, **more),
    )  # fmt: skip


def test_jobs_without_calibration_are_those_of_before_there_was_any(source):
    """Their key is made of their arguments: another one would lose work that was done."""
    asked, checked, empty = (one.job() for one in all_settings(source))
    assert asked.arguments == {"source": source, "subsets": 6, "size": 2, "orders": 2, "seed": 0}
    assert checked.arguments == {"source": source, "prompts": ((3, 1),), "orders": 4, "seed": 0}
    assert empty.arguments == {"source": source}
    for plain, settings in zip((asked, checked, empty), all_settings(source, calibrated=True), strict=True):
        assert settings.job().arguments == {**plain.arguments, "calibrated": True}
        assert settings.job().key != plain.key
        assert type(settings)(**settings.job().arguments) == settings


def test_content_free_queries_are_counted_before_a_job_starts(source):
    prompts = (6 * 2, 2, 1)  # orders of two are two at most
    parts = (1, 1, 2)  # without demonstrations both the queries and the fresh ones are asked
    for plain, settings, count, times in zip(
        all_settings(source), all_settings(source, calibrated=True), prompts, parts, strict=True
    ):
        more = settings.seconds() - plain.seconds()
        assert more == pytest.approx(0.5 * len(CONTENT_FREE) * count * times)
        assert plain.seconds() > START_SECONDS
    for api, calls in (("chat", 1), ("completions", len(TASK.labels))):
        address = EndpointAddress("http://127.0.0.1:9/v1", "m", api, probabilities=True)
        key = keep_prompts(PromptSource("films", TASK, address.text))
        for plain, settings, count, times in zip(
            all_settings(key), all_settings(key, calibrated=True), prompts, parts, strict=True
        ):
            assert settings.cost().calls - plain.cost().calls == calls * len(CONTENT_FREE) * count * times
            assert settings.cost().tokens > plain.cost().tokens


def test_what_gives_no_probabilities_of_label_words_is_refused_before_a_job_starts(source):
    free = PromptTask(TASK.candidates, QUERIES, TASK.fresh, (), k=2, rule=AnswerRule("exact"))
    address = EndpointAddress("http://127.0.0.1:9/v1", "m", "chat", probabilities=False)
    graded = dataclasses.replace(TASK, name="graded")
    for key in (
        keep_prompts(PromptSource("free", free)),
        keep_prompts(PromptSource("graded", graded, address.text)),
    ):
        assert len(all_settings(key)) == 3
        for make in (PromptSettings, ZeroShotSettings, lambda key, **more: CheckSettings(key, ((0, 1),), **more)):
            with pytest.raises(InputError, match="label words with probabilities"):
                make(key, calibrated=True)
