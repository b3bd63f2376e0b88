"""Tables of outcomes kept in the cache, named by content: results of jobs and uploads."""

from __future__ import annotations

import re
from pathlib import Path

from kernelsm.examples.catalog import PROMPT_EXAMPLES, load_example_orders
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.orders import OrderedOutcomes, load_orders, save_orders
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.store import cache_root

_EXAMPLE = "[a-z][a-z0-9-]{0,30}"


def is_run_name(name: str) -> bool:
    """Whether `name` has the form of a run's name: that of an example, or the content hash of a kept table."""
    return re.fullmatch(_EXAMPLE, name) is not None or is_content_hash(name)


def save_run(outcomes: Outcomes, root: Path | None = None) -> str:
    """Keep a table and return its name, the content hash."""
    outcomes.save(_path(outcomes.content_hash, root))
    return outcomes.content_hash


def has_run(name: str, root: Path | None = None) -> bool:
    """Whether a kept table of that name is here."""
    return is_content_hash(name) and _path(name, root).exists()


def load_run(name: str, root: Path | None = None) -> Outcomes:
    """Return a kept table.

    Raises
    ------
    KeyError
        There is none of that name here.
    InputError
        The file is damaged.
    """
    path = _path(name, root) if is_content_hash(name) else None
    if path is None or not path.exists():
        raise KeyError(name)
    return Outcomes.load(path)


def run_bytes(name: str, root: Path | None = None) -> int:
    """Bytes that a kept table takes on the disk; 0 where there is none of that name."""
    if not is_content_hash(name):
        return 0
    try:
        return _path(name, root).stat().st_size
    except FileNotFoundError:
        return 0


def delete_run(name: str, root: Path | None = None) -> int:
    """Delete a kept table and return the bytes freed; 0 where there was none of that name."""
    freed = run_bytes(name, root)
    if is_content_hash(name):
        _path(name, root).unlink(missing_ok=True)
    return freed


def save_run_orders(name: str, found: OrderedOutcomes, root: Path | None = None) -> None:
    """Keep the single orders of a kept table of prompts beside it."""
    save_orders(found, _orders_path(name, root))


def load_run_orders(name: str, root: Path | None = None) -> OrderedOutcomes | None:
    """Return the single orders of a kept table or a built-in prompt task; None where there are none, or damaged."""
    if is_content_hash(name):
        return load_orders(_orders_path(name, root))
    return load_example_orders(name) if name in PROMPT_EXAMPLES else None


def _orders_path(name: str, root: Path | None) -> Path:
    return _path(name, root).with_name(f"{name}.orders.npz")


def _path(name: str, root: Path | None) -> Path:
    return (root or cache_root()) / "runs" / f"{name}.parquet"
