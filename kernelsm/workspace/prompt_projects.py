"""What prompts are made of: the built-in prompt tasks, and those that users brought, kept by content."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.files.json_text import parse_json
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import one_line_title
from kernelsm.runtime.store import cache_root, content_hash

SECONDS_A_QUERY = 0.056
"""For the default model and the texts of the examples, on two cores."""


@dataclass(frozen=True)
class PromptSource:
    """A prompt task and the language model that answers it.

    Parameters
    ----------
    title : str
        What the user calls it.
    task : PromptTask
    model : str
        A folder or a name on the Hugging Face hub; "" is the default model.
    pace : float, optional
        Seconds to ask one query after a prompt, as a check of these texts found on this computer; None: the usual.
        It is no part of the key.
    """

    title: str
    task: PromptTask
    model: str = ""
    pace: float | None = None

    @property
    def seconds_a_query(self) -> float:
        """Expected seconds to ask one query after a prompt."""
        return SECONDS_A_QUERY if self.pace is None else self.pace


def find_prompts(source: str, root: Path | None = None) -> PromptSource:
    """Return what a source is: the name of a built-in prompt task, or the key of one that was brought.

    Raises
    ------
    InputError
        There is none of that name here, or its file is damaged.
    """
    if source in PROMPT_EXAMPLES:
        return PromptSource(PROMPT_EXAMPLES[source].title, PROMPT_EXAMPLES[source].make())
    path = _path(source, root) if is_content_hash(source) else None
    if path is None or not path.exists():
        expected = " or ".join(map(repr, PROMPT_EXAMPLES)) + ", or the 40 hex digits of texts that were brought"
        raise InputError("prompts", repr(source)[:80], expected, "Choose one of these, or bring the texts again.")
    place, fix = f"prompts {source[:8]}", "Bring the texts again."
    try:
        sheet = parse_json(path.read_bytes())
        found = PromptSource(sheet["title"], PromptTask.from_dict(sheet["task"]), sheet["model"], sheet.get("pace"))
        texts = (found.title, found.model, found.task.name, *found.task.labels)
        whole = (
            all(isinstance(text, str) for text in texts) and type(found.task.k) is int
            and isinstance(found.task.meta, dict) and prompts_key(found) == source
            and (found.pace is None or (type(found.pace) is float and 0 < found.pace < math.inf))
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise InputError(place, "a damaged file", "the texts that were brought", fix)
    return found


def prompts_key(source: PromptSource) -> str:
    """Return the key of texts and a model: forty hex digits of their content, without the title."""
    return content_hash(source.task.content_hash, source.model)


def keep_prompts(source: PromptSource, root: Path | None = None) -> str:
    """Keep texts and the name of a model, and return their key."""
    key = prompts_key(source)
    sheet = {
        "title": one_line_title(source.title),
        "task": source.task.to_dict(),
        "model": source.model,
        "pace": source.pace,
    }
    with write_whole(_path(key, root)) as part:
        part.write_text(json.dumps(sheet, indent=1))
    return key


def has_prompts(source: str, root: Path | None = None) -> bool:
    """Whether a source is a built-in prompt task, or one that was brought and is here and whole."""
    try:
        find_prompts(source, root)
    except InputError:
        return False
    return True


def prompts_bytes(key: str, root: Path | None = None) -> int:
    """Bytes that kept texts take on the disk; 0 where there are none of that key."""
    try:
        return _path(key, root).stat().st_size if is_content_hash(key) else 0
    except FileNotFoundError:
        return 0


def delete_prompts(key: str, root: Path | None = None) -> int:
    """Delete kept texts and return the bytes freed; 0 where there were none of that key."""
    freed = prompts_bytes(key, root)
    if is_content_hash(key):
        _path(key, root).unlink(missing_ok=True)
    return freed


def _path(key: str, root: Path | None) -> Path:
    return (root or cache_root()) / "prompts" / f"{key}.json"
