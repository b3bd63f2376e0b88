"""When a free answer of a language model counts as right, compared with the reference of its query."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by

LONGEST_PATTERN = 1_000
"""Characters of a regular expression."""
SECONDS = 1.0
"""That a regular expression may take on one answer."""
RULES = {
    "loss": "only how probable the reference is",
    "exact": "the answer is the reference",
    "contains": "the answer contains the reference",
    "number": "its last number is that of the reference",
    "regex": "a regular expression finds the reference in it",
}
"""The rules, and what each says of an answer. Only the first needs no answer from the model."""
_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+\u2212])?[$\u20ac\u00a3]?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<power>[eE][-+]?\d{1,3})?(?![\d])"
)
# a minus between two numbers is no sign: 5-3
_SUBTRACTED = re.compile(r"(?<=\d)[-\u2212](?=[.\d])")


@dataclass(frozen=True)
class AnswerRule:
    r"""When an answer is right.

    Parameters
    ----------
    kind : {"exact", "contains", "number", "regex", "loss"}
        See `RULES`.
    pattern : str
        Of "regex": the expression, whose first group (or, without a group, whose match) has to be the reference; of
        several matches the last. Empty where each reference is an expression itself.

    Raises
    ------
    InputError
        An unknown kind, or no regular expression.

    Examples
    --------
    >>> AnswerRule("number").right("That makes 1,234.0 in all.", "1234")
    True
    >>> AnswerRule("regex", r"answer is (\w+)").right("So the answer is Paris.", "paris")
    True
    """

    kind: str = "exact"
    pattern: str = ""

    def __post_init__(self) -> None:
        if self.kind not in RULES:
            raise InputError("rule", repr(self.kind)[:60], " or ".join(map(repr, RULES)), "Choose one of these.")
        if self.pattern:
            if self.kind != "regex":
                fix = "Leave it out, or choose the rule 'regex'."
                raise InputError("rule, pattern", f"a pattern for {self.kind!r}", "none", fix)
            _compiled(self.pattern, "rule, pattern")

    @property
    def needs_answers(self) -> bool:
        """Whether the model has to write an answer; else its probabilities are enough."""
        return self.kind != "loss"

    def right(self, answer: str, reference: str) -> bool:
        """Return whether an answer counts as right.

        Raises
        ------
        InputError
            A regular expression that takes longer than a second on this answer, a reference that should be one and is
            not, or that should hold a number and holds none; the rule "loss", which judges no answer.
        """
        judges: dict[str, Callable[[str, str], bool]] = {
            "exact": exact_match, "contains": contains, "number": same_number,
            "regex": lambda written, wanted: matches(written, wanted, self.pattern),
        }  # fmt: skip
        if self.kind not in judges:
            raise InputError(
                "rule", repr(self.kind), " or ".join(map(repr, judges)), "Choose one that judges answers."
            )
        return judges[self.kind](answer, reference)

    def check_reference(self, reference: str, place: str) -> None:
        """Refuse a reference that this rule can never find right.

        Raises
        ------
        InputError
            No number for "number", or no expression for "regex" without a pattern.
        """
        if self.kind == "number" and last_number(reference) is None:
            fix = "Choose another rule, or leave the row out."
            raise InputError(place, repr(reference)[:60], "an answer with a number", fix)
        if self.kind == "regex" and not self.pattern:
            _compiled(reference, place)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"kind": self.kind, "pattern": self.pattern}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> AnswerRule:
        """Return what `to_dict` gave."""
        return cls(str(content["kind"]), str(content["pattern"]))


def exact_match(answer: str, reference: str) -> bool:
    """Return whether two texts are the same but for case, spaces and a full stop at the end.

    Examples
    --------
    >>> exact_match(" New  York.", "new york"), exact_match("New York City", "New York")
    (True, False)
    """
    return _bare(answer) == _bare(reference)


def contains(answer: str, reference: str) -> bool:
    """Return whether the reference stands in the answer as whole words, whatever the case and spaces.

    Examples
    --------
    >>> contains("It is Paris, of course.", "paris"), contains("It is 10.", "1")
    (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(_bare(reference))}(?!\w)", _bare(answer)) is not None


def same_number(answer: str, reference: str) -> bool:
    """Return whether the last number of the answer equals that of the reference.

    Examples
    --------
    >>> same_number("3 + 4 = 7.0", "7"), same_number("about 70", "7")
    (True, False)
    """
    wanted = last_number(reference)
    return wanted is not None and last_number(answer) == wanted


def last_number(text: str) -> Decimal | None:
    """Return the last number in a text, whose thousands may be kept apart by commas; None where there is none.

    Examples
    --------
    >>> last_number("from 5 to $1,234.50"), last_number("none")
    (Decimal('1234.50'), None)
    """
    numbers = list(_NUMBER.finditer(_SUBTRACTED.sub(" ", text)))
    if not numbers:
        return None
    found = numbers[-1]
    sign = "-" if found["sign"] in ("-", "\u2212") else ""
    return Decimal(sign + found["digits"].replace(",", "") + (found["power"] or ""))


def matches(answer: str, reference: str, pattern: str = "") -> bool:
    r"""Return whether a regular expression finds the reference in the answer.

    Parameters
    ----------
    answer, reference : str
    pattern : str
        The expression. The first group of its last match has to be the reference, as in `exact_match`; without a
        group the whole match. Empty: the reference is the expression, and has to match somewhere.

    Raises
    ------
    InputError
        No regular expression, or one that takes longer than a second.

    Examples
    --------
    >>> matches("(B) because", "b", r"\(([A-D])\)"), matches("42 apples", r"^\d+")
    (True, True)
    """
    expression = _compiled(pattern or reference, "rule, pattern")
    try:
        found = list(expression.finditer(answer, timeout=SECONDS)) if pattern else []
        if not pattern:
            return expression.search(answer, timeout=SECONDS) is not None
    except TimeoutError:
        found_slow = f"{(pattern or reference)[:60]!r}, which takes longer than {SECONDS:.0f} s on an answer"
        fix = "Write one without repetitions of repetitions."
        raise InputError("rule, pattern", found_slow, "a regular expression that ends", fix) from None
    if not found:
        return False
    last = found[-1]
    return exact_match((last[1] or "") if expression.groups else last[0], reference)


def _bare(text: str) -> str:
    return " ".join(text.casefold().split()).removesuffix(".").rstrip()


def _compiled(pattern: str, place: str) -> Any:
    with needed_by("A regular expression with a time limit"):
        import regex
    if len(pattern) > LONGEST_PATTERN:
        found = f"{len(pattern):,} characters"
        raise InputError(place, found, f"a regular expression of at most {LONGEST_PATTERN:,}", "Shorten it.")
    try:
        return regex.compile(pattern)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        fix = "Put a backslash before signs that stand for themselves."
        raise InputError(place, f"{pattern[:60]!r} ({error})", "a regular expression", fix) from None
