"""What a table measures, in words."""

from __future__ import annotations

import re

from kernelsm.outcomes.table import Outcomes


def unit_of(outcomes: Outcomes) -> str:
    """What a table measures, with its unit.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> unit_of(load_example("digits"))
    'loss, nats'
    """
    word = "score" if outcomes.higher_is_better else "loss"
    unit = outcomes.meta.get("unit")
    # metadata of a file is not to be trusted with markup
    return f"{word}, {unit}" if isinstance(unit, str) and re.fullmatch(r"[\w %/]{1,24}", unit) else word
