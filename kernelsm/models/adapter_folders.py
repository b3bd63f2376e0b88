"""Folders of low-rank adapters (LoRA) as peft saves them, joined with the base model that they belong to.

A joined folder is that of the base model with the adapter's two files beside it, under names that transformers does
not know: it would follow the base model's path in them to wherever that leads. Needs no torch to import.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelsm.files.json_text import read_json_object
from kernelsm.models.model_folders import ADAPTER, MERGE, model_folder
from kernelsm.runtime.errors import InputError

CONFIG, TENSORS = ADAPTER, "adapter_model.safetensors"
JOINED_CONFIG, JOINED_TENSORS = "joined_adapter.json", "joined_adapter.safetensors"
EXPECTED = "an adapter (LoRA) with its base model"
BASE_TOO = f"Put the folder of the base model into the zip, beside the adapter's. Or: {MERGE}"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True)
class AdapterFiles:
    """What a folder holds of an adapter.

    Parameters
    ----------
    config : dict
        Its adapter_config.json.
    tensors : Path
    joined : bool
        Whether the base model is in the same folder.
    """

    config: dict[str, Any]
    tensors: Path
    joined: bool

    @property
    def base(self) -> str:
        """Folder or hub name of the base model, as the adapter's owner called it."""
        return str(self.config.get("base_model_name_or_path") or "")


def adapter_files(folder: Path, place: str) -> AdapterFiles | None:
    """Return the adapter in a folder, None where there is none.

    Raises
    ------
    InputError
        An adapter that is no LoRA, has pickled weights or none, or cannot be read.
    """
    for config, tensors, joined in ((JOINED_CONFIG, JOINED_TENSORS, True), (CONFIG, TENSORS, False)):
        if not (folder / config).is_file():
            continue
        found = read_json_object(folder / config, f"{place}, {config}", EXPECTED, "Save it with save_pretrained.")
        kind = str(found.get("peft_type", "none"))[:40]
        if kind != "LORA":
            raise InputError(place, f"an adapter of the kind {kind}", "one of the kind LORA", MERGE)
        if not (folder / tensors).is_file():
            pickled = (folder / "adapter_model.bin").is_file()
            told = (
                "an adapter with pickled weights, adapter_model.bin" if pickled else f"an adapter without {tensors}"
            )
            raise InputError(place, told, EXPECTED, "Save it with save_pretrained(FOLDER, safe_serialization=True).")
        return AdapterFiles(found, folder / tensors, joined)
    return None


def is_adapter(archive_folder: Path) -> bool:
    """Whether what was unpacked holds an adapter, or several, at its top or one folder down."""
    return bool(_visible(archive_folder, CONFIG))


def joined_with_base(
    archive_folder: Path, name: str, place: Path, fetch: Callable[[str, Path], Path] | None, *, text: bool = False
) -> Path:
    """Join an adapter with its base model in a new folder, and return it, checked as a model is.

    Parameters
    ----------
    archive_folder : Path
        What the archive held: the adapter, and perhaps its base model in another folder.
    name : str
        Of the archive, for messages.
    place : Path
        Where the joined folder goes.
    fetch : callable, optional
        Copies the model of a path or hub name into a folder and returns it, where that is allowed.
    text : bool
        Whether there must be a tokenizer.

    Raises
    ------
    InputError
        An adapter that cannot be read, or whose base model is not at hand; names it. Several adapters, or one in the
        folder of a whole model.
    """
    folder = _adapter_folder(archive_folder, name)
    adapter = adapter_files(folder, name) if folder else None
    if folder is None or adapter is None:
        raise InputError(name, f"no {CONFIG}", EXPECTED, "Save the adapter with save_pretrained.")
    others = [one for one in _visible(archive_folder, "config.json") if one != folder]
    own = any(file.name != TENSORS for file in folder.glob("*.safetensors")) and (folder / "config.json").is_file()
    called = f"a LoRA adapter without its base model {adapter.base[:80]!r}"
    if own:
        base = folder
    elif len(others) == 1:
        base = others[0]
    elif fetch and adapter.base:
        try:
            base = fetch(adapter.base, place.with_name(f"{place.name}-base"))
        except InputError as error:
            raise InputError(name, f"{called} ({error.found})"[:300], EXPECTED, BASE_TOO) from error
    else:
        raise InputError(name, called, EXPECTED, BASE_TOO)
    place.mkdir()
    for file in sorted(base.iterdir()):
        if file.is_file() and file.name not in (CONFIG, TENSORS, JOINED_CONFIG, JOINED_TENSORS):
            shutil.copyfile(file, place / file.name)
    for file_name in _TOKENIZER:
        if (folder / file_name).is_file():
            shutil.copyfile(folder / file_name, place / file_name)
    shutil.copyfile(folder / CONFIG, place / JOINED_CONFIG)
    shutil.copyfile(adapter.tensors, place / JOINED_TENSORS)
    return model_folder(place, name, text=text)


def _adapter_folder(archive_folder: Path, name: str) -> Path | None:
    """The only adapter; where there are several, or one in a model's folder, nobody said which is meant."""
    found = _visible(archive_folder, CONFIG)
    names = ", ".join(repr(folder.name[:40]) for folder in found[:3])
    if len(found) > 1:
        fix = "Zip one of them, with its base model."
        raise InputError(name, f"{len(found)} adapters ({names})", "one adapter", fix)
    if found and found[0] != archive_folder and (archive_folder / "config.json").is_file():
        fix = f"Zip the model without {names}. Or put the two side by side into the zip, each in a folder."
        raise InputError(name, f"a model, and an adapter in its folder ({names})", "one of them", fix)
    return found[0] if found else None


def _visible(archive_folder: Path, file: str) -> list[Path]:
    """Folders that hold a file: the archive's top, or those one down, but for what macOS adds."""
    if (archive_folder / file).is_file():
        return [archive_folder]
    below = sorted(one.parent for one in archive_folder.glob(f"*/{file}"))
    return [folder for folder in below if not folder.name.startswith((".", "__MACOSX"))]
