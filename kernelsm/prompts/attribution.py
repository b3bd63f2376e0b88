"""Influence functions, TracIn, TRAK and plain first order for demonstrations, on embedding gradients (eq. 26).

The embeddings E of an anchor prompt stand where weights stand elsewhere (see `kernelsm.prompts.embedding_gradients`).
With the gradient g_k of the loss of candidate k asked like a query, and h_j of that of query j, methods find

    D_kj = dF_j/dα_k = -h_jᵀ A⁻¹ g_k,

α_k the share of candidate k in what E is fitted to, and take the mean over the anchors. In a prompt of r
demonstrations each has the share 1/r, so that F_j(s) is the loss at the anchors plus the mean of D over s, less its
mean over all candidates.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.attributors.attributor import Array, Attributor, Masks, MethodCost, check_masks
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.surrogates.results import Attribution

if TYPE_CHECKING:  # names are known without torch
    from kernelsm.prompts.embedding_gradients import EmbeddingGradients, GradientProducts

_MOST_DIM = 256


class PromptAttributor(Attributor):
    """A method on the gradients at anchor prompts.

    Parameters
    ----------
    losses : EmbeddingGradients
        Several methods may share one: what takes long is done once.
    """

    def __init__(self, losses: EmbeddingGradients) -> None:
        self.losses = losses
        self._found: tuple[Array, Array] | None = None

    @property
    def task_names(self) -> Sequence[str]:
        """Short names of the candidates."""
        return self.losses.task_names

    @property
    def target_names(self) -> Sequence[str]:
        """Short names of the queries."""
        return self.losses.target_names

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {"where": self.losses.where, "anchors": self.losses.anchors, "seed": self.losses.seed}

    def cost(self) -> MethodCost:
        """Each query and each candidate once through the network at each anchor; what follows is little."""
        return MethodCost(0, self.losses.seconds, self.losses.memory)

    @abstractmethod
    def _slopes_at(self, products: GradientProducts) -> Array:
        """D at one anchor, shape (K, q)."""

    def slopes(self, *, store: Store | None = None, report: Report = silent) -> Array:
        """Return D, shape (K, q), in nats by unit of share: the mean over the anchors."""
        return self._at_anchors(store, report)[0]

    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Return the mean loss of prompts of the task's size with each candidate minus that of those without, (K, q).

        In nats; negative helps. It is what the readout "inclusion" of a surrogate says.
        """
        slopes = self.slopes(store=store, report=report)
        K, r = len(slopes), self.losses.task.k
        effects = (slopes - slopes.mean(axis=0)) / r * (K / (K - 1))
        return Attribution(
            effects, tuple(self.task_names), tuple(self.target_names),
            meta={"readout": self.name, "size": r, **self.settings()},
        )  # fmt: skip

    def predict(self, masks: Masks, *, store: Store | None = None, report: Report = silent) -> Array:
        """Predict the loss of prompts (m, K), shape (m, q): additive in the candidates, whatever their order."""
        slopes, at_anchors = self._at_anchors(store, report)
        inside = check_masks(masks, len(slopes)).astype(np.float64)
        shares = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(at_anchors + shares @ (slopes - slopes.mean(axis=0)))

    def baseline(self) -> Array:
        """Mean loss of each query at the anchors, shape (q,)."""
        return self._at_anchors(None, silent)[1]

    def _at_anchors(self, store: Store | None, report: Report) -> tuple[Array, Array]:
        if self._found is None:
            found = self.losses.products(store=store, report=report)
            slopes = np.mean([self._slopes_at(products) for products in found], axis=0)
            losses = np.mean([self._losses_at(products) for products in found], axis=0)
            self._found = np.asarray(slopes), np.asarray(losses)
        return self._found

    def _losses_at(self, products: GradientProducts) -> Array:
        whole = np.pad(products.query_scores, ((0, 0), (1, 0)))
        true = [self.losses.task.labels.index(query.label) for query in self.losses.task.queries]
        top = whole.max(axis=1)
        return np.asarray(top + np.log(np.exp(whole - top[:, None]).sum(axis=1)) - whole[np.arange(len(whole)), true])

    def _residuals(self, products: GradientProducts) -> tuple[Array, Array, Array]:
        """Slopes of the losses by the scores: of candidates (K, Y) and queries (q, Y); candidates' probabilities."""
        task = self.losses.task
        own, probabilities = self.losses.residuals(products.own_scores, task.candidates)
        asked, _ = self.losses.residuals(products.query_scores, task.queries)
        return own, asked, probabilities


class PromptTracIn(PromptAttributor):
    """A = 1: what a step of gradient descent of the anchor's embeddings on each candidate does to each query.

    The anchors stand for checkpoints.

    Parameters
    ----------
    losses : EmbeddingGradients

    References
    ----------
    Pruthi et al. (2020), Estimating training data influence by tracing gradient descent; the paper's appendix B.

    Examples
    --------
    >>> from kernelsm.models.language_model import load_language_model
    >>> from kernelsm.examples.movie_reviews.example import movie_reviews
    >>> from kernelsm.prompts.attribution import PromptTracIn
    >>> from kernelsm.prompts.embedding_gradients import EmbeddingGradients
    >>> PromptTracIn(EmbeddingGradients(movie_reviews(), load_language_model, anchors=1)).cost().seconds > 0
    True
    """

    name, title = "prompt_tracin", "TracIn on embeddings"

    def _slopes_at(self, products: GradientProducts) -> Array:
        own, asked, _ = self._residuals(products)
        return np.asarray(-np.einsum("qy,qykz,kz->kq", asked, products.cross, own))


class PromptInfluence(PromptAttributor):
    """A = the Gauss-Newton matrix of the candidates' mean loss by the anchor's embeddings, damped.

    Parameters
    ----------
    losses : EmbeddingGradients
    damping : float
        Share of the matrix' mean eigenvalue, over those that may be above 0, that is added to its diagonal; 0.1 is
        usual for language models (Grosse et al. 2023).

    References
    ----------
    Koh and Liang (2017), Understanding black-box predictions via influence functions.

    Examples
    --------
    >>> from kernelsm.models.language_model import load_language_model
    >>> from kernelsm.examples.movie_reviews.example import movie_reviews
    >>> from kernelsm.prompts.attribution import PromptInfluence
    >>> from kernelsm.prompts.embedding_gradients import EmbeddingGradients
    >>> PromptInfluence(EmbeddingGradients(movie_reviews(), load_language_model)).settings()["damping"]
    0.1
    """

    name, title = "prompt_influence", "influence functions on embeddings"

    def __init__(self, losses: EmbeddingGradients, *, damping: float = 0.1) -> None:
        super().__init__(losses)
        check_number("damping", damping, above=0)
        self.damping = damping

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), "damping": self.damping}

    def _slopes_at(self, products: GradientProducts) -> Array:
        own, asked, probabilities = self._residuals(products)
        K, count = own.shape
        roots = _roots(probabilities)  # (K, Y, Y)
        # rows B of the Gauss-Newton matrix BᵀB / K: their products with one another, with g and with h
        inner = np.einsum("kyz,kzlw,lvw->kylv", roots, products.own, roots).reshape(K * count, K * count)
        damping = self.damping * np.trace(inner) / K / (K * count)
        if not damping > 0:  # every candidate is answered with certainty: there is no curvature, and no slope
            return np.zeros((K, len(asked)))
        of_own = np.einsum("kyz,kzlw,lw->kyl", roots, products.own, own).reshape(K * count, K)
        of_asked = np.einsum("kyz,qwkz,qw->kyq", roots, products.cross, asked).reshape(K * count, -1)
        plain = np.einsum("qy,qykz,kz->kq", asked, products.cross, own)
        solved = np.linalg.solve(inner + K * damping * np.eye(K * count), of_asked)
        return np.asarray(-(plain - of_own.T @ solved) / damping)


class PromptTrak(PromptAttributor):
    """TRAK: margins' gradients φ through a random map, scores φ_jᵀ (ΦᵀΦ)⁻¹ φ_k (1 - p_k); for a loss times p_j - 1.

    The anchors stand for the ensemble of networks.

    Parameters
    ----------
    losses : EmbeddingGradients
    dim : int, optional
        Coordinates of the map, of which there should be fewer than candidates: a quarter of their number if not
        given; at most 256.
    regulariser : float
        Share of the mean eigenvalue of ΦᵀΦ that is added to its diagonal; the published method adds nothing.

    References
    ----------
    Park et al. (2023), TRAK: attributing model behavior at scale.

    Examples
    --------
    >>> from kernelsm.models.language_model import load_language_model
    >>> from kernelsm.examples.movie_reviews.example import movie_reviews
    >>> from kernelsm.prompts.attribution import PromptTrak
    >>> from kernelsm.prompts.embedding_gradients import EmbeddingGradients
    >>> PromptTrak(EmbeddingGradients(movie_reviews(), load_language_model)).dim
    12
    """

    name, title = "prompt_trak", "TRAK on embeddings"

    def __init__(self, losses: EmbeddingGradients, *, dim: int | None = None, regulariser: float = 1e-6) -> None:
        super().__init__(losses)
        check_number("regulariser", regulariser, least=0)
        self.regulariser = regulariser
        usual = min(_MOST_DIM, max(1, losses.task.K // 4))
        self.dim = usual if dim is None else check_whole("dim", dim, 1, _MOST_DIM)

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), "dim": self.dim, "regulariser": self.regulariser}

    def _slopes_at(self, products: GradientProducts) -> Array:
        task = self.losses.task
        own, left = self._margins(products.own_scores, products.own_projected, task.candidates)
        asked, remaining = self._margins(products.query_scores, products.query_projected, task.queries)
        gram = own.T @ own
        gram += self.regulariser * np.trace(gram) / len(gram) * np.eye(len(gram))
        if not np.trace(gram) > 0:
            return np.zeros((len(own), len(asked)))
        solved = np.linalg.lstsq(gram, asked.T, rcond=None)[0]
        return np.asarray(-len(own) * left[:, None] * (own @ solved) * remaining)

    def _margins(self, scores: Array, projected: Array, texts: Sequence[Any]) -> tuple[Array, Array]:
        """φ (n, dim), and 1 - p of the true label (n,)."""
        slopes, _ = self.losses.residuals(scores, texts)
        # the margin is log p / (1 - p) and the loss -log p: its slope is that of the loss, over p - 1
        whole = np.pad(scores, ((0, 0), (1, 0)))
        true = [self.losses.task.labels.index(text.label) for text in texts]
        others = whole - whole[np.arange(len(whole)), true][:, None]
        others[np.arange(len(whole)), true] = -np.inf
        top = others.max(axis=1)
        margins = -(top + np.log(np.exp(others - top[:, None]).sum(axis=1)))
        left = 1 / (1 + np.exp(np.clip(margins, -500, 500)))
        weights = -slopes / np.maximum(left, 1e-300)[:, None]
        return np.einsum("ny,nyd->nd", weights, projected[..., : self.dim]) / np.sqrt(self.dim), left


class PromptFirstOrder(PromptAttributor):
    """The first order of eq. 26 itself: the gradient of each query's loss times the embeddings of a candidate.

    The mean over the slots in which it may stand. `kernelsm.prompts.first_order.FirstOrder` estimates whole prompts
    from the nearest anchor; this is the part of it that is additive in candidates.

    Parameters
    ----------
    losses : EmbeddingGradients

    Examples
    --------
    >>> from kernelsm.models.language_model import load_language_model
    >>> from kernelsm.examples.movie_reviews.example import movie_reviews
    >>> from kernelsm.prompts.attribution import PromptFirstOrder
    >>> from kernelsm.prompts.embedding_gradients import EmbeddingGradients
    >>> PromptFirstOrder(EmbeddingGradients(movie_reviews(), load_language_model)).title
    'gradient times embeddings'
    """

    name, title = "prompt_first_order", "gradient times embeddings"

    def _slopes_at(self, products: GradientProducts) -> Array:
        _, asked, _ = self._residuals(products)
        # a demonstration has the share 1/k in a prompt, and its whole embeddings
        return np.asarray(self.losses.task.k * np.einsum("qy,qyk->kq", asked, products.inputs))


def check_measure(measure: object, *, higher_is_better: bool = False) -> None:
    """Refuse outcomes that are no losses: the methods are derivatives of the loss.

    Raises
    ------
    InputError
        Another measure.
    """
    if measure not in ("loss", None) or higher_is_better:
        fix = "Compare on outcomes measured by the loss."
        raise InputError("measure of the outcomes", repr(measure or "score")[:40], "the loss", fix)


def _roots(probabilities: NDArray[np.float64]) -> Array:
    """Square roots of diag(p) - ppᵀ for each row of probabilities (K, Y), shape (K, Y, Y)."""
    curvature = probabilities[:, :, None] * np.eye(probabilities.shape[1]) - (
        probabilities[:, :, None] * probabilities[:, None, :]
    )
    values, vectors = np.linalg.eigh(curvature)
    return np.asarray(np.einsum("kyv,kv,kzv->kyz", vectors, np.sqrt(values.clip(0)), vectors))
