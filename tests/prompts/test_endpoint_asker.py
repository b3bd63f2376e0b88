"""Prompts asked of an endpoint: what it gives is what the same model gives on this computer."""

import dataclasses

import numpy as np
import pytest
from faulty_endpoint import Faulty, chat_answer, served
from model_endpoint import model_endpoint
from small_language_model import LanguageModel, network, tokenizer
from small_prompt_task import CANDIDATES, LABELS, QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.models.chat_template import SYSTEM, USER, Turn
from kernelsm.models.endpoint import Endpoint, EndpointLimits
from kernelsm.models.endpoint_address import EndpointAddress
from kernelsm.prompts.asker import LocalAsker
from kernelsm.prompts.endpoint_asker import EndpointAsker
from kernelsm.prompts.prompting import Prompting

TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] + '\n' + message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
PROMPTS = [TASK.template.prompt(CANDIDATES[:2], query) for query in QUERIES]
MASKS = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 0, 1]], dtype=bool)


@pytest.fixture(scope="module")
def model():
    reader = tokenizer()
    reader.chat_template = TEMPLATE
    return LanguageModel(network(), reader, "tiny chat")


@pytest.fixture(scope="module")
def faulty(model):
    with served(model_endpoint(model)) as faulty:
        yield faulty


def asker(faulty, api="completions", *, probabilities=True, store=None):
    address = EndpointAddress(f"{faulty.url}/v1", "tiny", api, probabilities)
    return EndpointAsker(Endpoint(address, store, EndpointLimits(a_minute=60_000)))


def test_completions_score_label_words_as_the_model_here_does(model, faulty):
    labels = [*LABELS, "a bad book"]
    found = asker(faulty).label_log_probabilities(PROMPTS, labels)
    np.testing.assert_allclose(found, LocalAsker(model).label_log_probabilities(PROMPTS, labels), atol=1e-4)


def test_completions_score_references_as_the_model_here_does(model, faulty):
    references = ["good", "a bad book", "7", "x" * 12]
    for after in ("", "\n\nText"):
        found = asker(faulty).reference_log_likelihoods(PROMPTS, references, after=after)
        want = LocalAsker(model).reference_log_likelihoods(PROMPTS, references, after=after)
        np.testing.assert_allclose(found, want, atol=1e-4)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_answers_are_those_of_the_model_here(model, faulty, api):
    prompts = PROMPTS if api == "completions" else [[Turn(SYSTEM, "Judge."), Turn(USER, "a film")], [Turn(USER, "b")]]
    found = asker(faulty, api).answers(prompts, max_tokens=7)
    assert found == LocalAsker(model).answers(prompts, max_tokens=7)
    stop = [found[0][2:4], "1", "2", "3", "4", found[0][1]]
    cut = asker(faulty, api).answers(prompts, max_tokens=7, stop=stop)
    assert cut[0] == LocalAsker(model).answers(prompts, max_tokens=7, stop=stop)[0]


def test_chat_scores_label_words_by_the_most_probable_tokens(model, faulty):
    labels = list("abcdefghij")
    prompts = [[Turn(USER, "a good film")], [Turn(USER, "a book")]]
    found = asker(faulty, "chat").label_log_probabilities(prompts, labels)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)
    assert (found.max(axis=1) > found.min(axis=1)).any()


def test_outcomes_of_an_endpoint_are_those_of_its_model(model, faulty):
    store = Store()
    asked = Prompting(TASK, asker(faulty, store=store), orders=2, seed=3)
    found = asked.outcomes(MASKS, store=store)
    want = Prompting(TASK, model, orders=2, seed=3).outcomes(MASKS)
    np.testing.assert_allclose(found.values, want.values, atol=1e-4)
    assert found.meta["model"].startswith("tiny at 127.0.0.1")
    calls = len(faulty.bodies)
    Prompting(TASK, asker(faulty, store=store), orders=3, seed=3).outcomes(MASKS, store=store)
    assert len(faulty.bodies) == calls  # two demonstrations have two orders only


def test_answers_are_graded_where_there_are_no_probabilities():
    says = {"a book": "Positive.", "bad film": "I think it is negative", "good": "who knows?"}

    def answer(body):
        asked = body["messages"][-1]["content"].partition("Text: ")[2].partition("\n")[0]
        return chat_answer(says[asked])

    chat_task = dataclasses.replace(TASK, template=dataclasses.replace(TASK.template, chat=True))
    with served(Faulty(answer)) as faulty:
        graded = Prompting(chat_task, asker(faulty, "chat", probabilities=False), orders=1)
        loss = graded.outcomes(MASKS)
        accuracy = graded.outcomes(MASKS, measure="accuracy")
        with pytest.raises(InputError, match="'loss' or 'accuracy'"):
            graded.outcomes(MASKS, measure="margin")
    want = [
        {"a book": "positive", "bad film": "negative", "good": ""}[query.text] == query.label for query in QUERIES
    ]
    np.testing.assert_array_equal(accuracy.values, [want, want])
    np.testing.assert_array_equal(loss.values, 1 - accuracy.values)
    assert loss.meta["unit"] == "wrong answers"
    assert faulty.bodies[0]["messages"][0] == {"role": "system", "content": "Judge."}
    assert [turn["role"] for turn in faulty.bodies[0]["messages"]] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ({"choices": [{"message": {"content": "yes"}}]}, "no log-probabilities"),
        ({"choices": [{"message": {"content": "yes"}, "logprobs": {"content": [{"a": 1}]}}]}, "cannot be read"),
    ],
)
def test_a_chat_without_log_probabilities_is_told_of(answer, match):
    with served(Faulty(lambda _: answer)) as faulty, pytest.raises(InputError, match=match):
        asker(faulty, "chat").label_log_probabilities(PROMPTS[:1], LABELS)


@pytest.mark.parametrize(
    "logprobs",
    [
        None, {"tokens": ["a"], "token_logprobs": []}, {"tokens": ["Judge"], "token_logprobs": [-1.0]},
        {"tokens": [PROMPTS[0], " negative"], "token_logprobs": [-1.0, None]},
    ],
)  # fmt: skip
def test_a_completion_that_does_not_repeat_the_prompt_is_told_of(logprobs):
    answer = {"choices": [{"text": "yes", "logprobs": logprobs}]}
    with served(Faulty(lambda _: answer)) as faulty, pytest.raises(InputError, match="log-probabilit"):
        asker(faulty).label_log_probabilities(PROMPTS[:1], ["negative", "negative"])


def test_completions_hold_no_conversations(faulty):
    with pytest.raises(InputError, match="found a conversation"):
        asker(faulty).answers([[Turn(USER, "a")]], max_tokens=1)


def test_what_an_endpoint_is_asked_by_is_part_of_the_key(faulty):
    ways = [("chat", True), ("chat", False), ("completions", True), ("completions", False)]
    assert len({asker(faulty, api, probabilities=given).identity() for api, given in ways}) == 4
