"""Folders of Hugging Face models, unpacked from an archive, and the texts that their tokenizers read.

Weights are safetensors only, and Python files that come with a model are never run. Needs no torch to import.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.accepting import PICKLES, ending_of
from kernelsm.files.archives import open_archive
from kernelsm.files.json_text import parse_json_object, read_json_object
from kernelsm.files.limits import Limits
from kernelsm.models.class_matching import MAX_LABELS
from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError

EXPECTED = "a sequence classification model with safetensors"
CONVERT = (
    "Only safetensors are read: pickled weights can run any code. Convert them where you trust them: "
    "AutoModelForSequenceClassification.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."
)
ADAPTER = "adapter_config.json"
MERGE = (
    "Merge the two where both are: PeftModel.from_pretrained(BASE, FOLDER).merge_and_unload()"
    ".save_pretrained(NEW_FOLDER)."
)
MAX_LAYERS = 1000
_LARGEST_CONFIG = 2**22
_CHUNK = 10_000  # texts read at once


def local_models_allowed() -> bool:
    """Whether paths on this computer and names on the hub may be given: only where KERNELSM_ALLOW_PATHS is 1."""
    return os.environ.get("KERNELSM_ALLOW_PATHS") == "1"


def own_folder(name: str) -> Path | None:
    """Return the folder of this computer that a name stands for; None where it is none, whatever was written.

    >>> own_folder("~nobody/model"), own_folder("x" * 300), own_folder("bert-base-uncased")
    (None, None, None)
    """
    if not name.strip():
        return None
    with suppress(OSError, RuntimeError, ValueError):  # an unknown home, a name too long, a null character
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    return None


def model_folder(archive_folder: Path, name: str, *, text: bool = False) -> Path:
    """Find the model in an unpacked archive, at its top or one folder down, and check that it is whole.

    Parameters
    ----------
    archive_folder : Path
        What the archive held.
    name : str
        Of the archive, for messages.
    text : bool
        Whether the model must come with a tokenizer.

    Raises
    ------
    InputError
        No model or several, pickled or missing weights, or a missing tokenizer.
    """
    below = sorted(file.parent for file in archive_folder.glob("*/config.json"))
    # what macOS adds to archives is no model
    visible = [folder for folder in below if not folder.name.startswith((".", "__MACOSX"))]
    found = [archive_folder] if (archive_folder / "config.json").is_file() else visible
    if not found and any(archive_folder.glob("*/data.pkl")):
        raise InputError(name, "a PyTorch file, which is a pickle and can run code", EXPECTED, CONVERT)
    adapters = [file.parent for file in (*archive_folder.glob(ADAPTER), *archive_folder.glob(f"*/{ADAPTER}"))]
    if not found and adapters:
        _refuse_adapter(adapters[0], name)
    if not found:
        fix = "Zip the folder that save_pretrained wrote."
        raise InputError(name, "no config.json at the top or one folder down", EXPECTED, fix)
    if len(found) > 1:
        names = ", ".join(repr(folder.name[:40]) for folder in found[:3])
        raise InputError(name, f"{len(found)} models ({names})", "one model", "Zip one of the folders.")
    check_folder(found[0], name)
    if text and not (found[0] / "tokenizer.json").is_file():
        fix = "Add it: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        raise InputError(name, "no tokenizer.json", "the model's tokenizer, because it is to read text", fix)
    return found[0]


def archived_config(archive: Path, name: str, limits: Limits) -> dict[str, Any]:
    """Read config.json of the model in a zip without unpacking it; {} where it holds none, or several.

    Raises
    ------
    InputError
        No whole zip, or a config.json that is no JSON object or names more than a model can have.
    """
    with open_archive(archive, name, limits) as opened:
        entries = [PurePosixPath(entry) for entry in opened.namelist()]
        configs = [entry for entry in entries if entry.name == "config.json" and len(entry.parts) <= 2]
        visible = [entry for entry in configs if not entry.parts[0].startswith((".", "__MACOSX"))]
        found = [entry for entry in visible if len(entry.parts) == 1] or visible
        if len(found) != 1:
            return {}
        entry = str(found[0])
        if opened.getinfo(entry).file_size > _LARGEST_CONFIG:
            return {}
        content = opened.read(entry)
    config = parse_json_object(content, f"{name}, config.json", EXPECTED, "Save the model with save_pretrained.")
    _check_config(config, name)
    return config


def check_folder(folder: Path, place: str) -> None:
    """Refuse a folder without config.json or with weights that are not whole safetensors.

    Raises
    ------
    InputError
        Names what is missing, or the entry of its files that is refused.
    """
    if not (folder / "config.json").is_file():
        raise InputError(place, "no config.json", EXPECTED, "Save the model with save_pretrained.")
    if (folder / ADAPTER).is_file():
        _refuse_adapter(folder, place)  # transformers would follow the path in it, wherever that leads
    _check_config(_described(folder / "config.json", place), place)
    index = folder / "model.safetensors.index.json"
    if not (folder / "model.safetensors").is_file() and index.is_file():
        _check_parts(folder, _described(index, place).get("weight_map"), place)
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(file.name for file in folder.iterdir() if ending_of(file.name) in PICKLES)
        if pickled:
            raise InputError(place, f"only pickled weights, {pickled[0]}", EXPECTED, CONVERT)
        fix = "Zip the whole folder that save_pretrained wrote, with model.safetensors."
        raise InputError(place, "no weights", EXPECTED, fix)


def _refuse_adapter(folder: Path, place: str) -> NoReturn:
    """Refuse an adapter where a whole model is needed, by its right name."""
    described = read_json_object(folder / ADAPTER, f"{place}, {ADAPTER}", EXPECTED, MERGE)
    kind, base = (str(described.get(name))[:80] for name in ("peft_type", "base_model_name_or_path"))
    raise InputError(place, f"an adapter ({kind}) of the model {base!r}", EXPECTED, MERGE)


def _described(file: Path, place: str) -> dict[str, Any]:
    return read_json_object(file, f"{place}, {file.name}", EXPECTED, "Save the model with save_pretrained.")


def _check_config(config: dict[str, Any], place: str) -> None:
    """Refuse what would read other files than safetensors, or fill the memory before anything can be counted."""
    if "transformers_weights" in config:
        found = f"transformers_weights {config['transformers_weights']!r}"[:120]
        raise InputError(f"{place}, config.json", found, "no such entry", "Call the weights model.safetensors.")
    waiting = [config]
    while waiting:
        for key, value in waiting.pop().items():
            most = MAX_LABELS if key == "num_labels" else MAX_LAYERS if "layer" in key else None
            if isinstance(value, dict):
                waiting.append(value)
            elif most is not None and isinstance(value, int | float) and value > most:
                found, expected = str(value)[:40], f"at most {most:,}"
                raise InputError(f"{place}, config.json, {key[:80]}", found, expected, "Choose a smaller model.")


def _check_parts(folder: Path, parts: Any, place: str) -> None:
    """Refuse an index of weights that names other files than safetensors in this folder."""
    files = (
        set(parts.values()) if isinstance(parts, dict) and all(isinstance(f, str) for f in parts.values()) else {""}
    )
    there = {file.name for file in folder.iterdir()}
    for file in sorted(files):
        # a name from a file is compared with the names that are there, never used as a path
        if not file.endswith(".safetensors") or file not in there:
            found = f"{file[:80]!r} in model.safetensors.index.json, which is not there"
            raise InputError(place, found, "safetensors files beside it", "Add the missing part of the weights.")


@dataclass(frozen=True, eq=False)
class Tokens:
    """Texts as numbers.

    Parameters
    ----------
    ids : ndarray of int64, shape (n, T)
        Tokens of each text, filled up at the end with `pad_id`.
    pad_id : int
        The token that means nothing.
    types : ndarray of int64, shape (n, T), optional
        Which text of a pair each token is of, or what else the tokenizer says by types; None where they are all 0.
    most : int
        Tokens at which texts are cut.
    cut : int
        How many texts were longer.
    unknown : float
        Share of the tokens, marks aside, that stand for what the tokenizer does not know.
    equal : int
        How many different texts became the same tokens as another one.
    """

    ids: NDArray[np.int64]
    pad_id: int
    types: NDArray[np.int64] | None = None
    most: int = 0
    cut: int = 0
    unknown: float = 0.0
    equal: int = 0

    @property
    def inputs(self) -> NDArray[np.int64]:
        """What a network reads: the tokens (n, T), or with their types (n, 2, T)."""
        return self.ids if self.types is None else np.stack([self.ids, self.types], axis=1)

    @property
    def facts(self) -> dict[str, Any]:
        """What is told of the texts, of JSON types."""
        return {
            "of": len(self.ids), "tokens": self.most, "cut": self.cut, "unknown": self.unknown, "equal": self.equal
        }  # fmt: skip


def tokenize(
    folder: Path,
    texts: Sequence[str],
    max_length: int = 128,
    *,
    second: Sequence[str] | None = None,
    types: bool = False,
) -> Tokens:
    """Read texts with the tokenizer of a model's folder, padded to the longest.

    Parameters
    ----------
    folder : Path
        Holds tokenizer.json.
    texts : sequence of str
    max_length : int
        Most tokens of a text, those that mark its start and end among them; fewer where the tokenizer says so. What
        is longer is cut.
    second : sequence of str, optional
        The second text of each pair. The tokenizer joins the two as its model was trained to read them; where they
        are too long, the longer one is cut.
    types : bool
        Whether the network reads the types of tokens.

    Raises
    ------
    InputError
        No tokenizer that can be read, a text without tokens or that is no text, or no token to pad with.
    """
    check_counts(max_length=max_length)
    tokenizer = _tokenizer(folder)
    most = min(max_length, tokenizer.model_max_length)
    marks = tokenizer.num_special_tokens_to_add(pair=second is not None)
    if most <= marks:
        expected = f"more than {marks}, the marks of the start and end"
        raise InputError("max_length", f"{most}", expected, "Raise max_length.")
    rows: list[NDArray[np.int64]] = []
    row_types: list[NDArray[np.int64]] = []
    cut = 0
    for start in range(0, len(texts), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        pairs = None if second is None else second[chunk]
        found, kinds = _encode(tokenizer, texts[chunk], pairs, start, most, types)
        cut += _count_cut(tokenizer, texts[chunk], pairs, found, most)
        rows += found
        row_types += kinds
    pad_id = _pad_id(tokenizer, rows)
    longest = max(map(len, rows), default=0)
    ids = _padded(rows, longest, pad_id)
    empty = np.flatnonzero((ids == pad_id).all(axis=1))
    if len(empty):
        raise InputError(f"text {empty[0] + 1:,}", "no token", "a text of one token or more", "Leave it out.")
    return Tokens(
        ids, pad_id, _padded(row_types, longest, 0) if any(row.any() for row in row_types) else None, most, cut,
        _unknown(tokenizer, rows),
        len(set(texts if second is None else zip(texts, second, strict=True))) - len({row.tobytes() for row in rows}),
    )  # fmt: skip


def gives_types(folder: Path) -> bool:
    """Whether the tokenizer of a folder gives types of tokens of its own accord; not where there is none."""
    return (folder / "tokenizer.json").is_file() and "token_type_ids" in _tokenizer(folder).model_input_names


def _padded(rows: Sequence[NDArray[np.int64]], length: int, fill: int) -> NDArray[np.int64]:
    """Rows (n, length), filled up at the end."""
    found = np.full((len(rows), length), fill, dtype=np.int64)
    for row, tokens in zip(found, rows, strict=True):
        row[: len(tokens)] = tokens
    return found


def _unknown(tokenizer: Any, rows: Sequence[NDArray[np.int64]]) -> float:
    """Share of unknown tokens among those that are no marks."""
    unknown = tokenizer.unk_token_id
    marks = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, None}
    if unknown in marks or not rows:  # some tokenizers know every byte, and call the mark of the end unknown
        return 0.0
    every = np.concatenate(rows)
    words = ~np.isin(every, [mark for mark in marks if mark is not None])
    return float((every[words] == unknown).mean()) if words.any() else 0.0


def _count_cut(
    tokenizer: Any, texts: Sequence[str], second: Sequence[str] | None, rows: Sequence[NDArray[np.int64]], most: int
) -> int:
    """How many texts are longer than they were read."""
    full = [number for number, row in enumerate(rows) if len(row) >= most]
    if not full:
        return 0
    pair = None if second is None else [second[number] for number in full]
    whole = tokenizer([texts[number] for number in full], pair, truncation=False, verbose=False)["input_ids"]
    return sum(len(row) > most for row in whole)


def quiet_transformers() -> None:
    """Keep the reports of transformers, which name folders of this computer, out of logs; errors are raised."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    quiet_transformers()
    try:
        return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> InputError:
    """The error for a tokenizer that fails, whatever it raised: files from strangers can fail in any way."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    fix = "Save the tokenizer again: AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)."
    return InputError("tokenizer.json", f"nothing that reads text ({reason})", "a tokenizer", fix)


def _encode(
    tokenizer: Any, texts: Sequence[str], second: Sequence[str] | None, start: int, max_length: int, types: bool
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Tokens of each text or pair, and where asked for their types."""
    for number, pair in enumerate(zip(texts, second or texts, strict=True), start=start + 1):
        for text in pair:
            if not isinstance(text, str):
                raise InputError(f"text {number:,}", repr(text)[:80], "text", "Leave it out.")
            try:
                text.encode()
            except UnicodeEncodeError:
                fix = "Save the file as UTF-8 again."
                raise InputError(f"text {number:,}", "half a character (a lone surrogate)", "text", fix) from None
    try:
        found = tokenizer(
            list(texts), None if second is None else list(second), truncation=True, max_length=max_length,
            return_attention_mask=False, return_token_type_ids=types,
        )  # fmt: skip
    except Exception as error:
        raise _unreadable(error) from error
    kinds = found["token_type_ids"] if types and "token_type_ids" in found else []
    rows, row_types = ([np.asarray(row, dtype=np.int64) for row in part] for part in (found["input_ids"], kinds))
    return rows, row_types


def _pad_id(tokenizer: Any, rows: Sequence[NDArray[np.int64]]) -> int:
    """The tokenizer's padding token; where it has none, its end token, as long as that stands in no text."""
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    end = tokenizer.eos_token_id
    if end is None or any((row == end).any() for row in rows):
        fix = "Name one in tokenizer_config.json, as pad_token."
        raise InputError("tokenizer", "no padding token", "a token that means nothing", fix)
    return int(end)
