"""Columns of an Arrow table as Samples hold them: plain numbers and text, lists of one length as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kernelsm.files.json_text import JsonError, parse_json
from kernelsm.files.table_read import Column, keep_readable
from kernelsm.runtime.errors import InputError


def plain_columns(table: pa.Table, name: str) -> tuple[dict[str, Column], dict[str, InputError]]:
    """Columns of a table in the kinds that Samples know, and why the others are left out.

    Decimal numbers become float64 (whole ones whole numbers, or text where they are too large, which keeps every
    digit), dates and times text (2030-12-31 23:59:59), lists (also of lists) of numbers of
    one length per column an ndarray of shape (n, length, ...). No two columns may have the same name.

    Left out are bytes, nested fields, and lists of different lengths.

    Raises
    ------
    InputError
        All columns are like that.
    """
    columns: dict[str, Column] = {}
    left_out: dict[str, InputError] = {}
    for position, column in enumerate(table.column_names):
        try:
            columns[column] = _plain(table.column(position), f"{name}, column {column!r}")
        except InputError as error:
            left_out[column] = error
    return keep_readable(columns, left_out), left_out


def name_classes(columns: dict[str, Column], features: object, name: str) -> dict[str, Column]:
    """Turn the class numbers of Hugging Face ClassLabel columns into the names of the classes; -1 means none.

    Parameters
    ----------
    columns : dict
        As `plain_columns` returns them.
    features : object
        The parsed `features` of a dataset_info.json: maps columns to {"_type": "ClassLabel", "names": [...]}.
    name : str
        Of the file, for messages.

    Raises
    ------
    InputError
        A number that has no name.
    """
    named = dict(columns)
    for column, feature in features.items() if isinstance(features, dict) else ():
        if column not in columns or not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
            continue
        place, names, held = f"{name}, column {column!r}", feature.get("names"), columns[column]
        if not (isinstance(names, list) and names and all(isinstance(word, str) for word in names)):
            raise InputError(place, "class names that are no list of texts", "a list", "Save the dataset again.")
        if isinstance(held, np.ndarray) or not pa.types.is_integer(held.type):
            raise InputError(place, "class names, but no class numbers", "whole numbers", "Save the dataset again.")
        numbers = held.cast(pa.int64())
        numbers = pc.if_else(pc.equal(numbers, -1), pa.scalar(None, pa.int64()), numbers)
        reach = pc.min_max(numbers).as_py()
        if reach["min"] is not None and (reach["min"] < 0 or reach["max"] >= len(names)):
            found = f"class {reach['min'] if reach['min'] < 0 else reach['max']}"
            raise InputError(place, found, f"0..{len(names) - 1}, as there are names", "Save the dataset again.")
        words = pa.array(names, pa.large_string())
        chunks = [pa.DictionaryArray.from_arrays(chunk.cast(pa.int32()), words) for chunk in numbers.chunks]
        named[column] = pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.large_string()))
    return named


def pandas_index(schema: pa.Schema) -> frozenset[str]:
    """Columns that were the index of a pandas table, as pandas writes into the schema of a file."""
    try:
        found = parse_json((schema.metadata or {}).get(b"pandas", b"null"))
    except JsonError:
        return frozenset()
    names = found.get("index_columns") if isinstance(found, dict) else None
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def embedded_features(schema: pa.Schema) -> object:
    """The `features` that Hugging Face datasets write into the schema of a file, None where there are none."""
    try:
        info = parse_json((schema.metadata or {}).get(b"huggingface", b"null"))
    except JsonError:
        return None  # a remark of another program that happens to have this name
    inner = info.get("info") if isinstance(info, dict) else None
    return inner.get("features") if isinstance(inner, dict) else None


def join_columns(
    parts: Sequence[Mapping[str, Column]], names_of_parts: Sequence[str]
) -> tuple[dict[str, Column], dict[str, InputError]]:
    """Stack the rows of parts that have the same columns; whole numbers join with decimal ones.

    Left out are columns whose kinds or array sizes differ between parts.

    Raises
    ------
    InputError
        Names the part whose columns differ from the first one's, or no column is left.
    """
    for part, place in zip(parts[1:], names_of_parts[1:], strict=True):
        if part.keys() != parts[0].keys():
            odd = sorted(part.keys() ^ parts[0].keys())[0]
            fix = "Give every file the same columns."
            found, expected = ("no column", "a column") if odd in parts[0] else ("a column", "no column")
            raise InputError(place, f"{found} {odd!r}", f"{expected} {odd!r}, as in {names_of_parts[0]}", fix)
    joined: dict[str, Column] = {}
    left_out: dict[str, InputError] = {}
    for column in parts[0]:
        try:
            joined[column] = _join([part[column] for part in parts], column, names_of_parts)
        except InputError as error:
            left_out[column] = error
    return keep_readable(joined, left_out), left_out


def _join(held: list[Column], column: str, names_of_parts: Sequence[str]) -> Column:
    fix = "Write the column alike in every file."
    if len(held) == 1:
        return held[0]
    if isinstance(held[0], np.ndarray):
        for part, place in zip(held, names_of_parts, strict=True):
            if not isinstance(part, np.ndarray) or part.shape[1:] != held[0].shape[1:]:
                found = f"entries of size {part.shape[1:]}" if isinstance(part, np.ndarray) else "no arrays"
                expected = f"{held[0].shape[1:]}, as in {names_of_parts[0]}"
                raise InputError(f"{place}, column {column!r}", found, expected, fix)
            if (part.dtype.kind == "U") != (held[0].dtype.kind == "U"):
                kinds = ["text" if array.dtype.kind == "U" else "numbers" for array in (part, held[0])]
                raise InputError(
                    f"{place}, column {column!r}", kinds[0], f"{kinds[1]}, as in {names_of_parts[0]}", fix
                )
        return np.concatenate([np.asarray(part) for part in held])
    common: pa.DataType = pa.null()
    for part, place in zip(held, names_of_parts, strict=True):
        joined = None if isinstance(part, np.ndarray) else _common(common, part.type)
        if joined is None:
            kind = "arrays" if isinstance(part, np.ndarray) else f"values of type {part.type}"
            raise InputError(f"{place}, column {column!r}", kind, f"{common}, as in {names_of_parts[0]}", fix)
        common = joined
    try:
        chunks = [chunk for part in held for chunk in _as(part, common).chunks]
    except pa.ArrowInvalid:  # whole numbers too large for the others' type: names, which keep every digit
        common = pa.large_string()
        chunks = [chunk for part in held for chunk in _as(part, common).chunks]
    return pa.chunked_array(chunks, common)


def _as(held: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(kind) and pa.types.is_large_string(held.type):
        return held.dictionary_encode()
    return held.cast(kind, safe=not pa.types.is_floating(kind))


def _common(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_integer(a) and pa.types.is_integer(b):
        # the larger numbers of uint64 fit into nothing else
        return pa.uint64() if pa.types.is_unsigned_integer(a) and pa.types.is_unsigned_integer(b) else pa.int64()
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (a, b)]
    if all(numbers):
        return pa.float64()
    # written out, the words of a dictionary could take any amount of memory
    texts = [pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) for kind in (a, b)]
    return pa.dictionary(pa.int32(), pa.large_string()) if all(texts) else None


def _plain(held: pa.ChunkedArray, place: str) -> Column:
    kind, types = held.type, pa.types
    if isinstance(kind, pa.FixedShapeTensorType):
        if held.null_count:
            raise InputError(place, f"{held.null_count:,} rows without an array", "one per row", "Leave them out.")
        return np.concatenate([chunk.to_numpy_ndarray() for chunk in held.chunks])
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(pa.chunked_array([chunk.storage for chunk in held.chunks], kind.storage_type), place)
    if types.is_null(kind) or types.is_boolean(kind) or types.is_integer(kind) or types.is_float64(kind):
        return held
    if types.is_floating(kind):
        return held.cast(pa.float32())
    if types.is_decimal(kind):
        return _whole(held) if kind.scale == 0 else held.cast(pa.float64())
    if types.is_dictionary(kind):
        words = kind.value_type
        if types.is_string(words) or types.is_large_string(words):
            return held.cast(pa.dictionary(pa.int32(), pa.large_string()))
        return _plain(held.cast(words), place)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_temporal(kind):
        try:
            return held.cast(pa.large_string())
        except pa.ArrowException:
            fix = "Write it as a number or as text."
            raise InputError(place, f"values of type {kind}", "numbers, true/false or text", fix) from None
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _stack(held, place)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        fix = "Write pictures as lists of numbers of one length (or as .npz), other bytes as text."
        raise InputError(place, "bytes", "numbers, true/false or text", fix)
    if types.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}:
        fix = "Turn the pictures into arrays of one size and save these as .npz."
        raise InputError(place, "encoded pictures or sounds", "numbers, true/false or text", fix)
    fix = "Give each nested field a column of its own."
    raise InputError(place, f"values of type {str(kind)[:80]}", "numbers, true/false, text or lists", fix)


def _whole(held: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimal numbers without decimals, as whole numbers where they fit."""
    try:
        return held.cast(pa.int64())
    except pa.ArrowInvalid:
        return held.cast(pa.large_string())


def _stack(held: pa.ChunkedArray, place: str) -> NDArray[Any]:
    """Lists of one length, also nested, as one array."""
    if not len(held):
        raise InputError(place, "lists, but no row", "at least one row", "Save the table again.")
    shape: list[int] = []
    inner = held
    while pa.types.is_nested(inner.type) and not pa.types.is_struct(inner.type):
        per_row = int(np.prod(shape))
        if inner.null_count:
            row = pc.index(inner.is_null(), True).as_py() // per_row
            raise InputError(f"{place}, row {row + 1}", "no list", "a list of numbers", "Leave the row out.")
        lengths = pc.list_value_length(inner)
        length = lengths[0].as_py()
        different = pc.index(pc.not_equal(lengths, length), True).as_py()
        if different >= 0:
            found = f"a list of {lengths[different].as_py():,}"
            fix = "Cut or pad the lists to one length."
            raise InputError(f"{place}, row {different // per_row + 1}", found, f"{length:,}, as in row 1", fix)
        if not length:
            raise InputError(f"{place}, row 1", "an empty list", "a list of numbers", "Leave the column out.")
        shape.append(length)
        inner = pc.list_flatten(inner)
    kind = inner.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        fix = "Join words to one text; write pictures as numbers."
        raise InputError(place, f"lists of {str(kind)[:60]}", "lists of numbers", fix)
    if inner.null_count and not pa.types.is_floating(kind):
        row = pc.index(inner.is_null(), True).as_py() // int(np.prod(shape))
        fix = "Fill the gap or leave the row out."
        raise InputError(f"{place}, row {row + 1}", "a list with a missing value", "numbers", fix)
    return np.asarray(inner.to_numpy()).reshape(len(held), *shape)
