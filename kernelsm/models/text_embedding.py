"""Text as sentence embeddings, computed once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.sentence_encoder import SentenceEncoder, encoder_folder
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store, content_hash
from kernelsm.runtime.threads import use_torch_threads


def embedded(texts: list[str], store: Store, report: Report = silent) -> NDArray[np.float32]:
    """Return the sentence embeddings of texts, shape (n, 384), from the store where they were computed before.

    Raises
    ------
    InputError
        The encoder's package is not installed.
    """
    folder = encoder_folder()
    found: NDArray[np.float32] = store.call(
        _embed, content_hash(texts), folder.parent.name, heavy={"texts": texts, "folder": folder, "report": report}
    )
    return found


def _embed(text_hash: str, encoder: str, texts: list[str], folder: Path, report: Report) -> NDArray[np.float32]:
    """Embeddings of texts; their hash and the encoder's name are the store's key."""
    use_torch_threads()

    def told(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        report(done, total, "embedding text", reused=None)

    return SentenceEncoder(folder).embed(texts, report=told)
