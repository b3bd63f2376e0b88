"""What "auto" stands for; known without torch, so that pages and estimates can say it."""

from __future__ import annotations

from typing import Literal

from kernelsm.runtime.errors import InputError

Outputs = Literal["logits", "margin"]
PROJECTIONS = ("exact", "kronecker", "gaussian", "rademacher", "sparse")
EXACT_UP_TO = 4096
"""Parameters up to which every coordinate is kept."""
OUTPUTS_BUDGET = 3 * 2**29
"""Bytes that the features of all logits may take; beyond, those of the margin alone are computed."""


def projection_name(asked: str, parameters: int) -> str:
    """Resolve "auto": exact up to 4,096 parameters, Kronecker beyond.

    Raises
    ------
    InputError
        The name is not known.
    """
    if asked == "auto":
        return "exact" if parameters <= EXACT_UP_TO else "kronecker"
    if asked not in PROJECTIONS:
        raise InputError("projection", repr(asked), "'auto', " + ", ".join(map(repr, PROJECTIONS)), "Choose one.")
    return asked


def outputs_name(asked: str, numbers: int) -> Outputs:
    """Resolve "auto": all logits where n·C·k single-precision numbers take at most 1.5 GiB, else the margin.

    Raises
    ------
    InputError
        The name is not known.
    """
    if asked == "auto":
        return "logits" if 4 * numbers <= OUTPUTS_BUDGET else "margin"
    if asked == "logits":
        return "logits"
    if asked == "margin":
        return "margin"
    raise InputError("outputs", repr(asked), "'auto', 'logits' or 'margin'", "Choose one of these.")
