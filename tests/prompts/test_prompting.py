"""Prompting: outcomes of subsets of demonstrations under several orders, kept subset by subset."""

import dataclasses
import itertools

import numpy as np
import pytest
from small_language_model import LanguageModel, network, tiny_model, tokenizer
from small_prompt_task import CANDIDATES, LABELS, QUERIES, TASK, WORDS

from kernelsm import InputError, Store
from kernelsm.estimators.estimator import Estimator
from kernelsm.prompts import scoring as module
from kernelsm.prompts.prompting import Prompting, score, short_names
from kernelsm.prompts.scoring import measure_labels
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.executors import InProcess, using
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.progress import Cancelled

MASKS = np.array([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0]], dtype=bool)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def outcomes(model):
    return Prompting(TASK, model, orders=3, seed=4).outcomes(MASKS)


@pytest.mark.parametrize("measure", ["loss", "accuracy", "margin"])
def test_an_outcome_is_the_mean_over_orders(model, measure):
    prompting = Prompting(TASK, model, orders=3, seed=4)
    found = prompting.outcomes(MASKS, measure=measure)
    true = np.array([LABELS.index(query.label) for query in QUERIES])
    place = ["loss", "accuracy", "margin"].index(measure)
    for row, mask in enumerate(MASKS):
        values = np.array(
            [measure_labels(score(model, TASK, order, QUERIES), true)[place] for order in prompting.orders_of(mask)]
        )
        np.testing.assert_allclose(found.values[row], values.mean(axis=0), atol=1e-4)
        want = values.mean(axis=1).std(ddof=1) if len(values) > 1 else 0
        assert found.meta["order_spread"][row] == pytest.approx(want, abs=1e-4)
    assert found.higher_is_better == (measure != "loss")


@pytest.mark.parametrize("measure", ["loss", "accuracy", "margin"])
def test_single_orders_are_those_that_the_mean_is_of(model, measure):
    store = Store()
    prompting = Prompting(TASK, model, orders=3, seed=4)
    found = prompting.outcomes(MASKS, measure=measure, store=store)
    computed = store.computed
    orders, values = prompting.by_order(MASKS, measure=measure, store=store)
    assert store.computed == computed == len(MASKS)
    assert orders == [order for mask in MASKS for order in prompting.orders_of(mask)]
    true = np.array([LABELS.index(query.label) for query in QUERIES])
    place = ["loss", "accuracy", "margin"].index(measure)
    for order, value in zip(orders, values, strict=True):
        want = measure_labels(score(model, TASK, order, QUERIES), true)[place]
        np.testing.assert_allclose(value, want, atol=1e-4)
    for row, mask in enumerate(MASKS):
        own = [value for order, value in zip(orders, values, strict=True) if {*order} == {*np.flatnonzero(mask)}]
        np.testing.assert_allclose(found.values[row], np.mean(own, axis=0), atol=1e-9)
    with pytest.raises(InputError, match="masks"):
        prompting.by_order(MASKS[:, :3])


def test_a_subset_is_one_block_of_an_estimator(model):
    prompting = Prompting(TASK, model)
    assert isinstance(prompting, Estimator)
    told = []
    store = Store()
    prompting.outcomes(MASKS, store=store, report=lambda done, total, message, *, reused: told.append(message))
    assert told == ["asking the language model"] * len(MASKS)
    assert {entry.kind for entry in store.entries()} == {"prompt_subsets"}
    assert len(store.entries()) == len(MASKS)


def test_the_table_names_candidates_and_queries(outcomes):
    assert outcomes.task_names == tuple(WORDS)
    assert outcomes.target_names == ("a book", "bad film", "good", "a book (2)")
    assert outcomes.meta["unit"] == "nats"
    assert outcomes.meta["orders"] == 3
    assert len(outcomes.meta["order_spread"]) == len(MASKS)


def test_the_order_of_demonstrations_counts(outcomes):
    assert outcomes.meta["order_spread"][:2] == [0, 0]  # one order only
    assert min(outcomes.meta["order_spread"][2:]) > 1e-3


def test_the_empty_subset_is_a_prompt_without_demonstrations(model, outcomes):
    prompts = [f"Judge.\n\nText: {query.text}\nLabel:" for query in QUERIES]
    bare = dataclasses.replace(
        TASK, template=PromptTemplate("", TASK.template.demonstration, "Judge.\n\nText: {text}\nLabel:")
    )
    assert [TASK.template.prompt([], query) for query in QUERIES] == prompts
    np.testing.assert_allclose(score(model, bare, [], QUERIES), score(model, TASK, [], QUERIES), atol=1e-4)
    assert np.isfinite(outcomes.values[0]).all()


@pytest.mark.parametrize("orders", [1, 2, 5, 6, 50])
def test_orders_are_different_and_as_many_as_there_are(model, orders):
    prompting = Prompting(TASK, model, orders=orders)
    for mask in MASKS:
        inside = np.flatnonzero(mask)
        found = prompting.orders_of(mask)
        possible = set(itertools.permutations(inside.tolist()))
        assert set(found) <= possible
        assert len(found) == len(set(found)) == min(orders, len(possible))


def test_orders_depend_on_the_seed_and_the_subset_alone(model):
    def orders(seed, mask):
        return Prompting(TASK, model, orders=3, seed=seed).orders_of(mask)

    assert orders(0, MASKS[3]) == orders(0, MASKS[3].copy())
    assert orders(0, MASKS[3]) != orders(1, MASKS[3])
    one = Prompting(TASK, model, seed=1)
    both, alone = one.outcomes(MASKS), one.outcomes(MASKS[3:4])
    np.testing.assert_allclose(both.values[3], alone.values[0], atol=1e-4)


def test_more_orders_keep_those_before(model):
    few, many = (Prompting(TASK, model, orders=orders).orders_of(MASKS[3]) for orders in (2, 6))
    assert many[:2] == few


def test_fresh_queries_are_asked_instead(model):
    found = Prompting(TASK, model, fresh=True).outcomes(MASKS)
    assert found.target_names == ("a book", "a good film")
    np.testing.assert_allclose(found.values[0, 0], Prompting(TASK, model).outcomes(MASKS).values[0, 0], atol=1e-4)
    with pytest.raises(InputError, match="no fresh query"):
        Prompting(dataclasses.replace(TASK, fresh=()), model, fresh=True)


def test_finished_subsets_are_found_again_after_a_stop(model):
    store = Store()
    told = []

    def stop(done, total, message="", *, reused=False):
        told.append((done, total, reused))
        if done == 2:
            raise Cancelled

    prompting = Prompting(TASK, model)
    with pytest.raises(Cancelled):
        prompting.outcomes(MASKS, store=store, report=stop)
    told.clear()
    found = prompting.outcomes(MASKS, store=store, report=lambda *a, reused: told.append((*a[:2], reused)))
    assert told == [(i + 1, 5, i < 2) for i in range(5)]
    np.testing.assert_allclose(found.values, prompting.outcomes(MASKS).values, atol=1e-4)
    before = store.computed
    assert prompting.outcomes(MASKS, measure="margin", store=store).higher_is_better
    again = Prompting(TASK, tiny_model()).outcomes(MASKS, store=store)
    assert store.computed == before
    np.testing.assert_array_equal(again.values, found.values)


@pytest.mark.parametrize("change", ["seed", "orders", "fresh", "task", "model", "mask"])
def test_what_an_outcome_depends_on_is_in_its_key(model, change):
    store = Store()
    Prompting(TASK, model).outcomes(MASKS[3:4], store=store)
    task = dataclasses.replace(TASK, template=PromptTemplate("Say.")) if change == "task" else TASK
    other = tiny_model(seed=1) if change == "model" else model
    settings = {"seed": {"seed": 1}, "orders": {"orders": 3}, "fresh": {"fresh": True}}.get(change, {})
    mask = MASKS[2:3] if change == "mask" else MASKS[3:4]
    Prompting(task, other, **settings).outcomes(mask, store=store)
    assert store.computed == 2


@pytest.mark.parametrize(
    ("masks", "place"),
    [
        (MASKS[:, :3], "masks"), (MASKS[0], "masks"), (MASKS[:0], "masks"), (MASKS.astype(int), "masks"),
    ],
)  # fmt: skip
def test_other_masks_are_refused(model, masks, place):
    with pytest.raises(InputError) as caught:
        Prompting(TASK, model).outcomes(masks)
    assert caught.value.place == place


@pytest.mark.parametrize("settings", [{"orders": 0}, {"orders": 1.5}, {"seed": -1}, {"seed": True}, {"seed": 0.5}])
def test_other_settings_are_refused(model, settings):
    with pytest.raises(InputError):
        Prompting(TASK, model, **settings)


def test_other_arguments_are_refused(model):
    with pytest.raises(InputError, match="measure"):
        Prompting(TASK, model).outcomes(MASKS, measure="f1")
    with pytest.raises(InputError, match="queries"):
        score(model, TASK, [0], [])
    for wrong in (-1, 5):
        with pytest.raises(InputError, match="demonstrations"):
            score(model, TASK, [0, wrong], QUERIES)


def test_labels_that_the_model_cannot_tell_apart_are_refused(model):
    labels = ("good", "good film")
    shown = (Labelled("a", "good"), Labelled("b", "good film"))
    # what follows a label makes the one the start of the other, too
    template = PromptTemplate(demonstration="{text}: {label} film", query="{text}:")
    task = PromptTask(shown, (Labelled("c", "good"),), (), labels, template, k=1)
    with pytest.raises(InputError, match="'good', whose tokens are the start"):
        Prompting(task, model).outcomes(np.array([[True, False]]))


def test_a_candidate_that_makes_a_prompt_too_long_is_named_before_anything_is_scored(model, monkeypatch):
    long = Labelled("q z " * 200, "positive")
    task = dataclasses.replace(TASK, candidates=(*CANDIDATES[:4], long))
    monkeypatch.setattr(module, "label_log_probabilities", lambda *_: pytest.fail("scored"))
    with pytest.raises(InputError, match="at most 500") as caught:
        Prompting(task, model).outcomes(MASKS[[0, 1, 2]])
    assert caught.value.place.startswith("candidate 5, 'q z")


def test_a_query_that_makes_a_prompt_too_long_is_named(model):
    long = Labelled("q z " * 200, "positive")
    with pytest.raises(InputError) as caught:
        score(model, TASK, [0, 1], [QUERIES[0], long])
    assert caught.value.place.startswith("query 'q z")


def test_a_prompt_that_just_fits_is_scored(model):
    prompts = [TASK.template.prompt(CANDIDATES, query) for query in QUERIES]
    lengths = module.read_prompts(model, prompts, LABELS).lengths()
    tight = LanguageModel(network(), tokenizer(), "tight")
    tight.max_length = int(lengths.max())
    assert score(tight, TASK, [4, 3, 2, 1, 0], QUERIES).shape == (4, 2)
    tight.max_length -= 1
    with pytest.raises(InputError, match="tokens, in a prompt of"):
        score(tight, TASK, [4, 3, 2, 1, 0], QUERIES)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["A coin is up. Ada flips.", "A coin is up. Bo flips."], ("… Ada flips.", "… Bo flips.")),
        (["A new coin is up.", "A new coin is up.", "A new coin is up. Ada"], ("… up.", "… up. (2)", "… up. Ada")),
        (["a good film", "a good book"], ("a good film", "a good book")),  # little in common stays
        (["one long text of its own"], ("one long text of its own",)),
        (
            ["something common a", "other", "something common b"],
            ("something common a", "other", "something common b"),
        ),
        (["", "..."], ("(no letters)", "...")),
    ],
)
def test_a_beginning_that_all_texts_have_is_left_out_of_their_names(texts, names):
    assert short_names([Labelled(text, "positive") for text in texts]) == names


def test_names_are_short_and_unique_and_on_one_line():
    texts = ["a", "a", "a (2)", "b\nc\td", "w " * 100, "w " * 100, "zero\u200bwidth", "\u200b"]
    names = short_names([Labelled(text, "positive") for text in texts])
    assert len(set(names)) == len(texts)
    assert names[0] == "a"
    assert names[3] == "b c d"
    assert max(map(len, names)) <= 65
    assert all(name and name.isprintable() for name in names)


def test_prompts_asked_by_other_processes_and_in_threads_have_the_same_bits(model):
    prompting = Prompting(TASK, model, orders=3, seed=4)
    found = []
    with LocalProcesses(2, start_seconds=0) as processes:
        for executor in (InProcess(1), InProcess(3), processes):
            with using(executor):
                found.append(prompting.by_order(MASKS)[1])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
