"""Gradients of label scores in the embeddings of demonstrations, whose tokens stand in slots of one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel
from kernelsm.prompts.scoring import ForwardPass, PromptTokens

Order = tuple[int, ...]
BATCH_TOKENS = 1024
"""Most tokens that a gradient is taken through at once."""
_FLOATS_AT_ONCE = 20_000_000


@dataclass(frozen=True, eq=False)
class PaddedSlots:
    """Candidates as blocks of one length, so that tokens of like place stand at like positions in every prompt.

    Parameters
    ----------
    head : tuple of int
        The mark of the start, where there is one, and the instruction.
    blocks : ndarray of int64, shape (K, length)
        Each candidate as it stands in a slot, filled up in front: its label and the end are at the same place in all.
    tails : PromptTokens
        The queries and the label words.
    """

    head: tuple[int, ...]
    blocks: NDArray[np.int64]
    tails: PromptTokens

    def prompts(self, order: Sequence[int]) -> PromptTokens:
        """Return the whole prompts with these candidates in the slots."""
        start = (*self.head, *self.blocks[list(order)].ravel().tolist())
        return PromptTokens(tuple((*start, *tail) for tail in self.tails.prompts), self.tails.endings)


@dataclass(frozen=True, eq=False)
class AnchorLinearisation:
    """Label scores at an anchor, and what each candidate in each slot adds to them in first order.

    Parameters
    ----------
    anchor : tuple of int
        The candidates in its slots.
    base : ndarray, shape (q, labels - 1)
        Score of each label but the first, minus that of the first, in nats.
    table : ndarray, shape (q, labels - 1, k, K)
        Gradient of the same in a slot times the embeddings of a candidate.
    """

    anchor: Order
    base: NDArray[np.float64]
    table: NDArray[np.float64]

    def scores(self, order: Sequence[int]) -> NDArray[np.float64]:
        """Estimate what `base` is with these candidates in the slots, shape (q, labels - 1)."""
        slots = np.arange(len(self.anchor))
        change = self.table[:, :, slots, list(order)] - self.table[:, :, slots, list(self.anchor)]
        return np.asarray(self.base + change.sum(axis=2))

    def log_probabilities(self, order: Sequence[int]) -> NDArray[np.float64]:
        """Estimate the log-probabilities of the labels with these candidates in the slots, shape (q, labels)."""
        return normalised(self.scores(order))


def normalised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-probabilities, shape (q, labels), from the scores of all labels but the first minus that one's."""
    all_scores = np.pad(scores, ((0, 0), (1, 0)))
    highest = all_scores.max(axis=1, keepdims=True)
    normaliser = highest + np.log(np.exp(all_scores - highest).sum(axis=1, keepdims=True))
    return np.asarray(all_scores - normaliser)


def filling(model: LanguageModel, blocks: Sequence[Sequence[int]]) -> int:
    """Return the token that fills up slots: the end-of-text token, or without one the most frequent last token.

    Measured on SmolLM2-135M-Instruct with 8 queries and 20 prompts, mean rank correlation per query with exact losses
    over single anchors: movie reviews 0.32, against 0.16 for the empty line after each demonstration; coin flips 0.26
    against 0.30. Filled up at the back or after the text it was lower.
    """
    if isinstance(mark := model.tokenizer.eos_token_id, int):
        return mark
    ends = [block[-1] for block in blocks]
    return max(ends, key=ends.count)


def query_batches(slots: PaddedSlots, rows: Sequence[ForwardPass], k: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of queries that pass through the network together; every query has all of its rows in one."""
    shared_length = len(slots.head) + slots.blocks.shape[1] * k
    start, count, longest = 0, 0, 0
    q = rows[-1].query + 1
    for query in range(q):
        lengths = [shared_length + len(row.prompt) + len(row.continuation) for row in rows if row.query == query]
        if count and max(longest, *lengths) * (count + len(lengths)) > BATCH_TOKENS:
            yield start, query
            start, count, longest = query, 0, 0
        count, longest = count + len(lengths), max(longest, *lengths)
    yield start, q


def gradients(
    model: LanguageModel, slots: PaddedSlots, anchor: Order, rows: Sequence[ForwardPass], first: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Base and table of some queries, of which `first` is the first one."""
    differences, slopes = slot_slopes(model, slots, anchor, rows, first)
    size = max(1, _FLOATS_AT_ONCE // (slopes.shape[3] * slopes.shape[4]))
    parts = []
    for start in range(0, len(slots.blocks), size):
        candidates = embeddings_of(model, slots.blocks[start : start + size])
        parts.append(torch.einsum("qyslw,clw->qysc", slopes, candidates))
    return differences.cpu().double().numpy(), torch.cat(parts, dim=3).cpu().double().numpy()


def embeddings_of(model: LanguageModel, ids: Any) -> torch.Tensor:
    """Return the embeddings of tokens, shape (..., width)."""
    embed: Any = model.network.get_input_embeddings()
    found: torch.Tensor = embed(torch.as_tensor(ids, dtype=torch.int64, device=model.device))
    return found


def slot_slopes(
    model: LanguageModel, slots: PaddedSlots, anchor: Order, rows: Sequence[ForwardPass], first: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Label scores of some queries at an anchor, and their gradients in the embeddings of its slots.

    Parameters
    ----------
    model : LanguageModel
    slots : PaddedSlots
    anchor : tuple of int
    rows : sequence of ForwardPass
        All those of the queries asked about.
    first : int
        The first of these queries.

    Returns
    -------
    differences : Tensor, shape (q, labels - 1)
        Score of each label but the first, minus that of the first, in nats.
    slopes : Tensor, shape (q, labels - 1, k, length, width)
    """
    q, k, length = rows[-1].query - first + 1, len(anchor), slots.blocks.shape[1]
    longest = max(len(row.prompt) + len(row.continuation) for row in rows)
    tails = np.zeros((len(rows), longest), dtype=np.int64)
    for tail, row in zip(tails, rows, strict=True):
        tail[: len(row.prompt) + len(row.continuation)] = row.prompt + row.continuation
    head, shown = embeddings_of(model, slots.head), embeddings_of(model, slots.blocks[list(anchor)].ravel())
    with torch.enable_grad():
        # each query has slots of its own, else their gradients would be summed
        slot_embeddings = shown.expand(q, -1, -1).clone().requires_grad_()
        query_slots = slot_embeddings[torch.tensor([row.query - first for row in rows], device=model.device)]
        prompt_embeddings = torch.cat(
            [head.expand(len(rows), -1, -1), query_slots, embeddings_of(model, tails)], dim=1
        )
        scores = _label_scores(model, prompt_embeddings, rows, len(slots.head) + k * length)
        differences = scores[:, 1:] - scores[:, :1]
        count = differences.shape[1]
        slopes = [
            torch.autograd.grad(differences[:, label].sum(), slot_embeddings, retain_graph=label < count - 1)[
                0
            ].unflatten(1, (k, -1))
            for label in range(count)
        ]
    return differences.detach(), torch.stack(slopes, dim=1)


def _label_scores(
    model: LanguageModel, embeddings: torch.Tensor, rows: Sequence[ForwardPass], read: int
) -> torch.Tensor:
    """Log-probability of each label, not normalised over the labels, shape (queries of these rows, labels)."""
    positions = sorted({read + position for row in rows for position in row.positions()})
    steps = torch.log_softmax(model.logits_of(embeddings, positions), dim=-1)
    scores: dict[tuple[int, int], torch.Tensor] = {}
    for row, table in zip(rows, steps, strict=True):
        columns = [positions.index(read + position) for position in row.positions()]
        for label in row.labels():
            ending = row.endings[label]
            scores[row.query, label] = table[columns[: len(ending)], list(ending)].sum()
    ordered = [scores[key] for key in sorted(scores)]
    return torch.stack(ordered).reshape(-1, len(rows[0].endings))
