"""Session files: what a session looks at, its tables and its projects in one zip archive of plain files.

The archive holds

- `session.json`: {"version": 1, "view": {parameter: text}, "titles": {table: title}, "pinned": [run, ...]};
- `runs/HASH.parquet` for each table of outcomes, named by its content hash;
- `projects/HASH/...` for each project, a folder of JSON, NPZ, safetensors and CSV files; in its folder `model` a
  tokenizer may also have files ending in .txt and .model;
- `prompts/HASH.json` for demonstrations and queries that were brought.

Nothing in it is a pickle, and nothing of a file is taken before all of it has been checked.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kernelsm.files.archives import unpack
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import Limits, check_megabytes, limits
from kernelsm.files.source import Source, source_size
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.content_hash import CONTENT_HASH, is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import LONGEST_TITLE, is_one_line
from kernelsm.workspace.prompt_projects import PromptSource, find_prompts, keep_prompts
from kernelsm.workspace.tables import is_run_name, load_run

_VERSION = 1
_DESCRIPTION = "session.json"
_RUN_FILE = re.compile(rf"runs/({CONTENT_HASH})\.parquet")
# what begins with a dot or a dash, or holds anything that a shell or another system reads differently, stays out
_FILE = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_PROJECT_FILE = re.compile(rf"projects/({CONTENT_HASH})(?:/{_FILE}){{0,3}}/{_FILE}\.(?:json|npz|safetensors|csv)")
_TOKENIZER_FILE = re.compile(rf"projects/({CONTENT_HASH})/model/{_FILE}\.(?:txt|model)")
_PROMPTS_FILE = re.compile(rf"prompts/({CONTENT_HASH})\.json")
_SEND_LESS = "Save the session with fewer projects and tables."
_LONGEST_PARAMETER, _MOST_ENTRIES = 4_000, 1_000
_COMPRESSED = (".parquet", ".npz", ".safetensors")


@dataclass(frozen=True)
class RestoredSession:
    """What a session file brought.

    Parameters
    ----------
    view : dict
        Parameters of the view as a link holds them; unknown ones are the reader's to ignore.
    titles : dict
        Content hash of a table -> its title.
    runs, projects : tuple of str
        Content hashes of the tables and projects that are here now.
    pinned : tuple of str
        Runs to compare with: names of examples or content hashes of tables.
    prompts : tuple of str
        Keys of the prompts that are here now.
    """

    view: dict[str, str]
    titles: dict[str, str]
    runs: tuple[str, ...]
    projects: tuple[str, ...]
    pinned: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()


def write_session(
    view: dict[str, str],
    titles: dict[str, str],
    root: Path,
    projects: Iterable[str] = (),
    prompts: Iterable[str] = (),
    *,
    pinned: Sequence[str] = (),
) -> bytes:
    """Return a session file as bytes; the same session gives the same bytes.

    Parameters
    ----------
    view : dict
        Parameters of the view as a link holds them.
    titles : dict
        Content hash of a table -> its title; these tables go along, and those that `view` and `pinned` name.
    root : Path
        Folder of the cache, with `runs`, `projects` and `prompts` in it.
    projects : iterable of str
        Content hashes of the projects that go along.
    prompts : iterable of str
        Keys of the prompts that go along (`keep_prompts`).
    pinned : sequence of str
        Runs to compare with.

    Raises
    ------
    InputError
        A table, project or prompt is not here or damaged, a file in a project is none of the known kinds, a title or
        parameter is too long, or there is more than a session may hold (`Limits`).
    """
    allowed = limits()
    named = sorted({run for run in (*titles, view.get("run", ""), *pinned) if is_content_hash(run)})
    chosen = sorted(set(projects))
    description = {"version": _VERSION, "view": view, "titles": titles, "pinned": list(pinned)}
    _session(description, tuple(named), tuple(chosen), "session")
    entries = {f"runs/{run}.parquet": _run_file(run, root) for run in named}
    for project in chosen:
        entries |= _project_files(project, root)
    for key in sorted(set(prompts)):
        _prompts(key, root, allowed)
        entries[f"prompts/{key}.json"] = root / "prompts" / f"{key}.json"
    total = sum(path.stat().st_size for path in entries.values())
    check_megabytes(total, "session", allowed.unpacked_megabytes, _SEND_LESS)
    if len(entries) >= allowed.files:
        raise InputError("session", f"{len(entries) + 1:,} files", f"at most {allowed.files:,}", _SEND_LESS)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        text = json.dumps(description, ensure_ascii=False, indent=1, sort_keys=True)
        archive.writestr(_entry(_DESCRIPTION), text.encode())
        for entry, path in sorted(entries.items()):
            with path.open("rb") as content, archive.open(_entry(entry), "w", force_zip64=True) as packed:
                shutil.copyfileobj(content, packed, 2**20)
    check_megabytes(file.tell(), "session", allowed.megabytes, _SEND_LESS)
    return file.getvalue()


def read_session(source: Source, name: str, root: Path, *, check_project: Callable[[Path], str]) -> RestoredSession:
    """Check a session file and take its tables, projects and prompts over into the cache.

    A project that is here already is left as it is.

    Parameters
    ----------
    source : Path or bytes
        The file or its content.
    name : str
        Its name, for messages.
    root : Path
        Folder of the cache.
    check_project : callable
        Reads the unpacked folder of a project and returns its content hash; InputError where it is not one.

    Raises
    ------
    InputError
        Names the entry that is wrong; the cache is as it was before.
    """
    allowed = limits()
    check_megabytes(source_size(source), name, allowed.megabytes, _SEND_LESS)
    try:
        root.mkdir(parents=True, exist_ok=True)
        # in the cache itself, so that moving is renaming
        with tempfile.TemporaryDirectory(prefix=".session-", dir=root) as staging:
            archive, folder = Path(staging, "session.zip"), Path(staging, "unpacked")
            if isinstance(source, bytes):
                archive.write_bytes(source)
            unpack(archive if isinstance(source, bytes) else source, folder, name, allowed)
            session = _checked(folder, name, check_project)
            _take(folder, root, session)
    except OSError as error:
        fix = "Free some space, or ask who runs the server."
        raise InputError("folder of the cache", error.strerror or "an error", "one to write to", fix) from None
    return session


def _checked(folder: Path, name: str, check_project: Callable[[Path], str]) -> RestoredSession:
    """Read an unpacked session; its tables are written anew, so that only what was understood is taken."""
    description = _described(folder / _DESCRIPTION, f"{name}, {_DESCRIPTION}")
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    runs, projects, prompts = _named(folder, files, name)
    session = replace(_session(description, runs, projects, f"{name}, {_DESCRIPTION}"), prompts=prompts)
    for run in runs:
        path, place = folder / "runs" / f"{run}.parquet", f"{name}, runs/{run}.parquet"
        check_megabytes(path.stat().st_size, place, limits().megabytes, _SEND_LESS)
        outcomes = Outcomes.from_bytes(path.read_bytes(), place)
        _check_hash(place, outcomes.content_hash, run)
        outcomes.save(path)
    for project in projects:
        try:
            found = check_project(folder / "projects" / project)
        except InputError as error:
            place = f"{name}, projects/{project}, {error.place.removeprefix(f'{project}/')}"
            raise InputError(place, error.found, error.expected, error.fix) from None
        _check_hash(f"{name}, projects/{project}", found, project)
    for key in prompts:
        path, place = folder / "prompts" / f"{key}.json", f"{name}, prompts/{key}.json"
        check_megabytes(path.stat().st_size, place, limits().megabytes, _SEND_LESS)
        try:
            keep_prompts(_prompts(key, folder, limits()), folder)
        except InputError as error:
            raise InputError(place, error.found, error.expected, error.fix) from None
    return session


def _prompts(key: str, root: Path, allowed: Limits) -> PromptSource:
    """Prompts that are whole, and no more than would have been read from files; the pace was another computer's."""
    if not is_content_hash(key):  # else it may be the name of an example, which has no file
        raise InputError("prompts", repr(key)[:80], "40 hex digits", "Leave it out.")
    found = find_prompts(key, root)
    most = max(len(found.task.queries), len(found.task.fresh))
    for what, count, bound in (("candidates", found.task.K, allowed.tasks), ("queries", most, allowed.targets)):
        if count > bound:
            raise InputError(f"prompts {key[:8]}", f"{count:,} {what}", f"at most {bound:,}", "Bring fewer of them.")
    return replace(found, pace=None)


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


def _named(folder: Path, files: list[Path], name: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Content hashes of tables, projects and prompts by the names of the files, of which all must be known."""
    runs, projects, prompts = [], [], []
    for path in files:
        entry = path.relative_to(folder).as_posix()
        run, project = _RUN_FILE.fullmatch(entry), _PROJECT_FILE.fullmatch(entry) or _TOKENIZER_FILE.fullmatch(entry)
        prompt = _PROMPTS_FILE.fullmatch(entry)
        if path.is_symlink() or not (run or project or prompt or entry == _DESCRIPTION):
            expected = (
                f"{_DESCRIPTION}, runs/HASH.parquet, prompts/HASH.json, or .json, .npz, .safetensors and .csv in "
                "projects/HASH"
            )
            raise InputError(f"{name}, {entry[:200]!r}", "an entry that no session has", expected, "Remove it.")
        runs += [run[1]] if run else []
        projects += [project[1]] if project and project[1] not in projects else []
        prompts += [prompt[1]] if prompt else []
    return tuple(runs), tuple(projects), tuple(prompts)


def _session(
    description: dict[str, Any], runs: tuple[str, ...], projects: tuple[str, ...], place: str
) -> RestoredSession:
    """A session from its description, checked against the tables that come with it."""
    unknown = sorted({*map(str, description)} - {"version", "view", "titles", "pinned"})
    if unknown:
        raise InputError(place, f"the field {unknown[0][:40]!r}", "view, titles and pinned", "Remove it.")
    view = _texts(description.get("view"), f"{place}, view", _LONGEST_PARAMETER)
    titles = _texts(description.get("titles"), f"{place}, titles", LONGEST_TITLE)
    pinned = description.get("pinned", [])
    if not isinstance(pinned, list) or not all(isinstance(run, str) and is_run_name(run) for run in pinned):
        raise InputError(f"{place}, pinned", repr(pinned)[:60], "a list of names of runs", "Save the session again.")
    for part, names in (("titles", [*titles]), ("view", [view.get("run", "")]), ("pinned", pinned)):
        for run in names:
            if (is_content_hash(run) or part == "titles") and run not in runs:
                fix = "Save the session again where its tables are."
                raise InputError(f"{place}, {part}", f"{run[:60]!r}", "a table that is in the file", fix)
    return RestoredSession(view, titles, runs, projects, tuple(pinned))


def _texts(content: Any, place: str, longest: int) -> dict[str, str]:
    if not isinstance(content, dict) or len(content) > _MOST_ENTRIES:
        found = f"{len(content):,} entries" if isinstance(content, dict) else repr(content)[:60]
        raise InputError(place, found, f"an object of at most {_MOST_ENTRIES:,} entries", "Save the session again.")
    for key, text in content.items():
        if not all(isinstance(part, str) and len(part) <= longest and is_one_line(part) for part in (key, text)):
            expected = f"one line of at most {longest:,} characters"
            fix = "Write it on one line, or shorten it."
            raise InputError(f"{place}, {str(key)[:60]!r}", repr(text)[:60], expected, fix)
    return content


def _check_hash(place: str, found: str, expected: str) -> None:
    if found != expected:
        fix = "It was changed or damaged: save the session again."
        raise InputError(place, f"content of the hash {found[:40]}", f"{expected}, as its name says", fix)


def _take(folder: Path, root: Path, session: RestoredSession) -> None:
    """Move tables, projects and prompts into the cache; whatever fails, those already moved are taken back."""
    taken: list[Path] = []
    try:
        for kind, names in (
            ("runs", [f"{run}.parquet" for run in session.runs]), ("projects", session.projects),
            ("prompts", [f"{key}.json" for key in session.prompts]),
        ):  # fmt: skip
            if names:
                (root / kind).mkdir(exist_ok=True)
            for name in names:
                here = (root / kind / name).exists()
                if here and kind == "projects":
                    continue
                (folder / kind / name).replace(root / kind / name)
                taken += [] if here else [root / kind / name]
    except OSError:
        for path in taken:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry without a time, so that equal sessions are equal files."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_COMPRESSED) else zipfile.ZIP_DEFLATED
    return info


def _run_file(run: str, root: Path) -> Path:
    """The file of a kept table, which must be whole: a session that cannot be read again is none."""
    try:
        outcomes = load_run(run, root)
    except KeyError:
        fix = "It was deleted: upload or compute it again, or take it off the session's list."
        raise InputError(f"table {run}", "nothing", "a kept table", fix) from None
    _check_hash(f"table {run}", outcomes.content_hash, run)
    return root / "runs" / f"{run}.parquet"


def _project_files(project: str, root: Path) -> dict[str, Path]:
    folder = root / "projects" / project
    place = f"project {project[:60]!r}"
    if not is_content_hash(project) or not folder.is_dir():
        raise InputError(place, "nothing", "a kept project", "It was deleted: leave it out, or make it again.")
    files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    if not files:
        raise InputError(place, "an empty folder", "files", "Make the project again.")
    _named(root, files, place)
    return {path.relative_to(root).as_posix(): path for path in files}
