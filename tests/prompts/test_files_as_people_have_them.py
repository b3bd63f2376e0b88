"""The texts of one support desk in the files that people really have: all are read as the same texts and answers."""

import json
from pathlib import Path

import pytest

from kernelsm import InputError
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.column_choice import ColumnChoice, guess_columns
from kernelsm.prompts.label_words import read_label_names
from kernelsm.prompts.task import Labelled, PromptTemplate
from kernelsm.prompts.task_files import Reading, read_labelled, read_prompt_task
from kernelsm.prompts.text_rows import read_rows

HERE = Path(__file__).parent / "as_people_have_them"
TEAMS = ("billing", "technical", "account")


def file(name):
    return (HERE / name).read_bytes(), name


def pairs(examples):
    return [(one.text, one.label) for one in examples]


def as_json(rows):
    return json.dumps(rows).encode()


CANDIDATES = pairs(read_labelled(*file("cand.csv")))
QUERIES = pairs(read_labelled(*file("quer.csv")))


def test_the_plain_file_is_read_as_ever():
    assert len(CANDIDATES) == 24
    assert CANDIDATES[0] == ("I was charged twice for March, please refund one of the payments \U0001f621", "billing")
    assert CANDIDATES[4][0] == "Export to PDF gives a blank page\nsince the update of last Tuesday.\n\nAny fix?"
    found = read_prompt_task(file("cand.csv"), file("quer.csv"), file("fresh.csv"))
    assert (found.notes, found.why_free, found.task.labels) == ((), "", TEAMS)


@pytest.mark.parametrize("name", ["cand_semi.csv", "cand_cat.csv", "cand_chat.jsonl", "cand_dspy.json"])
def test_other_delimiters_names_and_nesting_give_the_same_texts(name):
    assert pairs(read_labelled(*file(name))) == CANDIDATES
    task = read_prompt_task(file(name), file("quer.csv"), file("fresh.csv")).task
    plain = read_prompt_task(file("cand.csv"), file("quer.csv"), file("fresh.csv")).task
    assert task.content_hash == plain.content_hash


def test_windows_1252_is_read_and_said():
    notes = []
    found = pairs(read_labelled(*file("cand_1252.csv"), notes=notes))
    assert found == [(text.encode("cp1252", "replace").decode("cp1252"), label) for text, label in CANDIDATES]
    assert any("Müller" in text for text, _ in found)
    assert "Windows-1252" in notes[0]


def test_true_and_false_are_label_words_and_can_have_names():
    found = read_labelled(*file("cand_bool.jsonl"))
    assert [one.label for one in found] == ["true" if label == "billing" else "false" for _, label in CANDIDATES]
    names = read_label_names("true=billing, false=other")
    queries = as_json([{"text": text, "label": label == "billing"} for text, label in QUERIES])
    read = read_prompt_task(file("cand_bool.jsonl"), (queries, "q.json"), reading=Reading(label_names=names))
    assert read.task.labels == ("billing", "other")
    assert {one.label for one in read.task.queries} == {"billing", "other"}
    assert "Labels are called by their names: true is billing, false is other." in read.notes


def test_numbered_labels_can_have_names():
    names = read_label_names("0=billing; 1=technical\n2=account")
    queries = as_json([{"text": text, "label": TEAMS.index(label)} for text, label in QUERIES])
    numbered = read_prompt_task(file("hf_int.csv"), (queries, "q.json"))
    assert numbered.task.labels == ("0", "1", "2")
    named = read_prompt_task(file("hf_int.csv"), (queries, "q.json"), reading=Reading(label_names=names)).task
    assert (pairs(named.candidates), named.labels) == (CANDIDATES, TEAMS)
    with pytest.raises(InputError, match="a name for '7'"):
        read_prompt_task(file("hf_int.csv"), (queries, "q.json"), reading=Reading(label_names={"7": "x"}))


@pytest.mark.parametrize("text", ["0", "0=", "=x", "0=a, 0=b"])
def test_names_of_labels_that_say_nothing_are_refused(text):
    with pytest.raises(InputError, match="names of labels"):
        read_label_names(text)


def test_labels_that_differ_in_case_are_merged_and_it_is_said():
    found = read_prompt_task(file("cand.csv"), file("quer_case.csv"), file("fresh.csv"))
    assert pairs(found.task.queries) == QUERIES
    merged = ", ".join(f"\u201c{team.title()}\u201d as \u201c{team}\u201d" for team in TEAMS)
    assert found.notes == (f"Labels that differ in case or spaces alone are merged: {merged}.",)
    with pytest.raises(InputError, match=r"quer_case\.csv, row 1, column 'label': found 'Billing'"):
        read_prompt_task(file("cand.csv"), file("quer_case.csv"), reading=Reading(merge=False))


def test_the_spelling_of_most_candidates_wins():
    rows = [
        ("a", "Yes"),
        ("b", "YES "),
        ("c", "yes"),
        ("d", "yes"),
        ("e", "no"),
        ("f", "not  sure"),
        ("g", "not sure"),
    ]
    data = as_json([{"text": text, "label": label} for text, label in rows])
    found = read_prompt_task((data, "a.json"), (as_json([{"text": "x", "label": "YES"}] * 2), "q.json"))
    assert found.task.labels == ("yes", "no", "not  sure")
    yes, unsure = (
        "\u201cYes\u201d and \u201cYES\u201d as \u201cyes\u201d",
        "\u201cnot sure\u201d as \u201cnot  sure\u201d",
    )
    assert found.notes[0].endswith(f"merged: {yes}, {unsure}.")


def guessed(data, name="a.json"):
    return guess_columns(read_rows(data, name))


@pytest.mark.parametrize(
    ("row", "texts", "answer"),
    [
        ({"id": 1, "question": "Q", "context": "C", "answer": "A"}, ("question", "context"), "answer"),
        ({"instruction": "I", "input": "in", "output": "out"}, ("instruction", "input"), "output"),
        ({"premise": "P", "hypothesis": "H", "label": 0}, ("premise", "hypothesis"), "label"),
        ({"input": {"text": "T"}, "target": {"class": "c"}}, ("input.text",), "target.class"),
        ({"sentence": "S", "idx": 4, "label": 1}, ("sentence",), "label"),
        ({"Text": "T", "LABEL": "x", "split": "train"}, ("Text",), "LABEL"),
        ({"prompt": "P", "completion": "C"}, ("prompt",), "completion"),
        ({"question": "Q", "weight": "w"}, ("question",), "weight"),
    ],
)
def test_columns_are_guessed_by_their_names(row, texts, answer):
    guess = guessed(as_json([row, row]))
    assert (guess.choice.texts, guess.choice.answer) == (texts, answer)
    assert guess.reasons["texts"]
    assert guess.reasons["answer"]


def test_columns_of_unknown_names_are_guessed_by_what_they_hold():
    rows = [{"n": i, "was": f"a long complaint, number {i}, about something", "wohin": "ab"[i % 2]} for i in range(8)]
    guess = guessed(as_json(rows))
    assert (guess.choice.texts, guess.choice.answer) == (("was",), "wohin")
    assert guess.reasons["answer"] == "It has 2 different short values."
    assert guess.reasons["texts"] == "Its texts are the longest."


def test_the_queries_may_call_their_columns_otherwise():
    queries = as_json([{"body": text, "verdict": label, "n": 3} for text, label in QUERIES])
    found = read_prompt_task(file("cand.csv"), (queries, "q.json"), file("fresh.csv"))
    assert pairs(found.task.queries) == QUERIES
    assert "q.json: \u201cbody\u201d is read as the text, \u201cverdict\u201d as its answer." in found.notes


def test_a_choice_overrules_the_guess():
    rows = [{"text": "wrong", "note": f"right {i}", "label": "x", "other": "ab"[i % 2]} for i in range(4)]
    choice = ColumnChoice(("note",), "other")
    assert pairs(read_labelled(as_json(rows), "a.json", columns=choice)) == [
        (f"right {i}", "ab"[i % 2]) for i in range(4)
    ]
    with pytest.raises(InputError, match="no column 'gone'"):
        read_labelled(as_json(rows), "a.json", columns=ColumnChoice(("gone",), "other"))
    with pytest.raises(InputError, match="'note' chosen twice"):
        read_labelled(as_json(rows), "a.json", columns=ColumnChoice(("note",), "note"))


def test_several_fields_are_named_in_the_template():
    rows = [
        {"Question": f"Who wrote {i}?", "Context": f"Ada wrote {i}.", "answer": "Ada" if i % 2 else "Bob"}
        for i in range(6)
    ]
    queries = [{"q": row["Question"], "c": row["Context"], "a": row["answer"]} for row in rows]
    template = PromptTemplate(
        "", "{context}\nQ: {question}\nA: {label}\n\n", "{context}\nQ: {question}\nA:", fields=("question", "context")
    )
    reading = Reading({"queries": ColumnChoice(("q", "c"), "a")})
    task = read_prompt_task(
        (as_json(rows), "c.json"), (as_json(queries), "q.json"), template=template, reading=reading
    ).task
    assert task.fields == ("question", "context")
    asked = next(query for query in task.queries if "0" in query.text)
    assert task.template.tail(asked) == "Ada wrote 0.\nQ: Who wrote 0?\nA:"
    assert task.template.head(task.candidates[:1]) == "Ada wrote 0.\nQ: Who wrote 0?\nA: Bob\n\n"
    assert asked.text == "Who wrote 0?\nAda wrote 0."
    with pytest.raises(InputError, match="1 column of texts; expected 2"):
        read_prompt_task(
            (as_json(rows), "c.json"),
            (as_json(queries), "q.json"),
            reading=Reading({"queries": ColumnChoice(("q",), "a")}),
        )


def test_queries_of_one_group_stay_on_one_side():
    rows = [{"text": f"text {i}", "label": "ab"[i % 2], "group_id": f"g{i // 4}"} for i in range(24)]
    shown = as_json([{"text": f"shown {i}", "label": "ab"[i % 2]} for i in range(4)])
    task = read_prompt_task((shown, "c.json"), (as_json(rows), "q.json")).task
    groups = [{int(one.text.split()[1]) // 4 for one in side} for side in (task.queries, task.fresh)]
    assert not groups[0] & groups[1]
    assert len(task.fresh) == 12


def chat(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def test_a_longer_chat_is_asked_with_all_that_came_before():
    one = chat(
        ("user", "Hi"), ("assistant", "Hello"), ("user", [{"type": "text", "text": "2+2?"}]), ("assistant", "4")
    )
    two = {"conversations": [{"from": "human", "value": "3?"}, {"from": "gpt", "value": "3"}]}
    (found,) = read_labelled(as_json([one]), "a.json")
    assert (found.text, found.label) == ("User: Hi\n\nAssistant: Hello\n\nUser: 2+2?", "4")
    assert pairs(read_labelled(as_json([two]), "a.json")) == [("3?", "3")]
    with pytest.raises(InputError, match="the role 'tool'"):
        read_labelled(as_json([chat(("user", "a"), ("tool", "b"), ("assistant", "c"))]), "a.json")
    with pytest.raises(InputError, match=r"a\.json, row 2: found no field 'messages.assistant'"):
        read_labelled(as_json([chat(("user", "a"), ("assistant", "c")), chat(("user", "a"))]), "a.json")


def test_a_program_saved_by_dspy_holds_its_demonstrations():
    demos = [{"question": "1+1?", "reasoning": "One and one.", "answer": "2", "augmented": True}]
    saved = {"predict": {"demos": demos, "traces": [], "signature": {"fields": [{"prefix": "Q:"}]}}, "metadata": {}}
    (found,) = read_labelled(as_json(saved), "program.json")
    assert found == Labelled("1+1?", "2", reasoning="One and one.")


def test_a_list_within_an_object_is_found_and_two_are_refused():
    rows = [{"text": "a", "label": "b"}]
    assert pairs(read_labelled(as_json({"version": 1, "data": rows}), "a.json")) == [("a", "b")]
    wrapped = {"rows": [{"row_idx": 0, "row": rows[0], "truncated_cells": []}]}
    assert pairs(read_labelled(as_json(wrapped), "a.json")) == [("a", "b")]
    with pytest.raises(InputError, match="2 lists of objects"):
        read_labelled(as_json({"train": rows, "test": rows}), "a.json")


ARITHMETIC = [{"question": f"What is {i} times 7?", "answer": 7 * i} for i in range(1, 21)]


def test_answers_that_are_all_different_are_free_and_numbers_are_compared_as_such():
    found = read_prompt_task((as_json(ARITHMETIC[:8]), "c.json"), (as_json(ARITHMETIC[8:]), "q.json"))
    assert found.task.free
    assert (found.task.labels, found.task.rule) == ((), AnswerRule("number"))
    assert found.why_free == "All 8 answers are different."
    assert any("read as free ones" in note for note in found.notes)
    with pytest.raises(InputError, match="a label of the candidates"):
        read_prompt_task(
            (as_json(ARITHMETIC[:8]), "c.json"),
            (as_json(ARITHMETIC[8:]), "q.json"),
            reading=Reading(answers="labels"),
        )


def test_many_labels_that_the_queries_share_are_labels():
    rows = [{"text": f"text {i}", "label": f"intent {i}"} for i in range(77)]
    found = read_prompt_task((as_json(rows), "c.json"), (as_json(rows), "q.json"))
    assert not found.task.free
    assert len(found.task.labels) == 77


def test_references_that_a_rule_cannot_find_are_refused_by_their_row():
    rows = [*ARITHMETIC[8:], {"question": "Why?", "answer": "because"}]
    reading = Reading(answers="free", rule=AnswerRule("number"))
    with pytest.raises(InputError, match=r"q\.json, row 13, answer: found 'because'"):
        read_prompt_task((as_json(ARITHMETIC[:8]), "c.json"), (as_json(rows), "q.json"), reading=reading)
    found = read_prompt_task(
        (as_json(ARITHMETIC[:8]), "c.json"), (as_json(rows), "q.json"), reading=Reading(answers="free")
    )
    assert found.task.rule == AnswerRule("exact")


def test_what_is_chosen_travels_as_json():
    reading = Reading(
        {"queries": ColumnChoice(("q", "c"), "a", "r", "g")}, "free", AnswerRule("regex", "(a)"), {"0": "no"}, False
    )
    assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading
    assert Reading().to_dict() == {}
    assert Reading.from_dict({}) == Reading()
