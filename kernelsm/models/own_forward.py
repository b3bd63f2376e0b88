"""Whether a classifier of texts gives the logits of its family's own forward call, and the fastest way that does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch

from kernelsm.runtime.errors import InputError

FINISHED_MASK = "finished mask"
OWN_MASK = "own mask"
ALONE = "without padding"
READINGS = (FINISHED_MASK, OWN_MASK, ALONE)
"""Ways to run a padded batch, fast ones first."""
ELSEWHERE = "Compute its gradient features where it works, by `python -m kernelsm features`, and bring those."
TOLERANCE = 1e-4
"""Of the largest logit: differences beyond are no rounding."""
_EXPECTED = "a classifier with the same logits alone, in a batch, and padded"
_SHIFTED = (
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "markuplm", "mpnet", "roberta",
    "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Families that number the positions of a text from the number of the padding token on."""
_LONGEST = 192  # tokens of a made-up text: longer than the windows that attention is usually cut to


class Classifier(Protocol):
    """What is proved: see `HuggingFaceClassifier`."""

    network: Any
    pad_id: int
    reading: str

    @property
    def usual_reading(self) -> str:
        """The fastest way for its kind of attention."""

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens to logits, by `reading`."""


@dataclass(frozen=True)
class Proof:
    """How far the logits of a classifier are from those of its own forward call, one sample at a time.

    Parameters
    ----------
    family : str
        Class of the network, such as "BertForSequenceClassification".
    reading : str
        The way that is taken: one of `READINGS`.
    samples : int
        On how many samples the two were compared.
    alone, padded : float
        Largest difference without padding and in one padded batch, in units of the largest logit.
    passed_over : tuple of str
        Why faster ways are not taken.
    """

    family: str
    reading: str
    samples: int
    alone: float
    padded: float
    passed_over: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether the logits are those of its own forward call, up to rounding."""
        return self.alone <= TOLERANCE and self.padded <= TOLERANCE  # NaN is not

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, of JSON types."""
        return {**asdict(self), "passed_over": list(self.passed_over)}


def prove(classifier: Classifier, tokens: torch.Tensor, place: str) -> Proof:
    """Compare a classifier with its own forward call on some samples, and switch to the fastest way that agrees.

    Parameters
    ----------
    classifier : Classifier
        In eval mode; its `reading` is set to the way that is taken.
    tokens : Tensor of int64, shape (n, T) or (n, 2, T)
        A few samples of different lengths, padded at the end.
    place : str
        The model's name, for messages.

    Raises
    ------
    InputError
        Names the family: its own forward call fails, gives numbers that are not finite or other ones each time, or
        no way agrees with it.
    """
    family = type(classifier.network).__name__
    lengths = text_lengths(tokens, classifier.pad_id).tolist()
    rows = [tokens[row : row + 1, ..., :length] for row, length in enumerate(lengths)]
    with torch.no_grad():
        expected = torch.cat([_own_forward(classifier, row, place) for row in rows])
        shortest = lengths.index(min(lengths))  # what is random is so for any text, and this one takes the least time
        again = _own_forward(classifier, rows[shortest], place)
        if not torch.isfinite(expected).all():
            raise InputError(place, f"{family}, whose logits are not finite", "finite logits", "Check its weights.")
        size = max(float(expected.abs().max()), 1e-30)
        if float((again - expected[shortest]).abs().max()) > TOLERANCE * size:
            fix = "Switch off what is random in it (dropout that eval() does not reach), or bring another model."
            raise InputError(place, f"{family}, which answers differently each time", _EXPECTED, fix)
        reasons: list[str] = []
        for reading in READINGS[READINGS.index(classifier.usual_reading) :]:
            classifier.reading = reading
            try:
                alone = padded = float((classifier(tokens) - expected).abs().max()) / size
                if padded <= TOLERANCE:  # NaN is not
                    alone = float((torch.cat([classifier(row) for row in rows]) - expected).abs().max()) / size
            except InputError as error:
                reasons.append(f"{reading}: {error.found}")
                continue
            proof = Proof(family, reading, len(rows), alone, padded, tuple(reasons))
            if proof.is_equal:
                return proof
            reasons.append(f"{reading}: logits are off by {alone:.2g} of the largest")
    found = f"{family}, whose logits differ from those of its own forward call ({'; '.join(reasons)})"
    raise InputError(place, found[:300], _EXPECTED, ELSEWHERE)


def text_lengths(tokens: torch.Tensor, pad_id: int) -> torch.Tensor:
    """Tokens of each row up to the last that is no padding, one at least, shape (n,)."""
    ids = tokens[:, 0] if tokens.dim() == 3 else tokens
    places = torch.arange(1, ids.shape[1] + 1, device=ids.device)
    return ((ids != pad_id) * places).amax(dim=1).clamp(min=1)


def most_tokens(config: Any) -> int | None:
    """Most tokens of a text that a network has positions for, by its configuration; None where it does not say."""
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len"))
    most = next((count for count in named if isinstance(count, int) and count > 0), None)
    if most is None:
        return None
    padding = getattr(config, "pad_token_id", None)
    if getattr(config, "model_type", "") in _SHIFTED and isinstance(padding, int) and padding >= 0:
        return max(1, most - padding - 1)
    return most


def made_up_texts(classifier: Classifier) -> torch.Tensor | None:
    """Tokens (4, T) of no meaning and of different lengths, to prove a network without samples; None if too few."""
    config = classifier.network.config
    vocabulary = int(getattr(config, "vocab_size", 0))
    longest = min(_LONGEST, most_tokens(config) or _LONGEST)
    named = {getattr(config, f"{name}_token_id", None) for name in ("bos", "eos", "cls", "sep", "pad")}
    usable = [token for token in range(min(vocabulary, 10_000)) if token not in named and token != classifier.pad_id]
    if not usable:
        return None
    drawn = torch.randint(0, len(usable), (4, longest), generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor(usable)[drawn]
    end = getattr(config, "eos_token_id", None)
    for row, length in zip(tokens, (longest, max(2, longest // 2), 5, 2), strict=True):
        if isinstance(end, int) and end != classifier.pad_id:
            row[min(length, longest) - 1] = end  # where some families read their logits
        if classifier.pad_id >= 0:
            row[min(length, longest) :] = classifier.pad_id
    return tokens


def network_logits(network: Any, ids: torch.Tensor, types: torch.Tensor | None, **given: Any) -> torch.Tensor:
    """Logits of a network of transformers, whose errors are told in words.

    Raises
    ------
    InputError
        Its forward call fails, or returns no logits.
    """
    if types is not None:
        given["token_type_ids"] = types
    try:
        logits = network(input_ids=ids, **given).logits
        if not isinstance(logits, torch.Tensor):
            raise TypeError("no logits")
    # an error of any kind but those that are raised on purpose around the call, such as `Unsupported`
    except (
        ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        found = f"{type(network).__name__}, whose forward call fails on tokens of shape {tuple(ids.shape)} ({reason})"
        raise InputError("model", found, "logits (n, C)", ELSEWHERE) from error
    return logits


def _own_forward(classifier: Classifier, row: torch.Tensor, place: str) -> torch.Tensor:
    """Logits (1, C) of one sample as its family's own code computes them, with its own mask."""
    ids, types = (row[:, 0], row[:, 1]) if row.dim() == 3 else (row, None)
    try:
        return network_logits(classifier.network, ids, types)
    except InputError as error:
        raise InputError(place, error.found, error.expected, error.fix) from error
