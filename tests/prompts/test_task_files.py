"""Demonstrations and queries from files: what is read, what is told, and what is refused where."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.prompts.task import LONGEST_TEXT, Labelled, PromptTemplate
from kernelsm.prompts.task_files import Reading, most_megabytes, read_labelled, read_prompt_task

SHOWN = [
    ("Great fun.", "positive"),
    ("A bore.", "negative"),
    ('She said "no", twice', "negative"),
    ("Ah!", "positive"),
]
ASKED = [
    ("I left early.", "negative"),
    ("Two hours, one joke.", "negative"),
    ("Again!", "positive"),
    ("Hm", "negative"),
]


def as_csv(rows, header="text,label", delimiter=","):
    lines = [header, *(delimiter.join(f'"{cell.replace(chr(34), 2 * chr(34))}"' for cell in row) for row in rows)]
    return "\n".join(lines).encode()


def as_lines(rows):
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in rows).encode()


def pairs(rows):
    return [(one.text, one.label) for one in rows]


def task_of(shown=SHOWN, asked=ASKED, fresh=None, **options):
    checking = None if fresh is None else (as_csv(fresh), "fresh.csv")
    return read_prompt_task((as_csv(shown), "shown.csv"), (as_csv(asked), "asked.csv"), checking, **options)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (as_csv(SHOWN), "a.csv"),
        (as_csv(SHOWN), "A.CSV"),
        (b"\xef\xbb\xbf" + as_csv(SHOWN), "a.csv"),
        (as_csv(SHOWN).replace(b"\n", b"\r\n"), "a.csv"),
        (as_csv(SHOWN).replace(b"\n", b"\n\n") + b"\n\n", "a.csv"),
        (as_csv(SHOWN, "Text, LABEL "), "a.csv"),
        (as_csv([(label, "7", text) for text, label in SHOWN], "label,id,text"), "a.csv"),
        (as_csv(SHOWN, "text\tlabel", "\t"), "a.tsv"),
        (as_csv([(f"  {text} ", f" {label}") for text, label in SHOWN]), "a.csv"),
        (as_csv(SHOWN, "text;label", ";"), "a.csv"),
        (as_csv(SHOWN, "text\tlabel", "\t"), "a.csv"),
        (as_csv([("0", *row) for row in SHOWN], ",text,label"), "a.csv"),
        (as_csv(SHOWN).replace(b"\n", b"\n,\n  \n"), "a.csv"),
        (as_lines(SHOWN), "a.jsonl"),
        (b"\n" + as_lines(SHOWN).replace(b"\n", b"\r\n\r\n") + b"\n", "a.ndjson"),
        (as_lines(SHOWN).replace(b'{"text"', b'{"id": 7, "more": [1], "text"'), "a.jsonl"),
    ],
    ids=["csv", "capitals", "mark", "returns", "empty lines", "header", "columns", "tabs", "spaces", "semicolons",
         "tabs in csv", "no name", "empty rows", "lines",
         "empty json lines", "fields"],
)  # fmt: skip
def test_texts_and_labels_are_read(data, name):
    assert pairs(read_labelled(data, name)) == SHOWN


def test_a_text_of_several_lines_stays_whole():
    rows = [("one\ntwo\n\nthree", "a"), ("x\u2028y", "b")]
    assert pairs(read_labelled(as_csv(rows), "a.csv")) == rows
    assert pairs(read_labelled(as_lines(rows), "a.jsonl")) == rows


def test_labels_that_are_whole_numbers_are_words():
    assert pairs(read_labelled(b'{"text": "a", "label": 1}\n{"text": "1", "label": "0"}', "a.jsonl")) == [
        ("a", "1"),
        ("1", "0"),
    ]


def test_a_task_takes_its_labels_in_the_order_of_the_candidates():
    found = task_of(fresh=[("Once is enough.", "negative")], k=2, name="films")
    task = found.task
    assert (pairs(task.candidates), pairs(task.queries)) == (SHOWN, ASKED)
    assert task.fresh == (Labelled("Once is enough.", "negative"),)
    assert (task.labels, task.k, task.name) == (("positive", "negative"), 2, "films")
    assert found.notes == ()
    assert task.meta["sources"] == {"candidates": "shown.csv", "queries": "asked.csv", "fresh": "fresh.csv"}
    assert task_of(shown=SHOWN[1:], k=2).task.labels == ("negative", "positive")
    assert task_of(k=2).task.name == "shown"


def test_a_template_is_taken_over():
    template = PromptTemplate(instruction="Judge.")
    assert task_of(template=template).task.template is template
    assert task_of().task.template == PromptTemplate()


def test_without_fresh_queries_half_are_kept_and_it_is_told():
    asked = [(f"query {i}", "positive") for i in range(7)]
    found = task_of(asked=asked)
    assert (len(found.task.queries), len(found.task.fresh)) == (4, 3)
    assert sorted(pairs(found.task.queries + found.task.fresh)) == asked
    assert found.notes == ("3 of the queries, drawn at random, are kept for checking.",)
    assert found.task.meta["notes"] == list(found.notes)
    assert task_of(asked=asked).task.content_hash == found.task.content_hash
    assert len({task_of(asked=asked, seed=seed).task.fresh for seed in range(5)}) > 1


FRESH = [("Once is enough.", "negative")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"shown": [*SHOWN, ("great  FUN.", "positive")]},
            ["1 text is more than once among the candidates: \u201cgreat fun.\u201d."],
        ),
        (
            {"shown": [*SHOWN, ("Great fun.", "negative")]},
            ["1 text is more than once among the candidates", "1 text is there with different labels"],
        ),
        ({"asked": [*ASKED, ASKED[0], ASKED[1]]}, ["2 texts are more than once among the queries"]),
        (
            {"asked": [*ASKED, SHOWN[0]]},
            ["1 text is both among the candidates and the queries (its label can be read off the prompt)"],
        ),
        ({"fresh": [SHOWN[1]]}, ["1 text is both among the candidates and the fresh queries"]),
        ({"fresh": [ASKED[1], ("Hm", "positive")]}, ["the check is not fresh for it", "there with different labels"]),
        ({"fresh": [("x" * 90, "positive")] * 2}, [f"\u201c{'x' * 57}...\u201d"]),
    ],
)
def test_repeated_texts_are_told_and_kept(changes, told):
    found = task_of(**{"fresh": FRESH, **changes})
    assert len(found.notes) == len(told)
    assert all(part in note for part, note in zip(told, found.notes, strict=True))
    assert len(found.task.candidates) == len(changes.get("shown", SHOWN))


@pytest.mark.parametrize(
    ("changes", "place", "found"),
    [
        ({"shown": SHOWN[:1]}, "shown.csv", "1 candidate"),
        (
            {"shown": [(f"t{i}", f"l{i}") for i in range(201)], "reading": Reading(answers="labels")},
            "shown.csv, column 'label'",
            "201 different labels",
        ),
        ({"shown": [SHOWN[0], SHOWN[3]]}, "shown.csv, column 'label'", "1 different label"),
        (
            {"shown": [*SHOWN, ("Hm", "Positive")], "reading": Reading(merge=False)},
            "shown.csv, column 'label'",
            "two spellings, 'positive' and 'Positive'",
        ),
        ({"shown": [*SHOWN, ("Hm", "x" * 101)]}, "shown.csv, column 'label'", f"the label '{'x' * 40}'"),
        ({"shown": [(f"t{i}", "ab"[i % 2]) for i in range(501)]}, "shown.csv", "more than 500 rows"),
        ({"asked": [*ASKED, ("Hm", "neutral")]}, "asked.csv, row 5, column 'label'", "'neutral'"),
        (
            {"asked": [("Hm", "Positive")], "reading": Reading(merge=False)},
            "asked.csv, row 1, column 'label'",
            "'Positive'",
        ),
        ({"asked": [("", "positive")]}, "asked.csv, row 1, column 'text'", "an empty cell"),
        ({"asked": ASKED[:1]}, "asked.csv", "1 query"),
        ({"asked": [(f"t{i}", "positive") for i in range(1001)]}, "asked.csv", "more than 1,000 rows"),
        ({"fresh": [("Hm", "")]}, "fresh.csv, row 1, column 'label'", "an empty cell"),
        ({"fresh": [("Hm", "good")]}, "fresh.csv, row 1, column 'label'", "'good'"),
        ({"k": 5}, "k", "5"),
        ({"k": 0}, "k", "0"),
    ],
)
def test_files_that_make_no_task_are_refused(changes, place, found):
    with pytest.raises(InputError) as caught:
        task_of(**changes)
    assert (caught.value.place, caught.value.found) == (place, found)
    assert caught.value.expected
    assert caught.value.fix


def test_the_limits_of_candidates_follow_the_environment(monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_TASKS", "3")
    with pytest.raises(InputError, match="at most 3"):
        task_of()


def test_the_size_of_a_file_follows_the_environment_where_that_is_less(monkeypatch):
    assert most_megabytes() == 20
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "2")
    with pytest.raises(InputError, match="3 MiB; expected at most 2 MiB"):
        read_labelled(b"x" * (2 * 2**20 + 1), "a.csv")
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "200")
    assert most_megabytes() == 20


@pytest.mark.parametrize(
    ("data", "name", "place", "found"),
    [
        (b"", "a.csv", "a.csv", "an empty file (0 bytes)"),
        (b"\n \n", "a.csv", "a.csv", "no row below the header"),
        (b"text,label\n", "a.csv", "a.csv", "no row"),
        (b"\n\n", "a.jsonl", "a.jsonl", "no row"),
        (b"text,label\na,b", "a.txt", "a.txt", "the ending '.txt'"),
        (b"text,label\na,b", "a", "a", "the ending '(none)'"),
        (b"text,label\na,b", "a.pkl", "a.pkl", "a pickle (.pkl)"),
        (b"[]", "a.json", "a.json", "no row"),
        (b"[]", "a.json.zip", "a.json.zip", "the ending '.zip'"),
        (b"text,label\ncaf\xe9\x01,b", "a.csv", "a.csv", "a byte that is not UTF-8 at position 14"),
        (b"text,label\na\0,b", "a.csv", "a.csv", "binary data (a NUL byte at position 12)"),
        (b"x" * (20 * 2**20 + 1), "a.csv", "a.csv", "21 MiB"),
        (b"text\na", "a.csv", "a.csv, header", "no column of answers among 'text'"),
        (b"label,id\na,7", "a.csv", "a.csv, header", "no column of texts among 'label', 'id'"),
        (b"text,label,text\na,b,c", "a.csv", "a.csv, header", "2 columns 'text'"),
        (b"text,label\na,b\n\nHello, you,b", "a.csv", "a.csv, row 2", "3 cells"),
        (b"text,label\na", "a.csv", "a.csv, row 1", "1 cell"),
        (b'text,label\na,b\n"c,d', "a.csv", "a.csv, row 2", None),
        (b'text,label\n"a" x,b', "a.csv", "a.csv, row 1", None),
        (b'"text,label', "a.csv", "a.csv, header", None),
        (b"text,label\na,b\n   ,b", "a.csv", "a.csv, row 2, column 'text'", "an empty cell"),
        (b"text,label\na,\n", "a.csv", "a.csv, row 1, column 'label'", "an empty cell"),
        (b'{"text": "a", "label": "b"}\n{"text": "a"', "a.jsonl", "a.jsonl, line 2", None),
        (
            b'{"text": "a", "text": "c", "label": "b"}',
            "a.jsonl",
            "a.jsonl, line 1",
            "no JSON (the field 'text' twice)",
        ),
        (b"[" * 100_000, "a.jsonl", "a.jsonl, line 1", None),
        (b'["a", "b"]', "a.jsonl", "a.jsonl, line 1", "a JSON list"),
        (b"17", "a.jsonl", "a.jsonl, line 1", "a JSON value"),
        (b'{"text": "a"}', "a.jsonl", "a.jsonl, first line", "no column of answers among 'text'"),
        (b'{"text": "a", "label": "b"}\n{"text": "a"}', "a.jsonl", "a.jsonl, line 2", "no field 'label'"),
        (b'{"text": null, "label": "b"}', "a.jsonl", "a.jsonl, line 1, field 'text'", "null"),
        (b'{"text": "a", "label": ["b"]}', "a.jsonl", "a.jsonl, line 1, field 'label'", '["b"]'),
        (b'{"text": "a\\ud83d", "label": "b"}', "a.jsonl", "a.jsonl, line 1, field 'text'", None),
        (
            b'{"text": "' + b"x" * (LONGEST_TEXT + 1) + b'", "label": "b"}',
            "a.jsonl",
            "a.jsonl, line 1, field 'text'",
            f"{LONGEST_TEXT + 1:,} characters",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(data, name, place, found):
    with pytest.raises(InputError) as caught:
        read_labelled(data, name)
    assert caught.value.place == place
    assert found is None or caught.value.found == found
    assert caught.value.expected
    assert caught.value.fix


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=5))
def test_whatever_is_written_comes_back(rows):
    rows = [(text.strip(), label.strip()) for text, label in rows]
    good = all(text and label and "\0" not in text + label for text, label in rows)
    if not good:
        return
    assert pairs(read_labelled(as_lines(rows), "a.jsonl")) == rows
    assert pairs(read_labelled(as_csv(rows), "a.csv")) == rows


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]))
def test_any_bytes_are_read_or_refused(data, name):
    rows = ()
    with suppress(InputError):
        rows = read_labelled(b"text,label\n" + data if name == "a.csv" else data, name)
    assert all(one.text and one.label for one in rows)
