"""Mapping files: what the columns of a file of samples mean and which network is trained, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kernelsm.runtime.checks import shown
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.workspace.requests import NetworkRequest

_NETWORK_FIELDS = ("architecture", "hidden", "training", "ridge", "predicts", "rank")
_LARGEST_MAPPING = 2**20


def mapping_file(samples: str, mapping: SampleMapping, network: NetworkRequest) -> str:
    """Return the mapping file of samples, as JSON, which `run --samples FILE --mapping FILE` reads.

    Parameters
    ----------
    samples : str
        Name of the file of samples, for those who read it.
    mapping : SampleMapping
    network : NetworkRequest
        What is kept of it is how one is trained; weights travel in files of their own.
    """
    wanted = {name: value for name, value in asdict(network).items() if name in _NETWORK_FIELDS and value}
    content = {"samples": samples, "mapping": mapping.to_dict(), "network": wanted}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def read_mapping_file(path: Path) -> tuple[SampleMapping, NetworkRequest]:
    """Read what `mapping_file` wrote, or a mapping alone.

    Raises
    ------
    InputError
        Not such a file; names the field.
    """
    place = path.name
    if path.stat().st_size > _LARGEST_MAPPING:
        raise InputError(
            place, f"{path.stat().st_size:,} bytes", "1 MiB at most", "Take the mapping file of the app."
        )
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(place, f"no JSON: {error}", "a mapping file", "Take the mapping file of the app.") from None
    if not isinstance(content, dict):
        raise InputError(place, shown(content), "a JSON object", "Take the mapping file of the app.")
    if "mapping" not in content:
        return SampleMapping.from_dict(content), NetworkRequest()
    if unknown := set(content) - {"samples", "mapping", "network"}:
        fix = "Rename the field or leave it out."
        raise InputError(place, f"the unknown field {sorted(unknown)[0]!r}", "samples, mapping, network", fix)
    network = content.get("network", {})
    if not isinstance(network, dict) or set(network) - set(_NETWORK_FIELDS):
        raise InputError(f"{place}, network", shown(network), ", ".join(_NETWORK_FIELDS), "Leave out the others.")
    return SampleMapping.from_dict(content["mapping"]), NetworkRequest(**network)
