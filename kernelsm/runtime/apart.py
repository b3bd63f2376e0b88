"""Short work in a process of its own: what it takes, and what goes wrong in it, does not touch the server.

python -m kernelsm.runtime.apart < request.json > answer.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job_process import resolve

_LONGEST = 900.0


def apart(work: str, **arguments: Any) -> Any:
    """Call a function of kernelsm in a fresh process and return what it returns.

    Parameters
    ----------
    work : str
        Dotted path of the function, "package.module:function".
    **arguments
        JSON types only, as what it returns.

    Raises
    ------
    InputError, OSError
        As the function.
    RuntimeError
        It failed in another way, took too long, or its process was ended.

    Examples
    --------
    >>> from kernelsm.runtime.apart import apart
    >>> apart("kernelsm.runtime.content_hash:is_content_hash", name="0" * 40)
    True
    """
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
    request = json.dumps({"work": work, "arguments": arguments})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kernelsm.runtime.apart"], input=request, capture_output=True, text=True,
            timeout=_LONGEST, check=False, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{work} took longer than {_LONGEST:.0f} s") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip()[-2000:]
        raise RuntimeError(f"{work} ended with code {done.returncode}: {said}") from None
    if "input_error" in answer:
        raise InputError(*answer["input_error"])
    if "os_error" in answer:
        raise OSError(*answer["os_error"])
    return answer["result"]


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": resolve(request["work"])(**request["arguments"])}
    except InputError as error:
        return {"input_error": [error.place, error.found, error.expected, error.fix]}
    except OSError as error:
        return {"os_error": [error.errno or 0, error.strerror or str(error)]}


if __name__ == "__main__":
    answer = json.dumps(_answer(json.load(sys.stdin)))
    sys.stdout.write(answer)
