"""How networks of known kinds are run here, known before one is loaded. Preparing one finds out what is true of it.

The families are those of `docs/model_families.md`; a test measures them and holds this table to it. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FINISHED_MASK, _OWN_MASK, _ALONE = "finished mask", "own mask", "without padding"
_HOOKS, _VMAP, _LOOP = "hooks", "vmap", "loop"


@dataclass(frozen=True)
class Way:
    """How a kind of network is run.

    Parameters
    ----------
    engine : str
        Of gradients, "hooks", "vmap" or "loop"; see `choose_engine`.
    reading : str
        How padding is left out, see `HuggingFaceClassifier`; empty where there are no texts.
    """

    engine: str
    reading: str = ""


FAMILIES: dict[str, Way] = {
    **dict.fromkeys(("bert", "roberta", "distilbert", "albert", "electra", "big_bird"), Way(_HOOKS, _FINISHED_MASK)),
    "mpnet": Way(_VMAP, _FINISHED_MASK),
    **dict.fromkeys(("modernbert", "bloom", "gpt2", "gpt_neox", "opt", "llama", "mistral"), Way(_HOOKS, _OWN_MASK)),
    **dict.fromkeys(("qwen2", "qwen3", "phi", "mpt"), Way(_HOOKS, _OWN_MASK)),
    **dict.fromkeys(("deberta", "deberta-v2", "gemma"), Way(_VMAP, _OWN_MASK)),
    **dict.fromkeys(("longformer", "t5"), Way(_LOOP, _OWN_MASK)),
    **dict.fromkeys(("xlnet", "fnet"), Way(_LOOP, _ALONE)),
}
"""By what config.json calls the family, `model_type`."""
BUILT_IN: dict[str, Way] = dict.fromkeys(("logistic", "mlp", "resnet9", "transformer"), Way(_HOOKS))
"""By the name of the architecture."""


def family_way(config: Mapping[str, Any]) -> Way | None:
    """Return how networks of the family of a config.json are run; None where the family is not known.

    Examples
    --------
    >>> from kernelsm.models.known_families import family_way
    >>> family_way({"model_type": "deberta-v2"})
    Way(engine='vmap', reading='own mask')
    """
    family = config.get("model_type")
    return FAMILIES.get(family) if isinstance(family, str) else None
