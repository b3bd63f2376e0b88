"""Groups of samples: training and test samples, tasks of training samples, targets of test samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kernelsm.files.limits import Limits
from kernelsm.outcomes.names import check_name, natural_key
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, first_least
from kernelsm.samples.samples import Samples
from kernelsm.samples.splits import split_meaning
from kernelsm.tasks.mapping import (
    TARGET_ALL,
    TARGET_LABEL,
    TARGET_TASK,
    SampleMapping,
    TaskRule,
)

Rows = NDArray[np.int64]
Matrix = NDArray[np.float32]

CROSS = " · "
# k-means is fitted to at most this many samples and numbers; the other samples join the nearest centre
_FITTED_ROWS = 20_000
_FITTED_NUMBERS = 10_000_000
_RESTARTS = 4
_ROUNDS = 100


@dataclass(frozen=True)
class Groups:
    """Samples by value, in the order of the values: numbers by number, text by text.

    Parameters
    ----------
    of : ndarray of int64, shape (n,)
        Group of each sample, 0..count-1.
    count : int
        Number of groups.
    name : callable
        Maps a group to its name; names are made on demand, because there may be millions.
    """

    of: Rows
    count: int
    name: Callable[[int], str]


@dataclass(frozen=True)
class Split:
    """Row numbers (from 0) of training and test samples, how many samples are neither, and sentences that say why."""

    train: Rows
    test: Rows
    left_out: int = 0
    notes: tuple[str, ...] = ()


def place(samples: Samples, column: str, row: int | None = None) -> str:
    """Name a column, and a row, of the file for messages; rows count from 1, without the header."""
    return f"{samples.name}, " + (f"row {row + 1}, " if row is not None else "") + f"column {column!r}"


def value_groups(samples: Samples, column: str, rows: Rows, word: str) -> Groups:
    """Group the given rows by the value of a column.

    Raises
    ------
    InputError
        A row without a value (the message calls it a `word`), or a column of arrays.
    """
    held = samples.columns[column]
    if samples.kind(column) == "text":
        of, values = _texts(held)
        return _by_text(samples, column, rows, of[rows], values, word)
    if isinstance(held, np.ndarray):
        if held.ndim == 2 and held.shape[1] == 1:
            held = held[:, 0]  # a column of an array file often keeps this axis
        if held.ndim > 1:
            axes = " x ".join(map(str, held.shape[1:]))
            fix = "Choose a column with one value per sample."
            raise InputError(place(samples, column), f"{axes} numbers per sample", f"one {word} per sample", fix)
        found = held[rows]
    else:
        chosen = held.take(pa.array(rows))
        _check_complete(samples, column, rows, chosen.is_null().to_numpy(), word)
        found = chosen.to_numpy()
    if found.dtype.kind == "f":
        _check_complete(samples, column, rows, np.isnan(found), word)
    numbers, groups = np.unique(found, return_inverse=True)
    return Groups(groups.astype(np.int64), len(numbers), lambda group: _number_text(numbers[group].item()))


def crossed_groups(samples: Samples, columns: Sequence[str], rows: Rows, word: str) -> Groups:
    """Group the given rows by the values of several columns together, named "a · b"."""
    parts = [value_groups(samples, column, rows, word) for column in columns]
    if len(parts) == 1:
        return parts[0]
    of = np.zeros(len(rows), dtype=np.int64)
    members: list[Rows] = []
    for part in parts:
        # numbered anew after each column: the product of many columns would not fit into 64 bits
        together, of = np.unique(of * part.count + part.of, return_inverse=True)
        members = [earlier[together // part.count] for earlier in members] + [together % part.count]
    return Groups(
        of.astype(np.int64),
        len(members[0]),
        lambda group: CROSS.join(part.name(int(member[group])) for part, member in zip(parts, members, strict=True)),
    )


def split_by_column(samples: Samples, column: str, label: str = "") -> Split:
    """Training and test samples as a column says.

    Validation samples are tested where no others are, and where none of the others has a label: benchmarks keep the
    labels of their test samples to themselves, and publish -1.

    Parameters
    ----------
    samples : Samples
    column : str
        Of the splits.
    label : str, optional
        The column of the labels.

    Raises
    ------
    InputError
        A row without a value, values of another meaning, or no sample of one of the two.
    """
    groups = value_groups(samples, column, np.arange(samples.rows), "split")
    words = [groups.name(group) for group in range(groups.count)]
    meaning = np.array([split_meaning(word) for word in words], dtype=np.str_)
    unknown = [word for word, meant in zip(words, meaning, strict=True) if meant == ""]
    if unknown:
        listed = ", ".join(repr(word[:40]) for word in unknown[:5]) + (" ..." if len(unknown) > 5 else "")
        fix = "Rename these values, or leave the split column out to draw the test samples at random."
        raise InputError(place(samples, column), listed, "'train' or 'test' (or 'validation')", fix)
    meant = meaning[groups.of]
    rows = {kind: np.flatnonzero(meant == kind) for kind in ("train", "test", "validation", "unused")}
    notes: list[str] = []
    tested = "test" if len(rows["test"]) else "validation"
    if label and tested == "test" and _without_labels(samples, label, rows["test"], rows["train"]):
        if not len(rows["validation"]):
            fix = "Add a labelled part called validation, or take these rows and the split column out."
            found = f"no label on any of the {len(rows['test']):,} test samples (empty, or -1)"
            raise InputError(place(samples, label), found, "labelled test samples", fix)
        tested = "validation"
        notes.append(
            f"None of the {len(rows['test']):,} test samples has a label (empty, or -1): the "
            f"{len(rows['validation']):,} validation samples are tested instead."
        )
    elif tested == "test" and len(rows["validation"]):
        notes.append(f"{len(rows['validation']):,} validation samples were left out: there are test samples.")
    if len(rows["unused"]):
        notes.append(f"{len(rows['unused']):,} samples without labels (unsupervised) were left out.")
    for kind, word in (("train", "training"), (tested, "test")):
        if not len(rows[kind]):
            listed = ", ".join(map(repr, words)) or "no row"
            fix = "Mark such samples, or leave the split column out to draw the test samples at random."
            raise InputError(place(samples, column), f"only {listed}", f"at least one {word} sample", fix)
    left_out = samples.rows - len(rows["train"]) - len(rows[tested])
    return Split(rows["train"], rows[tested], left_out, tuple(notes))


def _without_labels(samples: Samples, label: str, tested: Rows, trained: Rows) -> bool:
    """Whether no test sample has a label: all are missing, or -1 where no training sample is."""
    if samples.kind(label) not in ("whole", "number", "boolean", "text"):
        return False
    values = samples.values(label)
    if values.dtype == object:
        return all(value is None or not value.strip() for value in values[tested].tolist())
    hidden = np.isnan(values[tested]) if values.dtype.kind == "f" else np.zeros(len(tested), dtype=np.bool_)
    if not (values[trained] == -1).any():
        hidden |= values[tested] == -1
    return bool(hidden.all())


def strata_of(samples: Samples, rule: TaskRule, rows: Rows, labels: Groups) -> Rows:
    """Groups from each of which test samples are drawn: the tasks where the file names them, else the labels."""
    return crossed_groups(samples, rule.columns, rows, "task").of if rule.kind == "column" else labels.of


def draw_split(strata: Rows, labels: Rows, fraction: float, seed: int, name: str) -> Split:
    """Draw test samples at random from each stratum (a task, or a label).

    A stratum of two or more samples keeps one on either side. A class that would be tested but never trained on gives
    one of its samples back to training, whatever its stratum.

    Parameters
    ----------
    strata, labels : ndarray of int64, shape (n,)
    fraction : float
        Share of each stratum that is drawn, rounded.
    seed : int
    name : str
        Of the file, for the message.

    Raises
    ------
    InputError
        There is nothing to draw from: no two samples share a stratum.
    """
    sizes = np.bincount(strata)
    drawn = np.where(sizes > 1, np.clip(np.rint(fraction * sizes), 1, np.maximum(sizes - 1, 1)), 0)
    order = np.lexsort((np.random.default_rng(seed).random(len(strata)), strata))
    position = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    tested = np.zeros(len(strata), dtype=np.bool_)
    tested[order] = position < drawn[strata[order]]
    trained = np.bincount(labels[~tested], minlength=labels.max(initial=0) + 1)
    only_tested, first = np.unique(labels[tested], return_index=True)
    tested[np.flatnonzero(tested)[first[trained[only_tested] == 0]]] = False
    if not tested.any():
        found = f"{len(strata):,} sample{'s' if len(strata) != 1 else ''}, each alone in its task or class"
        fix = "Add samples, or choose tasks that hold several."
        raise InputError(f"{name}, test samples", found, "a task with two or more", fix)
    return Split(np.flatnonzero(~tested), np.flatnonzero(tested))


def task_groups(
    samples: Samples,
    mapping: SampleMapping,
    split: Split,
    labels: Groups,
    features: Callable[[], tuple[Matrix, Matrix]],
    bounds: Limits,
) -> tuple[Groups, str]:
    """Tasks of the training samples, followed by those of the test samples where the targets need them.

    Parameters
    ----------
    labels : Groups
        Classes of the training samples, followed by the test samples.
    features : callable
        Returns what k-means clusters: (n_train, d) and (n_test, d).

    Returns
    -------
    groups : Groups
    place : str
        What the tasks come from, for messages.
    """
    rule = mapping.tasks
    if rule.kind == "column":
        needed = mapping.target == TARGET_TASK
        rows = np.concatenate([split.train, split.test]) if needed else split.train
        columns = ", ".join(map(repr, rule.columns))
        where = f"{samples.name}, column{'s' if len(rule.columns) > 1 else ''} {columns}"
        return crossed_groups(samples, rule.columns, rows, "task"), where
    if rule.kind == "label":
        return labels, place(samples, mapping.label)
    _check_count(rule, len(split.train), bounds.tasks)
    if rule.kind == "clusters":
        of = cluster(*features(), rule.count, rule.seed)
        return Groups(of, rule.count, lambda group: f"cluster {group + 1}"), "clusters"
    if mapping.target == TARGET_TASK:
        fix = "Choose another target, or tasks that test samples have as well."
        raise InputError("target", "the task of each test sample", "slices have training samples only", fix)
    of = np.random.default_rng(rule.seed).permutation(np.arange(len(split.train)) % rule.count)
    return Groups(of, rule.count, lambda group: f"slice {group + 1}"), "slices"


def target_groups(samples: Samples, mapping: SampleMapping, split: Split, labels: Groups, tasks: Groups) -> Groups:
    """Targets of the test samples; `labels` and `tasks` are of the training samples, followed by the test samples."""
    trained = len(split.train)
    if mapping.target == TARGET_ALL:
        return Groups(np.zeros(len(split.test), dtype=np.int64), 1, lambda group: "all")
    if mapping.target == TARGET_TASK:
        return Groups(tasks.of[trained:], tasks.count, tasks.name)
    if mapping.target == TARGET_LABEL:
        return Groups(labels.of[trained:], labels.count, labels.name)
    return value_groups(samples, mapping.target, split.test, "target")


def numbered(groups: Groups, where: str, word: str, most: int) -> tuple[Rows, tuple[str, ...]]:
    """Number the groups that occur from 0 and name them.

    Raises
    ------
    InputError
        More than `most`, or a name that no table of outcomes takes.
    """
    occurring, of = np.unique(groups.of, return_inverse=True)
    if len(occurring) > most:
        otherwise = "let clusters or slices be the tasks" if word == "task" else "one target for all test samples"
        fix = f"Choose a column with fewer values, or {otherwise}."
        raise InputError(where, f"{len(occurring):,} different {word}s", f"at most {most:,}", fix)
    names = tuple(groups.name(int(group)) for group in occurring)
    seen: set[str] = set()
    for name in (name.strip() for name in names):  # tables of outcomes take them without spaces around them
        check_name(where, name, word)
        if name in seen:
            raise InputError(where, f"two {word}s named {name!r}", "unique names", "Rename one of them.")
        seen.add(name)
    return of.astype(np.int64), names


def cluster(train: Matrix, test: Matrix, count: int, seed: int) -> Rows:
    """k-means clusters of training samples, followed by the test samples; cluster 0 has the most training samples.

    Clusters of equal size are ordered by their first sample.

    Parameters
    ----------
    train, test : ndarray of float32, shapes (n_train, d) and (n_test, d)
        Centres are fitted to training samples alone, at most 20,000 of them, fewer where they are wide.
    count : int
        Number of clusters, at most n_train.
    seed : int

    Raises
    ------
    InputError
        Fewer than `count` different training samples.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    fitted = train
    most = min(_FITTED_ROWS, max(_FITTED_NUMBERS // train.shape[1], 10 * count))
    if len(train) > most:
        fitted = train[np.sort(np.random.default_rng(seed).choice(len(train), most, replace=False))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # raised below, as an InputError
        # in double precision, where few samples are as near to two centres as rounding is large
        means = KMeans(count, n_init=_RESTARTS, max_iter=_ROUNDS, random_state=seed).fit(fitted.astype(np.float64))
    found, first = np.unique(means.labels_, return_index=True)
    centres = means.cluster_centers_[found[np.argsort(first)]]
    of = np.concatenate([_nearest(train, centres), _nearest(test, centres)])
    sizes = np.bincount(of[: len(train)], minlength=count)
    if (sizes == 0).any():
        found_groups = f"{np.count_nonzero(sizes)} groups of training samples that differ"
        raise InputError("tasks, count", found_groups, f"{count} clusters", "Ask for fewer clusters.")
    rank: Rows = np.empty(count, dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(count)
    return np.asarray(rank[of], dtype=np.int64)


def _nearest(rows: Matrix, centres: NDArray[np.float64]) -> Rows:
    """Nearest centre of each row; the first of those that are equally near up to rounding."""
    middle = centres.mean(axis=0)
    away = centres - middle
    step = max(1, _FITTED_NUMBERS // rows.shape[1])
    nearest = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(rows), step):
        block = rows[start : start + step] - middle
        squares = (block**2).sum(axis=1, keepdims=True)
        distances = squares + (away**2).sum(axis=1) - 2 * block @ away.T
        nearest.append(first_least(distances, tolerance=NEAR * (squares + (away**2).sum(axis=1).max()), axis=1))
    return np.concatenate(nearest)


def _texts(held: pa.ChunkedArray | NDArray[np.str_]) -> tuple[Rows, list[str | None]]:
    """Number of each row's text among the distinct ones, -1 where there is none."""
    if isinstance(held, np.ndarray):
        texts, of = np.unique(held, return_inverse=True)
        return of.astype(np.int64), texts.tolist()
    if pa.types.is_dictionary(held.type):
        encoded = held.unify_dictionaries()
    else:
        encoded = pc.dictionary_encode(held).unify_dictionaries()
    if not encoded.num_chunks:
        return np.zeros(0, dtype=np.int64), []
    numbers = [chunk.indices.cast(pa.int64()).fill_null(-1).to_numpy() for chunk in encoded.chunks]
    return np.concatenate(numbers), encoded.chunk(0).dictionary.to_pylist()


def _by_text(samples: Samples, column: str, rows: Rows, of: Rows, values: Sequence[str | None], word: str) -> Groups:
    """Groups by text without the blanks around it, in natural order; only values that occur count."""
    occurring = np.unique(of)
    stripped = [(values[number] or "").strip() if number >= 0 else "" for number in occurring.tolist()]
    names = sorted(set(stripped) - {""}, key=natural_key)
    index = {name: position for position, name in enumerate(names)} | {"": -1}
    merged = np.array([index[text] for text in stripped], dtype=np.int64)[np.searchsorted(occurring, of)]
    _check_complete(samples, column, rows, merged < 0, word)
    return Groups(merged, len(names), lambda group: names[group])


def _check_complete(samples: Samples, column: str, rows: Rows, missing: NDArray[np.bool_], word: str) -> None:
    wrong = np.flatnonzero(missing)
    if len(wrong):
        more = f" {len(wrong):,} rows of this column have none." if len(wrong) > 1 else ""
        fix = f"Fill it in or drop the row.{more}"
        raise InputError(place(samples, column, int(rows[wrong[0]])), "no value", f"a {word}", fix)


def _check_count(rule: TaskRule, trained: int, most: int) -> None:
    if rule.count > most:
        raise InputError("tasks, count", f"{rule.count:,} {rule.kind}", f"at most {most:,}", "Ask for fewer.")
    if rule.count > trained:
        found = f"{rule.count:,} {rule.kind} for {trained:,} training samples"
        raise InputError("tasks, count", found, f"at most {trained:,}", "Ask for fewer.")


def _number_text(value: bool | int | float) -> str:
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)
