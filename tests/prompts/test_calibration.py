"""Calibration of label words: hand-computed numbers, what is asked, what is refused, and what the store keeps."""

import dataclasses

import numpy as np
import pytest
from faulty_endpoint import Faulty, chat_answer, served
from small_language_model import tiny_model
from small_prompt_task import LABELS, QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.models.endpoint import Endpoint, EndpointLimits
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.asked import askable_content_free, measured, score, score_with_content_free
from kernelsm.prompts.asker import LocalAsker, PromptTooLongError
from kernelsm.prompts.calibration import CONTENT_FREE, calibrated, content_free_queries, label_offsets
from kernelsm.prompts.endpoint_asker import EndpointAsker
from kernelsm.prompts.prompting import Prompting
from kernelsm.prompts.scoring import measure_labels
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate

MASKS = np.array([[1, 1, 0, 0, 1], [0, 1, 0, 1, 0]], dtype=bool)
TRUE = np.array([LABELS.index(query.label) for query in QUERIES])
FREE = PromptTask(TASK.candidates, QUERIES, (), (), k=2, rule=AnswerRule("exact"))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_probabilities_are_divided_by_the_mean_of_content_free_ones():
    content_free = np.log([[0.6, 0.3, 0.1], [0.4, 0.5, 0.1]])  # in the mean 0.5, 0.4, 0.1
    np.testing.assert_allclose(np.exp(-label_offsets(content_free)), [0.5, 0.4, 0.1])
    found = np.exp(calibrated(np.log([[0.5, 0.4, 0.1], [0.2, 0.2, 0.6]]), content_free))
    # 0.2 / 0.5, 0.2 / 0.4 and 0.6 / 0.1 are 0.4, 0.5 and 6
    np.testing.assert_allclose(found, [[1 / 3, 1 / 3, 1 / 3], [0.4 / 6.9, 0.5 / 6.9, 6 / 6.9]])


def test_no_leaning_changes_nothing_and_tiny_probabilities_stay_numbers():
    given = np.log([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(calibrated(given, np.log([[0.5, 0.5]])), given, atol=1e-12)
    leaning = np.array([[-1e-300, -2_000.0]])
    np.testing.assert_allclose(np.exp(calibrated(leaning, leaning)), [[0.5, 0.5]])


@pytest.mark.parametrize(
    ("given", "content_free"),
    [
        (np.zeros((2, 2)), np.zeros((0, 2))), (np.zeros((2, 3)), np.zeros((1, 2))), (np.zeros(2), np.zeros((1, 2))),
        (np.zeros((2, 2)), np.array([[0.0, -np.inf]])), (np.zeros((2, 2)), np.array([[0.0, np.nan]])),
    ],
)  # fmt: skip
def test_what_cannot_be_calibrated_is_refused(given, content_free):
    with pytest.raises(InputError):
        calibrated(given, content_free)


@pytest.mark.parametrize("order", [(), (3,), (0, 2, 1)])
def test_a_query_without_content_has_equally_probable_labels(model, order):
    """The leaning of the model is what is taken off: nothing of it is left where there is nothing else."""
    queries = [Labelled(text, LABELS[0]) for text in CONTENT_FREE]
    found, content_free = score_with_content_free(model, TASK, order, queries)
    np.testing.assert_allclose(found, content_free, atol=1e-4)
    mean = np.log(np.exp(found).mean(axis=0, keepdims=True))
    assert abs(np.exp(mean[0, 0]) - 0.5) > 1e-3  # it does lean
    np.testing.assert_allclose(np.exp(calibrated(mean, content_free)), [[0.5, 0.5]], atol=1e-4)


def test_what_is_measured_is_that_of_calibrated_label_words(model):
    asker, order = LocalAsker(model), (4, 1)
    own = score(model, TASK, order, QUERIES)
    content_free = score(model, TASK, order, content_free_queries(TASK))
    want = measure_labels(calibrated(own, content_free), TRUE)
    found = measured(asker, TASK, order, QUERIES, calibrated=True)
    np.testing.assert_allclose(found, want, atol=1e-4)
    np.testing.assert_allclose(measured(asker, TASK, order, QUERIES), measure_labels(own, TRUE), atol=1e-4)
    assert not np.allclose(found[0], -own[np.arange(len(TRUE)), TRUE], atol=1e-2)


def test_all_fields_are_filled():
    fields = ("question", "context")
    rows = [
        Labelled.of_fields([(name, word) for name in fields], label) for word, label in zip("ab", LABELS, strict=True)
    ]
    asked = "Question: {question}\nContext: {context}\nLabel:"
    template = PromptTemplate("", f"{asked} {{label}}\n\n", asked, fields=fields)
    task = PromptTask(tuple(rows), tuple(rows), (), LABELS, template, k=1)
    assert [template.tail(query) for query in content_free_queries(task)] == [
        f"Question: {text}\nContext: {text}\nLabel:" for text in CONTENT_FREE
    ]


def test_an_empty_text_is_left_out_where_the_prompt_would_be_empty(model):
    bare = dataclasses.replace(TASK, template=PromptTemplate("", "{text} {label}\n", "{text}"))
    asker = LocalAsker(model)
    assert [query.text for query in askable_content_free(asker, bare, ())] == ["N/A", "[MASK]"]
    assert [query.text for query in askable_content_free(asker, bare, (1,))] == list(CONTENT_FREE)
    assert np.isfinite(Prompting(bare, model, calibrated=True).outcomes(np.zeros((1, 5), dtype=bool)).values).all()


def test_a_conversation_without_a_last_word_is_left_out():
    chat = dataclasses.replace(TASK, template=PromptTemplate("Judge.", "{text} {label}\n", "{text}", chat=True))
    said = []

    def answer(body):
        said.append(body["messages"][-1]["content"])
        return chat_answer("positive", [("positive", {"positive": -0.1, "negative": -2.4})])

    with served(Faulty(answer)) as faulty:
        address = EndpointAddress(f"{faulty.url}/v1", "m", "chat", probabilities=True)
        asker = EndpointAsker(Endpoint(address, None, EndpointLimits(a_minute=60_000)))
        found = measured(asker, chat, (0,), QUERIES, calibrated=True)
    assert sorted(said) == sorted({*(query.text for query in QUERIES), "N/A", "[MASK]"})  # each once
    np.testing.assert_allclose(found[0], np.log(2))  # it says the same whatever it is asked


def test_only_label_words_with_probabilities_are_calibrated(model):
    address = EndpointAddress("http://127.0.0.1:9/v1", "m", "chat", probabilities=False)
    for task, asker in ((FREE, LocalAsker(model)), (TASK, EndpointAsker(Endpoint(address)))):
        for ask in (
            lambda task, asker: Prompting(task, asker, calibrated=True),
            lambda task, asker: measured(asker, task, (0,), QUERIES, calibrated=True),
        ):
            with pytest.raises(InputError, match="label words with probabilities"):
                ask(task, asker)


def test_what_is_too_long_or_cannot_be_told_apart_is_said_as_ever(model):
    long = dataclasses.replace(TASK, candidates=(Labelled("a good film " * 400, LABELS[0]), *TASK.candidates[1:]))
    with pytest.raises(InputError, match="candidate 1") as caught:
        Prompting(long, model, calibrated=True).outcomes(MASKS)
    assert not isinstance(caught.value, PromptTooLongError)
    with pytest.raises(InputError, match="candidate 1"):
        askable_content_free(LocalAsker(model), long, (0,))


def test_what_was_asked_without_calibration_stays_and_is_not_mixed_with_it(model):
    store = Store()
    plain, changed = (Prompting(TASK, model, orders=2, calibrated=which) for which in (False, True))
    before = plain.outcomes(MASKS, store=store)
    after = changed.outcomes(MASKS, store=store)
    assert (store.computed, store.reused) == (4, 0)
    again = Prompting(TASK, model, orders=2).outcomes(MASKS, store=store)
    assert (store.computed, store.reused) == (4, 2)
    np.testing.assert_array_equal(again.values, before.values)
    np.testing.assert_array_equal(changed.outcomes(MASKS, store=store).values, after.values)
    assert store.computed == 4
    assert not np.allclose(before.values, after.values, atol=1e-2)
    assert after.meta["calibrated"] is True
    assert "calibrated" not in before.meta
    # the key is the one of before there was calibration
    assert plain._work(None).key == (TASK.content_hash, plain.identity, 2, 0, False)
