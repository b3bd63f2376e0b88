"""Copies of a prompt for code and other tools: whatever braces and quotes its texts hold, they come back."""

import json
import re

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.export.prompt_formats import (
    PROMPT_FORMS,
    chat_json,
    dspy_examples,
    format_text,
    json_lines,
    json_text,
    promptfoo_yaml,
)
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.prompts.task_files import read_labelled
from kernelsm.prompts.text_rows import read_rows

NASTY = (
    '{"error": 500, "users": [{id}]}', "{{text}} and {text} {", '{% raw %}{{ "x" }}{% endraw %} {# no #}', "{", "}}",
    "a 'quote', a \"quote\" and a \\backslash\\", "two\nlines\n\n- and: a list\n# and no comment",
    "\U0001f621 naïve \x85x",
    "{{{ three }}}", "${HOME} $1 %s %(x)s", "null", "007", "yes", "[1, 2]", "text: |", "{0} {} {text!r:>9}",
)  # fmt: skip
EXAMPLES = tuple(Labelled(text, ("good", "bad")[i % 2]) for i, text in enumerate(NASTY))
TEMPLATE = PromptTemplate(
    'Answer as {"label": ...}: {{ }} {% if %}',
    '<<{{"q": "{text}"}}>> {{{label}}}\n\n',
    '<<{{"q": "{text}"}}>> is {{{{:',
)
TASK = PromptTask(EXAMPLES, EXAMPLES, EXAMPLES[:3], ("good", "bad"), TEMPLATE, k=4)
PICKED = tuple(range(len(EXAMPLES)))
letters = st.text(st.characters(exclude_categories=("Cs", "Cc", "Co")), min_size=1, max_size=30)
braces = st.text(st.sampled_from('{}%#"\\ \nab$'), min_size=1, max_size=30)
anything = st.one_of(letters, braces).map(str.strip).filter(bool)


def task_of(texts):
    examples = tuple(Labelled(text, ("good", "bad")[i % 2]) for i, text in enumerate(texts))
    return PromptTask(examples, examples, (), ("good", "bad"), TEMPLATE, k=1)


def filled(template, **values):
    """As promptfoo fills in the strings of a JSON prompt, once: nunjucks is jinja2 as far as this is concerned."""
    return jinja2.Environment(keep_trailing_newline=True).from_string(template).render(**values)


def test_format_gives_the_prompt_of_every_query():
    template = format_text(TASK, PICKED)
    for query in EXAMPLES:
        assert template.format(text=query.text) == TASK.template.prompt(EXAMPLES, query)


@given(st.lists(anything, min_size=2, max_size=4), anything)
def test_whatever_the_texts_hold_format_json_and_promptfoo_give_them_back(texts, asked):
    task = task_of([*texts, asked])
    query = task.candidates[-1]
    picked = range(len(texts))
    prompt = task.template.prompt(task.candidates[:-1], query)
    assert format_text(task, picked).format(text=asked) == prompt
    assert json.loads(json_text(task, picked)).format(text=asked) == prompt
    assert json.loads(json_text(task, picked, query)) == prompt
    assert json.loads(chat_json(task, picked, query))[-1]["content"] == task.template.tail(query)
    if not any(text.startswith(("file://", "package:")) for text in (*texts, asked)):
        found = yaml.safe_load(promptfoo_yaml(task, picked))
        (message,) = json.loads(found["prompts"][0])
        values = found["tests"][-1]["vars"]
        assert list(values.values()) == [asked]
        assert filled(message["content"], **values) == prompt


def test_several_fields_are_filled_in_by_their_names():
    template = PromptTemplate("", "{a}|{b}|{label}\n", "{{{a}}} {{x}} {b}:", fields=("a", "b"))
    rows = tuple(Labelled.of_fields([("a", f"{{{i}}}"), ("b", f'"{i}"')], "xy"[i % 2]) for i in range(3))
    task = PromptTask(rows, rows, (), ("x", "y"), template, k=2)
    for query in rows:
        prompt = template.prompt(rows[:2], query)
        assert format_text(task, (0, 1)).format(**dict(query.fields)) == prompt
    found = yaml.safe_load(promptfoo_yaml(task, (0, 1)))
    (message,) = json.loads(found["prompts"][0])
    for query, test in zip(rows, found["tests"], strict=True):
        assert test["vars"] == dict(query.fields)
        assert filled(message["content"], **test["vars"]) == template.prompt(rows[:2], query)
    assert [json.loads(line) for line in json_lines(task, (2, 0)).splitlines()] == [
        {"a": "{2}", "b": '"2"', "label": "x"},
        {"a": "{0}", "b": '"0"', "label": "x"},
    ]


def test_a_promptfoo_file_comes_back_as_texts_and_answers():
    data = promptfoo_yaml(TASK, PICKED[:2]).encode()
    found = read_labelled(data, "promptfooconfig.yaml")
    assert [(one.text, one.label) for one in found] == [(one.text, one.label) for one in TASK.fresh]
    as_json = json.dumps(yaml.safe_load(data)).encode()
    assert read_labelled(as_json, "config.json") == found


def test_a_conversation_is_a_prompt_of_messages():
    chat = PromptTask(
        EXAMPLES, EXAMPLES, (), ("good", "bad"), PromptTemplate("Judge {{it}}.", query="{text}:", chat=True), k=2
    )
    found = yaml.safe_load(promptfoo_yaml(chat, (1, 0)))
    messages = json.loads(found["prompts"][0])
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    values = found["tests"][3]["vars"]
    contents = [filled(message["content"], **values) for message in messages]
    assert contents == [
        "Judge {{it}}.", f"{NASTY[1]}:", "bad", f"{NASTY[0]}:", "good", f"{NASTY[3]}:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (AnswerRule("number"), "contains"), (AnswerRule("exact"), "exact"), (AnswerRule("contains"), "contains"),
        (AnswerRule("regex"), "regex"), (AnswerRule("regex", "(a)"), "contains"), (AnswerRule("loss"), "exact"),
    ],
)  # fmt: skip
def test_rules_of_free_answers_are_the_nearest_assertion(rule, kind):
    rows = tuple(Labelled(f"text {i}", f"{i}") for i in range(3))
    task = PromptTask(rows, rows, (), (), k=1, rule=rule)
    assert read_rows(promptfoo_yaml(task, (0,)).encode(), "a.yaml").rule == kind


def test_dspy_reads_the_demonstrations_and_so_do_we():
    rows = (*EXAMPLES[:3], Labelled("why", "good", reasoning="because {x}"))
    task = PromptTask(rows, rows, (), ("good", "bad"), k=1)
    found = json.loads(dspy_examples(task, (3, 1)))
    assert found == [
        {"text": "why", "reasoning": "because {x}", "label": "good"},
        {"text": rows[1].text, "label": "bad"},
    ]
    whole = dspy_examples(task, (0, 1, 2)).encode()
    assert read_labelled(whole, "demos.json") == rows[:3]


def test_a_text_that_promptfoo_would_open_as_a_file_is_refused():
    rows = (Labelled("file:///etc/passwd", "good"), Labelled("x", "bad"))
    with pytest.raises(InputError, match="file:///etc/passwd"):
        promptfoo_yaml(PromptTask(rows, rows, (), ("good", "bad"), k=1), (0,))


def test_a_text_that_holds_a_variable_gets_another_name_for_it():
    rows = (Labelled("fill in {{ text }} here", "good"), Labelled("x", "bad"))
    found = yaml.safe_load(promptfoo_yaml(PromptTask(rows, rows, (), ("good", "bad"), k=1), (0,)))
    assert set(found["tests"][0]["vars"]) == {"text_"}


def test_every_form_is_written_and_explained():
    for form in PROMPT_FORMS.values():
        assert form.write(TASK, PICKED, None)
        assert form.write(TASK, PICKED, EXAMPLES[0])
        assert form.about.endswith(".")
        assert re.fullmatch(r"\w+\.\w+", form.file)


PROMPTFOO = b"""
description: mine
prompts: ['Q: {{question}}']
providers: [echo]
defaultTest:
  vars: {context: '007'}
tests:
  - vars: {question: "What is 2 + 2?"}
    assert:
      - type: latency
        threshold: 5
      - {type: contains, value: 4}
  - vars: {question: 'And 3?', context: yes}
    assert: [{type: icontains, value: 'six'}]
"""


def test_tests_of_promptfoo_are_read_as_they_are_written():
    rows = read_rows(PROMPTFOO, "promptfooconfig.yaml")
    assert rows.columns == ("context", "question", "expected")
    assert [row.cells for row in rows.rows] == [
        {"context": "007", "question": "What is 2 + 2?", "expected": "4"},
        {"context": "yes", "question": "And 3?", "expected": "six"},
    ]
    assert rows.rule == "contains"
    assert "'latency'" in rows.notes[0]
    csv = read_rows(b"question,__expected\na,equals: b\nc,d: e\n", "tests.csv")
    assert [row.cells["__expected"] for row in csv.rows] == ["b", "d: e"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"tests: file://tests.yaml", "the name of another file"),
        (b"tests:\n  - file://tests.yaml", "the name of another file"),
        (b"a: &x [1]\nb: *x", "an alias of another place"),
        (b"a: [", "no YAML"),
        (b"[" * 3000, "lists within lists"),
        (b"a: !!python/object/apply:os.system ['true']", "a JSON object"),
        (b"just text", "a JSON value"),
        (b"x" * (5 * 2**20), "5.0 MiB"),
        (b"tests:\n  - vars: {a: 1}\n  - 5", "no object"),
    ],
)
def test_hostile_or_useless_yaml_is_refused(data, found):
    with pytest.raises(InputError) as caught:
        read_rows(data, "a.yaml")
    assert found in caught.value.found
    assert caught.value.fix
