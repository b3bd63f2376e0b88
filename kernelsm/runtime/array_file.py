"""Arrays too large for memory, on disk: written chunk by chunk, resumed after a kill, read as memory maps.

A folder holds

- `header.json`: the layout (number of rows, chunk size, shape and type of each field) and what made it;
- `NAME.bin` for each field: all rows, one after the other;
- `finished.txt`: a line for each finished chunk with the checksum of its rows in each field.

A chunk's line is written after its rows have reached the disk, so a killed process leaves whole chunks; rows without
a line are written again. Opening checks every finished chunk; a damaged one is named in the log and written again.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError

logger = logging.getLogger(__name__)

_FORMAT = 1
_NUMBER = re.compile(r"[0-9]{1,12}")
_SPARE = 2**20  # bytes left free, so that the status of the job can still be written


@dataclass(frozen=True)
class Layout:
    """What an array file holds.

    Parameters
    ----------
    rows : int
        n, the length of the first axis of every field.
    chunk : int
        Rows written at a time.
    fields : dict
        Name -> shape of one row; all are float32.
    arguments : dict
        What made the rows; JSON types only.
    """

    rows: int
    chunk: int
    fields: dict[str, tuple[int, ...]]
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return math.ceil(self.rows / self.chunk)

    @cached_property
    def row_bytes(self) -> dict[str, int]:
        """Bytes of one row of each field."""
        return {name: 4 * math.prod(shape) for name, shape in self.fields.items()}

    def span(self, number: int) -> tuple[int, int]:
        """First row of a chunk and the row after its last."""
        return number * self.chunk, min((number + 1) * self.chunk, self.rows)

    def header(self) -> dict[str, Any]:
        """The content of `header.json`."""
        return json.loads(json.dumps({"format": _FORMAT, "type": "float32", **asdict(self)}))  # type: ignore[no-any-return]


class ArrayFile:
    """The folder of one set of arrays; opening it creates it or finds what is finished.

    Parameters
    ----------
    folder : Path
        One folder for one content: name it by a hash.
    layout : Layout
        What the folder is to hold. If it holds something else, it is emptied.

    Raises
    ------
    InputError
        There is no room for the rows still to be written.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self.finished: dict[int, list[int]] = {}
        with _room_needed(folder, layout):
            folder.mkdir(parents=True, exist_ok=True)
            if self._header() != layout.header():
                self._start()
            self._find_finished()
        os.utime(folder)  # the least recently used go first when the cache grows too large
        missing = self.missing_bytes()
        free = shutil.disk_usage(folder).free
        if missing and missing + _SPARE > free:
            raise _full(folder, f"{math.floor(free / 2**18) / 4:g} MiB free", missing + _SPARE)

    def missing_bytes(self) -> int:
        """Bytes that the unfinished chunks will take beyond what the files take already."""
        total = sum(self.layout.rows * size for size in self.layout.row_bytes.values())
        return max(0, total - sum(self._path(name).stat().st_size for name in self.layout.fields))

    def write(self, number: int, **arrays: NDArray[np.float32]) -> None:
        """Write the rows of one chunk to disk.

        Raises
        ------
        InputError
            The disk is full; everything finished is kept.
        """
        start, stop = self.layout.span(number)
        sums = []
        with _room_needed(self.folder, self.layout, self):
            for name, shape in self.layout.fields.items():
                values = np.ascontiguousarray(arrays[name], dtype=np.float32)
                assert values.shape == (stop - start, *shape), (values.shape, name)
                sums.append(zlib.crc32(values.data))
                with self._path(name).open("r+b") as file:  # not through a map: a full disk would kill the process
                    file.seek(start * self.layout.row_bytes[name])
                    file.write(values.data)
                    file.flush()
                    os.fsync(file.fileno())
            self._append(number, sums)
        self.finished[number] = sums

    def read(self) -> dict[str, NDArray[np.float32]]:
        """Return every field as a read-only memory map, shape (rows, ...)."""
        assert len(self.finished) == self.layout.chunks, "chunks are missing"
        return {
            name: np.memmap(self._path(name), dtype=np.float32, mode="r", shape=(self.layout.rows, *shape))
            for name, shape in self.layout.fields.items()
        }

    def drop_unfinished(self) -> None:
        """Cut off what a failed write has left behind the last finished chunk, this process's or another's."""
        self._find_finished()
        rows = max((self.layout.span(number)[1] for number in self.finished), default=0)
        for name, size in self.layout.row_bytes.items():
            if self._path(name).stat().st_size > rows * size:
                os.truncate(self._path(name), rows * size)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def _header(self) -> Any:
        try:
            header = json.loads((self.folder / "header.json").read_text())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError):
            logger.warning("the header of %s is damaged; its arrays are computed again", self.folder.name)
            return None
        return header if all(self._path(name).exists() for name in self.layout.fields) else None

    def _start(self) -> None:
        (self.folder / "finished.txt").write_text("")
        for name in self.layout.fields:
            self._path(name).write_bytes(b"")
        with write_whole(self.folder / "header.json") as part:
            part.write_text(json.dumps(self.layout.header(), indent=1))

    def _append(self, number: int, sums: list[int]) -> None:
        with (self.folder / "finished.txt").open("a") as file:
            # the line before may have lost its end
            file.write("\n" + " ".join(map(str, [number, *sums])) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _find_finished(self) -> None:
        damaged = False
        for line in self._lines():
            parts = line.split()
            # the line that was being written when the process was killed may be cut
            if len(parts) != 1 + len(self.layout.fields) or not all(_NUMBER.fullmatch(part) for part in parts):
                damaged = True
                continue
            number, *sums = map(int, parts)
            if number < self.layout.chunks and self._sums(number) == sums:
                self.finished[number] = sums
            else:
                damaged = True
                logger.warning("damaged chunk %d of %s dropped and computed again", number, self.folder.name)
        if damaged:
            lines = (" ".join(map(str, [n, *sums])) + "\n" for n, sums in self.finished.items())
            with write_whole(self.folder / "finished.txt") as part:
                part.write_text("".join(lines))

    def _lines(self) -> list[str]:
        try:
            text = (self.folder / "finished.txt").read_text(errors="replace")
        except FileNotFoundError:
            return []
        return [line for line in text.splitlines() if line.strip()]

    def _sums(self, number: int) -> list[int]:
        """Checksums of a chunk's rows as they are on disk."""
        start, stop = self.layout.span(number)
        found = []
        for name, size in self.layout.row_bytes.items():
            with self._path(name).open("rb") as file:
                file.seek(start * size)
                rows = file.read((stop - start) * size)
            found.append(zlib.crc32(rows) if len(rows) == (stop - start) * size else -1)
        return found


@contextmanager
def _room_needed(folder: Path, layout: Layout, file: ArrayFile | None = None) -> Iterator[None]:
    """Turn a full disk into an error that says what to do."""
    try:
        yield
    except FileNotFoundError:
        fix = "Somebody deleted the chunks: start again."
        raise InputError("cache", "an array file that is gone", "the one being written", fix) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        if file is not None:
            with suppress(OSError):
                file.drop_unfinished()
        missing = file.missing_bytes() if file is not None else layout.rows * sum(layout.row_bytes.values())
        raise _full(folder, "no space left", missing + _SPARE) from None


def _full(folder: Path, found: str, needed: int) -> InputError:
    fix = "Free that much, or choose fewer dimensions, and start again: finished chunks are kept."
    return InputError(f"disk of the cache ({folder.parent})", found, f"{math.ceil(needed / 2**18) / 4:g} MiB", fix)
