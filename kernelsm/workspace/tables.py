"""Tables of outcomes kept in the cache, named by content: results of jobs and uploads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from kernelsm.examples.catalog import PROMPT_EXAMPLES, RECIPES, load_example_orders
from kernelsm.files.limits import check_megabytes, limits
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.orders import OrderedOutcomes, load_orders, save_orders
from kernelsm.runtime.content_hash import CONTENT_HASH, is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import cache_root
from kernelsm.workspace.kept import SEND_LESS, Kept, KeptItem, check_hash
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.prompt_projects import PROMPTS, find_prompts

_EXAMPLE = "[a-z][a-z0-9-]{0,30}"
_MADE_FROM = ("computed_from", "onto")
_ENTRY = re.compile(rf"runs/({CONTENT_HASH})\.parquet")


class Tables(Kept[Outcomes]):
    """Tables of outcomes, `runs/KEY.parquet`, with the single orders of prompts beside them."""

    name, folder, parameter = "tables", "runs", "run"
    label, counted = "outcomes", ("table of outcomes", "tables of outcomes")
    keeps_title = False
    holds_data = False
    entries = "runs/HASH.parquet"

    def load(self, key: str, root: Path | None = None) -> Outcomes:
        """Return a kept table.

        Raises
        ------
        InputError
            There is none of that key here, or the file is damaged.
        """
        if not self.is_here(key, root):
            fix = "It was deleted: upload or compute it again, or take it off the session's list."
            raise InputError(f"table {key[:60]}", "nothing", "a kept table", fix)
        return Outcomes.load(_path(key, root))

    def paths(self, key: str, root: Path | None = None) -> tuple[Path, ...]:
        """The table, and the single orders of its prompts."""
        return _path(key, root), _orders_path(key, root)

    def title(self, key: str, root: Path | None = None) -> str:
        """What any table is called; those who use one give it a title."""
        return "table"

    def rename(self, key: str, title: str, root: Path | None = None) -> None:
        """Keep nothing: the title is known to those who use the table."""

    def opens(self, key: str, root: Path | None = None) -> bool:
        """Whether a table is here. It is not read, because pages ask on every rerun; `load` reports damage."""
        return self.is_here(key, root)

    def needs(self, key: str, root: Path | None = None) -> tuple[KeptItem, ...]:
        """The project that it was computed from, or the prompts that a model was asked with."""
        try:
            outcomes = self.load(key, root)
        except InputError:
            return ()
        sources = (KeptItem(PROJECTS, source_of(outcomes, root)), KeptItem(PROMPTS, prompts_of(outcomes, root)))
        return tuple(source for source in sources if is_content_hash(source.key))

    def files_to_share(self, key: str, root: Path) -> list[Path]:
        """The table alone: earlier versions refuse a session file that holds single orders as well."""
        check_hash(f"table {key}", self.load(key, root).content_hash, key)
        return [_path(key, root)]

    def files_to_show(self, key: str, root: Path, folder: Path) -> list[Path]:
        """The table without the keys of what it was made from."""
        self.files_to_share(key, root)
        return [without_keys(self.load(key, root)).save(_path(key, folder))]

    def key_of_entry(self, entry: str) -> str:
        """The key in `runs/KEY.parquet`."""
        match = _ENTRY.fullmatch(entry)
        return match[1] if match else ""

    def check_copy(self, key: str, folder: Path, name: str) -> None:
        """Read a table that came in a session file, and write it anew."""
        path, place = _path(key, folder), f"{name}, runs/{key}.parquet"
        check_megabytes(path.stat().st_size, place, limits().megabytes, SEND_LESS)
        outcomes = Outcomes.from_bytes(path.read_bytes(), place)
        check_hash(place, outcomes.content_hash, key)
        outcomes.save(path)


TABLES = Tables()


def without_keys(outcomes: Outcomes) -> Outcomes:
    """Return a table without the keys of what it was made from: what may be shown to everybody who sees it."""
    meta = {
        name: value
        for name, value in outcomes.meta.items()
        if not (name in _MADE_FROM and isinstance(value, str) and is_content_hash(value))
    }
    return replace(outcomes, meta=meta)


def is_run_name(name: str) -> bool:
    """Whether `name` has the form of a run's name: that of an example, or the content hash of a kept table."""
    return re.fullmatch(_EXAMPLE, name) is not None or is_content_hash(name)


def save_run(outcomes: Outcomes, root: Path | None = None) -> str:
    """Keep a table and return its key, the content hash."""
    outcomes.save(_path(outcomes.content_hash, root))
    return outcomes.content_hash


def keep_brought(outcomes: Outcomes, root: Path | None = None) -> str:
    """Keep a table that somebody sent and return its key; one of the same content that is here stays as it is.

    The key says nothing of the metadata: else whoever sees a table could change where it says that it comes from.
    """
    key = outcomes.content_hash
    try:
        return TABLES.load(key, root).content_hash
    except InputError:
        return save_run(outcomes, root)


def source_of(outcomes: Outcomes, root: Path | None = None) -> str:
    """Return the example with a model, or the project here, that a table says it was computed from; "" for any other.

    Anybody can write that into a table: it tells what the table is of, and grants nothing of a project.
    """
    key = outcomes.meta.get("computed_from", "")
    return key if isinstance(key, str) and (key in RECIPES or PROJECTS.opens(key, root)) else ""


def prompts_of(outcomes: Outcomes, root: Path | None = None) -> str:
    """Return the prompt task that outcomes belong to, an example's name or a key; "" where it is not here."""
    key = outcomes.meta.get("prompts", "")
    try:
        task = find_prompts(key, root).task if isinstance(key, str) else None
    except InputError:
        return ""
    # metadata of an uploaded file may name anything
    return key if task and task.content_hash == outcomes.meta.get("task") else ""


def save_run_orders(name: str, found: OrderedOutcomes, root: Path | None = None) -> None:
    """Keep the single orders of a kept table of prompts beside it."""
    save_orders(found, _orders_path(name, root))


def load_run_orders(name: str, root: Path | None = None) -> OrderedOutcomes | None:
    """Return the single orders of a kept table or a built-in prompt task; None where there are none, or damaged."""
    if is_content_hash(name):
        return load_orders(_orders_path(name, root))
    return load_example_orders(name) if name in PROMPT_EXAMPLES else None


def _orders_path(key: str, root: Path | None) -> Path:
    return _path(key, root).with_name(f"{key}.orders.npz")


def _path(key: str, root: Path | None) -> Path:
    return (root or cache_root()) / "runs" / f"{key}.parquet"
