"""Text that follows: the guess, the mapping and the tokens."""

import pyarrow as pa
import pytest

from kernelsm import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import build_suite, group_sizes
from kernelsm.tasks.label_guess import guess_label
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS

N = 60
PROMPTS = [f"What is question number {i}?" for i in range(N)]
ANSWERS = [f"It is the answer {i % 7}" for i in range(N)]
SOURCES = [("letters", "forum", "books")[i % 3] for i in range(N)]
SPLITS = ["test" if i % 4 == 0 else "train" for i in range(N)]


def letters(texts):
    """A tokenizer with a mark of the start, 1."""
    return [[1, *(ord(letter) + 2 for letter in text)] for text in texts]


def samples(**columns):
    return Samples({name: pa.chunked_array([pa.array(values)]) for name, values in columns.items()}, "texts.jsonl")


def usual(**changes):
    return samples(**{"prompt": PROMPTS, "completion": ANSWERS, "source": SOURCES, "split": SPLITS, **changes})


def said(row):
    """The text of a row and the part of it that is scored."""
    tokens, scored = row
    text = "".join(chr(token - 2) for token in tokens if token > 1)
    return text, "".join(chr(token - 2) for token, counts in zip(tokens, scored, strict=True) if counts)


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [("prompt", "completion"), ("instruction", "response"), ("question", "answer"), ("instruction", "output")],
)
def test_a_prompt_and_what_follows_it_are_guessed_by_their_names(prompt, completion):
    mine = samples(**{prompt: PROMPTS, completion: ANSWERS, "source": SOURCES, "split": SPLITS})
    mapping = guess_mapping(mine)
    assert (mapping.objective, mapping.label, mapping.inputs) == (NEXT_TOKENS, completion, (prompt,))
    assert (mapping.kind, mapping.split, mapping.tasks) == ("text", "split", TaskRule("column", ("source",)))
    assert "its name" in guess_label(mine, completion).reason.lower()


def test_an_instruction_comes_before_its_input():
    mine = samples(input=PROMPTS, instruction=["Answer."] * N, output=ANSWERS, source=SOURCES)
    assert guess_mapping(mine).inputs == ("instruction", "input")


def test_a_label_is_a_class_as_before():
    mine = samples(question=PROMPTS, answer=ANSWERS, label=["yes", "no"] * (N // 2))
    assert (guess_mapping(mine).objective, guess_mapping(mine).label) == (CLASSIFICATION, "label")
    assert guess_label(mine, "label").objective == CLASSIFICATION


def test_many_different_texts_are_no_classes_and_few_are():
    assert guess_label(samples(text=PROMPTS), "text").objective == NEXT_TOKENS
    assert "60 different texts" in guess_label(samples(text=PROMPTS), "text").reason
    assert guess_label(samples(text=ANSWERS), "text").objective == CLASSIFICATION
    names = [f"name{i}" for i in range(N)]  # names of rows, no text
    assert guess_label(samples(text=names), "text").objective == CLASSIFICATION


def test_rows_are_the_tokens_of_prompt_and_completion_and_only_the_completion_is_scored():
    suite = build_suite(usual(), guess_mapping(usual()), encode=letters)
    assert suite.objective == NEXT_TOKENS
    assert suite.task_names == ("books", "forum", "letters")
    assert said(suite.inputs[0]) == ("What is question number 1? It is the answer 1", " It is the answer 1")
    assert (suite.labels == suite.inputs[:, 1].sum(axis=1)).all()
    assert (suite.test_labels == suite.test_inputs[:, 1].sum(axis=1)).all()
    assert (len(suite.inputs), len(suite.test_inputs)) == (45, 15)
    assert suite.meta["cut"] == 0
    assert suite.meta["classes"] == []
    tasks, targets = group_sizes(usual(), guess_mapping(usual()))
    assert sum(tasks.sizes) == 45
    assert sum(targets.sizes) == 15


@pytest.mark.parametrize(("prompt", "answer"), [("Text: ", "good"), ("Text:\n", "good"), ("Text:", " good")])
def test_a_space_is_added_only_where_there_is_none(prompt, answer):
    suite = build_suite(usual(prompt=[prompt] * N, completion=[answer] * N), guess_mapping(usual()), encode=letters)
    assert said(suite.inputs[0])[0] == prompt + answer


def test_texts_without_a_prompt_are_scored_from_their_first_token_on():
    mapping = SampleMapping("text", (), "text", TaskRule("column", ("source",)), objective=NEXT_TOKENS)
    mine = samples(text=ANSWERS, source=SOURCES)
    suite = build_suite(mine, mapping, encode=letters)
    assert all(said(row)[0] == said(row)[1] for row in suite.inputs)
    assert SampleMapping.from_dict(mapping.to_dict()) == mapping


def test_long_texts_are_cut_and_counted():
    suite = build_suite(usual(completion=["word " * 60] * N), guess_mapping(usual()), encode=letters)
    assert suite.inputs.shape[2] == 128
    assert suite.meta["cut"] == N


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"completion": [*ANSWERS[:-1], "  "]}, "row 60"), ({"completion": list(range(N))}, "completion"),
        ({"prompt": list(range(N))}, "prompt"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(changes, place):
    with pytest.raises(InputError, match=place):
        build_suite(usual(**changes), guess_mapping(usual()), encode=letters)


def test_a_language_model_is_needed():
    with pytest.raises(InputError, match="tokenizer"):
        build_suite(usual(), guess_mapping(usual()))


@pytest.mark.parametrize("changes", [{"kind": "tabular"}, {"more_labels": ("prompt",), "inputs": ()}])
def test_a_mapping_that_means_nothing_is_refused(changes):
    given = {"label": "completion", "inputs": ("prompt",), "kind": "text", "tasks": TaskRule("slices"), **changes}
    with pytest.raises(InputError):
        SampleMapping(**given, objective=NEXT_TOKENS)


def test_clusters_of_words_are_refused():
    mapping = SampleMapping("completion", ("prompt",), "text", TaskRule("clusters", (), 3), objective=NEXT_TOKENS)
    with pytest.raises(InputError, match="clusters"):
        build_suite(usual(), mapping, encode=letters)
