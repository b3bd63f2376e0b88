"""What a table of outcomes measures, in a word and with its unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernelsm.outcomes.table import Outcomes

# metadata of a file is not to be trusted with markup
_WORD, _UNIT = re.compile(r"[\w ]{1,24}"), re.compile(r"[\w %/]{1,24}")


def measured_word(outcomes: Outcomes) -> str:
    """What is measured, in a word or two: "loss", or the measure that the metadata names, or else "score".

    Examples
    --------
    >>> from kernelsm import Outcomes
    >>> from kernelsm.outcomes.measured_word import measured_word
    >>> measured_word(Outcomes([[True], [False]], [[0.1], [0.2]], meta={"measure": "absolute error"}))
    'absolute error'
    """
    named = outcomes.meta.get("measure")
    if isinstance(named, str) and _WORD.fullmatch(named) and (named != "loss" or not outcomes.higher_is_better):
        return named
    return "score" if outcomes.higher_is_better else "loss"


def measured_unit(outcomes: Outcomes) -> str:
    """What is measured with its unit, as axes say it: "loss, nats"."""
    word, unit = measured_word(outcomes), outcomes.meta.get("unit")
    return f"{word}, {unit}" if isinstance(unit, str) and _UNIT.fullmatch(unit) else word
