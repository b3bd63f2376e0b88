"""The check of prompts with their model: what it counts is right, and what cannot work is refused by name."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from small_language_model import LanguageModel, config, network, save, tiny_model, tokenizer

from kernelsm import InputError, Store
from kernelsm.pipelines import prompt_check
from kernelsm.pipelines.prompt_check import check_prompts, source_model
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.orders import OrderedOutcomes
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.progress import silent
from kernelsm.workspace.prompt_projects import PromptSource, prompts_key
from kernelsm.workspace.requests import FileRef, PromptRequest
from kernelsm.workspace.uploads import keep_upload

LABELS = ("negative", "positive")
WORDS = ["a good film", "a bad book, and a long one", "long", "good and bad", "a film, and a book"]
CANDIDATES = tuple(Labelled(text, LABELS[i % 2]) for i, text in enumerate(WORDS))
QUERIES = tuple(Labelled(text, LABELS[i % 2]) for i, text in enumerate(["a book", "bad film"]))
FRESH = (Labelled("a book, and a film, and a good one", "positive"),)
TASK = PromptTask(CANDIDATES, QUERIES, FRESH, LABELS, PromptTemplate("Judge."), k=2)


@pytest.fixture
def model(monkeypatch):
    """A tiny model that all sources have."""
    made = tiny_model()
    monkeypatch.setattr(prompt_check, "source_model", lambda source: made)
    return made


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A saved model, on a computer where folders are followed."""
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    return save(tmp_path / "tiny")


def check(**changes):
    return check_prompts(PromptSource("x", dataclasses.replace(TASK, **changes)))


def labelled(words, labels):
    """A task with other label words."""
    rows = tuple(Labelled(word, labels[i % len(labels)]) for i, word in enumerate(words))
    return {"candidates": rows, "queries": rows[:2], "fresh": (), "labels": labels}


def brought(model, **changes):
    lines = "".join(json.dumps(dataclasses.asdict(row)) + "\n" for row in CANDIDATES).encode()
    ref = FileRef(keep_upload(lines, "mine.jsonl"), "mine.jsonl")
    return PromptRequest(ref, ref, None, PromptTemplate("Judge."), 2, str(model), **changes)


def test_the_job_reads_what_was_brought_and_its_result_is_json(folder):
    wanted = brought(folder)
    told = []

    def report(done, total, message="", *, reused=False):
        told.append((done, total))

    found = prompt_check.run(report, Store(), **wanted.job().arguments)
    assert json.loads(json.dumps(found)) == found
    assert found["prompts"] == prompts_key(PromptSource("any title", wanted.read().task, str(folder)))
    assert (found["model"], found["max_length"], found["queries"]) == ("tiny", 500, 3)
    assert found["seconds"] > 0
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_what_was_brought_is_the_same_after_json():
    for fresh in (None, FileRef("0" * 40, "c.csv")):
        wanted = PromptRequest(FileRef("1" * 40, "ä.csv"), FileRef("2" * 40, "b"), fresh, TASK.template, 3, "x/y")
        assert PromptRequest.from_json(wanted.job().arguments["request"]) == wanted


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_longest_prompt_is_the_longest_of_all(model, k):
    lengths = [
        len(model.encode([f"{TASK.template.prompt(shown, query)} {label}"])[0])
        for shown in itertools.permutations(CANDIDATES, k)
        for query in (*QUERIES, *FRESH)
        for label in LABELS
    ]
    assert check(k=k)["longest"] == max(lengths)


def test_a_prompt_just_fits_or_is_refused(model):
    model.max_length = check()["longest"]
    assert check()["longest"] == model.max_length
    model.max_length -= 1
    with pytest.raises(InputError, match="nothing is cut"):
        check()


LONG = "a bad book " * 300


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"candidates": (*CANDIDATES[:3], Labelled(LONG, "negative"))}, "candidate 4, 'a bad book a bad"),
        ({"queries": (*QUERIES, Labelled(LONG, "negative"))}, "query 'a bad book a bad"),
        ({"fresh": (*FRESH, Labelled(LONG, "negative"))}, "query 'a bad book a bad"),
        ({"template": PromptTemplate(LONG)}, "template, instruction"),
    ],
)
def test_what_is_too_long_is_named(model, changes, named):
    with pytest.raises(InputError) as caught:
        check(**changes)
    assert caught.value.place.startswith(named)
    assert "500" in caught.value.expected


@pytest.mark.parametrize(
    ("labels", "tokens", "shared"),
    [
        (("negative", "positive"), None, []),
        (("aq", "ar"), (2, 2), [["aq", "ar"]]),
        (("aq", "z", "arx"), (2, None, 3), [["aq", "arx"]]),
    ],
)
def test_tokens_of_labels_and_those_that_begin_alike(model, labels, tokens, shared):
    found = check(**labelled(WORDS, labels))
    expected = [len(model.encode([f" {label}"])[0]) for label in labels]
    assert list(found["labels"].items()) == list(zip(labels, expected, strict=True))
    assert found["shared"] == shared
    for count, wanted in zip(expected, tokens or expected, strict=True):
        assert wanted in (None, count)


def test_a_label_whose_tokens_begin_another_one_is_refused_by_name(model):
    # what follows a label in this template makes the one the start of the other, too
    template = PromptTemplate(demonstration="{text}: {label}r", query="{text}:")
    with pytest.raises(InputError) as caught:
        check(**labelled(WORDS, ("aqr", "z", "aq")), template=template)
    assert caught.value.place == "labels"
    assert caught.value.found == "'aq', whose tokens are the start of those of 'aqr'"


def test_a_label_that_begins_another_one_is_told_apart_by_the_line_that_ends(model):
    found = check(**labelled(WORDS, ("aqr", "z", "aq")))
    assert set(found["labels"]) == {"aqr", "z", "aq"}
    assert ["aqr", "aq"] in found["shared"]


def test_free_answers_are_checked_without_label_words(model):
    shown = tuple(Labelled(word, word[::-1]) for word in WORDS)
    task = PromptTask(shown, shown[:2], (), (), PromptTemplate("Turn it."), k=2, rule=AnswerRule("exact"))
    found = check_prompts(PromptSource("x", task))
    assert (found["labels"], found["shared"]) == ({}, [])
    assert 0 < found["longest"] < 500
    assert found["seconds"] > 0


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 400])
def test_seconds_are_those_of_all_queries(model, monkeypatch, count):
    clock = [0.0]
    asked = []

    def score(model, task, demonstrations, queries):
        asked.append(len(queries))
        clock[0] += 0.5 + 0.25 * len(queries)

    monkeypatch.setattr(prompt_check, "measured", score)
    monkeypatch.setattr(prompt_check.time, "perf_counter", lambda: clock[0])
    found = check(queries=QUERIES[:1] * count)
    assert found["seconds"] == pytest.approx(0.5 + 0.25 * count)
    assert max(asked) <= prompt_check.TIMED
    assert found["orders"] in (0, *range(2, 7))


def timed_rounds(model, monkeypatch, cost):
    """Seconds found for 100 queries, and how many times the model was asked: call i takes cost(i, queries)."""
    clock, asked = [0.0], []

    def score(model, task, demonstrations, queries):
        clock[0] += cost(len(asked), len(queries))
        asked.append(len(queries))

    monkeypatch.setattr(prompt_check, "measured", score)
    monkeypatch.setattr(prompt_check.time, "perf_counter", lambda: clock[0])
    task = dataclasses.replace(TASK, queries=QUERIES[:1] * 100)
    return prompt_check._seconds(model, task), len(asked)


@pytest.mark.parametrize("disturbed", range(6))
def test_one_disturbed_timing_changes_nothing(model, monkeypatch, disturbed):
    found, asked = timed_rounds(
        model, monkeypatch, lambda call, queries: 0.1 + 0.02 * queries + 8.0 * (call == disturbed)
    )  # fmt: skip
    assert found == pytest.approx(0.1 + 0.02 * 100)
    assert asked == 6


def test_a_slow_model_is_not_timed_again_and_again(model, monkeypatch):
    found, asked = timed_rounds(model, monkeypatch, lambda call, queries: 1.0 + queries)
    assert found == pytest.approx(101)
    assert asked == 2


@pytest.mark.parametrize(("each", "orders"), [(0.1, 4), (0.9, 4), (1.0, 0)])
def test_a_model_that_is_too_slow_is_not_probed(model, monkeypatch, each, orders):
    # a minute for 16 prompts leaves 3.75 s for each, of at least 4 queries
    monkeypatch.setattr(prompt_check, "_seconds", lambda model, task: each * len(task.queries))
    monkeypatch.setattr(OrderedOutcomes, "needed", lambda self: 4)
    assert check()["orders"] == orders


def test_the_probe_sees_two_orders_of_each_subset(model, monkeypatch):
    seen = []
    monkeypatch.setattr(OrderedOutcomes, "needed", lambda self: seen.extend(self.by_subset()) or 3)
    assert check()["orders"] == 3
    assert sum(map(len, seen)) == 2 * prompt_check.PROBED
    assert all(found.shape[1] == len(QUERIES) and np.ptp(found, axis=0).min() > 0 for found in seen)
    assert check(k=1)["orders"] == 1


def test_folders_and_hub_names_are_followed_only_where_allowed(folder, monkeypatch):
    assert isinstance(source_model(PromptSource("x", TASK, str(folder))), LanguageModel)
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS")
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", lambda *_: pytest.fail("it was loaded"))
    for name in (str(folder), "someone/model", "/etc"):
        with pytest.raises(InputError, match="KERNELSM_ALLOW_PATHS=1"):
            source_model(PromptSource("x", TASK, name))


def test_no_name_is_the_default_model(monkeypatch):
    asked = []
    monkeypatch.setattr("kernelsm.models.language_model.load_language_model", asked.append)
    source_model(PromptSource("x", TASK))
    assert asked == [None]


def without_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def classifier(folder):
    import transformers

    transformers.LlamaForSequenceClassification(config()).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "told"),
    [(without_tokenizer, "no tokenizer.json"), (classifier, "LlamaForSequenceClassification")],
)
def test_a_model_that_cannot_answer_is_refused(folder, damage, told):
    damage(folder)
    with pytest.raises(InputError, match=told):
        prompt_check.run(silent, Store(), **brought(folder).job().arguments)


def test_a_mark_of_the_start_belongs_to_no_label(monkeypatch):
    marked = LanguageModel(network(), tokenizer(start=True), "tiny")
    monkeypatch.setattr(prompt_check, "source_model", lambda source: marked)
    assert check()["labels"] == {label: len(marked.encode([f" {label}"])[0]) - 1 for label in LABELS}
