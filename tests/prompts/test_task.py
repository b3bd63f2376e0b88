"""PromptTask and PromptTemplate: how a prompt is written, what is refused, what the content hash depends on."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import FrozenInstanceError, replace

import pytest

from kernelsm import InputError
from kernelsm.prompts.task import LONGEST_TEXT, MOST_LABELS, Labelled, PromptTask, PromptTemplate

GOOD, BAD = Labelled("Great fun.", "positive"), Labelled("A bore.", "negative")
ASKED = Labelled("I left early.", "negative")


@pytest.fixture
def task():
    return PromptTask(
        candidates=(GOOD, BAD, Labelled("Lovely.", "positive")),
        queries=(ASKED,),
        fresh=(Labelled("Seen it twice.", "positive"),),
        labels=("positive", "negative"),
        k=2,
        name="films",
    )


def test_a_prompt_is_the_demonstrations_in_their_order_then_the_query():
    assert PromptTemplate().prompt([BAD, GOOD], ASKED) == (
        "Text: A bore.\nLabel: negative\n\nText: Great fun.\nLabel: positive\n\nText: I left early.\nLabel:"
    )


@pytest.mark.parametrize("instruction", ["", "Is it good? {text} is no field here."])
@pytest.mark.parametrize("shown", [[], [GOOD], [GOOD, BAD, GOOD]], ids=len)
@pytest.mark.parametrize(
    "template",
    [PromptTemplate(), PromptTemplate(demonstration="{{{text}}} => {label}\n", query="{{{text}}} =>")],
    ids=["default", "braces"],
)
def test_head_and_tail_make_the_prompt(template, shown, instruction):
    template = replace(template, instruction=instruction)
    head, tail = template.head(shown), template.tail(ASKED)
    assert head + tail == template.prompt(shown, ASKED)
    assert template.prompt(shown) == head
    assert head.startswith(instruction + "\n\n" if instruction else head)
    assert "I left early." in tail
    assert "negative" not in tail  # the answer


def test_an_answered_query_reads_as_a_demonstration_does():
    template = PromptTemplate()
    assert template.head([GOOD, ASKED]).startswith(f"{template.prompt([GOOD], ASKED)} {ASKED.label}")


@pytest.mark.parametrize("text", ["{label}", "{", "}}", "{text.__class__}", "%s \\n", "a\nb", "“é” 漢字"])
def test_texts_are_written_as_they_are(text):
    one = Labelled(text, "positive")
    assert PromptTemplate().prompt([one], one) == f"Text: {text}\nLabel: positive\n\nText: {text}\nLabel:"


@pytest.mark.parametrize(
    ("changes", "place", "found"),
    [
        ({"demonstration": "{text}"}, "template, demonstration", "no {label}"),
        ({"demonstration": "{label}"}, "template, demonstration", "no {text}"),
        ({"demonstration": ""}, "template, demonstration", "no {text}"),
        ({"demonstration": "{text} {label} {answer}"}, "template, demonstration", "{answer}"),
        ({"demonstration": "{text} {label} {}"}, "template, demonstration", "{}"),
        ({"demonstration": "{text} {label} {0}"}, "template, demonstration", "{0}"),
        ({"demonstration": "{text.__class__} {text} {label}"}, "template, demonstration", "{text.__class__}"),
        ({"demonstration": "{text[0]} {label}"}, "template, demonstration", "{text[0]}"),
        ({"demonstration": "{text!r} {label}"}, "template, demonstration", "{text!r}"),
        ({"demonstration": "{text:>999999999} {label}"}, "template, demonstration", "{text:>999999999}"),
        ({"demonstration": "{text:{label}} {label}"}, "template, demonstration", "{text:{label}}"),
        ({"demonstration": '{"text": {text}} {label}'}, "template, demonstration", None),
        ({"demonstration": "{text} {label"}, "template, demonstration", None),
        ({"demonstration": "{text} {label} }"}, "template, demonstration", None),
        ({"query": "{text} is {label}"}, "template, query", "{label}"),
        ({"query": "Say:"}, "template, query", "no {text}"),
        ({"query": "{text}\nLabel: "}, "template, query", "a space or new line at its end"),
        ({"query": "{text}\n"}, "template, query", "a space or new line at its end"),
        ({"query": "{text}" + "x" * LONGEST_TEXT}, "template, query", f"{LONGEST_TEXT + 6:,} characters"),
        ({"instruction": "x" * (LONGEST_TEXT + 1)}, "template, instruction", f"{LONGEST_TEXT + 1:,} characters"),
    ],
)
def test_templates_that_cannot_be_filled_are_refused(changes, place, found):
    with pytest.raises(InputError) as caught:
        PromptTemplate(**changes)
    assert caught.value.place == place
    assert found is None or caught.value.found == found
    assert caught.value.expected
    assert caught.value.fix


def many(count):
    return tuple(f"label {i}" for i in range(count))


@pytest.mark.parametrize(
    ("changes", "place", "found"),
    [
        ({"candidates": ()}, "candidates", "0"),
        ({"candidates": (GOOD,)}, "candidates", "1"),
        ({"queries": ()}, "queries", "none"),
        ({"k": 0}, "k", "0"),
        ({"k": 4}, "k", "4"),
        ({"k": -1}, "k", "-1"),
        ({"labels": ()}, "labels", "0 different labels"),
        ({"labels": ("positive",)}, "labels", "1 different label"),
        ({"labels": many(201)}, "labels", "201 different labels"),
        ({"labels": ("positive", "negative", "positive")}, "labels", "the label 'positive' twice"),
        ({"labels": ("positive", "Positive")}, "labels", "two spellings, 'positive' and 'Positive'"),
        ({"labels": ("positive", " negative")}, "labels", "the label ' negative'"),
        ({"labels": ("positive", "")}, "labels", "the label ''"),
        ({"labels": ("positive", "nega\ntive")}, "labels", "the label 'nega\\ntive'"),
        ({"labels": ("positive", "n" * 101)}, "labels", f"the label '{'n' * 40}'"),
        ({"candidates": (GOOD, Labelled(" \n", "positive"))}, "candidates, number 2, text", "an empty text"),
        ({"queries": (Labelled("", "positive"),)}, "queries, number 1, text", "an empty text"),
        ({"queries": (Labelled("Fine.", "neutral"),)}, "queries, number 1, label", "'neutral'"),
        ({"fresh": (GOOD, Labelled("Fine.", "Positive"))}, "fresh, number 2, label", "'Positive'"),
        (
            {"fresh": (Labelled("x" * (LONGEST_TEXT + 1), "positive"),)},
            "fresh, number 1, text",
            f"{LONGEST_TEXT + 1:,} characters",
        ),
    ],
)
def test_tasks_that_cannot_be_are_refused(task, changes, place, found):
    with pytest.raises(InputError) as caught:
        replace(task, **changes)
    assert (caught.value.place, caught.value.found) == (place, found)
    assert caught.value.expected
    assert caught.value.fix


def test_the_limits_themselves_are_fine(task):
    assert replace(task, k=3).k == 3
    assert replace(task, k=1, fresh=()).K == 3
    assert len(replace(task, labels=("positive", "negative", *many(MOST_LABELS - 2))).labels) == MOST_LABELS


def test_a_task_does_not_change(task):
    with pytest.raises(FrozenInstanceError):
        task.k = 3
    with pytest.raises(FrozenInstanceError):
        GOOD.text = "other"


def test_the_content_hash_is_of_the_content(task):
    copied = PromptTask(
        candidates=tuple(Labelled(str(bytes(c.text, "utf8"), "utf8"), deepcopy(c.label)) for c in task.candidates),
        queries=tuple(map(deepcopy, task.queries)),
        fresh=tuple(map(deepcopy, task.fresh)),
        labels=("positive", "negative"),
        k=2,
    )
    assert replace(task, name="other", meta={"a": 1}).content_hash == task.content_hash
    assert copied.content_hash == task.content_hash
    assert len(task.content_hash) == 40


@pytest.mark.parametrize(
    "changes",
    [
        {"candidates": (BAD, GOOD, Labelled("Lovely.", "positive"))},
        {"candidates": (GOOD, BAD, Labelled("Lovely.", "negative"))},
        {"queries": (GOOD,)},
        {"queries": (ASKED, Labelled("Seen it twice.", "positive")), "fresh": ()},
        {"fresh": ()},
        {"labels": ("negative", "positive")},
        {"k": 1},
        {"template": PromptTemplate(instruction="Well:")},
        {"template": PromptTemplate(demonstration="{text}: {label}\n")},
        {"template": PromptTemplate(query="{text}:")},
    ],
)
def test_any_change_of_the_content_changes_the_hash(task, changes):
    assert replace(task, **changes).content_hash != task.content_hash


def test_prompt_tasks_and_their_examples_load_neither_torch_nor_scikit_learn():
    names = ("torch", "transformers", "sklearn", "streamlit")
    code = (
        "import sys, kernelsm.prompts.task_files, kernelsm.examples.catalog as e; "
        "[one.make() for one in e.PROMPT_EXAMPLES.values()]; "
        f"print([m for m in {names} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
