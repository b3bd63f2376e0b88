"""Text as sentence embeddings, computed once and kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.sentence_encoder import SentenceEncoder, encoder_folder
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store, content_hash
from kernelsm.runtime.threads import use_torch_threads

EMBEDDING_CHUNKS = ChunkKind("text_embeddings", version=1)


def embedded(texts: list[str], store: Store, report: Report = silent) -> NDArray[np.float32]:
    """Return the sentence embeddings of texts, shape (n, 384), from the store where they were computed before.

    Raises
    ------
    InputError
        The encoder's package is not installed.
    """
    folder = encoder_folder()

    def within_the_chunk(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        report(done, total, "embedding text", reused=None)

    def embed() -> NDArray[np.float32]:
        use_torch_threads()
        return SentenceEncoder(folder).embed(texts, report=within_the_chunk)

    return store.chunk(EMBEDDING_CHUNKS, (content_hash(texts), folder.parent.name), embed)
