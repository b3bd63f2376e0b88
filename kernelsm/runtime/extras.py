"""Libraries that a plain `pip install kernelsm` leaves out, and the error where one of them is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# the extra of pyproject.toml that brings each library
_EXTRA_OF = {
    "torch": "models", "transformers": "models", "safetensors": "models", "gguf": "models", "peft": "models",
    "httpx2": "models", "regex": "models", "yaml": "models",
    "streamlit": "app", "plotly": "app", "jinja2": "app", "curvlinops": "attributors", "dask": "cluster",
    "distributed": "cluster", "metaworld": "control", "mujoco": "control", "gymnasium": "control",
    "imageio": "control",
    "lightgbm": "benchmarks", "spectralexplain": "benchmarks",
}  # fmt: skip


class MissingExtraError(ImportError):
    """A library that only an extra of the package brings is not installed."""


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """Say which extra to install where an import inside the block finds a library missing.

    Parameters
    ----------
    what : str
        What needs the library, as the subject of the message.

    Raises
    ------
    MissingExtraError
        A library of an extra is not installed. Other failed imports are raised as they are.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRA_OF:
            raise
        message = f"{what} needs {library}, which is not installed: pip install 'kernelsm[{_EXTRA_OF[library]}]'"
        raise MissingExtraError(message, name=error.name) from error
