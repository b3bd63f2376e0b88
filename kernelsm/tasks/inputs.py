"""The inputs of samples as arrays: numbers standardised, images, what an encoder makes of text, tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import Limits, check_megabytes
from kernelsm.files.text import is_number
from kernelsm.runtime.errors import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.grouping import Groups, Matrix, Rows, place, value_groups
from kernelsm.tasks.mapping import MAX_CATEGORIES, SampleMapping

Embed = Callable[[list[str]], NDArray[np.float32] | NDArray[np.int64]]
EmbedPairs = Callable[[list[str], list[str]], NDArray[np.int64]]
# inputs of the training samples, followed by the test samples, and what `meta` says about them
Inputs = tuple[NDArray[np.float32] | NDArray[np.int64], dict[str, Any]]

MAX_TOKEN = 1_000_000
_FEW = 20  # values that a text column of a table may have whatever the number of samples
_META_ENTRIES = 200  # names and numbers in meta
_PIECE = 2**20  # numbers that are worked on at a time, so that memory stays close to the result's
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Source:
    """The rows of a file that are used: `trained` training samples, followed by the test samples."""

    samples: Samples
    rows: Rows
    trained: int
    bounds: Limits


@dataclass(frozen=True)
class _Numbers:
    """One column of numbers or arrays of them, read from the used rows piece by piece."""

    shape: tuple[int, ...]  # of one sample
    dtype: np.dtype[Any]
    read: Callable[[slice], NDArray[Any]]

    @property
    def width(self) -> int:
        return math.prod(self.shape)

    def flat(self, piece: slice) -> NDArray[Any]:
        """Some samples, shape (., width)."""
        found = self.read(piece)
        return found.reshape(len(found), self.width)


@dataclass(frozen=True)
class _Features:
    """One column as features: d of them, of which the constant ones are not kept."""

    names: list[str]
    kept: NDArray[np.bool_]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    values: Callable[[slice], Matrix]  # of some samples, shape (., number kept)


def read_inputs(
    source: Source, mapping: SampleMapping, embed: Embed | None, embed_pairs: EmbedPairs | None = None
) -> Inputs:
    """Read the inputs that a mapping names, and what `meta` is to say about them; see `build_suite`."""
    if mapping.kind == "tabular":
        return tabular(source, mapping.inputs)
    if mapping.kind == "text":
        return _text(source, mapping.inputs, embed, embed_pairs)
    return (_image if mapping.kind == "image" else _tokens)(source, mapping.inputs)


def tabular(source: Source, columns: tuple[str, ...]) -> Inputs:
    """Read columns as features, shape (n, d), numbers standardised and text as one feature per value."""
    samples, count = source.samples, len(source.rows)
    parts = [(_one_hot if samples.kind(column) == "text" else _standardised)(source, column) for column in columns]
    names = [(name, kept) for part in parts for name, kept in zip(part.names, part.kept.tolist(), strict=True)]
    dropped = [name for name, kept in names if not kept]
    width = len(names) - len(dropped)
    if not width:
        fix = "Choose columns whose values differ between training samples."
        raise InputError(f"{samples.name}, inputs", "the same values in every training sample", "differences", fix)
    _check_size(source, width, np.float32)
    values = np.empty((count, width), dtype=np.float32)
    start = 0
    for column, part in zip(columns, parts, strict=True):
        stop = start + int(part.kept.sum())
        for piece in _pieces(count, stop - start):
            values[piece, start:stop] = part.values(piece)
            _check_reach(source, column, piece, values[piece, start:stop])
        start = stop
    return values, {
        "features": width,
        "feature_names": [name for name, kept in names if kept][:_META_ENTRIES],
        "standardisation": {
            "of": "training samples",
            "mean": np.concatenate([part.mean[part.kept] for part in parts])[:_META_ENTRIES].tolist(),
            "std": np.concatenate([part.std[part.kept] for part in parts])[:_META_ENTRIES].tolist(),
        },
        "dropped": dropped[:_META_ENTRIES],
        "dropped_count": len(dropped),
    }


def _standardised(source: Source, column: str) -> _Features:
    """Numbers and arrays, less their mean over the training samples, divided by its standard deviation."""
    numbers = _numbers(source, column)
    if not numbers.width:
        raise InputError(place(source.samples, column), "arrays without numbers", "numbers", "Leave it out.")

    def read(piece: slice) -> NDArray[np.float64]:
        return numbers.flat(piece).astype(np.float64)

    mean, std = _moments(lambda: (read(piece) for piece in _pieces(source.trained, numbers.width)))
    kept = std > 0
    names = [f"{column}[{number}]" for number in range(numbers.width)] if numbers.shape else [column]

    def values(piece: slice) -> Matrix:
        with np.errstate(over="ignore"):  # the caller names the row
            return np.asarray((read(piece)[:, kept] - mean[kept]) / std[kept], dtype=np.float32)

    return _Features(names, kept, mean, std, values)


def _one_hot(source: Source, column: str) -> _Features:
    """One 0/1 feature per value of the training samples, not standardised: a rare one would become huge."""
    groups = value_groups(source.samples, column, source.rows, "value")
    known = np.unique(groups.of[: source.trained])
    # values that hardly any two samples share carry no information, and are often numbers with an odd entry
    if len(known) > MAX_CATEGORIES or len(known) > max(_FEW, source.trained // 2):
        _refuse_categories(source, column, groups, len(known))
    kept = np.full(len(known), len(known) > 1)

    def values(piece: slice) -> Matrix:
        return np.asarray(groups.of[piece, None] == known[kept], dtype=np.float32)

    names = [f"{column} = {groups.name(int(group))}" for group in known]
    return _Features(names, kept, np.zeros(len(known)), np.ones(len(known)), values)


def _refuse_categories(source: Source, column: str, groups: Groups, known: int) -> NoReturn:
    """Say whether a column of many texts is one of numbers with a few odd entries."""
    words = [groups.name(group) for group in range(groups.count)]
    odd = np.array([not is_number(word) for word in words])
    if odd.mean() < 0.5 and odd.any():
        first = int(np.flatnonzero(odd[groups.of])[0])
        at = place(source.samples, column, int(source.rows[first]))
        found = f"{words[groups.of[first]]!r:.60} in a column of numbers"
        fix = f"Write a number or drop such rows: there are {int(odd[groups.of].sum()):,}."
        raise InputError(at, found, "a number", fix)
    fix = "Leave the column out, merge rare values, or read it as text with an encoder."
    found = f"text with {known:,} different values"
    expected = f"at most {MAX_CATEGORIES}" + (", each of several samples" if known <= MAX_CATEGORIES else "")
    raise InputError(place(source.samples, column), found, expected, fix)


def _image(source: Source, columns: tuple[str, ...]) -> Inputs:
    samples = source.samples
    if len(columns) != 1:
        raise InputError(f"{samples.name}, inputs", f"{len(columns)} columns", "one of images", "Choose one column.")
    numbers = _numbers(source, columns[0])
    shape, axes = numbers.shape, len(numbers.shape)
    last, first = (axes == 3 and shape[axis] in _CHANNELS for axis in (2, 0))
    if axes not in (2, 3) or 0 in shape or (axes == 3 and not (last or first)):
        expected = "images: height x width, with 1, 3 or 4 channels first or last"
        found = " x ".join(map(str, shape)) + " numbers per sample" if shape else "single values"
        raise InputError(place(samples, columns[0]), found, expected, "Choose another column or read it as a table.")
    layout = "grey" if axes == 2 else "channels last" if last else "channels first"
    ambiguous = first and last

    def read(piece: slice) -> NDArray[Any]:
        images = numbers.read(piece)
        return images[..., None] if layout == "grey" else images if last else np.moveaxis(images, 1, 3)

    height, width, channels = read(slice(0, 1)).shape[1:]
    _check_size(source, height * width * channels, np.float32)
    pieces = list(_pieces(len(source.rows), height * width * channels))
    low, high = min(read(piece).min() for piece in pieces), max(read(piece).max() for piece in pieces)
    if low == high:
        fix = "Choose another column."
        raise InputError(place(samples, columns[0]), f"{low} in every pixel", "pixels that differ", fix)
    mean, std = np.zeros(channels), np.ones(channels)
    if numbers.dtype == np.uint8:
        scaling, std = "divided by 255", np.full(channels, 255.0)
    elif low >= 0 and high <= 1:
        scaling = "as they are"
    else:
        scaling = "standardised per channel by the training samples"
        trained = [slice(piece.start, min(piece.stop, source.trained)) for piece in pieces]
        mean, std = _moments(
            lambda: (
                read(piece).reshape(-1, channels).astype(np.float64) for piece in trained if piece.start < piece.stop
            )
        )
        std = np.where(std > 0, std, 1.0)
    values = np.empty((len(source.rows), channels, height, width), dtype=np.float32)
    for piece in pieces:
        with np.errstate(over="ignore"):
            values[piece] = np.moveaxis((read(piece) - mean) / std, 3, 1)
        _check_reach(source, columns[0], piece, values[piece])
    return values, {
        "layout": layout + (", though the first axis of an image could be the channels too" if ambiguous else ""),
        "scaling": scaling,
        "mean": mean.tolist(),
        "std": std.tolist(),
    }


def _text(source: Source, columns: tuple[str, ...], embed: Embed | None, embed_pairs: EmbedPairs | None) -> Inputs:
    samples = source.samples
    if embed is None:
        fix = "Choose an encoder that turns texts into numbers."
        raise InputError(f"{samples.name}, inputs", "text without an encoder", "an encoder", fix)
    for column in columns:
        if samples.kind(column) != "text":
            found = {"empty": "no value at all", "array": "arrays"}.get(samples.kind(column), "numbers")
            raise InputError(place(samples, column), found, "text", "Choose a column of text.")
    pairs = embed_pairs is not None and len(columns) == 2
    parts = [[text or "" for text in samples.values(column)[source.rows].tolist()] for column in columns]
    texts = parts[0] if len(parts) == 1 else ["\n".join(filter(None, row)) for row in zip(*parts, strict=True)]
    empty = [row for row, text in enumerate(texts) if not text.strip()]
    if empty:
        fix = f"Fill it in or drop the row: {len(empty):,} have no text." if len(empty) > 1 else "Drop the row."
        at = place(samples, " + ".join(columns), int(source.rows[empty[0]]))
        raise InputError(at, "no text", "text", fix)
    try:
        values = np.asarray(embed_pairs(*parts) if embed_pairs and pairs else embed(texts))
    except InputError as error:
        # texts are counted in the order in which they are read
        if number := re.fullmatch(r"text ([\d,]+)", error.place):
            at = place(samples, " + ".join(columns), int(source.rows[int(number[1].replace(",", "")) - 1]))
            raise InputError(at, error.found, error.expected, error.fix) from error
        raise
    typed = values.ndim == 3 and values.shape[1] == 2 and values.dtype.kind in "iu"  # tokens and their types
    if (
        (values.ndim != 2 and not typed)
        or len(values) != len(texts)
        or not values.shape[-1]
        or values.dtype.kind not in "fiu"
    ):
        found = f"{values.dtype} of shape {values.shape}"
        raise InputError("encoder", found, f"numbers of shape ({len(texts)}, e)", "Choose another encoder.")
    if values.dtype.kind in "iu":  # a tokenizer's
        tokens = np.ascontiguousarray(values, dtype=np.int64)
        ids = tokens[:, 0] if typed else tokens
        return tokens, {"length": ids.shape[1], "largest_token": int(ids.max()), **({"pairs": True} if pairs else {})}
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise InputError("encoder", "NaN or infinite numbers", "finite numbers", "Choose another encoder.")
    return vectors, {"features": vectors.shape[1]}


def _tokens(source: Source, columns: tuple[str, ...]) -> Inputs:
    samples = source.samples
    parts = [_numbers(source, column) for column in columns]
    for column, part in zip(columns, parts, strict=True):
        if len(part.shape) > 1 or 0 in part.shape:
            found = f"{' x '.join(map(str, part.shape))} numbers per sample"
            raise InputError(place(samples, column), found, "a row of tokens per sample", "Choose another column.")
    _check_size(source, sum(part.width for part in parts), np.int64)
    values = np.empty((len(source.rows), sum(part.width for part in parts)), dtype=np.int64)
    start = 0
    for column, part in zip(columns, parts, strict=True):
        for piece in _pieces(len(source.rows), part.width):
            tokens = part.flat(piece)
            wrong = np.argwhere(~((tokens >= 0) & (tokens <= MAX_TOKEN) & (tokens == np.rint(tokens))))
            if len(wrong):
                at = place(samples, column, int(source.rows[piece][wrong[0, 0]]))
                expected = f"tokens: whole numbers, 0 to {MAX_TOKEN:,}"
                raise InputError(at, f"{tokens[tuple(wrong[0])]}", expected, "Choose another column or kind.")
            values[piece, start : start + part.width] = tokens
        start += part.width
    return values, {"length": values.shape[1], "largest_token": int(values.max())}


def _numbers(source: Source, column: str) -> _Numbers:
    """Numbers of a column, of which the used rows hold no NaN and nothing infinite."""
    samples, rows = source.samples, source.rows
    if samples.kind(column) == "text":
        raise InputError(place(samples, column), "text", "numbers", "Choose another column or another kind of input.")
    if samples.kind(column) == "empty":
        raise InputError(place(samples, column), "no value at all", "numbers", "Leave the column out.")
    held = samples.columns[column]
    if isinstance(held, np.ndarray):
        numbers = _Numbers(held.shape[1:], held.dtype, lambda piece: held[rows[piece]])
    else:
        chosen = held.take(rows)
        missing = chosen.is_null().to_numpy()
        _check_finite(source, column, rows[missing], "no number (an empty cell or NaN)")
        values = chosen.to_numpy()
        numbers = _Numbers((), values.dtype, lambda piece: values[piece])
    if numbers.dtype.kind == "f":
        for wrong, found in ((np.isnan, "no number (an empty cell or NaN)"), (np.isinf, "an infinite number")):
            pieces = _pieces(len(rows), numbers.width)
            bad = [rows[piece][wrong(numbers.flat(piece)).any(axis=1)] for piece in pieces]
            _check_finite(source, column, np.concatenate(bad), found)
    return numbers


def _check_finite(source: Source, column: str, wrong: Rows, found: str) -> None:
    if len(wrong):
        fix = "Fill it in, drop the row or leave the column out."
        fix += f" {len(wrong):,} rows of this column are like that." if len(wrong) > 1 else ""
        raise InputError(place(source.samples, column, int(wrong.min())), found, "a finite number", fix)


def _check_reach(source: Source, column: str, piece: slice, scaled: Matrix) -> None:
    """Refuse finite numbers that became infinite when they were scaled as the training samples are."""
    wrong = np.flatnonzero(~np.isfinite(scaled.reshape(len(scaled), -1)).all(axis=1))
    if len(wrong):
        at = place(source.samples, column, int(source.rows[piece][wrong[0]]))
        found, fix = "a number far beyond those of the training samples", "Check it or drop the row."
        raise InputError(at, found, "a number of a similar size", fix)


def _moments(blocks: Callable[[], Iterator[NDArray[np.float64]]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column of the blocks together; exactly 0 where a column is constant."""
    # divided by the largest size, no square can overflow, and a constant is ±1, whose mean is exact
    largest = np.max([np.abs(block).max(axis=0) for block in blocks()], axis=0)
    scale = np.where(largest > 0, largest, 1.0)
    count = sum(len(block) for block in blocks())
    mean = sum((block / scale).sum(axis=0) for block in blocks()) / count
    variance = sum(((block / scale - mean) ** 2).sum(axis=0) for block in blocks()) / count
    return mean * scale, np.sqrt(variance) * scale


def _pieces(count: int, width: int) -> Iterator[slice]:
    """Cut `count` samples of `width` numbers each into slices of about a million numbers."""
    step = max(1, _PIECE // max(1, width))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _check_size(source: Source, width: int, kind: type[np.float32] | type[np.int64]) -> None:
    size = len(source.rows) * width * np.dtype(kind).itemsize
    place, most = f"{source.samples.name}, inputs", source.bounds.unpacked_megabytes
    check_megabytes(size, place, most, "Send fewer samples.", found="{} MiB in memory")
