"""Samples from a user's file: its ending chooses the reader, and its content must match the ending."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from kernelsm.files.accepting import check_content, check_ending, check_size, ending_of, format_of, plain_name
from kernelsm.files.archives import unpack
from kernelsm.files.limits import Limits
from kernelsm.files.limits import limits as limits_now
from kernelsm.files.signatures import GZIP, JSON, NPZ, OFFICE, PARQUET, UTF_16, ZIP
from kernelsm.files.table_read import TableRead
from kernelsm.files.written_tables import PACKED
from kernelsm.runtime.errors import InputError
from kernelsm.samples.column_facts import Facts, facts_of
from kernelsm.samples.folders import TABLES, read_folder
from kernelsm.samples.npz_arrays import read_npz
from kernelsm.samples.samples import Samples

FORMATS = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl", ".ndjson", ".json", ".npz", ".zip")
PREVIEW_ROWS = 1000
_CONTENTS = {".parquet": PARQUET, ".npz": NPZ, ".zip": ZIP, ".xlsx": OFFICE}
# what to do with files that hold samples in a form that is not read
_FIXES = {
    ".npy": "Save the inputs and the labels together: np.savez('samples.npz', x=x, y=y).",
    ".txt": "Rename it to .csv or .tsv if it is a table with a header.",
    ".arrow": "Save it as Parquet: pyarrow.parquet.write_table(table, 'samples.parquet').",
    ".feather": "Save it as Parquet: pandas.read_feather(path).to_parquet('samples.parquet').",
    ".xls": "In the spreadsheet choose 'Save as' and '.xlsx' or 'CSV UTF-8'.",
    ".ods": "In the spreadsheet choose 'Save as' and '.xlsx' or 'CSV UTF-8'.",
    ".gz": "Unpack it first, or zip it; CSV, TSV and JSON may be packed (samples.csv.gz).",
    ".tar": "Unpack it and zip the folder.",
    ".7z": "Unpack it and zip the folder.",
    ".safetensors": "Weights are loaded as a model; samples come as .npz or a table.",
}


@dataclass(frozen=True, eq=False)
class Preview:
    """The beginning of a file.

    Parameters
    ----------
    samples : Samples
        The first rows, at most 1000; of several splits the first rows of each. A column's kind may differ in the
        whole file.
    rows : int or None
        Samples in the whole file; None if only reading all of it would show that.
    """

    samples: Samples
    rows: int | None


def read_samples(path: Path, name: str | None = None, limits: Limits | None = None) -> Samples:
    """Read all samples of a file.

    Parameters
    ----------
    path : Path
        A file in one of `FORMATS`, or a folder as a zip archive would hold it.
    name : str, optional
        Its name at the user's; the ending chooses the format, messages repeat it. By default that of `path`.
    limits : Limits, optional
        By default those that the environment sets.

    Returns
    -------
    Samples

    Raises
    ------
    InputError
        Names the file and the row, column or entry of the first thing that is wrong.
    """
    name, bounds = name or path.name, limits or limits_now()
    return _samples(_read(path, name, bounds, None), name)


def read_facts(path: Path, name: str | None = None, limits: Limits | None = None) -> Facts:
    """Read all samples of a file, and keep only what its columns hold, in a few numbers.

    Takes and raises what `read_samples` does.
    """
    facts = facts_of(read_samples(path, name, limits))
    pa.default_memory_pool().release_unused()
    return facts


def preview_samples(path: Path, name: str | None = None, limits: Limits | None = None) -> Preview:
    """Read the first samples of a file only; errors further down are not found.

    Takes and raises what `read_samples` does. A zip archive is unpacked as a whole.

    Returns
    -------
    Preview
    """
    name, bounds = name or path.name, limits or limits_now()
    read = _read(path, name, bounds, PREVIEW_ROWS)
    return Preview(_samples(read, name), read.rows)


def _samples(read: TableRead, name: str) -> Samples:
    return Samples(read.columns, name, read.notes, read.left_out, read.index, read.encoding)


def _read(path: Path, name: str, limits: Limits, most: int | None) -> TableRead:
    try:
        if path.is_dir():
            return read_folder(path, name, limits, most)
        ending = _check_file(path, name, limits)
        if ending == ".npz":
            return read_npz(path, name, limits, most)
        if ending != ".zip":
            return TABLES[ending](path, name, limits, most)
        with tempfile.TemporaryDirectory(prefix="kernelsm-") as folder:
            unpack(path, Path(folder), name, limits)
            return read_folder(Path(folder), name, limits, most)
    except MemoryError:
        expected = "samples that fit into it"
        raise InputError(name, "more than this machine's memory holds", expected, "Send fewer samples.") from None
    except OSError as error:
        reason = f"it cannot be read ({error.strerror or error})"
        raise InputError(name, reason, "a file that can be read", "Check the path and send it again.") from None


def _check_file(path: Path, name: str, limits: Limits) -> str:
    """Return the ending that chooses the reader, once ending, size and first bytes are in order."""
    ending = format_of(name, PACKED)
    packed = ending != ending_of(name)
    other = _FIXES.get(ending, "Export the samples in one of these formats.")
    unpickle = "Save the table by DataFrame.to_parquet, arrays by np.savez(path, x=x, y=y)."
    plain = plain_name(name) if packed else name
    check_ending(plain, FORMATS, f"one of {', '.join(FORMATS)}", other, unpickle=unpickle)
    check_size(path, name, limits.megabytes, "a file with samples", "Send fewer samples.")
    kinds = (_CONTENTS[ending],) if ending in _CONTENTS else ("", UTF_16)
    if ending in (".jsonl", ".ndjson", ".json"):
        kinds = (*kinds, JSON)
    if ending == ".xlsx":
        kinds = (OFFICE, ZIP)  # whatever stands first in it
    if packed:
        kinds = (GZIP,)
    fix = "Name it for what it is, or export the samples again."
    check_content(path, name, kinds, GZIP if packed else _CONTENTS.get(ending, "text"), fix)
    return ending
