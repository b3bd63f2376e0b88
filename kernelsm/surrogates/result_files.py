"""Results of readouts in .npz files: arrays and JSON, never pickles."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.accepting import check_written_ending
from kernelsm.files.json_text import parse_json
from kernelsm.files.limits import limits
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.errors import InputError

_FORMAT = 1
_LAYOUT = {
    "info": ArrayFormat((0,), "U"),
    "values": ArrayFormat((2, 3), "f"),
    "std": ArrayFormat((2, 3), "f", optional=True),
    "measured": ArrayFormat((1, 2), "b", optional=True),
}


def write_result(path: str | Path, result: Any, arrays: dict[str, NDArray[Any] | None]) -> Path:
    """Write a result's arrays, names and `meta`; the file is complete or not there."""
    path = Path(path)
    check_written_ending(path, ".npz")
    free = result.degrees_of_freedom
    info = {
        "format": _FORMAT,
        "kind": type(result).__name__,
        "task_names": result.task_names,
        "target_names": result.target_names,
        "higher_is_better": result.higher_is_better,
        "degrees_of_freedom": free if math.isfinite(free) else None,
        "arrays": sorted(name for name, array in arrays.items() if array is not None),
        "meta": result.meta,
    }
    content: dict[str, Any] = {name: array for name, array in arrays.items() if array is not None}
    with write_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, info=np.array(json.dumps(info)), **content)
    return path


def read_result(path: str | Path, kind: str) -> dict[str, Any]:
    """Read what `write_result` wrote for a result of this kind: the arguments that make it again.

    Raises
    ------
    InputError
        Not such a file.
    FileNotFoundError
        No such file.
    """
    path = Path(path)
    content = read_arrays(path, path.name, _LAYOUT, limits())
    try:
        info = parse_json(str(content["info"]))
        free = info["degrees_of_freedom"]
        if info["format"] != _FORMAT or info["kind"] != kind:
            found = f"{info['kind']}, format {info['format']}"
            raise InputError(path.name, found, f"{kind}, format {_FORMAT}", "Load it with the class that saved it.")
        names = len(info["task_names"]), len(info["target_names"])
        shape = names if kind == "Attribution" else (names[0], *names)
        for name in info["arrays"]:
            array = content[name]
            kind_of, wanted = (np.bool_, shape[:-1]) if name == "measured" else (np.float64, shape)
            if array.shape != wanted or array.dtype != kind_of:
                found = f"{array.dtype} of shape {array.shape}"
                expected = f"{kind_of.__name__} of shape {wanted}"
                raise InputError(f"{path.name}: {name}", found, expected, "Save the result again.")
        return {
            "values": content["values"],
            "std": content["std"] if "std" in info["arrays"] else None,
            "measured": content["measured"] if "measured" in info["arrays"] else None,
            "task_names": tuple(info["task_names"]),
            "target_names": tuple(info["target_names"]),
            "higher_is_better": info["higher_is_better"],
            "meta": info["meta"],
            "degrees_of_freedom": math.inf if free is None else free,
        }
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = f"what {kind}.save writes"
        raise InputError(f"{path.name}: info", "something else", expected, "Save the result again.") from error
