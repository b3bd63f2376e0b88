"""Samples from folders: a saved Hugging Face dataset, or table files laid out by split as the hub does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kernelsm.files.accepting import bare_name, format_of
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import Limits, check_table_size
from kernelsm.files.table_read import Column, TableRead, keep_readable
from kernelsm.files.written_tables import PACKED, WRITTEN
from kernelsm.runtime.errors import InputError
from kernelsm.samples.columns import join_columns
from kernelsm.samples.parquet import read_arrow, read_parquet
from kernelsm.samples.splits import join_splits, name_parts, parts_without_labels, split_of

Reader = Callable[[Path, str, Limits, int | None], TableRead]
TABLES: dict[str, Reader] = {
    **WRITTEN, ".parquet": read_parquet, ".arrow": read_arrow,
}  # fmt: skip
_LAYOUT = "a dataset saved by save_to_disk, or one kind of table file, such as train.parquet and test.parquet"


def read_folder(folder: Path, name: str, limits: Limits, most: int | None = None) -> TableRead:
    """Columns of all the samples in a folder, with a column `split` where there are several splits.

    Read are what `Dataset.save_to_disk` and `DatasetDict.save_to_disk` of Hugging Face datasets write, and table
    files of one format whose names or folders say train, test, validation or the like (several files of one split
    are stacked; files that say nothing are one table).

    Parameters
    ----------
    folder : Path
        The folder, or one that holds nothing but it.
    name : str
        Its name, for messages.
    limits : Limits
        Bounds of all the files together.
    most : int, optional
        Read only the first rows of every split, this many in all.

    Raises
    ------
    InputError
        Another layout, or a file that is refused by its own reader.
    """
    home = _home(folder)
    if (home / "dataset_dict.json").is_file():
        splits = _json(home / "dataset_dict.json", f"{name}/dataset_dict.json").get("splits")
        if not (isinstance(splits, list) and splits and all(_is_inside(home, split) for split in splits)):
            expected = "names of folders beside it"
            found = f"splits {splits!r}"[:100]
            raise InputError(f"{name}/dataset_dict.json", found, expected, "Save the dataset again.")
        parts = {str(split): _saved(home / split, f"{name}/{split}") for split in dict.fromkeys(splits)}
    elif (home / "state.json").is_file():
        parts = {"": _saved(home, name)}
    else:
        parts = _tables(home, name)
    share = None if most is None else max(1, most // len(parts))
    read: dict[str, list[TableRead]] = {}
    rows = size = 0
    total: int | None = 0
    for split, files in parts.items():
        stacked: list[TableRead] = []
        rows_left = share
        for file in files:
            if rows_left == 0:
                total = None
                break
            part = file.read(file.path, file.place, limits, rows_left)
            columns = part.columns
            total = None if total is None or part.rows is None else total + part.rows
            got = len(next(iter(columns.values())))
            rows_left = None if rows_left is None else rows_left - got
            rows, size = rows + got, size + sum(column.nbytes for column in columns.values())
            # a column that is empty in this file may hold numbers in the next
            check_table_size(max(rows, total or 0), max(size, 8 * rows * len(columns)), name, limits)
            stacked.append(part)
        read[split] = stacked
    return _joined(read, {split: [file.place for file in files] for split, files in parts.items()}, name, total)


def _joined(
    read: dict[str, list[TableRead]], places: dict[str, list[str]], name: str, total: int | None
) -> TableRead:
    """All files as one; a column that one of them leaves out is left out of all."""
    files = [part for stacked in read.values() for part in stacked]
    left_out: dict[str, InputError] = {}
    for part in files:
        left_out = {**part.left_out, **left_out}
    joined: dict[str, dict[str, Column]] = {}
    for split, stacked in read.items():
        kept = [keep_readable(part.columns, left_out) for part in stacked]
        joined[split], differing = join_columns(kept, places[split][: len(kept)])
        left_out |= differing
    parts = {split: keep_readable(held, left_out) for split, held in joined.items()}
    without = parts_without_labels(parts)
    for split in without:
        total = None if total is None else total - sum(part.rows or 0 for part in read[split])
    columns, differing = join_splits({split: held for split, held in parts.items() if split not in without}, name)
    return TableRead(
        columns,
        total,
        notes=(*dict.fromkeys(note for part in files for note in part.notes), *without.values()),
        left_out=left_out | differing,
        index=frozenset[str]().union(*(part.index for part in files)),
        encoding=" and ".join(sorted({part.encoding for part in files})),
    )


@dataclass(frozen=True)
class _File:
    path: Path
    place: str
    read: Reader


def _home(folder: Path) -> Path:
    """The folder itself, or the one that a zip program wrapped around nothing else."""
    while True:
        seen = [path for path in folder.iterdir() if _is_visible(path.name)]
        if len(seen) != 1 or not seen[0].is_dir() or split_of(seen[0].name)[0]:
            return folder
        folder = seen[0]


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _saved(folder: Path, place: str) -> list[_File]:
    """Files of a dataset saved by save_to_disk; what its state names must stand in its folder."""
    state = _json(folder / "state.json", f"{place}/state.json")
    listed = state.get("_data_files")
    entries = listed if isinstance(listed, list) else []
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if not names or not all(_is_inside(folder, file) for file in names):
        missing = next((file for file in names if not _is_inside(folder, file)), None)
        found = f"a data file {missing!r}"[:100] if names else "no data file"
        expected = "names of files beside it"
        raise InputError(f"{place}/state.json", found, expected, "Save the dataset again and zip its whole folder.")
    if state.get("_indices_data_files"):
        fix = "Call dataset.flatten_indices() before save_to_disk."
        raise InputError(f"{place}/state.json", "a selection of rows", "a flat dataset", fix)
    features: object = None
    if (folder / "dataset_info.json").is_file():
        features = _json(folder / "dataset_info.json", f"{place}/dataset_info.json").get("features")
    read = partial(read_arrow, features=features)
    return [_File(folder / str(file), f"{place}/{file}", read) for file in names]


def _tables(folder: Path, name: str) -> dict[str, list[_File]]:
    """Table files by split."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [path for path in files if all(map(_is_visible, path.relative_to(folder).parts))]
    endings = Counter(format_of(path.name, PACKED) for path in files)
    if endings.keys() & (TABLES.keys() - {".json"} | {".safetensors"}):
        # beside tables, or the weights of a model, JSON describes
        files = [path for path in files if format_of(path.name, PACKED) != ".json"]
        endings.pop(".json", None)
    if not endings.keys() & TABLES.keys():
        listed = ", ".join(f"{count:,} {ending or 'without ending'}" for ending, count in endings.most_common(4))
        fix = "Save pictures as arrays of one size (.npz), texts as a table (.csv, .parquet or .jsonl)."
        if endings.keys() & {".zip", ".gz", ".tar"}:
            fix = "Zip the files of samples themselves, not an archive of them."
        raise InputError(name, f"no table of samples (files: {listed or 'none'})", _LAYOUT, fix)
    formats = {TABLES[ending] for ending in endings.keys() & TABLES.keys()}
    if len(formats) > 1:
        listed = ", ".join(sorted(endings.keys() & TABLES.keys()))
        raise InputError(name, f"tables of several formats ({listed})", _LAYOUT, "Keep one format.")
    words: dict[Path, str] = {}
    for path in files:
        if format_of(path.name, PACKED) in TABLES:  # and not a README or a licence
            # the file's own name first, then the folders from within
            named = [
                re.sub(r"-\d+-of-\d+$", "", bare_name(path.name, PACKED)),
                *reversed(path.relative_to(folder).parts[:-1]),
            ]
            words[path] = next((word for word in named if split_of(word)[0]), "")
    split_by_word = name_parts(words.values())
    splits: dict[str, list[_File]] = {}
    for path, word in words.items():
        place = f"{name}/{path.relative_to(folder).as_posix()}"
        splits.setdefault(split_by_word[word], []).append(_File(path, place, TABLES[format_of(path.name, PACKED)]))
    if "" in splits and len(splits) > 1:
        fix = "Name every file for its split (train.csv, test.csv) or none."
        raise InputError(splits[""][0].place, "a name without a split beside files with one", _LAYOUT, fix)
    return splits


def _is_inside(folder: Path, name: object) -> bool:
    """Whether a name found in a file is that of an entry of the folder, and so no path."""
    return isinstance(name, str) and name in {path.name for path in folder.iterdir()}


def _json(path: Path, place: str) -> dict[str, Any]:
    return read_json_object(
        path, place, "what save_to_disk writes", "Save the dataset again and zip its whole folder."
    )
