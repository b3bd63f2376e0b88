"""A prompt to take away: as text, as a template for code, as messages, and its demonstrations for other tools."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kernelsm.prompts.conversations import shown_prompt
from kernelsm.prompts.task import LABEL, REASONING, TEXT, Labelled, PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by

PLACE = "{text}"
"""Stands where a query goes."""
_MARK = "\ue000{}\ue001"  # stands where a field goes until all around it is escaped; letters that no text has
_OPENS = re.compile(r"\{(?=[{%#\ue000])")  # what opens an expression, or would before a place
_ASSERTED = {
    "exact": "equals",
    "contains": "icontains",
    "number": "icontains",
    "loss": "equals",
    "regex": "icontains",
}


def prompt_text(task: PromptTask, picked: Sequence[int], query: Labelled | None = None) -> str:
    """Return the whole prompt as the language model reads it, before the answer.

    A conversation is shown with who speaks above each turn: how it is written down is up to the model's template.

    Parameters
    ----------
    task : PromptTask
    picked : sequence of int
        Candidates, in the order of the prompt.
    query : Labelled, optional
        What is asked; `PLACE`, or the name of each field in braces, stands there where none is given.
    """
    return _shown(task, picked, query or _placed(task, "{{{}}}".format))


def format_text(task: PromptTask, picked: Sequence[int], query: Labelled | None = None) -> str:
    """Return the prompt as a template for `str.format`: every brace of the texts is doubled.

    Parameters
    ----------
    task, picked
        As of `prompt_text`.
    query : Labelled, optional
        Put in its place, where it is given.

    Returns
    -------
    str
        `.format(text=...)` of it, or with the fields of the task, is the prompt of that query.
    """
    template = _marked(task, picked, query).replace("{", "{{").replace("}", "}}")
    return _filled(template, task, "{{{}}}".format)


def json_text(task: PromptTask, picked: Sequence[int], query: Labelled | None = None) -> str:
    """Return `format_text` as a JSON string, to stand in JSON or in code: quotes, new lines and backslashes are safe.

    Without a query it is filled in by `.format` after it was parsed; with one it is the whole prompt.
    """
    text = format_text(task, picked) if query is None else prompt_text(task, picked, query)
    return json.dumps(text, ensure_ascii=False)


def chat_json(task: PromptTask, picked: Sequence[int], query: Labelled | None = None) -> str:
    """Return the prompt as a JSON list of chat messages: each demonstration a question and its answer.

    A chat model reads this through a template of its own, so its loss is not that of the plain text.
    """
    asked = query or _placed(task, "{{{}}}".format)
    return json.dumps(_messages(task, picked, asked), ensure_ascii=False, indent=1)


def json_lines(task: PromptTask, picked: Sequence[int]) -> str:
    """Return the demonstrations, one JSON object with its fields and label on each line."""
    return "\n".join(json.dumps(_row(task.candidates[k]), ensure_ascii=False) for k in picked)


def dspy_examples(task: PromptTask, picked: Sequence[int]) -> str:
    """Return the demonstrations as a JSON list, each the arguments of a `dspy.Example`.

    `[dspy.Example(**row).with_inputs("text") for row in json.load(file)]` reads it, with the names of the fields
    where there are several.
    """
    return json.dumps([_row(task.candidates[k]) for k in picked], ensure_ascii=False, indent=1)


def promptfoo_yaml(task: PromptTask, picked: Sequence[int]) -> str:
    """Return the prompt as a promptfoo configuration, whose tests are the fresh queries (else the queries).

    The prompt is the JSON of messages, which promptfoo fills in once: in plain text it would read braces of the
    texts that were filled in again. What is asserted is the label, or the reference of a free answer by what is
    nearest to the task's rule. The provider `echo`, which repeats the prompt, stands for a model of yours.

    Raises
    ------
    InputError
        A query that promptfoo would take for the name of a file to open.
    """
    with needed_by("A promptfoo file"):
        import yaml

    class Plain(yaml.SafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    queries = task.fresh or task.queries
    names = _variables(task, queries)
    asked = _placed(task, _MARK.format)
    if task.template.chat:
        messages = _messages(task, picked, asked)
    else:
        messages = [{"role": "user", "content": task.template.prompt([task.candidates[k] for k in picked], asked)}]
    for message in messages:
        message["content"] = _filled(_nunjucks(message["content"]), task, lambda field: f"{{{{ {names[field]} }}}}")
    config = {
        "description": task.name,
        "prompts": [json.dumps(messages, ensure_ascii=False)],
        "providers": ["echo"],
        "tests": [
            {
                "vars": {names[field]: _variable(value) for field, value in _inputs(query)},
                "assert": [{"type": _assertion(task), "value": query.label}],
            }
            for query in queries
        ],
    }
    return str(yaml.dump(config, Dumper=Plain, allow_unicode=True, sort_keys=False, width=10_000))


@dataclass(frozen=True)
class PromptForm:
    """A form in which a prompt is taken away.

    Parameters
    ----------
    write : callable
        (task, picked, query) -> text; forms that hold demonstrations alone, or all queries, do not look at the query.
    file, mime : str
        Name and kind of the file.
    language : str
        Of the text, for a highlighter; "" for plain.
    about : str
        A sentence on what it is.
    """

    write: Callable[[PromptTask, Sequence[int], Labelled | None], str]
    file: str
    mime: str
    language: str
    about: str


PROMPT_FORMS: dict[str, PromptForm] = {
    "Text": PromptForm(prompt_text, "prompt.txt", "text/plain", "", "The answer follows after one space."),
    "Chat JSON": PromptForm(
        chat_json, "prompt.json", "application/json", "json",
        "A chat model reads this through a template of its own: its loss is not that of the plain text.",
    ),
    "JSON lines": PromptForm(
        lambda task, picked, query: json_lines(task, picked), "demonstrations.jsonl", "application/jsonl", "json",
        "The demonstrations alone, in the order of the prompt.",
    ),
    "For .format": PromptForm(
        format_text, "template.txt", "text/plain", "",
        "A template for Python's str.format: braces of the texts are doubled, the query goes where its field stands.",
    ),
    "JSON string": PromptForm(
        json_text, "template.json", "application/json", "json",
        "The template for str.format as a JSON string, to be parsed first; with a query it is the whole prompt.",
    ),
    "DSPy": PromptForm(
        lambda task, picked, query: dspy_examples(task, picked), "demos.json", "application/json", "json",
        "The demonstrations as arguments of dspy.Example.",
    ),
    "promptfoo": PromptForm(
        lambda task, picked, query: promptfoo_yaml(task, picked), "promptfooconfig.yaml", "application/yaml", "yaml",
        "The prompt with the fresh queries as tests; put your model in place of the provider echo.",
    ),
}  # fmt: skip
"""Forms in which a prompt is taken away, by what the page calls them."""


def _row(example: Labelled) -> dict[str, str]:
    more = {REASONING: example.reasoning} if example.reasoning else {}
    return {**dict(_inputs(example)), **more, LABEL: example.label}


def _inputs(example: Labelled) -> tuple[tuple[str, str], ...]:
    return example.fields or ((TEXT, example.text),)


def _messages(task: PromptTask, picked: Sequence[int], asked: Labelled) -> list[dict[str, str]]:
    template = task.template
    messages = [{"role": "system", "content": template.instruction}] if template.instruction else []
    for k in picked:
        demonstration = task.candidates[k]
        messages.append({"role": "user", "content": template.tail(demonstration)})
        messages.append({"role": "assistant", "content": demonstration.label})
    return [*messages, {"role": "user", "content": template.tail(asked)}]


def _placed(task: PromptTask, place: Callable[[str], str]) -> Labelled:
    """A query whose fields are places to be filled in."""
    fields = tuple((name, place(name)) for name in task.fields)
    return Labelled(place(TEXT), "", fields)


def _marked(task: PromptTask, picked: Sequence[int], query: Labelled | None) -> str:
    return _shown(task, picked, query or _placed(task, _MARK.format))


def _shown(task: PromptTask, picked: Sequence[int], query: Labelled) -> str:
    return shown_prompt(task.template, [task.candidates[k] for k in picked], query)


def _filled(text: str, task: PromptTask, place: Callable[[str], str]) -> str:
    """Put the places of the fields where their marks stand."""
    for field in (TEXT, *task.fields):
        text = text.replace(_MARK.format(field), place(field))
    return text


def _nunjucks(text: str) -> str:
    """Write braces that would open an expression as expressions of their own."""
    return _OPENS.sub('{{ "{" }}', text)


def _variables(task: PromptTask, queries: Sequence[Labelled]) -> dict[str, str]:
    """Names of promptfoo's variables: of the fields, changed where a text holds one in braces."""
    names = {}
    texts = [value for query in queries for _, value in _inputs(query)]
    for field in (TEXT, *task.fields):
        name = field
        while any(re.search(rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}", text) for text in texts):
            name += "_"
        names[field] = name
    return names


def _variable(text: str) -> str:
    if text.startswith(("file://", "package:")):
        fix = "Leave this query out, or write something before it."
        raise InputError("promptfoo file", repr(text)[:60], "texts that name no file: promptfoo opens it", fix)
    return text


def _assertion(task: PromptTask) -> str:
    if task.rule is None:
        return "equals"
    if task.rule.kind == "regex" and not task.rule.pattern:
        return "regex"
    return _ASSERTED[task.rule.kind]
