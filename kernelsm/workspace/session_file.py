"""Session files: what a session looks at, and everything that it keeps, in one zip archive of plain files.

The archive holds

- `session.json`: {"version": 1, "view": {parameter: text}, "titles": {table: title}, "pinned": [run, ...], "owns":
  {key: proof}}, where `owns` is left out where it is empty: for each thing in the file that its writer owns, what
  makes its reader the same owner, 64 hex digits;
- `runs/HASH.parquet` for each table of outcomes, named by its content hash;
- `projects/HASH/...` for each project, a folder of JSON, NPZ, safetensors and CSV files; in its folder `model` a
  tokenizer may also have files ending in .txt and .model;
- `prompts/HASH.json` for demonstrations and queries that were brought.

Of what its writer merely saw through a link it holds the results alone, tables without the name of the project that
they were computed from, and no proof. Whoever opens the file has all that is in it, and owns it from then on.

Nothing in it is a pickle, and nothing of a file is taken before all of it has been checked. A version that does not
know a kind of entry refuses the file: the single orders of a table of prompts, which came later than the format,
therefore stay on the computer that asked the model.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kernelsm.files.archives import unpack
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import check_megabytes, limits
from kernelsm.files.source import Source, source_size
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import LONGEST_TITLE, is_one_line
from kernelsm.workspace.kept import SEND_LESS, Kept
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
    owns : dict
        Key -> what proves to own it as the writer does; of what the writer owned.
    """

    view: dict[str, str]
    kept: dict[str, dict[str, str]]
    pinned: tuple[str, ...] = ()
    owns: dict[str, str] = field(default_factory=dict)


def write_session(
    view: dict[str, str],
    kept: Mapping[str, Mapping[str, str]],
    root: Path,
    *,
    pinned: Sequence[str] = (),
    owns: Mapping[str, str] | None = None,
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
    owns : mapping, optional
        Key -> proof of what the writer owns. Of all else the file holds what a link shows: tables and confirmations,
        and nothing that they were made from. None: all is the writer's own, and no proof goes along.

    Raises
    ------
    InputError
        Something is not here or damaged, a file in a project is none of the known kinds, a title or parameter is too
        long, or there is more than a session may hold (`Limits`).
    """
    allowed = limits()
    keys = {
        kind.name: sorted(
            key for key in kept.get(kind.name, ()) if owns is None or key in owns or not kind.holds_data
        )
        for kind in KEPT_KINDS
    }
    tables = {run for run in (*keys[TABLES.name], view.get(TABLES.parameter, ""), *pinned) if is_content_hash(run)}
    keys[TABLES.name] = sorted(tables)
    titles = {
        key: title for kind in KEPT_KINDS if not kind.keeps_title for key, title in kept.get(kind.name, {}).items()
    }
    all_keys = {key for found in keys.values() for key in found}
    if owns is not None:
        view = _without_what_stays(view, all_keys)
    description = {"version": _VERSION, "view": view, "titles": titles, "pinned": list(pinned)}
    if proofs := {key: proof for key, proof in (owns or {}).items() if key in all_keys}:
        description["owns"] = proofs
    _session(description, keys, "session")
    with tempfile.TemporaryDirectory(prefix="kernelsm-") as shown:
        entries = _files(keys, root, Path(shown), owns)
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


def _files(
    keys: Mapping[str, Sequence[str]], root: Path, shown: Path, owns: Mapping[str, str] | None
) -> dict[str, Path]:
    """Entries of a session file and where their content is; of what is only seen, copies in the folder `shown`."""
    entries: dict[str, Path] = {}
    for kind in KEPT_KINDS:
        for key in keys[kind.name]:
            seen_alone = owns is not None and key not in owns
            files = kind.files_to_show(key, root, shown) if seen_alone else kind.files_to_share(key, root)
            home = shown if seen_alone else root
            _keys(home, files, "session")
            entries |= {path.relative_to(home).as_posix(): path for path in files}
    return entries


def _without_what_stays(view: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    """A view that names no project, texts or other things that do not go along."""
    named = {kind.parameter for kind in KEPT_KINDS if kind.holds_data}
    return {name: value for name, value in view.items() if name not in named or value in keys}


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


def restore_session(path: str, name: str, root: str) -> dict[str, Any]:
    """Do what `read_session` does with a file on disk, and return the fields of what it returns: for `apart`.

    Raises
    ------
    InputError
        As `read_session`.
    """
    return asdict(read_session(Path(path), name, Path(root)))


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
    unknown = sorted({*map(str, description)} - {"version", "view", "titles", "pinned", "owns"})
    if unknown:
        raise InputError(place, f"the field {unknown[0][:40]!r}", "view, titles, pinned and owns", "Remove it.")
    view = _texts(description.get("view"), f"{place}, view", _LONGEST_PARAMETER)
    titles = _texts(description.get("titles"), f"{place}, titles", LONGEST_TITLE)
    pinned = description.get("pinned", [])
    if not isinstance(pinned, list) or not all(isinstance(run, str) and is_run_name(run) for run in pinned):
        raise InputError(f"{place}, pinned", repr(pinned)[:60], "a list of names of runs", "Save the session again.")
    owns = _texts(description.get("owns", {}), f"{place}, owns", LONGEST_TITLE)
    for key, proof in owns.items():
        if not (any(key in found for found in keys.values()) and re.fullmatch("[0-9a-f]{64}", proof)):
            expected = "64 hex digits for each thing in the file that its writer owned"
            raise InputError(f"{place}, owns", f"{key[:60]!r}", expected, "Save the session again.")
    untitled = {key for kind in KEPT_KINDS if not kind.keeps_title for key in keys[kind.name]}
    for part, names, allowed in (
        ("titles", [*titles], untitled), ("view", [view.get(TABLES.parameter, "")], keys[TABLES.name]),
        ("pinned", pinned, keys[TABLES.name]),
    ):  # fmt: skip
        for name in names:
            if (is_content_hash(name) or part == "titles") and name not in allowed:
                fix = "Save the session again where its tables are."
                raise InputError(f"{place}, {part}", f"{name[:60]!r}", "a table that is in the file", fix)
    kept = {kind.name: {key: titles.get(key, "") for key in keys[kind.name]} for kind in KEPT_KINDS}
    return RestoredSession(view, kept, tuple(pinned), owns)


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
    # equal content may have another title or other metadata: what others look at does not change under them
    there = {
        path
        for kind in KEPT_KINDS
        for key in session.kept[kind.name]
        if kind.is_here(key, root) and _loads(kind, key, root)
        for path in kind.paths(key, folder)
    }
    try:
        for path in _kept_paths(folder, session):
            target = root / path.relative_to(folder)
            if target.is_dir() or path in there:
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


def _loads(kind: Kept[Any], key: str, root: Path) -> bool:
    """Whether one that is here can be read; a damaged one is replaced."""
    try:
        kind.load(key, root)
    except InputError:
        return False
    return True


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
