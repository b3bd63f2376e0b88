"""Session files: what a session looks at, and everything that it keeps, in one zip archive of plain files.

The archive holds

- `session.json`: {"version": 1, "view": {parameter: text}, "titles": {table: title}, "pinned": [run, ...]};
- `runs/HASH.parquet` for each table of outcomes, named by its content hash;
- `projects/HASH/...` for each project, a folder of JSON, NPZ, safetensors and CSV files; in its folder `model` a
  tokenizer may also have files ending in .txt and .model;
- `prompts/HASH.json` for demonstrations and queries that were brought.

Nothing in it is a pickle, and nothing of a file is taken before all of it has been checked. A version that does not
know a kind of entry refuses the file: the single orders of a table of prompts, which came later than the format,
therefore stay on the computer that asked the model.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelsm.files.archives import unpack
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import check_megabytes, limits
from kernelsm.files.source import Source, source_size
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import LONGEST_TITLE, is_one_line
from kernelsm.workspace.kept import SEND_LESS
from kernelsm.workspace.kept_kinds import KEPT_KINDS
from kernelsm.workspace.tables import TABLES, is_run_name

_VERSION = 1
_DESCRIPTION = "session.json"
_LONGEST_PARAMETER, _MOST_ENTRIES = 4_000, 1_000
_COMPRESSED = (".parquet", ".npz", ".safetensors")


@dataclass(frozen=True)
class RestoredSession:
    """What was read from a session file.

    Parameters
    ----------
    view : dict
        Parameters of the view as a link holds them; unknown ones are the reader's to ignore.
    kept : dict
        Name of each kind of `KEPT_KINDS` -> {key: title} of what is here now. The title is "" where the file gives
        none apart: it may be kept with the thing itself.
    pinned : tuple of str
        Runs to compare with: names of examples or content hashes of tables.
    """

    view: dict[str, str]
    kept: dict[str, dict[str, str]]
    pinned: tuple[str, ...] = ()


def write_session(
    view: dict[str, str],
    kept: Mapping[str, Mapping[str, str]],
    root: Path,
    *,
    pinned: Sequence[str] = (),
) -> bytes:
    """Return a session file as bytes; the same session gives the same bytes.

    Parameters
    ----------
    view : dict
        Parameters of the view as a link holds them.
    kept : mapping
        Name of a kind of `KEPT_KINDS` -> {key: title} of what goes along, and so do the tables that `view` and
        `pinned` name. Where titles are kept with the things themselves, those are taken.
    root : Path
        Folder of the cache.
    pinned : sequence of str
        Runs to compare with.

    Raises
    ------
    InputError
        Something is not here or damaged, a file in a project is none of the known kinds, a title or parameter is too
        long, or there is more than a session may hold (`Limits`).
    """
    allowed = limits()
    keys = {kind.name: sorted(kept.get(kind.name, ())) for kind in KEPT_KINDS}
    tables = {run for run in (*keys[TABLES.name], view.get(TABLES.parameter, ""), *pinned) if is_content_hash(run)}
    keys[TABLES.name] = sorted(tables)
    titles = {
        key: title for kind in KEPT_KINDS if not kind.keeps_title for key, title in kept.get(kind.name, {}).items()
    }
    description = {"version": _VERSION, "view": view, "titles": titles, "pinned": list(pinned)}
    _session(description, keys, "session")
    entries: dict[str, Path] = {}
    for kind in KEPT_KINDS:
        for key in keys[kind.name]:
            files = kind.files_to_share(key, root)
            _keys(root, files, "session")
            entries |= {path.relative_to(root).as_posix(): path for path in files}
    total = sum(path.stat().st_size for path in entries.values())
    check_megabytes(total, "session", allowed.unpacked_megabytes, SEND_LESS)
    if len(entries) >= allowed.files:
        raise InputError("session", f"{len(entries) + 1:,} files", f"at most {allowed.files:,}", SEND_LESS)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(description, ensure_ascii=False, indent=1, sort_keys=True)
        archive.writestr(_entry(_DESCRIPTION), text.encode())
        for entry, path in sorted(entries.items()):
            with path.open("rb") as content, archive.open(_entry(entry), "w", force_zip64=True) as packed:
                shutil.copyfileobj(content, packed, 2**20)
    check_megabytes(file.tell(), "session", allowed.megabytes, SEND_LESS)
    return file.getvalue()


def read_session(source: Source, name: str, root: Path) -> RestoredSession:
    """Check a session file and take everything that is kept in it over into the cache.

    A project that is here already is left as it is.

    Parameters
    ----------
    source : Path or bytes
        The file or its content.
    name : str
        Its name, for messages.
    root : Path
        Folder of the cache.

    Raises
    ------
    InputError
        Names the entry that is wrong; the cache is as it was before.
    """
    allowed = limits()
    check_megabytes(source_size(source), name, allowed.megabytes, SEND_LESS)
    try:
        root.mkdir(parents=True, exist_ok=True)
        # in the cache itself, so that moving is renaming
        with tempfile.TemporaryDirectory(prefix=".session-", dir=root) as staging:
            archive, folder = Path(staging, "session.zip"), Path(staging, "unpacked")
            if isinstance(source, bytes):
                archive.write_bytes(source)
            unpack(archive if isinstance(source, bytes) else source, folder, name, allowed)
            session = _checked(folder, name)
            _take(folder, root, session)
    except OSError as error:
        fix = "Free some space, or ask who runs the server."
        raise InputError("folder of the cache", error.strerror or "an error", "one to write to", fix) from None
    return session


def _checked(folder: Path, name: str) -> RestoredSession:
    """Read an unpacked session; its parts are rewritten where possible, so that only understood content is kept."""
    description = _described(folder / _DESCRIPTION, f"{name}, {_DESCRIPTION}")
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    keys = _keys(folder, files, name)
    session = _session(description, keys, f"{name}, {_DESCRIPTION}")
    for kind in KEPT_KINDS:
        for key in keys[kind.name]:
            kind.check_copy(key, folder, name)
    return session


def _described(path: Path, place: str) -> dict[str, Any]:
    """Content of `session.json` of a version that is known."""
    fix = "Choose a file that 'Save session' wrote."
    if not path.is_file() or path.is_symlink():
        raise InputError(place, "no such entry", "a session file", fix)
    content = read_json_object(path, place, "the description of a session", fix)
    version = content.get("version")
    if type(version) is not int or version != _VERSION:
        newer = "Open it with the version of kernelsm that wrote it." if type(version) is int else fix
        raise InputError(place, f"version {version!r}"[:60], f"version {_VERSION}", newer)
    return content


def _keys(folder: Path, files: Iterable[Path], name: str) -> dict[str, list[str]]:
    """The keys of each kind, read from the file names; an unknown file name is an error."""
    keys_by_kind: dict[str, list[str]] = {kind.name: [] for kind in KEPT_KINDS}
    for path in files:
        entry = path.relative_to(folder).as_posix()
        keys = {kind.name: key for kind in KEPT_KINDS if (key := kind.key_of_entry(entry))}
        if path.is_symlink() or not (keys or entry == _DESCRIPTION):
            *known, last = [_DESCRIPTION, *(kind.entries for kind in reversed(KEPT_KINDS))]
            expected = f"{', '.join(known)}, or {last}"
            raise InputError(f"{name}, {entry[:200]!r}", "an entry that no session has", expected, "Remove it.")
        for kind, key in keys.items():
            keys_by_kind[kind] += [key] if key not in keys_by_kind[kind] else []
    return keys_by_kind


def _session(description: dict[str, Any], keys: Mapping[str, Sequence[str]], place: str) -> RestoredSession:
    """A session from its description, checked against what comes with it."""
    unknown = sorted({*map(str, description)} - {"version", "view", "titles", "pinned"})
    if unknown:
        raise InputError(place, f"the field {unknown[0][:40]!r}", "view, titles and pinned", "Remove it.")
    view = _texts(description.get("view"), f"{place}, view", _LONGEST_PARAMETER)
    titles = _texts(description.get("titles"), f"{place}, titles", LONGEST_TITLE)
    pinned = description.get("pinned", [])
    if not isinstance(pinned, list) or not all(isinstance(run, str) and is_run_name(run) for run in pinned):
        raise InputError(f"{place}, pinned", repr(pinned)[:60], "a list of names of runs", "Save the session again.")
    untitled = {key for kind in KEPT_KINDS if not kind.keeps_title for key in keys[kind.name]}
    for field, names, allowed in (
        ("titles", [*titles], untitled), ("view", [view.get(TABLES.parameter, "")], keys[TABLES.name]),
        ("pinned", pinned, keys[TABLES.name]),
    ):  # fmt: skip
        for name in names:
            if (is_content_hash(name) or field == "titles") and name not in allowed:
                fix = "Save the session again where its tables are."
                raise InputError(f"{place}, {field}", f"{name[:60]!r}", "a table that is in the file", fix)
    kept = {kind.name: {key: titles.get(key, "") for key in keys[kind.name]} for kind in KEPT_KINDS}
    return RestoredSession(view, kept, tuple(pinned))


def _texts(content: Any, place: str, longest: int) -> dict[str, str]:
    if not isinstance(content, dict) or len(content) > _MOST_ENTRIES:
        found = f"{len(content):,} entries" if isinstance(content, dict) else repr(content)[:60]
        raise InputError(place, found, f"an object of at most {_MOST_ENTRIES:,} entries", "Save the session again.")
    for key, text in content.items():
        if not all(
            isinstance(string, str) and len(string) <= longest and is_one_line(string) for string in (key, text)
        ):
            expected = f"one line of at most {longest:,} characters"
            fix = "Write it on one line, or shorten it."
            raise InputError(f"{place}, {str(key)[:60]!r}", repr(text)[:60], expected, fix)
    return content


def _take(folder: Path, root: Path, session: RestoredSession) -> None:
    """Move what is kept into the cache; if moving fails, files moved before are removed again."""
    moved: list[Path] = []
    try:
        for path in _kept_paths(folder, session):
            target = root / path.relative_to(folder)
            if target.is_dir():
                continue
            target.parent.mkdir(exist_ok=True)
            existed = target.exists()
            path.replace(target)
            moved += [] if existed else [target]
    except OSError:
        for path in moved:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _kept_paths(folder: Path, session: RestoredSession) -> list[Path]:
    """Files and folders of an unpacked session that are to be moved."""
    paths = [path for kind in KEPT_KINDS for key in session.kept[kind.name] for path in kind.paths(key, folder)]
    return [path for path in paths if path.exists()]


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a time, so that equal sessions are equal files."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_COMPRESSED) else zipfile.ZIP_DEFLATED
    return info
