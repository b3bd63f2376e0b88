"""Confirmations that users keep: what retraining with and without some tasks measured, `confirmed/KEY.json`."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from kernelsm.evaluation.confirmation import WAYS, Confirmation, MeasureName
from kernelsm.examples.catalog import RECIPES
from kernelsm.files.json_text import read_json_object
from kernelsm.outcomes.names import check_names
from kernelsm.outcomes.table_validation import check_target_weights
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.content_hash import CONTENT_HASH, is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import is_one_line, one_line_title
from kernelsm.runtime.store import cache_root, content_hash
from kernelsm.tasks.weighting import Weighting
from kernelsm.workspace.kept import Kept, KeptItem, check_hash
from kernelsm.workspace.projects import PROJECTS

_ENTRY = re.compile(rf"confirmed/({CONTENT_HASH})\.json")
_FIX = "Retrain with and without the tasks again."
_FIELDS = {
    "title", "source", "left_out", "task_names", "target_names", "ridge", "seeds", "measures", "values",
    "target_weights", "task_weighting",
}  # fmt: skip


class Confirmations(Kept[Confirmation]):
    """What retraining with and without some tasks measured, each in one file."""

    name, folder, parameter = "confirmations", "confirmed", "confirmed"
    label, counted = "retrained with and without", ("confirmation by retraining", "confirmations by retraining")
    entries = "confirmed/HASH.json"
    holds_data = False

    def load(self, key: str, root: Path | None = None) -> Confirmation:
        """Return a confirmation.

        Raises
        ------
        InputError
            There is none of that key here, or the file is damaged.
        """
        if not self.is_here(key, root):
            raise InputError("confirmation", repr(key)[:80], "one that is here", _FIX)
        found = _read(_path(key, root), f"confirmation {key[:8]}")
        check_hash(f"confirmation {key[:8]}", confirmation_key(found), key)
        return found

    def paths(self, key: str, root: Path | None = None) -> tuple[Path, ...]:
        """Its file."""
        return (_path(key, root),)

    def title(self, key: str, root: Path | None = None) -> str:
        """What it is called."""
        return self.load(key, root).title

    def rename(self, key: str, title: str, root: Path | None = None) -> None:
        """Give it another title."""
        keep_confirmation(replace(self.load(key, root), title=title), root)

    def needs(self, key: str, root: Path | None = None) -> tuple[KeptItem, ...]:
        """The project whose network was retrained."""
        source = self.load(key, root).source if self.opens(key, root) else ""
        return (KeptItem(PROJECTS, source),) if is_content_hash(source) and PROJECTS.opens(source, root) else ()

    def files_to_share(self, key: str, root: Path) -> list[Path]:
        """Its file."""
        self.load(key, root)
        return [_path(key, root)]

    def key_of_entry(self, entry: str) -> str:
        """The key in `confirmed/KEY.json`."""
        match = _ENTRY.fullmatch(entry)
        return match[1] if match else ""

    def check_copy(self, key: str, folder: Path, name: str) -> None:
        """Read a confirmation that came in a session file, and write it anew."""
        place = f"{name}, confirmed/{key}.json"
        found = _read(_path(key, folder), place)
        check_hash(place, confirmation_key(found), key)
        keep_confirmation(found, folder)


CONFIRMATIONS = Confirmations()


def confirmation_key(confirmation: Confirmation) -> str:
    """Return the key of a confirmation: forty hex digits of its content, without the title."""
    sheet = _sheet(confirmation)
    return content_hash(json.dumps({name: sheet[name] for name in sorted(_FIELDS - {"title"})}, sort_keys=True))


def keep_confirmation(confirmation: Confirmation, root: Path | None = None) -> str:
    """Keep a confirmation and return its key."""
    key = confirmation_key(confirmation)
    with write_whole(_path(key, root)) as part:
        part.write_text(json.dumps(_sheet(confirmation), indent=1))
    return key


def confirmations_of(source: str, root: Path | None = None) -> dict[str, Confirmation]:
    """Return what was confirmed of a source, the newest first: key -> confirmation. Damaged files are left out."""
    folder = (root or cache_root()) / CONFIRMATIONS.folder
    files = sorted(folder.glob("*.json"), key=lambda file: (-file.stat().st_mtime_ns, file.name))
    found = {file.stem: CONFIRMATIONS.load(file.stem, root) for file in files if CONFIRMATIONS.opens(file.stem, root)}
    return {key: one for key, one in found.items() if one.source == source}


def _path(key: str, root: Path | None) -> Path:
    return (root or cache_root()) / CONFIRMATIONS.folder / f"{key}.json"


def _sheet(confirmation: Confirmation) -> dict[str, Any]:
    """As JSON types."""
    return {
        "title": one_line_title(confirmation.title), "source": confirmation.source,
        "left_out": list(confirmation.left_out), "task_names": list(confirmation.task_names),
        "target_names": list(confirmation.target_names), "ridge": float(confirmation.ridge),
        "seeds": list(confirmation.seeds), "measures": [asdict(measure) for measure in confirmation.measures],
        "values": {way: np.asarray(found, dtype=float).tolist() for way, found in confirmation.values.items()},
        "target_weights": None if confirmation.target_weights is None else list(confirmation.target_weights),
        "task_weighting": confirmation.task_weighting,
    }  # fmt: skip


def _read(path: Path, place: str) -> Confirmation:
    """A confirmation from its file, checked: it may come from a stranger's session file."""
    sheet = read_json_object(path, place, "what retraining measured", _FIX)
    if odd := sorted(set(sheet) ^ _FIELDS):
        found = f"no entry {odd[0]!r}" if odd[0] in _FIELDS else f"the unknown entry {odd[0][:40]!r}"
        raise InputError(place, found, ", ".join(sorted(_FIELDS)), _FIX)
    try:
        read = Confirmation(
            source=sheet["source"], left_out=tuple(sheet["left_out"]), task_names=tuple(sheet["task_names"]),
            target_names=tuple(sheet["target_names"]), ridge=sheet["ridge"], seeds=tuple(sheet["seeds"]),
            measures=tuple(MeasureName(**measure) for measure in sheet["measures"]),
            values={way: np.array(values, dtype=np.float64) for way, values in sheet["values"].items()},
            title=sheet["title"], task_weighting=sheet["task_weighting"],
            target_weights=None if sheet["target_weights"] is None else tuple(sheet["target_weights"]),
        )  # fmt: skip
        fine = _is_whole(read)
    except (TypeError, ValueError, AttributeError, OverflowError):
        fine = False
    if not fine:
        raise InputError(place, "entries that do not fit together", "what retraining measured", _FIX)
    return read


def _is_whole(found: Confirmation) -> bool:
    """Whether types, names, numbers and shapes fit together."""
    names = [measure.name for measure in found.measures]
    check_names("task_names", found.task_names, len(found.task_names), "task")
    check_names("target_names", found.target_names, len(found.target_names), "target")
    check_target_weights(found.target_weights, len(found.target_names))
    shape = (len(found.seeds), 2, len(names), len(found.target_names))
    return (
        isinstance(found.source, str) and (found.source in RECIPES or is_content_hash(found.source))
        and found.task_weighting in get_args(Weighting)
        and isinstance(found.title, str) and found.title == one_line_title(found.title)
        and _rising_whole(found.left_out, len(found.task_names)) and len(found.left_out) < len(found.task_names)
        and _rising_whole(found.seeds, 10**9 + 1)
        and type(found.ridge) is float and math.isfinite(found.ridge) and found.ridge > 0
        and len(set(names)) == len(names) > 0
        and all(_is_text(one.name) and _is_text(one.unit) for one in found.measures)
        and all(type(one.higher_is_better) is bool for one in found.measures)
        and len(found.values) > 0
        and set(found.values) <= set(WAYS)
        and all(values.shape == shape and np.isfinite(values).all() for values in found.values.values())
    )  # fmt: skip


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and is_one_line(found)


def _rising_whole(numbers: tuple[Any, ...], end: int) -> bool:
    """Whether these are whole numbers from 0 to below `end`, one at least, each once and rising."""
    whole = all(type(number) is int and 0 <= number < end for number in numbers)
    return whole and len(numbers) > 0 and list(numbers) == sorted(set(numbers))
