"""Projects: samples with their tasks, and a network or its gradient features, kept in a folder named by content.

`cache/projects/KEY/` holds `project.json` and, as far as they were brought, `suite.npz`, `weights.safetensors`, the
folder `model/` of a Hugging Face model, and `features.npz`. No file is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.examples.catalog import ALL_RECIPES
from kernelsm.files.json_text import read_json_object
from kernelsm.gradients.choices import EXACT_UP_TO, PROJECTIONS
from kernelsm.models.config_files import read_config
from kernelsm.models.model_copies import copy_files
from kernelsm.objectives.registry import find_class
from kernelsm.runtime.atomic_files import unfinished_folder, write_whole
from kernelsm.runtime.content_hash import CONTENT_HASH, is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import LONGEST_TITLE, one_line_title
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import cache_root, content_hash
from kernelsm.tasks.suite import CLASSIFICATION, TaskSuite
from kernelsm.tasks.suite_files import load_group_sizes, load_suite, save_suite
from kernelsm.tasks.weighting import GroupSizes
from kernelsm.workspace.kept import Kept, check_hash

_SHEET, _SUITE, _WEIGHTS, _MODEL, _FEATURES = (
    "project.json", "suite.npz", "weights.safetensors", "model", "features.npz",
)  # fmt: skip
# what begins with a dot or a dash, or holds anything that a shell or another system reads differently, is not shared
_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_ENTRY = re.compile(rf"projects/({CONTENT_HASH})(?:/{_NAME}){{0,3}}/{_NAME}\.(?:json|npz|safetensors|csv)")
_TOKENIZER_ENTRY = re.compile(rf"projects/({CONTENT_HASH})/model/{_NAME}\.(?:txt|model)")


@dataclass(frozen=True)
class Project:
    """Samples and a network that a user uploaded.

    Parameters
    ----------
    title : str
        What the user calls it.
    recipe : Recipe
        Its files stand in the project's folder.
    about : dict
        What is known of it besides, for the screen: the file and mapping it came from, the training curve, the
        accuracy at W0; and under "contents" the hashes by which the store knows what was computed of it. JSON types
        only.
    """

    title: str
    recipe: Recipe
    about: dict[str, Any] = field(default_factory=dict)


class Projects(Kept[Project]):
    """Projects, each in the folder `projects/KEY/`."""

    name, folder, parameter = "projects", "projects", "project"
    label, counted = "data and model", ("project of data and a model", "projects of data and a model")
    also_deleted = " with its gradients and all other work in between"
    not_deleted = " Its tables of outcomes stay."
    entries = ".json, .npz, .safetensors and .csv in projects/HASH"

    def load(self, key: str, root: Path | None = None) -> Project:
        """Return a project; its samples are loaded when they are asked for.

        Raises
        ------
        InputError
            There is none of that key here, or its files are damaged.
        """
        if not self.is_here(key, root):
            raise InputError("project", repr(key)[:80], "a project that is here", "Bring its data again.")
        folder = _folder(key, root)
        return _loaded(folder, (folder / _SHEET).stat().st_mtime_ns)

    def paths(self, key: str, root: Path | None = None) -> tuple[Path, ...]:
        """Its folder."""
        return (_folder(key, root),)

    def is_here(self, key: str, root: Path | None = None) -> bool:
        """Whether the description of a project is here; its files may be damaged."""
        return is_content_hash(key) and (_folder(key, root) / _SHEET).exists()

    def title(self, key: str, root: Path | None = None) -> str:
        """What the user calls it."""
        return self.load(key, root).title

    def rename(self, key: str, title: str, root: Path | None = None) -> None:
        """Give a project another title."""
        rename_project(key, title, root)

    def stored_contents(self, key: str, root: Path | None = None) -> tuple[str, ...]:
        """Hashes of its samples and its network; none where it is damaged: the store drops unused chunks in time."""
        return tuple(self.load(key, root).about["contents"]) if self.opens(key, root) else ()

    def files_to_share(self, key: str, root: Path) -> list[Path]:
        """Every file in its folder."""
        project = f"project {key[:60]!r}"
        if not is_content_hash(key) or not _folder(key, root).is_dir():
            raise InputError(project, "nothing", "a kept project", "It was deleted: leave it out, or make it again.")
        files = sorted(path for path in _folder(key, root).rglob("*") if path.is_symlink() or not path.is_dir())
        if not files:
            raise InputError(project, "an empty folder", "files", "Make the project again.")
        return files

    def key_of_entry(self, entry: str) -> str:
        """The key in `projects/KEY/...`, for files of the known kinds."""
        match = _ENTRY.fullmatch(entry) or _TOKENIZER_ENTRY.fullmatch(entry)
        return match[1] if match else ""

    def check_copy(self, key: str, folder: Path, name: str) -> None:
        """Read all of a project that came in a session file."""
        try:
            copy_key = project_key(_folder(key, folder))
        except InputError as error:
            place = f"{name}, projects/{key}, {error.place.removeprefix(f'{key}/')}"
            raise InputError(place, error.found, error.expected, error.fix) from None
        check_hash(f"{name}, projects/{key}", copy_key, key)


PROJECTS = Projects()


def save_project(
    project: Project, suite: TaskSuite, *, root: Path | None = None, model_folder: Path | None = None
) -> str:
    """Keep a project and return its key, the hash of its content.

    Parameters
    ----------
    project : Project
        Files that its recipe names are copied.
    suite : TaskSuite
    root : Path, optional
        The cache's folder.
    model_folder : Path, optional
        A Hugging Face folder, of which weights, configuration and tokenizer become the recipe's.
    """
    recipe = project.recipe
    projects = (root or cache_root()) / "projects"
    with unfinished_folder(projects / "project") as unfinished:
        save_suite(suite, unfinished / _SUITE)
        for name, source in ((_WEIGHTS, recipe.weights), (_FEATURES, recipe.features)):
            if source:
                shutil.copyfile(source, unfinished / name)
        if model_folder:
            copy_files(model_folder, unfinished / _MODEL)
        sheet = {
            "title": one_line_title(project.title), "architecture": recipe.architecture,
            "config": {name: value for name, value in recipe.config.items() if name != "folder" or not model_folder},
            "parameters": recipe.parameters, "ridge": recipe.ridge, "rates": asdict(recipe.rates),
            "training": recipe.training, "retraining": recipe.retraining, "size": asdict(Size.of(suite)),
            "about": project.about,
            **({"objective": suite.objective} if suite.objective != CLASSIFICATION else {}),
        }  # fmt: skip
        (unfinished / _SHEET).write_text(json.dumps(sheet, indent=1))
        key = project_key(unfinished)
        target = projects / key
        if _is_whole(target):  # the same content: its rates are renewed, and what its owners call it stays
            sheet = {**_read_sheet(target), "rates": sheet["rates"]}
            (unfinished / _SHEET).write_text(json.dumps(sheet, indent=1))
            (unfinished / _SHEET).replace(target / _SHEET)
        else:
            shutil.rmtree(target, ignore_errors=True)
            unfinished.rename(target)
    return key


def project_key(folder: Path) -> str:
    """Return the key that the content of a project's folder has: forty hex digits.

    Title, measured rates and what is known besides do not count.

    Raises
    ------
    InputError
        The folder is no whole project.
    """
    sheet, suite = _read_sheet(folder), _read_suite(folder)
    if sheet["size"] != asdict(Size.of(suite)):
        raise InputError(f"{folder.name}/{_SHEET}, 'size'", "other counts", "those of the samples", _FIX)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != _SHEET)
    return content_hash(
        suite.content_hash,
        [sheet[name] for name in ("architecture", "config", "training", "ridge", "retraining")],
        [(file.relative_to(folder).as_posix(), _digest(file)) for file in files if file.name != _SUITE],
    )


def _is_whole(folder: Path) -> bool:
    """Whether a project's folder exists and its content matches its key."""
    try:
        return project_key(folder) == folder.name
    except InputError:
        return False


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@lru_cache(maxsize=16)
def _loaded(folder: Path, changed: int) -> Project:
    sheet = _read_sheet(folder)
    weights, model, features = (folder / name for name in (_WEIGHTS, _MODEL, _FEATURES))
    recipe = Recipe(
        suite=partial(_suite, folder),
        architecture=sheet["architecture"],
        config={**sheet["config"], **({"folder": str(model)} if model.is_dir() else {})},
        parameters=sheet["parameters"],
        ridge=sheet["ridge"],
        rates=Rates(**sheet["rates"]),
        training=sheet["training"],
        retraining=sheet["retraining"],
        weights=weights if weights.exists() else None,
        features=features if features.exists() else None,
        counted=Size(**sheet["size"]),
        objective=sheet.get("objective", CLASSIFICATION),
    )
    return Project(sheet["title"], recipe, sheet["about"])


def _suite(folder: Path, report: Report = silent) -> TaskSuite:
    return _kept_suite(folder)


@lru_cache(maxsize=2)
def _kept_suite(folder: Path) -> TaskSuite:
    return _read_suite(folder)


def _read_suite(folder: Path) -> TaskSuite:
    return load_suite(*_suite_file(folder))


def _suite_file(folder: Path) -> tuple[Path, str]:
    """The file of a project's samples, and what messages call it."""
    place = f"{folder.name}/{_SUITE}"
    if not (folder / _SUITE).is_file():
        raise InputError(place, "no such file", "the samples of a project", _FIX)
    return folder / _SUITE, place


def find_recipe(source: str) -> Recipe:
    """Return the recipe of a source: an example with a model by its name, or a project by its key.

    Raises
    ------
    InputError
        There is no such project here.
    """
    return ALL_RECIPES[source] if source in ALL_RECIPES else PROJECTS.load(source).recipe


def project_groups(key: str, root: Path | None = None) -> tuple[GroupSizes, GroupSizes]:
    """Return the tasks and targets of a project with their numbers of samples, without loading the samples.

    Raises
    ------
    InputError
        There is no such project here, or its samples are damaged.
    """
    if not PROJECTS.is_here(key, root):
        raise InputError("project", repr(key)[:80], "a project that is here", "Bring its data again.")
    return _group_sizes(_folder(key, root))


@lru_cache(maxsize=16)
def _group_sizes(folder: Path) -> tuple[GroupSizes, GroupSizes]:
    return load_group_sizes(*_suite_file(folder))


def rename_project(key: str, title: str, root: Path | None = None) -> None:
    """Give a project another title."""
    sheet = _read_sheet(_folder(key, root))
    with write_whole(_folder(key, root) / _SHEET) as part:
        part.write_text(json.dumps({**sheet, "title": one_line_title(title)}, indent=1))


def _folder(key: str, root: Path | None) -> Path:
    return (root or cache_root()) / "projects" / key


_FIX = "Bring the data again."
_KINDS = {str: "text", dict: "an object", int: "a whole number", float: "a number", type(None): "null"}
_FORM: Mapping[str, type | tuple[type, ...]] = {
    "title": str, "architecture": str, "config": dict, "parameters": int, "ridge": (int, float), "rates": dict,
    "training": (dict, type(None)), "retraining": dict, "size": dict, "about": dict,
}  # fmt: skip


def _read_sheet(folder: Path) -> dict[str, Any]:
    """The sheet of a project's folder, checked: it may come from a session file."""
    place = f"{folder.name}/{_SHEET}"
    sheet = read_json_object(folder / _SHEET, place, "the description of a project", _FIX)
    if odd := sorted((set(sheet) - {"objective"}) ^ set(_FORM)):
        found = f"no entry {odd[0]!r}" if odd[0] in _FORM else f"the unknown entry {odd[0][:40]!r}"
        raise InputError(place, found, ", ".join(_FORM), _FIX)
    for name, kind in _FORM.items():
        if not isinstance(sheet[name], kind) or isinstance(sheet[name], bool):
            expected = " or ".join(_KINDS[one] for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise InputError(f"{place}, {name!r}", repr(sheet[name])[:80], expected, _FIX)
    for name in ("config", "training", "retraining"):
        if not all(_is_plain(value) for value in (sheet[name] or {}).values()):
            raise InputError(f"{place}, {name!r}", "objects within it", "plain values", _FIX)
    if sheet["title"] != one_line_title(sheet["title"]):
        expected = f"one line of at most {LONGEST_TITLE} characters"
        raise InputError(f"{place}, 'title'", ascii(sheet["title"])[:80], expected, "Give it another name.")
    has_features = (folder / _FEATURES).exists()
    try:
        rates, size = Rates(**sheet["rates"]), Size(**sheet["size"])
        numbers = [rates.base, rates.inputs, sheet["ridge"], sheet["parameters"]]
        fine = all(math.isfinite(number) and number >= 0 for number in numbers)
        # what was not timed is infinite
        measured = [rates.retraining, *rates.gradients.values(), *rates.gradex.values()]
        fine = fine and all(number >= 0 for number in measured)
        fine = fine and sheet["ridge"] > 0 and sheet["parameters"] > 0
        fine = fine and all(isinstance(count, int) and count > 0 for count in vars(size).values())
        timed = {*rates.gradients}, {*rates.gradex}
    except (TypeError, AttributeError, OverflowError):
        fine = False
    looked_up = _rate_names(sheet["parameters"], has_features=has_features)
    if not fine or not all(map(set.issuperset, timed, looked_up)):
        raise InputError(place, "rates or sizes that mean nothing", "numbers above 0", _FIX)
    if "folder" in sheet["config"]:
        raise InputError(f"{place}, 'config'", "a folder of another computer", "the project's own", _FIX)
    _check_objective(sheet, place, has_features=has_features)
    contents = sheet["about"].get("contents")  # what was computed of these is deleted with the project
    if not isinstance(contents, list) or not all(isinstance(one, str) and is_content_hash(one) for one in contents):
        raise InputError(f"{place}, 'about'", repr(contents)[:80], "hashes under 'contents'", _FIX)
    if sheet["architecture"] not in ("", "hugging_face", "causal_text"):  # what these read is checked when it is read
        description = {"architecture": sheet["architecture"], "config": sheet["config"]}
        read_config(json.dumps(description).encode(), place)
    return sheet


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, text, true, false, null or a list of these, as arguments are."""
    return not any(isinstance(one, list | dict) for one in (value if isinstance(value, list) else [value]))


def _check_objective(sheet: dict[str, Any], place: str, *, has_features: bool) -> None:
    """Refuse an objective that is not known, and features of something that it does not linearise."""
    name = sheet.get("objective", CLASSIFICATION)
    if not isinstance(name, str):
        raise InputError(f"{place}, 'objective'", repr(name)[:80], "the name of an objective", _FIX)
    known = [one.name for one in find_class(name).linearisations]
    if has_features and sheet["config"].get("outputs") not in known:
        raise InputError(f"{place}, 'config'", "other outputs", " or ".join(map(repr, known)), _FIX)


def _rate_names(parameters: int, *, has_features: bool) -> tuple[set[str], set[str]]:
    """Names of the rates of gradients and of GradEx that estimates of the cost look up."""
    if has_features:
        return set(), {"exact"}
    small = parameters <= EXACT_UP_TO
    projections = {name for name in PROJECTIONS if small or name != "exact"}
    return projections, {"projected", *(["exact"] if small else [])}
