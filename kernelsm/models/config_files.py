"""Networks described in a JSON file, such as {"architecture": "mlp", "config": {...}}. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kernelsm.files.accepting import check_size
from kernelsm.files.json_text import parse_json_object
from kernelsm.models.arguments import check_architecture, check_arguments
from kernelsm.models.model_folders import MAX_LAYERS
from kernelsm.models.parameter_counts import COUNTS, MAX_PARAMETERS
from kernelsm.models.presets import Preset
from kernelsm.runtime.errors import InputError

_MOST_MEGABYTES = 1
_EXPECTED = 'JSON such as {"architecture": "mlp", "config": {"sizes": [64, 32, 10]}}'
_TEMPLATE = "Start from the template that is offered for download."


def config_template(preset: Preset) -> str:
    """Return the JSON text that `read_config` reads and that describes the network of a preset."""
    return json.dumps({"architecture": preset.architecture, "config": preset.config}, indent=2) + "\n"


def read_config(data: bytes, name: str, *, allow_paths: bool = False) -> tuple[str, dict[str, Any]]:
    """Read the description of a network and check it without building it.

    Parameters
    ----------
    data : bytes
        Content of the file.
    name : str
        Its name; messages repeat it.
    allow_paths : bool
        Accept "hugging_face", which reads a folder of this computer or loads from the hub; torch is imported then.
        See `local_models_allowed`.

    Returns
    -------
    architecture : str
        A name that `build_model` knows.
    config : dict
        Its arguments.

    Raises
    ------
    InputError
        Not JSON of this form, an unknown architecture, arguments that it does not have, lacks or cannot use, or a
        network of more than 500 million parameters or 1,000 layers.
    """
    check_size(data, name, _MOST_MEGABYTES, _EXPECTED, "Send the description only.")
    content = parse_json_object(data, name, _EXPECTED, _TEMPLATE)
    if "model_type" in content or "architectures" in content:
        fix = "Upload the whole folder of the model as one zip file."
        raise InputError(name, "the config.json of a Hugging Face model", _EXPECTED, fix)
    unknown = [key for key in content if key not in ("architecture", "config")]
    if unknown:
        raise InputError(f"{name}, {unknown[0][:80]!r}", "an entry without meaning here", _EXPECTED, "Leave it out.")
    for key in ("architecture", "config"):
        if key not in content:
            raise InputError(f"{name}, {key!r}", "nothing", _EXPECTED, _TEMPLATE)
    architecture, config = content["architecture"], content["config"]
    if not isinstance(config, dict):
        raise InputError(f"{name}, 'config'", repr(config)[:80], "an object of arguments", _TEMPLATE)
    try:
        if architecture == "hugging_face":
            _check_hugging_face(config, allow_paths)
        else:
            check_architecture(architecture, COUNTS)
            check_arguments(architecture, COUNTS[architecture], config)
            _check_size(COUNTS[architecture](**config), config)
    except InputError as error:
        raise InputError(f"{name}, {error.place}", error.found, error.expected, error.fix) from None
    return architecture, config


def _check_hugging_face(config: Mapping[str, Any], allow_paths: bool) -> None:
    if not allow_paths:
        raise InputError(
            "architecture", "'hugging_face', which reads a folder of the server or loads from the hub",
            " or ".join(map(repr, COUNTS)), "Upload the model's folder as one zip file.",
        )  # fmt: skip
    from kernelsm.models.hugging_face import hugging_face

    check_arguments("hugging_face", hugging_face, config)
    if not isinstance(config["folder"], str) or not config["folder"]:
        raise InputError("hugging_face, folder", repr(config["folder"])[:80], "a path or a name", "Name the folder.")


def _check_size(parameters: int, config: Mapping[str, Any]) -> None:
    layers = max(len(config.get("sizes", ())) - 1, config.get("layers", 0))
    for found, most, what in ((parameters, MAX_PARAMETERS, "parameters"), (layers, MAX_LAYERS, "layers")):
        if found > most:
            # a number of a thousand digits is no help on the screen
            size = f"{found:,}" if found < 10**15 else "more than a million billion"
            raise InputError("config", f"{size} {what}", f"at most {most:,}", "Describe a smaller network.")
