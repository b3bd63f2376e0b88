"""The lessons there are: those of the package, then those of the folder that KERNELSM_LESSONS names."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from kernelsm.app.learn.lesson import Lesson, read_lesson
from kernelsm.files.text import decode_text
from kernelsm.runtime.errors import InputError

BUILT_IN = Path(__file__).with_name("lessons")
FOLDER = "KERNELSM_LESSONS"
_MOST_BYTES, _MOST_FILES = 100_000, 40


def load_lessons() -> list[Lesson]:
    """Return all lessons, in the natural order of their files' names: the package's own first.

    Raises
    ------
    InputError
        The folder is not there, or a file is no lesson; names the file and the field.

    Examples
    --------
    >>> from kernelsm.app.learn.lesson_files import load_lessons
    >>> load_lessons()[0].title
    'One task'
    """
    added = os.environ.get(FOLDER, "")
    return [*lessons_in(BUILT_IN), *(lessons_in(Path(added)) if added else [])]


def lessons_in(folder: Path) -> list[Lesson]:
    """Return the lessons of a folder's `.toml` files.

    Raises
    ------
    InputError
        As `load_lessons`.
    """
    if not folder.is_dir():
        fix = f"Make it, or change {FOLDER}."
        raise InputError(FOLDER, f"{folder}, where no folder is", "a folder of lessons", fix)
    files = sorted(folder.glob("*.toml"))
    if len(files) > _MOST_FILES:
        raise InputError(FOLDER, f"{len(files)} lessons", f"at most {_MOST_FILES}", "Move some elsewhere.")
    return [read_lesson_file(file) for file in files]


def read_lesson_file(file: Path) -> Lesson:
    """Return the lesson of one file.

    Raises
    ------
    InputError
        It is too large, no UTF-8, no TOML or no lesson.
    """
    try:
        data = file.read_bytes()[: _MOST_BYTES + 1]
    except OSError as error:
        raise InputError(file.name, f"a file that cannot be read ({error.strerror})", "a lesson", "Repair it.") from None
    if len(data) > _MOST_BYTES:
        raise InputError(file.name, "a file that is too large", f"at most {_MOST_BYTES:,} bytes", "Shorten it.")
    try:
        found = tomllib.loads(decode_text(data, file.name).replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(file.name, str(error) or "nested too deeply", "TOML", "Mend it at that place.") from None
    return read_lesson(found, file.name)
