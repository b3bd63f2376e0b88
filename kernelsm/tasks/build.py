"""A TaskSuite from the columns of a file, by a mapping that says what they mean."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import Limits
from kernelsm.files.limits import limits as read_limits
from kernelsm.runtime.errors import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.following_text import following_text
from kernelsm.tasks.grouping import (
    Groups,
    Matrix,
    Rows,
    Split,
    draw_split,
    numbered,
    place,
    split_by_column,
    strata_of,
    target_groups,
    task_groups,
    value_groups,
)
from kernelsm.tasks.inputs import Embed, EmbedPairs, Inputs, Source, read_inputs, tabular
from kernelsm.tasks.label_values import marks, quantities, standardised
from kernelsm.tasks.mapping import TARGET_LABEL, TARGET_TASK, SampleMapping
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, REGRESSION, TaskSuite
from kernelsm.tasks.text_suite import Encode
from kernelsm.tasks.weighting import GroupSizes


def build_suite(
    samples: Samples,
    mapping: SampleMapping,
    *,
    embed: Embed | None = None,
    embed_pairs: EmbedPairs | None = None,
    embed_clusters: Embed | None = None,
    encode: Encode | None = None,
    limits: Limits | None = None,
) -> TaskSuite:
    """Turn the columns of a file into training samples grouped into tasks and test samples grouped into targets.

    - "tabular": numbers and arrays are standardised by mean and standard deviation of the training samples, text of
      up to 50 values becomes one 0/1 feature per value; constant features are dropped. float32, shape (n, d).
    - "image": float32, shape (n, channels, height, width); bytes are divided by 255, other numbers are standardised
      per channel unless they lie in [0, 1] already.
    - "text": what `embed` makes of the texts, shape (n, e): float32, or int64 where it makes whole numbers, which are
      tokens; with their types (n, 2, T). Several columns are read as one text, one line each, but for two columns
      where `embed_pairs` is given.
    - "tokens": int64, shape (n, T).

    Classes are the distinct labels, numbers by number and text by text. Quantities are standardised by the training
    samples; of several labels each is 0 or 1. Text that follows becomes tokens, shape (n, 2, T), as `following_text`
    says. A task is a group of training samples; a
    group of test samples alone is not a task.

    Parameters
    ----------
    samples : Samples
    mapping : SampleMapping
    embed : callable, optional
        From n texts to numbers (n, e); needed for text.
    embed_pairs : callable, optional
        From the texts of two columns to tokens (n, T) or (n, 2, T).
    embed_clusters : callable, optional
        From n texts to the numbers (n, e) by which they are clustered, where `embed` makes tokens.
    encode : callable, optional
        From texts to their tokens, `LanguageModel.encode`; needed for text that follows.
    limits : Limits, optional
        By default those that the environment sets.

    Returns
    -------
    TaskSuite
        Its `meta` holds the classes, the features, and what was dropped, scaled and left out.

    Raises
    ------
    InputError
        Names the row and column of the first thing that cannot be used.
    """
    bounds = read_limits() if limits is None else limits
    _check_mapping(samples, mapping, bounds)
    split, labels = _split(samples, mapping, bounds)
    rows, trained = np.concatenate([split.train, split.test]), len(split.train)
    classes = mapping.objective == CLASSIFICATION
    train_labels: NDArray[Any] = labels.of[:trained]
    test_labels: NDArray[Any] = labels.of[trained:]
    settings: dict[str, Any] = {}
    if classes:
        _check_known(samples, mapping.label, rows, labels, trained)
    elif mapping.objective != NEXT_TOKENS:
        train_labels, test_labels, settings = _numbers(samples, mapping, rows, trained, bounds)
    source = Source(samples, rows, trained, bounds)
    texts = cache(lambda: following_text(source, mapping, encode))

    @cache
    def read() -> Inputs:
        if mapping.objective != NEXT_TOKENS:
            return read_inputs(source, mapping, embed, embed_pairs)
        tokens, _, meta = texts()
        return tokens, meta

    def features() -> tuple[Matrix, Matrix]:
        if mapping.tasks.columns:
            values, _ = tabular(source, mapping.tasks.columns)
        else:
            values, _ = read()
            if values.dtype == np.int64 and mapping.kind == "text" and embed_clusters:
                values, _ = read_inputs(source, mapping, embed_clusters)
            elif values.dtype == np.int64:
                fix = "Choose columns of numbers to cluster by, or another rule."
                raise InputError("tasks", "clusters of tokens", "clusters of numbers", fix)
        flat = values.reshape(len(values), -1).astype(np.float32, copy=False)
        return flat[:trained], flat[trained:]

    tasks, where = task_groups(samples, mapping, split, labels, features, bounds)
    task_of, task_names = _tasks(tasks, where, trained, bounds)
    target_of, target_names = _targets(samples, mapping, split, labels, tasks, where, bounds)
    inputs, inputs_meta = read()
    if mapping.objective == NEXT_TOKENS:
        train_labels, test_labels = np.split(texts()[1], [trained])
    return TaskSuite(
        inputs=inputs[:trained],
        labels=train_labels,
        task_of=task_of,
        test_inputs=inputs[trained:],
        test_labels=test_labels,
        target_of=target_of,
        task_names=task_names,
        target_names=target_names,
        classes=labels.count if classes else 0,
        objective=mapping.objective,
        objective_settings=settings,
        task_weighting=mapping.task_weighting,
        target_weighting=mapping.target_weighting,
        meta={
            "source": samples.name,
            "mapping": mapping.to_dict(),
            "classes": [labels.name(group) for group in range(labels.count)] if classes else [],
            "training": trained,
            "test": len(split.test),
            "left_out": split.left_out,
            "split_notes": list(split.notes),
            **inputs_meta,
        },
    )


def group_sizes(
    samples: Samples, mapping: SampleMapping, *, limits: Limits | None = None
) -> tuple[GroupSizes | None, GroupSizes | None]:
    """Count the samples of each task and target that `build_suite` would make, without reading the inputs.

    Parameters
    ----------
    samples, mapping, limits
        As of `build_suite`.

    Returns
    -------
    tasks, targets : GroupSizes or None
        None for clusters, which only the inputs tell.

    Raises
    ------
    InputError
        As `build_suite`, as far as groups are concerned.
    """
    bounds = read_limits() if limits is None else limits
    _check_mapping(samples, mapping, bounds)
    split, labels = _split(samples, mapping, bounds)
    tasks, where, counted = labels, "", None
    if mapping.tasks.kind != "clusters":
        tasks, where = task_groups(samples, mapping, split, labels, _no_features, bounds)
        of, names = _tasks(tasks, where, len(split.train), bounds)
        counted = GroupSizes(names, tuple(np.bincount(of).tolist()), mapping.task_weighting)
    elif mapping.target == TARGET_TASK:
        return None, None
    of, names = _targets(samples, mapping, split, labels, tasks, where, bounds)
    return counted, GroupSizes(names, tuple(np.bincount(of).tolist()), mapping.target_weighting)


def class_labels(samples: Samples, mapping: SampleMapping, *, limits: Limits | None = None) -> tuple[str, ...]:
    """Return the labels that `build_suite` would number as classes, in their order; none where labels are no classes.

    Parameters
    ----------
    samples, mapping, limits
        As of `build_suite`.

    Raises
    ------
    InputError
        As `build_suite`, as far as labels are concerned.
    """
    if mapping.objective != CLASSIFICATION:
        return ()
    bounds = read_limits() if limits is None else limits
    _check_mapping(samples, mapping, bounds)
    labels = _split(samples, mapping, bounds)[1]
    return tuple(labels.name(group) for group in range(labels.count))


def _no_features() -> tuple[Matrix, Matrix]:
    raise AssertionError("groups other than clusters are told from columns alone")


def _split(samples: Samples, mapping: SampleMapping, bounds: Limits) -> tuple[Split, Groups]:
    """Training and test samples, and the classes of the training samples followed by the test samples.

    Where labels are no classes, they are all in one.
    """
    if mapping.split:
        split = split_by_column(samples, mapping.split, mapping.label)
        rows = np.concatenate([split.train, split.test])
        return split, _classes(samples, mapping, rows, bounds)
    everyone = np.arange(samples.rows)
    found = _classes(samples, mapping, everyone, bounds)
    strata = strata_of(samples, mapping.tasks, everyone, found)
    split = draw_split(strata, found.of, mapping.test_fraction, mapping.seed, samples.name)
    rows = np.concatenate([split.train, split.test])
    return split, Groups(found.of[rows], found.count, found.name)


def _tasks(tasks: Groups, where: str, trained: int, bounds: Limits) -> tuple[Rows, tuple[str, ...]]:
    """Task of each training sample, and the names of the tasks."""
    task_of, names = numbered(Groups(tasks.of[:trained], tasks.count, tasks.name), where, "task", bounds.tasks)
    if len(names) == 1:
        fix = "Choose another column, or let labels, clusters or slices be the tasks."
        raise InputError(where, f"one task only, {names[0]!r}", "two or more", fix)
    return task_of, names


def _targets(
    samples: Samples, mapping: SampleMapping, split: Split, labels: Groups, tasks: Groups, where: str, bounds: Limits
) -> tuple[Rows, tuple[str, ...]]:
    """Target of each test sample, and the names of the targets."""
    targets = target_groups(samples, mapping, split, labels, tasks)
    grouped_by = mapping.label if mapping.target == TARGET_LABEL else mapping.target
    target_place = where if mapping.target == TARGET_TASK else place(samples, grouped_by)
    return numbered(targets, target_place, "target", bounds.targets)


def _check_mapping(samples: Samples, mapping: SampleMapping, bounds: Limits) -> None:
    if not samples.rows:
        raise InputError(samples.name, "no row", "at least two samples", "Add samples.")
    if samples.rows > bounds.rows:
        raise InputError(samples.name, f"{samples.rows:,} rows", f"at most {bounds.rows:,}", "Send fewer rows.")
    if not mapping.label:
        fix = "Choose the column that holds the class of each sample."
        raise InputError(f"{samples.name}, label", "no column", "the column of the labels", fix)
    if not mapping.inputs and mapping.objective != NEXT_TOKENS:
        fix = "Choose the columns that a model is to see."
        raise InputError(f"{samples.name}, inputs", "no column", "one or more", fix)
    for use, column in mapping.columns():
        if column in samples.left_out:
            raise samples.left_out[column]
        if column not in samples.columns:
            close = get_close_matches(column, samples.names, n=3) or list(samples.names[:8])
            listed = " or ".join(map(repr, close)) + (" ..." if len(close) == 8 < len(samples.names) else "")
            raise InputError(
                f"{samples.name}, {use}", f"no column {column!r}", listed, "Choose a column of the file."
            )


def _numbers(
    samples: Samples, mapping: SampleMapping, rows: Rows, trained: int, bounds: Limits
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """Labels of training and test samples that are quantities, or 0 and 1, and the settings of their objective."""
    quantity = mapping.objective == REGRESSION
    values: NDArray[Any]
    if quantity:
        values, names = quantities(samples, mapping.labels, rows)
    else:
        values, names = marks(samples, mapping.labels, rows, bounds.classes)
    if len(names) > bounds.classes:
        fix = "Choose fewer labels."
        raise InputError(f"{samples.name}, label", f"{len(names):,} labels", f"at most {bounds.classes:,}", fix)
    if not quantity:
        return values[:trained].astype(np.float32), values[trained:].astype(np.float32), {"names": list(names)}
    if len(names) == 1:
        values = values[:, 0]
    try:
        return standardised(values[:trained], values[trained:], names)
    except InputError as error:
        where = place(samples, mapping.labels[0]) if len(names) == 1 else f"{samples.name}, {error.place}"
        raise InputError(where, error.found, error.expected, error.fix) from None


def _classes(samples: Samples, mapping: SampleMapping, rows: Rows, bounds: Limits) -> Groups:
    if mapping.objective != CLASSIFICATION:
        return Groups(np.zeros(len(rows), dtype=np.int64), 1, lambda group: "all")
    column = mapping.label
    if samples.kind(column) in ("number", "array"):
        values = samples.values(column)
        values = (values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values)[rows]
        if values.ndim == 1 and values.dtype.kind == "f":
            wrong = np.flatnonzero(~np.isnan(values) & (np.isinf(values) | (values != np.rint(values))))
            if len(wrong):
                at, expected = place(samples, column, int(rows[wrong[0]])), "a class: text or a whole number"
                fix = "Say that the label is a quantity, or choose the column of the classes."
                raise InputError(at, f"{values[wrong[0]]:.6g}", expected, fix)
    labels = value_groups(samples, column, rows, "label")
    if labels.count < 2:
        fix = "Choose the column of the classes, or add samples of another class."
        raise InputError(place(samples, column), f"one class only, {labels.name(0)!r}", "two or more", fix)
    if labels.count > max(2, len(rows) // 2):
        found = f"{labels.count:,} different labels on {len(rows):,} samples"
        fix = "Say that the label is a quantity, or choose the column of the classes."
        raise InputError(place(samples, column), found, "classes that many samples share", fix)
    if labels.count > bounds.classes:
        fix = "Merge rare classes, or choose the column of the classes."
        raise InputError(place(samples, column), f"{labels.count:,} classes", f"at most {bounds.classes:,}", fix)
    return labels


def _check_known(samples: Samples, column: str, rows: Rows, labels: Groups, trained: int) -> None:
    seen = np.bincount(labels.of[:trained], minlength=labels.count) > 0
    unknown = np.flatnonzero(~seen[labels.of[trained:]])
    if len(unknown):
        first = trained + int(unknown[0])
        found = f"label {labels.name(int(labels.of[first]))!r} on a test sample"
        fix = f"Add training samples of this class or drop the {len(unknown):,} such test samples."
        raise InputError(place(samples, column, int(rows[first])), found, "a class that training samples have", fix)
