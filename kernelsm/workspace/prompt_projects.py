"""What prompts are made of: the built-in prompt tasks and those of users, kept by content."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.files.json_text import parse_json
from kernelsm.files.limits import check_megabytes, limits
from kernelsm.models.endpoint_address import is_endpoint
from kernelsm.prompts.task import PromptTask
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.content_hash import CONTENT_HASH
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import one_line_title
from kernelsm.runtime.store import cache_root, content_hash
from kernelsm.workspace.kept import SEND_LESS, Kept

_ENTRY = re.compile(rf"prompts/({CONTENT_HASH})\.json")
SECONDS_A_QUERY = 0.056
"""For the default model and the texts of the examples, on two cores."""
SECONDS_A_CALL = 0.12
"""Of an endpoint: as many calls a minute as it is asked at most where nothing else is said."""


@dataclass(frozen=True)
class PromptSource:
    """A prompt task and the language model that answers it.

    Parameters
    ----------
    title : str
        What the user calls it.
    task : PromptTask
    model : str
        A folder, a name on the Hugging Face hub, or an endpoint (`EndpointAddress.text`); "" is the default model.
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
        usual = SECONDS_A_CALL if is_endpoint(self.model) else SECONDS_A_QUERY
        return usual if self.pace is None else self.pace


class Prompts(Kept[PromptSource]):
    """Texts for prompts and the name of their model, `prompts/KEY.json`."""

    name, folder, parameter = "prompts", "prompts", "prompts"
    label, counted = "demonstrations", ("demonstrations for a prompt", "demonstrations for a prompt")
    not_deleted = " Its tables of outcomes stay."
    entries = "prompts/HASH.json"

    def load(self, key: str, root: Path | None = None) -> PromptSource:
        """Return kept texts.

        Raises
        ------
        InputError
            There are none of that key here, or the file is damaged.
        """
        if not self.is_here(key, root):
            expected = "the 40 hex digits of texts that were brought"
            raise InputError("prompts", repr(key)[:80], expected, "Leave it out, or bring the texts again.")
        place, fix = f"prompts {key[:8]}", "Bring the texts again."
        try:
            sheet = parse_json(_path(key, root).read_bytes())
            found = PromptSource(
                sheet["title"], PromptTask.from_dict(sheet["task"]), sheet["model"], sheet.get("pace")
            )
            texts = (found.title, found.model, found.task.name, *found.task.labels)
            whole = (
                all(isinstance(text, str) for text in texts) and type(found.task.k) is int
                and isinstance(found.task.meta, dict) and prompts_key(found) == key
                and (found.pace is None or (type(found.pace) is float and 0 < found.pace < math.inf))
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise InputError(place, "a damaged file", "the texts that were brought", fix)
        return found

    def paths(self, key: str, root: Path | None = None) -> tuple[Path, ...]:
        """Its file."""
        return (_path(key, root),)

    def title(self, key: str, root: Path | None = None) -> str:
        """What the user calls them."""
        return self.load(key, root).title

    def rename(self, key: str, title: str, root: Path | None = None) -> None:
        """Give texts another title."""
        keep_prompts(replace(self.load(key, root), title=title), root)

    def files_to_share(self, key: str, root: Path) -> list[Path]:
        """Its file."""
        self._load_within_limits(key, root)
        return [_path(key, root)]

    def key_of_entry(self, entry: str) -> str:
        """The key in `prompts/KEY.json`."""
        match = _ENTRY.fullmatch(entry)
        return match[1] if match else ""

    def check_copy(self, key: str, folder: Path, name: str) -> None:
        """Check and rewrite the texts in a session file, without the pace, which another computer measured."""
        path, place = _path(key, folder), f"{name}, prompts/{key}.json"
        check_megabytes(path.stat().st_size, place, limits().megabytes, SEND_LESS)
        try:
            keep_prompts(replace(self._load_within_limits(key, folder), pace=None), folder)
        except InputError as error:
            raise InputError(place, error.found, error.expected, error.fix) from None

    def _load_within_limits(self, key: str, root: Path) -> PromptSource:
        """Texts that are whole, and no more than would have been read from files."""
        source, bounds = self.load(key, root), limits()
        most = max(len(source.task.queries), len(source.task.fresh))
        for group, count, bound in (("candidates", source.task.K, bounds.tasks), ("queries", most, bounds.targets)):
            if count > bound:
                expected, fix = f"at most {bound:,}", "Bring fewer of them."
                raise InputError(f"prompts {key[:8]}", f"{count:,} {group}", expected, fix)
        return source


PROMPTS = Prompts()


def find_prompts(source: str, root: Path | None = None) -> PromptSource:
    """Return what a source is: the name of a built-in prompt task, or the key of an uploaded one.

    Raises
    ------
    InputError
        There is none of that name here, or its file is damaged.
    """
    if source in PROMPT_EXAMPLES:
        return PromptSource(PROMPT_EXAMPLES[source].title, PROMPT_EXAMPLES[source].make())
    if not PROMPTS.is_here(source, root):
        expected = " or ".join(map(repr, PROMPT_EXAMPLES)) + ", or the 40 hex digits of texts that were brought"
        raise InputError("prompts", repr(source)[:80], expected, "Choose one of these, or bring the texts again.")
    return PROMPTS.load(source, root)


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


def _path(key: str, root: Path | None) -> Path:
    return (root or cache_root()) / "prompts" / f"{key}.json"
