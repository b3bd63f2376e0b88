"""The files that prompts are made of: what their columns mean, and whether answers are label words or free."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import astuple, dataclass

import streamlit as st

from kernelsm.app.data import gallery
from kernelsm.app.demonstrations.answers import answers_sentence
from kernelsm.app.shell import frame
from kernelsm.app.shell.uploaded_files import dropped_file
from kernelsm.app.shell.words import plain
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.files.accepting import ending_of
from kernelsm.files.limits import limits
from kernelsm.prompts.answer_rules import LONGEST_PATTERN, RULES, AnswerRule
from kernelsm.prompts.chat_turns import SYSTEM
from kernelsm.prompts.column_choice import ColumnChoice, ColumnGuess, guess_columns
from kernelsm.prompts.label_words import folded, looks_free, looks_numbered, read_label_names
from kernelsm.prompts.task import LONGEST_TEXT, PromptTask
from kernelsm.prompts.task_files import FREE, LABELS, PromptFiles, Reading, most_megabytes, usual_rule
from kernelsm.prompts.text_rows import TextRows, read_rows
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.requests import FileRef, PromptRequest
from kernelsm.workspace.uploads import upload_path

INSTRUCTION = "bring_prompts_instruction"
"""Key of the field where the instruction is written."""
_ROWS = {"candidates": 20, "queries": 40, "fresh": 40}  # of the files to download
_KINDS = {LABELS: "Label words", FREE: "Free answers"}
_NOTES_SHOWN = 8
_NONE = "none"
_HELP = (
    "**Candidates** are the demonstrations to choose from. **Queries** are what the model is asked: demonstrations "
    "are chosen by its loss on them. **Fresh queries** only check the choice; without them, half of the queries are "
    "kept for that.\n\nCSV, TSV, Excel (.xlsx), JSON lines or JSON, also messages of a chat, examples of DSPy and "
    "tests of promptfoo (YAML or JSON); text may be gzip'd. What the columns mean is guessed, and can be changed. "
    "At most {tasks:,} candidates and {targets:,} queries. No file at hand? These hold real movie reviews:"
)


@dataclass(frozen=True)
class Uploads:
    """The uploaded files and the task they hold; `queries` is None while there are only candidates."""

    task: PromptTask
    candidates: FileRef
    queries: FileRef | None
    fresh: FileRef | None
    reading: Reading


def prompt_files() -> Uploads | None:
    """Draw the uploads and what was read; None while there are no candidates, or something is wrong with a file."""
    left, right = frame.panels()
    with right:
        bounds = limits()
        st.markdown(_HELP.format(tasks=bounds.tasks, targets=bounds.targets))
        with st.container(horizontal=True):
            for group in _ROWS:
                st.download_button(
                    f"{group}.csv", _template(group), f"{group}.csv", "text/csv", icon=":material/download:",
                    key=f"bring_prompts_template_{group}", on_click="ignore",
                )  # fmt: skip
    with left:
        refs = {
            "candidates": _uploaded("Candidates (CSV, Excel, JSON, YAML)", "candidates"),
            "queries": _uploaded("Queries", "queries"), "fresh": _uploaded("Fresh queries (optional)", "fresh"),
        }  # fmt: skip
        try:
            # what is wrong with a file is said before the others are there
            tables = {group: _rows(ref.key, ref.name) for group, ref in refs.items() if ref is not None}
            reading = _reading({group: ref for group, ref in refs.items() if ref is not None}, tables)
            candidates, queries = refs["candidates"], refs["queries"]
            if candidates is None:
                return None
            read_files = _read(candidates, queries or candidates, refs["fresh"] if queries else None, reading)
        except InputError as error:
            gallery.refusal(error)
            return None
        _show_files(read_files, queries is not None)
        _offer_instruction(tables["candidates"])
    return Uploads(read_files.task, candidates, queries, refs["fresh"], reading)


def _uploaded(label: str, group: str) -> FileRef | None:
    return dropped_file(label, f"bring_prompts_{group}", most_megabytes())


@st.cache_resource(max_entries=8, show_spinner=False, scope="session")
def _rows(key: str, name: str) -> TextRows:
    return read_rows(upload_path(key, ending_of(name)).read_bytes(), name)


@st.cache_resource(
    max_entries=2, show_spinner="Reading the files ...", scope="session",
    hash_funcs={FileRef: astuple, Reading: lambda reading: json.dumps(reading.to_dict())},
)  # fmt: skip
def _read(candidates: FileRef, queries: FileRef, fresh: FileRef | None, reading: Reading) -> PromptFiles:
    # with one demonstration and the default template, any error is the fault of a file
    return PromptRequest(candidates, queries, fresh, k=1, reading=reading).read()


def _reading(refs: dict[str, FileRef], tables: dict[str, TextRows]) -> Reading:
    """Draw what the columns mean and what the answers are; what is left as it is guessed is not part of it.

    Raises
    ------
    InputError
        A choice that makes no sense, or a file without texts or answers.
    """
    columns: dict[str, ColumnChoice] = {}
    answers: dict[str, list[str]] = {}
    like: ColumnChoice | None = None
    for group, rows in tables.items():
        guess = guess_columns(rows, like=like, labels=set(answers.get("candidates", ())))
        choice = _columns(group, refs[group], rows, guess)
        if choice != guess.choice:
            columns[group] = choice
        choice.check(rows)
        answers[group] = [cell for _, cell in rows.cells(choice.answer)]
        if group == "candidates":
            like = choice
    if "candidates" not in answers:
        return Reading(columns)
    return _answers("_".join(ref.key[:12] for ref in refs.values()), columns, answers, tables["candidates"])


def _columns(group: str, ref: FileRef, rows: TextRows, guess: ColumnGuess) -> ColumnChoice:
    """Draw the choice of the columns of a file, closed up where the guess says all."""

    def at(part: str) -> str:
        return f"bring_prompts_{part}_{group}_{ref.key[:12]}"  # a new file starts with a new guess

    guessed, names = guess.choice, [name for name in dict.fromkeys(rows.columns) if name]
    whole = bool(guessed.texts and guessed.answer)
    said = f"{', '.join(guessed.texts)} → {guessed.answer}" if whole else "choose the texts and the answer"
    with st.expander(
        f"Columns of {plain(ref.name)}: {plain(said)}", expanded=not whole, icon=":material/table_chart:"
    ):
        texts = st.multiselect(
            "Texts", names, default=list(guessed.texts), key=at("texts"),
            help="What is asked. Several columns are fields that the template can name.",
        )  # fmt: skip
        _why(", ".join(guessed.texts), guess.reasons["texts"])
        answer = st.selectbox(
            "Answer", names, index=names.index(guessed.answer) if guessed.answer in names else None,
            key=at("answer"), placeholder="Choose a column",
        )  # fmt: skip
        _why(guessed.answer, guess.reasons["answer"])
        options = ["", *names]
        reasoning = st.selectbox(
            "Reasoning", options, index=options.index(guessed.reasoning), format_func=lambda name: name or _NONE,
            key=at("reasoning"), help="What leads to the answer: {reasoning} in a demonstration.",
        )  # fmt: skip
        group_column = guessed.group
        if group != "candidates":
            group_column = st.selectbox(
                "Rows that belong together", options, index=options.index(guessed.group), key=at("group"),
                format_func=lambda name: name or _NONE,
                help="Queries with the same value, such as those of one customer, stay on one side where some are "
                "kept for checking.",
            )  # fmt: skip
    return ColumnChoice(tuple(texts), answer or "", reasoning, group_column)


def _why(what: str, reason: str) -> None:
    st.caption(f"Guessed: {plain(what) or 'nothing'}. {plain(reason)}")


def _answers(
    key: str, columns: dict[str, ColumnChoice], answers: dict[str, list[str]], candidates: TextRows
) -> Reading:
    """Draw whether answers are label words or free, and what belongs to either."""
    shown = answers["candidates"]
    others = [answer for group in ("queries", "fresh") for answer in answers.get(group, ())]
    why = looks_free(shown, others)
    guessed = FREE if why else LABELS
    kind = st.segmented_control(
        "Answers are", list(_KINDS), format_func=_KINDS.__getitem__, default=guessed, required=True,
        key=f"bring_prompts_kind_{key}",
        help="**Label words**: one of a few, at most 200; the model says how probable it finds each. **Free "
        "answers**: every query has its own; the model says how probable it finds the reference, and writes an "
        "answer that a rule compares with it.",
    )  # fmt: skip
    _why(_KINDS[guessed].lower(), why or "They are short, and few are different or the queries share them.")
    chosen = "" if kind == guessed else str(kind)
    if kind == FREE:
        return Reading(columns, chosen, _rule(key, [*shown, *others], candidates.rule))
    return Reading(columns, chosen, label_names=_names(key, [*shown, *others]), merge=_merge(key, [*shown, *others]))


def _rule(key: str, answers: list[str], of_file: str) -> AnswerRule | None:
    """Draw when an answer is right; None where it is left as it is guessed."""
    usual = AnswerRule(of_file) if of_file else usual_rule(answers)
    kind = st.selectbox(
        "An answer is right where", list(RULES), index=list(RULES).index(usual.kind), format_func=RULES.__getitem__,
        key=f"bring_prompts_rule_{key}",
    )  # fmt: skip
    pattern = ""
    if kind == "regex":
        pattern = str(
            st.text_input(
                "Regular expression", key=f"bring_prompts_pattern_{key}", max_chars=LONGEST_PATTERN,
                placeholder="Each reference is one",
                help="Its first group in the answer has to be the reference, such as answer is (\\w+). Empty: each "
                "reference is an expression itself.",
            )
        )  # fmt: skip
    rule = AnswerRule(kind, pattern)
    return None if rule == usual else rule


def _names(key: str, labels: list[str]) -> dict[str, str]:
    """Draw the names of labels that are numbers or true and false."""
    if not looks_numbered(labels):
        return {}
    words = sorted(dict.fromkeys(map(folded, labels)))[:3]
    example = ", ".join(
        f"{word}={name}" for word, name in zip(words, ("negative", "positive", "mixed"), strict=False)
    )
    text = st.text_input(
        "Names of the labels", key=f"bring_prompts_names_{key}", placeholder=example, max_chars=LONGEST_TEXT,
        help="What the model is to say instead of a number, which means little to it.",
    )  # fmt: skip
    return read_label_names(str(text or ""))


def _merge(key: str, labels: list[str]) -> bool:
    """Draw whether labels that differ in case and spaces alone are one, where there are some."""
    if len(set(labels)) == len(set(map(folded, labels))):
        return True
    return st.checkbox(
        "Labels that differ in case or spaces alone are the same", value=True, key=f"bring_prompts_merge_{key}"
    )


def _show_files(read_files: PromptFiles, queries: bool) -> None:
    task = read_files.task
    query_counts = f", {_queries(len(task.queries))}, {_queries(len(task.fresh), 'fresh ')}" if queries else ""
    said = answers_sentence(task, counted=True)
    st.success(f"{task.K} candidates{query_counts}. {said}", icon=":material/check:")
    notes = read_files.notes if queries else ()
    if notes:
        shown = [plain(note) for note in notes[:_NOTES_SHOWN]]
        st.warning("\n".join(f"- {note}" for note in shown) if len(shown) > 1 else shown[0], icon=":material/info:")
    if len(notes) > _NOTES_SHOWN:
        with st.expander(f"{len(notes) - _NOTES_SHOWN:,} more notes"):
            for note in notes[_NOTES_SHOWN:]:
                st.caption(plain(note))


def _queries(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}quer{'y' if count == 1 else 'ies'}"


def _offer_instruction(candidates: TextRows) -> None:
    """Offer the system message of a chat as the instruction, where all candidates have the same."""
    for column, texts in candidates.texts.items():
        if column.rpartition(".")[2] == SYSTEM and len(set(texts)) == 1 and len(texts) == len(candidates.rows):
            said = f"{texts[0][:80]}{'…' if len(texts[0]) > 80 else ''}"
            st.button(
                f"Take the system message as the instruction: {plain(said)}", key="bring_prompts_system",
                icon=":material/subject:", on_click=_take_instruction, args=(texts[0],),
                disabled=st.session_state.get(INSTRUCTION) == texts[0],
            )  # fmt: skip


def _take_instruction(text: str) -> None:
    st.session_state[INSTRUCTION] = text[:LONGEST_TEXT]


@st.cache_resource(show_spinner=False)
def _template(group: str) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(("text", "label"))
    writer.writerows((example.text, example.label) for example in getattr(movie_reviews(), group)[: _ROWS[group]])
    return sink.getvalue().encode()
