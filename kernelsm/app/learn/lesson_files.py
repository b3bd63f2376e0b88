"""The lessons there are: those of the package, then those of the folder that KERNELSM_LESSONS names."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

from kernelsm.app.learn.lesson import Lesson, read_lesson
from kernelsm.app.learn.shown import check_shows
from kernelsm.files.text import decode_text
from kernelsm.outcomes.names import natural_order
from kernelsm.runtime.errors import InputError

BUILT_IN = Path(__file__).with_name("lessons")
FOLDER = "KERNELSM_LESSONS"
_MOST_BYTES, _MOST_FILES = 100_000, 40


def load_lessons(refused: Callable[[InputError], None]) -> list[Lesson]:
    """Return all lessons, in the natural order of their files' names: the package's own first.

    Parameters
    ----------
    refused : callable
        Called with what is wrong with the folder, or with a file that is no lesson: the others are returned.

    Examples
    --------
    >>> from kernelsm.app.learn.lesson_files import load_lessons
    >>> [lesson.title for lesson in load_lessons(print)][:2]
    ['One task', 'Linear is blind']
    """
    lessons = []
    try:
        files = lesson_files(BUILT_IN)
        if added := os.environ.get(FOLDER, ""):
            files += lesson_files(Path(added))
    except InputError as error:
        refused(error)
    for file in files:
        try:
            lessons.append(read_lesson_file(file))
        except InputError as error:
            refused(error)
    return lessons


def lesson_files(folder: Path) -> list[Path]:
    """Return the `.toml` files of a folder in their natural order.

    Raises
    ------
    InputError
        The folder is not there, or holds too many.
    """
    if not folder.is_dir():
        fix = f"Make it, or change {FOLDER}."
        raise InputError(FOLDER, f"{folder}, where no folder is", "a folder of lessons", fix)
    files = list(folder.glob("*.toml"))
    if len(files) > _MOST_FILES:
        raise InputError(FOLDER, f"{len(files)} lessons", f"at most {_MOST_FILES}", "Move some elsewhere.")
    return [files[i] for i in natural_order([file.name for file in files])]


def read_lesson_file(file: Path) -> Lesson:
    """Return the lesson of one file.

    Raises
    ------
    InputError
        It is too large, no UTF-8, no TOML or no lesson, or its example lacks what it names.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError(file.name, found, "a lesson", "Repair it.") from None
    if len(data) > _MOST_BYTES:
        raise InputError(file.name, "a file that is too large", f"at most {_MOST_BYTES:,} bytes", "Shorten it.")
    try:
        fields = tomllib.loads(decode_text(data, file.name).replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(file.name, str(error) or "nested too deeply", "TOML", "Mend it at that place.") from None
    lesson = read_lesson(fields, file.name)
    check_shows(lesson)
    return lesson
