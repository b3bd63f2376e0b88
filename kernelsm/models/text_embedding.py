"""Text as sentence embeddings, computed once and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.sentence_encoder import SentenceEncoder, encoder_folder
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store, content_hash
from kernelsm.runtime.threads import use_torch_threads

EMBEDDING_CHUNKS = ChunkKind("text_embeddings", version=1)


def embedded(
    texts: list[str], store: Store, report: Report = silent, *, encoder: Path | None = None
) -> NDArray[np.float32]:
    """Return the sentence embeddings of texts, shape (n, e), from the store where they were computed before.

    Parameters
    ----------
    texts : list of str
    store, report
        Keeps them; is told of progress.
    encoder : Path, optional
        Folder of an encoder, see `SentenceEncoder`; by default the packaged one, of 384 numbers a text.

    Raises
    ------
    InputError
        The encoder's package is not installed, or the folder holds none.
    """
    folder = encoder or encoder_folder()

    def within_the_chunk(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        report(done, total, "embedding text", reused=None)

    def embed() -> NDArray[np.float32]:
        use_torch_threads()
        return SentenceEncoder(folder).embed(texts, report=within_the_chunk)

    name = folder.parent.name if encoder is None else _content(folder)
    return store.chunk(EMBEDDING_CHUNKS, (content_hash(texts), name), embed)


def _content(folder: Path) -> str:
    """A hash of everything that an encoder's folder holds."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            while block := opened.read(2**20):
                digest.update(block)
    return digest.hexdigest()
