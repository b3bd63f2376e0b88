"""Prompts that were brought: kept by content, found again, and never half understood."""

import dataclasses
import json

import pytest

from kernelsm import InputError
from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.workspace.prompt_projects import (
    PROMPTS,
    SECONDS_A_QUERY,
    PromptSource,
    find_prompts,
    keep_prompts,
    prompts_key,
)

TEXTS = (Labelled("Größe, 日本語", "yes"), Labelled('a "line"\nand { another', "no"), Labelled("last", "no"))
TASK = PromptTask(TEXTS, TEXTS[:2], TEXTS[2:], ("yes", "no"), PromptTemplate("Judge."), 2, "mine", {"notes": ["x"]})
SOURCE = PromptSource("My texts", TASK, "models/tiny")


@pytest.fixture
def key():
    return keep_prompts(SOURCE)


@pytest.fixture
def file(key, cache_folder):
    return cache_folder / "prompts" / f"{key}.json"


def test_what_is_kept_is_found_again(key, tmp_path):
    found = find_prompts(key)
    assert (found.title, found.model) == ("My texts", "models/tiny")
    assert found.task.to_dict() == TASK.to_dict()
    assert found.task.content_hash == TASK.content_hash
    assert PROMPTS.opens(key)
    assert not PROMPTS.opens(key, tmp_path / "elsewhere")
    assert keep_prompts(SOURCE, tmp_path / "elsewhere") == key
    assert find_prompts(key, tmp_path / "elsewhere").task.to_dict() == TASK.to_dict()


def test_the_key_is_of_texts_template_k_and_model_but_not_of_names(key):
    assert key == prompts_key(SOURCE)
    renamed = dataclasses.replace(SOURCE, title="Other", task=dataclasses.replace(TASK, name="other", meta={}))
    assert prompts_key(renamed) == key
    for change in (
        {"k": 1}, {"template": PromptTemplate("Say.")}, {"candidates": TEXTS[::-1]}, {"fresh": ()},
        {"labels": ("no", "yes")},
    ):  # fmt: skip
        assert prompts_key(dataclasses.replace(SOURCE, task=dataclasses.replace(TASK, **change))) != key
    assert prompts_key(dataclasses.replace(SOURCE, model="")) != key


def test_keeping_again_renews_the_title_alone(key, file):
    keep_prompts(dataclasses.replace(SOURCE, title="New\nname"))
    assert find_prompts(key).title == "New name"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_measured_pace_is_kept_with_the_texts_and_is_no_part_of_their_key(key):
    assert (find_prompts(key).pace, find_prompts(key).seconds_a_query) == (None, SECONDS_A_QUERY)
    assert keep_prompts(dataclasses.replace(SOURCE, pace=7.5)) == key
    assert find_prompts(key).seconds_a_query == 7.5


@pytest.mark.parametrize("name", PROMPT_EXAMPLES)
def test_examples_are_found_by_name_and_need_no_file(name, cache_folder):
    found = find_prompts(name)
    assert found.model == ""
    assert (found.task.K, len(found.task.queries), len(found.task.fresh)) == (50, 100, 200)
    assert not PROMPTS.opens(name)  # it is not kept, but shipped
    assert (PROMPTS.size(name), PROMPTS.delete(name)) == (0, 0)
    assert not (cache_folder / "prompts").exists()


@pytest.mark.parametrize("name", ["", "nothing", "0" * 40, "../prompts/x", "A" * 40, "0" * 39, "movie-reviews/"])
def test_other_names_are_refused(name, key, file):
    with pytest.raises(InputError) as caught:
        find_prompts(name)
    assert caught.value.place == "prompts"
    assert "movie-reviews" in caught.value.expected
    assert not PROMPTS.opens(name)
    assert PROMPTS.delete(name) == 0
    assert file.exists()


def entry(*path, value):
    """Change one entry of the kept file."""

    def change(text):
        sheet = json.loads(text)
        inner = sheet
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return json.dumps(sheet)

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[" * 100_000,
        lambda text: "[]",
        lambda text: "null",
        lambda text: text.replace("last", "lost"),
        lambda text: text.replace('"no"', '"nay"'),
        entry("model", value="other"),
        entry("model", value=None),
        entry("title", value=7),
        *(entry("pace", value=value) for value in (0.0, -1.0, "1", 1, True, float("inf"), float("nan"))),
        entry("task", value="x"),
        entry("task", "candidates", value=[]),
        entry("task", "candidates", 0, value={"text": "no label"}),
        entry("task", "queries", value=3),
        entry("task", "labels", value=[1, 2]),
        entry("task", "labels", value=None),
        entry("task", "k", value=2.0),
        entry("task", "k", value=True),
        entry("task", "k", value="2"),
        entry("task", "k", value=99),
        entry("task", "name", value=["mine"]),
        entry("task", "meta", value="x"),
        entry("task", "template", value={"query": "{text.__class__}"}),
        entry("task", "template", "query", value=None),
        entry("task", "template", "unknown", value=""),
    ],
)
def test_a_damaged_file_is_refused_and_can_be_deleted(damage, key, file):
    file.write_text(damage(file.read_text()))
    with pytest.raises(InputError, match="a damaged file") as caught:
        find_prompts(key)
    assert caught.value.place == f"prompts {key[:8]}"
    assert not PROMPTS.opens(key)
    PROMPTS.delete(key)
    assert not file.exists()


def test_another_content_under_the_key_is_refused(key, file):
    other = keep_prompts(dataclasses.replace(SOURCE, model=""))
    (file.parent / f"{other}.json").replace(file)
    assert not PROMPTS.opens(key)


def test_bytes_are_counted_and_freed(key, file):
    size = file.stat().st_size
    assert PROMPTS.size(key) == size
    assert PROMPTS.delete(key) == size
    assert not file.exists()
    assert (PROMPTS.size(key), PROMPTS.delete(key)) == (0, 0)
    assert not PROMPTS.opens(key)
