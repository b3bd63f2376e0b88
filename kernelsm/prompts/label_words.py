"""Label words as files hold them: numbers that stand for names, spellings that mean the same, free answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kernelsm.prompts.task import LONGEST_LABEL, MOST_LABELS
from kernelsm.runtime.errors import InputError

FEW = 5
"""With fewer rows every answer may well be different and still be a label word."""
_LONG = 60  # letters of a mean answer from which it is no label word
_SHOWN = 5


def folded(label: str) -> str:
    """Return a label in small letters with single spaces: what spellings that mean the same have in common."""
    return " ".join(label.casefold().split())


def looks_free(answers: Sequence[str], asked: Sequence[str] = ()) -> str:
    """Return why answers look like free ones rather than label words; "" where they do not.

    Parameters
    ----------
    answers : sequence of str
        Of the candidates.
    asked : sequence of str
        Of the queries, as far as they are known.

    Examples
    --------
    >>> looks_free(["12", "7", "31", "5", "60"], ["8", "12", "90"])
    'All 5 answers are different.'
    >>> looks_free(["yes", "no", "yes"])
    ''
    """
    if not answers:
        return ""
    distinct = {folded(answer) for answer in answers}
    if 2 * len(distinct) > len(answers):
        if sum(len(answer) > LONGEST_LABEL or "\n" in answer for answer in answers) * 4 > len(answers):
            return "Many answers are long, or have several lines."
        if sum(map(len, answers)) > _LONG * len(answers):
            return "The answers are long."
    if len(distinct) > MOST_LABELS:
        return f"There are {len(distinct):,} different answers."
    known = sum(folded(answer) in distinct for answer in asked)
    if len(answers) < FEW or (asked and 2 * known > len(asked)):
        return ""
    if len(distinct) == len(answers):
        return f"All {len(answers):,} answers are different."
    if len(distinct) > 10 and len(distinct) > 0.6 * len(answers):
        return f"{len(distinct):,} of {len(answers):,} answers are different."
    return ""


def looks_numbered(labels: Iterable[str]) -> bool:
    """Return whether labels are numbers or true and false, which a model can hardly tell the meaning of.

    Examples
    --------
    >>> looks_numbered(["0", "1", "2"]), looks_numbered(["true", "false"]), looks_numbered(["yes", "no"])
    (True, True, False)
    """
    words = {folded(label) for label in labels}
    return bool(words) and (all(word.lstrip("-").isdigit() for word in words) or words <= {"true", "false"})


def read_label_names(text: str) -> dict[str, str]:
    """Read names of labels, such as "0=negative, 1=positive", parted by commas, semicolons or new lines.

    Raises
    ------
    InputError
        A part without =, a label or name that is empty, or a label that is named twice.

    Examples
    --------
    >>> read_label_names("0=negative, 1 = positive")
    {'0': 'negative', '1': 'positive'}
    """
    names: dict[str, str] = {}
    expected = "label=name, parted by commas, such as 0=negative, 1=positive"
    for part in text.replace(";", ",").replace("\n", ",").split(","):
        if not part.strip():
            continue
        label, sign, name = (side.strip() for side in part.partition("="))
        if not sign or not label or not name:
            raise InputError("names of labels", part.strip()[:60], expected, "Write both sides of the =.")
        if folded(label) in names:
            raise InputError("names of labels", f"{label[:60]!r} twice", "one name for each label", "Leave one out.")
        names[folded(label)] = name
    return names


def merged_labels(
    candidates: Sequence[str], others: Sequence[str], *, names: Mapping[str, str] | None = None, merge: bool = True
) -> tuple[dict[str, str], list[str]]:
    """Say what each label is to be called: its name where it has one, and one spelling for all that mean the same.

    Parameters
    ----------
    candidates, others : sequence of str
        Labels of the candidates, and of the queries.
    names : mapping of str to str, optional
        See `read_label_names`.
    merge : bool
        Whether labels that differ in case and spaces alone are one. It is spelt as most candidates have it.

    Returns
    -------
    spelling : dict of str to str
        What each label that there is becomes.
    notes : list of str
        Sentences on what was named and merged.

    Raises
    ------
    InputError
        A name for a label that there is not.

    Examples
    --------
    >>> merged_labels(["yes", "no", "yes"], ["Yes"])[0]
    {'yes': 'yes', 'no': 'no', 'Yes': 'yes'}
    """
    there = {folded(label) for label in (*candidates, *others)}
    names = names or {}
    if unknown := [label for label in names if label not in there]:
        known = ", ".join(sorted(there)[:_SHOWN]) + (", ..." if len(there) > _SHOWN else "")
        raise InputError(
            "names of labels", f"a name for {unknown[0]!r}"[:80], f"labels that are there: {known}", "Mend it."
        )
    named = {label: names.get(folded(label), label) for label in (*candidates, *others)}
    notes = []
    if names:
        said = ", ".join(f"{label} is {name}" for label, name in list(names.items())[:_SHOWN])
        notes.append(f"Labels are called by their names: {said}{', ...' if len(names) > _SHOWN else ''}.")
    if not merge:
        return named, notes
    counts = Counter(named[label] for label in candidates)
    usual: dict[str, str] = {}
    for word in (*counts, *named.values()):
        key = folded(word)
        if key not in usual or counts[word] > counts[usual[key]]:
            usual[key] = word
    spelling = {label: usual[folded(word)] for label, word in named.items()}
    changed: dict[str, list[str]] = {}
    for label, word in named.items():
        if spelling[label] != word and word not in changed.setdefault(spelling[label], []):
            changed[spelling[label]].append(word)
    read_as = [
        " and ".join(map(_quoted, spellings[:_SHOWN])) + f" as {_quoted(word)}"
        for word, spellings in changed.items()
        if spellings
    ]
    if read_as:
        more = f" and {len(read_as) - _SHOWN} more" if len(read_as) > _SHOWN else ""
        notes.append(f"Labels that differ in case or spaces alone are merged: {', '.join(read_as[:_SHOWN])}{more}.")
    return spelling, notes


def _quoted(label: str) -> str:
    return f"\u201c{label}\u201d"
