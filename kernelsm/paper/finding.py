"""A claim of the paper beside what comes out here: numbers with intervals, and a verdict that follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kernelsm.paper.intervals import Estimate

Verdict = Literal["holds", "holds in part", "not here"]


@dataclass(frozen=True)
class Row:
    """One number of a claim.

    Parameters
    ----------
    what : str
        What was measured, and on what.
    paper : str
        The paper's number; "" where it has none.
    ours : Estimate, optional
        None where it could not be measured here.
    holds : bool, optional
        Whether what the paper says of this number is so here; None where nothing is claimed of it, or it could not
        be measured.
    note : str
        What a reader must know beside it; for a row that could not be measured, what that needs.
    """

    what: str
    paper: str = ""
    ours: Estimate | None = None
    holds: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """A figure, table or proposition of the paper, run here.

    Parameters
    ----------
    key : str
        As in the name of its file: "figure1".
    place : str
        As in the paper: "Figure 1".
    claim : str
        What the paper says there, in our words.
    rows : tuple of Row
    because : str
        What the verdict rests on, and what it leaves out.
    sizes : dict
        How many samples, subsets, repetitions; JSON types.
    seconds : float
        That it took.
    table : tuple of dict
        Further numbers, one dict a line, all with the same keys.
    machine : dict
        What it ran on; empty where it was not noted.
    """

    key: str
    place: str
    claim: str
    rows: tuple[Row, ...]
    because: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = math.nan
    table: tuple[Mapping[str, Any], ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Follows from the rows that could be judged: "holds" if all do, "holds in part" if some, else "not here"."""
        judged = [row.holds for row in self.rows if row.holds is not None]
        if judged and all(judged):
            return "holds"
        return "holds in part" if any(judged) else "not here"

    def to_json(self) -> dict[str, Any]:
        """As JSON types; a number that is not there is null."""
        found: dict[str, Any] = _without_nan({**asdict(self), "verdict": self.verdict})
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Finding:
        """Read what `to_json` wrote."""
        content = {name: value for name, value in found.items() if name != "verdict"}
        rows = tuple(Row(**{**row, "ours": _estimate(row["ours"])}) for row in content["rows"])
        seconds = math.nan if content["seconds"] is None else content["seconds"]
        return cls(**{**content, "rows": rows, "table": tuple(content["table"]), "seconds": seconds})


def _estimate(found: Mapping[str, Any] | None) -> Estimate | None:
    if found is None:
        return None
    return Estimate(**{name: math.nan if value is None else value for name, value in found.items()})


def _without_nan(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {name: _without_nan(value) for name, value in found.items()}
    if isinstance(found, Sequence) and not isinstance(found, str):
        return [_without_nan(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
