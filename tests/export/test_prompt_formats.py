"""A prompt to take away, in three forms."""

import json

import pytest

from kernelsm.export.prompt_formats import chat_json, json_lines, prompt_text
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate

SHOWN = (
    Labelled('He said "no".\nTwice.', "bad"),
    Labelled("naïve {braces} – fine", "good"),
    Labelled("plain", "good"),
)
TASK = PromptTask(SHOWN, SHOWN[:1], (), ("good", "bad"), PromptTemplate("Judge {it}."), k=2)


def test_the_text_is_what_the_model_reads():
    query = Labelled("is it?", "good")
    assert prompt_text(TASK, (2, 0), query) == TASK.template.prompt([SHOWN[2], SHOWN[0]], query)
    assert prompt_text(TASK, (2,)).endswith("Text: plain\nLabel: good\n\nText: {text}\nLabel:")


@pytest.mark.parametrize("picked", [(), (1,), (2, 0, 1)])
def test_the_chat_alternates_question_and_answer_in_the_order_of_the_prompt(picked):
    messages = json.loads(chat_json(TASK, picked, Labelled("is it?", "good")))
    assert messages[0] == {"role": "system", "content": "Judge {it}."}
    assert [m["content"] for m in messages if m["role"] == "assistant"] == [SHOWN[k].label for k in picked]
    users = [m["content"] for m in messages if m["role"] == "user"]
    assert users == [TASK.template.tail(one) for one in (*(SHOWN[k] for k in picked), Labelled("is it?", "good"))]
    assert [m["role"] for m in messages[1:]] == ["user", "assistant"] * len(picked) + ["user"]


def test_no_instruction_is_no_message():
    bare = PromptTask(SHOWN, SHOWN[:1], (), ("good", "bad"), k=2)
    assert json.loads(chat_json(bare, ()))[0]["role"] == "user"


def test_every_line_holds_one_demonstration_as_it_was():
    lines = json_lines(TASK, (1, 0)).splitlines()
    assert [json.loads(line) for line in lines] == [{"text": SHOWN[k].text, "label": SHOWN[k].label} for k in (1, 0)]
