"""Formats of tables that people write and export: the same readers for samples, outcomes and prompts."""

from __future__ import annotations

from collections.abc import Callable

from kernelsm.files.csv_tables import read_csv
from kernelsm.files.json_tables import read_lines, read_list
from kernelsm.files.limits import Limits
from kernelsm.files.source import Source
from kernelsm.files.spreadsheets import read_excel
from kernelsm.files.table_read import TableRead

PACKED = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
"""Formats of text, which may be gzip'd: samples.csv.gz."""
WRITTEN: dict[str, Callable[[Source, str, Limits, int | None], TableRead]] = {
    ".csv": read_csv, ".tsv": read_csv, ".jsonl": read_lines, ".ndjson": read_lines, ".json": read_list,
    ".xlsx": read_excel,
}  # fmt: skip
"""Reader by the ending of a file's name, as `format_of` tells it."""
