"""Gradients of labels in the embeddings of anchor prompts: of the queries, and of the candidates asked like queries.

At an anchor the embeddings E of its k slots stand where the weights of a network stand elsewhere: they are what a
prompt can change. Each candidate is a training sample there, asked like a query after the anchor prompt, with its own
label as the truth; each query is a test sample. Attribution methods ask for products of their gradients alone, which
are kept in place of the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel
from kernelsm.prompts.first_order import FirstOrder
from kernelsm.prompts.gradient_cost import ANCHORS, SECONDS_A_GRADIENT, gradient_seconds
from kernelsm.prompts.prompting import short_names
from kernelsm.prompts.scoring import forward_passes
from kernelsm.prompts.slot_gradients import Order, PaddedSlots, embeddings_of, query_batches, slot_slopes
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.memory import check_memory
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

PRODUCT_CHUNKS = ChunkKind("embedding_gradient_products", version=1)
PROJECTED = 256
"""Coordinates of a random map of the gradients, which methods may take the first ones of."""
_BLOCK = 8192
_TOKENS, _WIDTH = 40, 576  # a slot of the examples, and the default model's embeddings

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GradientProducts:
    """What is known of one anchor. Scores are those of all labels but the first, minus that of the first: Y of them.

    Parameters
    ----------
    own_scores, query_scores : ndarray, shape (K, Y) and (q, Y)
        Of the candidates and of the queries, in nats.
    own : ndarray, shape (K, Y, K, Y)
        Products of the gradients of candidates' scores.
    cross : ndarray, shape (q, Y, K, Y)
        Of the queries' scores with those of candidates.
    own_projected, query_projected : ndarray, shape (K, Y, 256) and (q, Y, 256)
        The gradients through one Gaussian map with entries of variance 1.
    inputs : ndarray, shape (q, Y, K)
        Gradients of the queries' scores times the embeddings of each candidate, the mean over the slots.
    """

    own_scores: Array
    query_scores: Array
    own: Array
    cross: Array
    own_projected: Array
    query_projected: Array
    inputs: Array


class EmbeddingGradients:
    """Products of gradients at a few anchor prompts, those that `FirstOrder` draws.

    Parameters
    ----------
    task : PromptTask
    model : callable
        Returns the language model; asked for when gradients are.
    anchors : int
        How many; methods take the mean over them.
    seed : int
        Of the anchors.
    seconds_a_gradient : float
        Of one text at one anchor on one core, for what is said of the cost.

    Raises
    ------
    InputError
        Anchors below 1; later what `FirstOrder` refuses, gradients that are not finite, or more memory than is free.
    """

    where = "the embeddings of anchor prompts"

    def __init__(
        self, task: PromptTask, model: Callable[[], LanguageModel], *, anchors: int = ANCHORS, seed: int = 0,
        seconds_a_gradient: float = SECONDS_A_GRADIENT,
    ) -> None:  # fmt: skip
        check_counts(anchors=anchors)
        self.task, self.anchors, self.seed, self._model = task, anchors, seed, model
        self.seconds_a_gradient = seconds_a_gradient

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """Short names of the candidates."""
        return short_names(self.task.candidates)

    @cached_property
    def target_names(self) -> tuple[str, ...]:
        """Short names of the queries."""
        return short_names(self.task.queries)

    @cached_property
    def model(self) -> LanguageModel:
        """The language model, loaded."""
        return self._model()

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Content that the products depend on."""
        return self.task.content_hash, self.model.content_hash, self.anchors, self.seed

    @property
    def seconds(self) -> float:
        """Expected seconds on one core with nothing in the store."""
        return gradient_seconds(self.task, self.anchors, self.seconds_a_gradient)

    @property
    def memory(self) -> int:
        """Bytes of the candidates' gradients at one anchor, for slots as long as those of the examples."""
        return 4 * self.task.K * (len(self.task.labels) - 1) * self.task.k * _TOKENS * _WIDTH

    def residuals(self, scores: Array, texts: Sequence[Labelled]) -> tuple[Array, Array]:
        """Slopes of each text's loss by its scores, and probabilities of all labels but the first, (n, Y) each."""
        probabilities = _softmax(scores)[:, 1:]
        true = np.array([self.task.labels.index(text.label) for text in texts])
        hit = true[:, None] == np.arange(1, len(self.task.labels))
        return probabilities - hit, probabilities

    def products(self, *, store: Store | None = None, report: Report = silent) -> list[GradientProducts]:
        """Return what is known of every anchor; finished ones are found in the store."""
        first_order = FirstOrder(self.task, self.model, anchors=self.anchors, seed=self.seed)
        asked = FirstOrder(
            replace(self.task, queries=self.task.candidates), self.model, anchors=self.anchors, seed=self.seed
        )
        texts = self.task.K + len(self.task.queries)
        found = []
        for position, anchor in enumerate(first_order.anchors):

            def told(done: int, *, reused: bool = False, earlier: int = position * texts) -> None:
                kind = reused if done == texts else None  # None: within an anchor
                report(earlier + done, len(first_order.anchors) * texts, "gradients at anchor prompts", reused=kind)

            work = partial(self._at, anchor, first_order.slots, asked.slots, told)
            if store is None:
                arrays = work()
            else:
                before = store.reused
                key = (self.task.content_hash, self.model.content_hash, anchor)
                arrays = store.chunk(PRODUCT_CHUNKS, key, work)
                if store.reused > before:
                    told(texts, reused=True)
            found.append(GradientProducts(**arrays))
        return found

    def _at(
        self, anchor: Order, queries: PaddedSlots, candidates: PaddedSlots, told: Callable[[int], None]
    ) -> dict[str, Array]:
        model, K = self.model, self.task.K
        width = model.network.get_input_embeddings().embedding_dim
        d = len(anchor) * queries.blocks.shape[1] * width
        count = len(self.task.labels) - 1
        what = f"gradients of {K} candidates in {d:,} embedding coordinates"
        fix = "Take fewer or shorter candidates."
        check_memory("prompt attribution", 4 * d * (2 * K * count + _map_width(d)), what=what, fix=fix)
        directions = _Gaussian(d)

        scores, gradients, projected = [], [], []
        for values, slopes, stop in self._batches(anchor, candidates):
            flat = slopes.flatten(2)
            scores.append(values)
            gradients.append(flat)
            projected.append(directions.times(flat))
            told(stop)
        own = torch.cat(gradients)
        columns = own.flatten(0, 1)

        def with_own(rows: torch.Tensor) -> torch.Tensor:
            return (rows.flatten(0, 1) @ columns.T).reshape(len(rows), count, K, count)

        embeddings = embeddings_of(model, queries.blocks)  # (K, length, width)
        asked, cross, query_projected, inputs = [], [], [], []
        for values, slopes, stop in self._batches(anchor, queries):
            flat = slopes.flatten(2)
            asked.append(values)
            cross.append(with_own(flat))
            query_projected.append(directions.times(flat))
            inputs.append(torch.einsum("qylw,clw->qyc", slopes.mean(dim=2), embeddings))
            told(K + stop)
        found = {
            "own_scores": scores, "query_scores": asked, "own": [with_own(own)], "cross": cross,
            "own_projected": projected, "query_projected": query_projected, "inputs": inputs,
        }  # fmt: skip
        arrays = {name: torch.cat(parts).cpu().double().numpy() for name, parts in found.items()}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            fix = "Were its weights damaged, or saved in half precision and too large?"
            raise InputError(f"model {model.name!r}", "gradients that are not finite", "finite gradients", fix)
        return arrays

    def _batches(self, anchor: Order, slots: PaddedSlots) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
        """Scores, slopes, and how many texts are done, batch by batch."""
        rows = forward_passes(slots.tails)
        for start, stop in query_batches(slots, rows, len(anchor)):
            part = [row for row in rows if start <= row.query < stop]
            scores, slopes = slot_slopes(self.model, slots, anchor, part, start)
            yield scores, slopes, stop


class _Gaussian:
    """A Gaussian map of d coordinates to 256, drawn anew block by block: whole it might not fit in memory."""

    def __init__(self, d: int) -> None:
        self.d = d

    def times(self, gradients: torch.Tensor) -> torch.Tensor:
        """Map the last axis."""
        found = gradients.new_zeros((*gradients.shape[:-1], PROJECTED))
        for number, start in enumerate(range(0, self.d, _BLOCK)):
            generator = torch.Generator().manual_seed(number)
            size = min(_BLOCK, self.d - start)
            block = torch.randn((size, PROJECTED), generator=generator).to(gradients)
            found += gradients[..., start : start + size] @ block
        return found


def _map_width(d: int) -> int:
    """Numbers of a block of the map for each coordinate of the gradients."""
    return PROJECTED * min(_BLOCK, d) // max(1, d) + 1


def _softmax(scores: Array) -> Array:
    """Probabilities of all labels, shape (n, Y + 1)."""
    whole = np.pad(scores, ((0, 0), (1, 0)))
    shifted = np.exp(whole - whole.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
