"""Gradient features from another machine: one NPZ file with all that GradEx needs, and no model or sample in it.

`load_features` reads these arrays, which `numpy.savez` writes; numbers may be of any precision:

==============  ==========================  ===================================================================
train_logits    (n, C)                      f_W0(x) of the training samples, C >= 2 classes
train_features  (n, C, k) or (n, 1, k)      projected gradient of each logit, or of the margin alone, which is
                                            log p_y - log(1 - p_y) of the true class y
train_labels    (n,) of whole numbers       class, 0..C-1
train_task      (n,) of whole numbers       task, an index into task_names
test_logits     (t, C)                      the same of the test samples, through the same projection
test_features   (t, C, k) or (t, 1, k)
test_labels     (t,) of whole numbers
test_target     (t,) of whole numbers       target, an index into target_names
task_names      (K,) of text                unique names
target_names    (q,) of text
meta            text, may be missing        a JSON object that says what made the features
==============  ==========================  ===================================================================

Where `meta` names another "objective" than classification, with "objective_settings" as far as it has some, C are the
outputs of its models, labels are what it expects, and features are those of one of its linearisations.

Where it holds "task_weighting": "by_size", each training sample counts the same, else each task; where it holds
"target_weighting": "by_size", each test sample counts the same in the mean over targets, else each target.

Names are arrays of text, `numpy.array(names, dtype=str)`: arrays of Python objects are pickles, which are not read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.accepting import check_content, check_ending, check_size, check_written_ending
from kernelsm.files.json_text import parse_json_object
from kernelsm.files.limits import limits
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.files.signatures import NPZ, ZIP
from kernelsm.objectives.objective import Objective
from kernelsm.objectives.registry import DEFAULT, find_class
from kernelsm.outcomes.names import check_names
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by
from kernelsm.tasks.suite import TaskSuite
from kernelsm.tasks.weighting import EQUALLY, WEIGHTING_FIELDS, check_weighting

if TYPE_CHECKING:
    from kernelsm.gradients.features import GradientFeatures

_PIECE = 2**22

_SIDE = {
    "logits": ArrayFormat((2,), "fiu", np.float32),
    "features": ArrayFormat((3,), "fiu", np.float32),
    "labels": ArrayFormat((1, 2), "iuf"),
}
_LAYOUT = {
    **{f"train_{part}": wanted for part, wanted in _SIDE.items()},
    "train_task": ArrayFormat((1,), "iu", np.int64),
    **{f"test_{part}": wanted for part, wanted in _SIDE.items()},
    "test_target": ArrayFormat((1,), "iu", np.int64),
    "task_names": ArrayFormat((1,), "U"),
    "target_names": ArrayFormat((1,), "U"),
    "meta": ArrayFormat((0,), "U", optional=True),
}
# the array of the file that holds each field of a suite
_ARRAY_OF = {
    "labels": "train_labels",
    "task_of": "train_task",
    "test_labels": "test_labels",
    "target_of": "test_target",
}


def save_features(path: Path, suite: TaskSuite, train: GradientFeatures, test: GradientFeatures) -> Path:
    """Write the features of a suite's training and test samples; the file is complete or not there.

    Raises
    ------
    InputError
        Features that do not belong to the suite or to each other, or are not finite; an ending other than .npz.

    Examples
    --------
    >>> from pathlib import Path
    >>> from kernelsm import build_model, gradient_features, load_features, save_features
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite = digits_suite()
    >>> model = build_model("logistic", inputs=64, classes=10)
    >>> train = gradient_features(model, suite.inputs, suite.labels, "gaussian", dim=8)
    >>> test = gradient_features(model, suite.test_inputs, suite.test_labels, "gaussian", dim=8)
    >>> path = save_features(Path("digits.npz"), suite, train, test)
    >>> load_features(path)[1].features.shape
    (1198, 10, 8)
    """
    check_written_ending(path, ".npz")
    if train.meta != test.meta:
        fix = "Use one model and one projection for both."
        raise InputError("test features", f"{test.meta}", f"{train.meta}, as of the training samples", fix)
    for place, features, labels in (("train", train, suite.labels), ("test", test, suite.test_labels)):
        if not np.array_equal(features.labels, labels):
            raise InputError(
                f"{place}_labels", "other labels", "those of the suite", "Compute features of this suite."
            )
    stated = train.meta
    if suite.objective != DEFAULT:
        stated = {**stated, "objective": suite.objective, "objective_settings": suite.objective_settings}
    stated = {**stated, **{key: getattr(suite, key) for key in WEIGHTING_FIELDS if getattr(suite, key) != EQUALLY}}
    try:
        meta = json.dumps(stated, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError("meta", str(error)[:80], "JSON types", "Leave it out of the features' meta.") from None
    arrays: dict[str, NDArray[Any]] = {
        "train_logits": np.asarray(train.model_outputs), "train_features": np.asarray(train.features),
        "train_labels": suite.labels, "train_task": suite.task_of,
        "test_logits": np.asarray(test.model_outputs), "test_features": np.asarray(test.features),
        "test_labels": suite.test_labels, "test_target": suite.target_of,
        "task_names": np.array(suite.task_names, dtype=str), "target_names": np.array(suite.target_names, dtype=str),
        "meta": np.array(meta),
    }  # fmt: skip
    _assembled(arrays, path.name)
    with write_whole(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return path


def load_features(path: Path, name: str | None = None) -> tuple[TaskSuite, GradientFeatures, GradientFeatures]:
    """Read a file of the layout above, written by `save_features` or by another tool.

    Parameters
    ----------
    path : Path
    name : str, optional
        Name of the file, for messages.

    Returns
    -------
    suite : TaskSuite
        With inputs of shape (n, 0): no samples are in the file.
    train, test : GradientFeatures
        In single precision.

    Raises
    ------
    InputError
        Names the array that is missing or wrong.
    FileNotFoundError
        No such file.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernelsm import load_features
    >>> side = {"logits": np.zeros((2, 2)), "features": np.ones((2, 1, 3)), "labels": np.array([0, 1])}
    >>> names = {"task_names": np.array(["reviews", "tweets"]), "target_names": np.array(["test"])}
    >>> groups = {"train_task": np.array([0, 1]), "test_target": np.array([0, 0])}
    >>> both = {f"{part}_{name}": array for part in ("train", "test") for name, array in side.items()}
    >>> np.savez("elsewhere.npz", **both, **groups, **names)
    >>> suite, train, test = load_features(Path("elsewhere.npz"))
    >>> suite.task_names, train.outputs
    (('reviews', 'tweets'), 'margin')
    """
    name = name or path.name
    bounds = limits()
    save = "Save the arrays by numpy.savez, names as arrays of text, or by kernelsm.save_features."
    check_ending(name, ("", ".npz"), "one .npz file", save, unpickle=save)
    fix = "Project to fewer dimensions, or take the margin alone."
    check_size(path, name, bounds.megabytes, "a whole .npz file", fix)
    check_content(path, name, ("", ZIP, NPZ), "a NumPy archive (.npz)", save)
    return _assembled(read_arrays(path, name, _LAYOUT, bounds), name)


def _assembled(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[TaskSuite, GradientFeatures, GradientFeatures]:
    """Suite and features from the arrays of the layout, checked against each other."""
    with needed_by("kernelsm.load_features"):
        from kernelsm.gradients.features import GradientFeatures  # here: tables of arrays are read without torch

    expected, fix = "a JSON object", "Leave it out, or write json.dumps({...})."
    written = str(arrays["meta"]) if "meta" in arrays else "{}"
    meta = parse_json_object(written, f"{name}, meta", expected, fix)
    weighting = {key: meta.pop(key) for key in WEIGHTING_FIELDS if key in meta}
    for key, value in weighting.items():
        check_weighting(f"{name}, meta, {key}", value)
    objective = _objective(meta, arrays["train_logits"].shape[1], name)
    outputs = _check_shapes(arrays, objective, name)
    if meta.setdefault("outputs", outputs) != outputs:
        found = f"outputs {meta['outputs']!r}"[:80]
        raise InputError(f"{name}, meta", found, f"{outputs!r}, as the features' shape", "Correct or remove it.")
    for key in ("train_logits", "train_features", "test_logits", "test_features"):
        _check_finite(arrays[key], f"{name}, {key}")
    bounds = limits()
    try:
        suite = TaskSuite(
            inputs=np.empty((len(arrays["train_logits"]), 0), dtype=np.float32),
            labels=objective.check_labels(arrays["train_labels"], "labels"),
            task_of=arrays["train_task"],
            test_inputs=np.empty((len(arrays["test_logits"]), 0), dtype=np.float32),
            test_labels=objective.check_labels(arrays["test_labels"], "test_labels"),
            target_of=arrays["test_target"],
            task_names=_names(arrays["task_names"], f"{name}, task_names", "task", bounds.tasks),
            target_names=_names(arrays["target_names"], f"{name}, target_names", "target", bounds.targets),
            classes=objective.outputs if objective.name == DEFAULT else 0,
            meta={"source": name},
            objective=objective.name,
            objective_settings=meta.get("objective_settings", {}),
            **weighting,
        )
    except InputError as error:
        part, comma, row = error.place.partition(",")
        place = f"{name}, {_ARRAY_OF[part]}{comma}{row}" if part in _ARRAY_OF else error.place
        raise InputError(place, error.found, error.expected, error.fix) from None
    train, test = (
        GradientFeatures(arrays[f"{side}_logits"], arrays[f"{side}_features"], labels, meta)
        for side, labels in (("train", suite.labels), ("test", suite.test_labels))
    )
    return suite, train, test


def _objective(meta: dict[str, Any], outputs: int, name: str) -> Objective:
    """The objective that a file names, for models of so many outputs."""
    most, settings = limits().classes, meta.get("objective_settings", {})
    if not 1 <= outputs <= most:
        fix = "Merge rare classes."
        raise InputError(f"{name}, train_logits", f"{outputs:,} outputs a sample", f"1 to {most:,}", fix)
    try:
        objective = find_class(meta.get("objective", DEFAULT))(outputs, **settings)
    except (InputError, TypeError) as error:
        found, fix = f"{meta.get('objective')!r} with {settings!r}"[:80], "Correct or remove it."
        raise InputError(f"{name}, meta, objective", found, "an objective and settings that it has", fix) from error
    objective.check_outputs(outputs, f"{name}, train_logits")
    return objective


def _check_shapes(arrays: Mapping[str, NDArray[Any]], objective: Objective, name: str) -> str:
    """Return the name of the linearisation; the arrays of a side must have one entry per sample."""
    bounds = limits()
    classes: int = arrays["train_logits"].shape[1]
    rows, k = arrays["train_features"].shape[1:]
    found = [one for one in objective.linearisations if one.width(classes) == rows]
    if not found or not k:
        forms = " or ".join(f"(n, {one.width(classes)}, k)" for one in objective.linearisations)
        expected = f"{forms} with k >= 1, for {' or '.join(one.name for one in objective.linearisations)}"
        raise InputError(f"{name}, train_features", f"shape (n, {rows}, {k})", expected, "Compute them again.")
    for side, group in (("train", "train_task"), ("test", "test_target")):
        count = len(arrays[f"{side}_logits"])
        if not 1 <= count <= bounds.rows:
            fix = "Send a sample of the rows." if count else "Save the features of some samples on both sides."
            raise InputError(f"{name}, {side}_logits", f"{count:,} samples", f"1 to {bounds.rows:,}", fix)
        labels = arrays[f"{side}_labels"].shape[1:]
        shapes = {
            f"{side}_logits": (count, classes), f"{side}_features": (count, rows, k),
            f"{side}_labels": (count, *labels), group: (count,),
        }  # fmt: skip
        for key, shape in shapes.items():
            if arrays[key].shape != shape:
                fix = f"As many samples as {side}_logits, and as many numbers as the training samples have."
                raise InputError(f"{name}, {key}", f"shape {arrays[key].shape}", f"{shape}", fix)
    return found[0].name


def _check_finite(values: NDArray[Any], place: str) -> None:
    step = max(1, _PIECE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), step):
        piece = values[start : start + step]
        wrong = np.flatnonzero(~np.isfinite(piece).reshape(len(piece), -1).all(axis=1))
        if len(wrong):
            fix = "Look at this sample and at the weights; numbers must fit into single precision."
            raise InputError(f"{place}, row {start + wrong[0]}", "a value that is not finite", "finite numbers", fix)


def _names(array: NDArray[Any], place: str, word: str, most: int) -> tuple[str, ...]:
    if not 1 <= len(array) <= most:
        raise InputError(place, f"{len(array):,} names", f"1 to {most:,}", f"Merge {word}s.")
    return check_names(place, array.tolist(), len(array), word)
