"""A Hugging Face model by its path or name, copied into a folder: weights, configuration, tokenizer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from kernelsm.files.archives import PLAIN_FILE_NAME
from kernelsm.models.adapter_folders import CONFIG, is_adapter, joined_with_base
from kernelsm.models.model_folders import model_folder, own_folder
from kernelsm.runtime.errors import InputError

# neither code nor pickles
_FILES_TO_LOAD = ("*.json", "*.safetensors", "*.txt", "*.model")
_FILE = re.compile(rf"{PLAIN_FILE_NAME}\.(?:json|safetensors|txt|model)")


def copy_files(source: Path, place: Path) -> None:
    """Copy weights, configuration and tokenizer of a model's folder into another, and nothing else."""
    place.mkdir(exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and _FILE.fullmatch(file.name):
            shutil.copyfile(file, place / file.name)


def copy_model(name: str, place: Path, *, text: bool = False, adapted: bool = False) -> Path:
    """Copy a model and return its folder, checked as an uploaded one is.

    Parameters
    ----------
    name : str
        A folder of this computer, or a name on the Hugging Face hub.
    place : Path
        Where the copy goes.
    text : bool
        Whether the model must come with a tokenizer.
    adapted : bool
        Whether a low-rank adapter is taken too. It is joined with its base model, in a folder beside `place`.

    Raises
    ------
    InputError
        Nothing of that name, or no whole model.
    """
    source = own_folder(name)
    if source is not None:
        copy_files(source, place)
        return _checked(place, name, text=text, adapted=adapted)
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or not name.strip():
        raise InputError("model", f"no folder {name!r}"[:160], "a folder or a name on the hub", "Check the path.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(
            name, allow_patterns=list(_FILES_TO_LOAD), ignore_patterns=[f"*/{CONFIG}"], local_dir=place
        )  # fmt: skip
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        found = f"nothing that can be loaded ({str(error).strip().splitlines()[0][:160]})"
        fix = "Check the name and the connection."
        raise InputError(f"model {name!r}"[:160], found, "a model on the Hugging Face hub", fix) from error
    return _checked(place, name, text=text, adapted=adapted)


def _checked(place: Path, name: str, *, text: bool, adapted: bool) -> Path:
    if adapted and is_adapter(place):
        return joined_with_base(place, name, place.with_name("joined"), copy_model, text=text)
    return model_folder(place, name, text=text)
