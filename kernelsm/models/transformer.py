"""A decoder-only transformer that reads a sequence of tokens and classifies it at the last one."""

from __future__ import annotations

import torch
from torch import nn

from kernelsm.models.arguments import check_heads
from kernelsm.models.seeding import seeded
from kernelsm.runtime.checks import check_counts


class Attention(nn.Module):
    """Causal self-attention with several heads.

    Queries have a projection of their own beside the fused one of keys and values, because the last block needs
    queries at the last position only.

    Parameters
    ----------
    width : int
        Size of each token's vector.
    heads : int
        A divisor of `width`.
    """

    # see `model_hash`: the name stays, wherever this file goes
    hashed_as = "kernelsm.models.transformer.Attention"

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, *, last_only: bool = False) -> torch.Tensor:
        """Map (n, T, width) to (n, T, width), or to (n, 1, width) with queries at the last position only."""
        queried = x[:, -1:] if last_only else x
        queries = self._split(self.queries(queried))
        keys, values = (self._split(part) for part in self.keys_values(x).chunk(2, dim=-1))
        # the last position sees all others: no mask is needed there
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=not last_only)
        return self.output(mixed.transpose(1, 2).flatten(start_dim=2))  # type: ignore[no-any-return]

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(n, T, width) -> (n, heads, T, width / heads)."""
        split: torch.Tensor = x.unflatten(-1, (self.heads, -1))
        return split.transpose(1, 2)

    def extra_repr(self) -> str:
        """Show what the shapes of the weights do not."""
        return f"heads={self.heads}"


class Block(nn.Module):
    """Attention and a perceptron, each added to its input, each behind a LayerNorm (pre-LayerNorm)."""

    hashed_as = "kernelsm.models.transformer.Block"

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_perceptron = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, x: torch.Tensor, *, last_only: bool = False) -> torch.Tensor:
        """Map (n, T, width) to the same shape, or to (n, 1, width) where only the last position is needed."""
        kept = x[:, -1:] if last_only else x
        x = kept + self.attention(self.norm_attention(x), last_only=last_only)
        return x + self.perceptron(self.norm_perceptron(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Decoder-only transformer with learned positions; logits are read at the last token.

    The last block computes nothing at the other positions: they cannot reach the logits, and leaving them out
    halves the work.

    Parameters
    ----------
    vocabulary : int
        Number of tokens.
    classes : int
        C.
    length : int
        Most tokens in a sequence.
    width, heads, layers, expansion : int
        Size of a token's vector, attention heads (a divisor of it), blocks, and hidden size of a block's perceptron
        as a multiple of `width`. The paper's network for modular arithmetic has 128, 4, 2, 4.

    Raises
    ------
    InputError
        A count below 1, or a width that the heads do not divide.
    """

    hashed_as = "kernelsm.models.transformer.Transformer"

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        length: int,
        *,
        width: int = 128,
        heads: int = 4,
        layers: int = 2,
        expansion: int = 4,
    ) -> None:
        check_counts(
            vocabulary=vocabulary, classes=classes, length=length, width=width, heads=heads, layers=layers,
            expansion=expansion,
        )  # fmt: skip
        check_heads(width, heads)
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, expansion) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (n, T) of int64, T up to `length`, to logits (n, C)."""
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        x = self.token(tokens) + self.position(positions)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            x = block(x, last_only=index == last)
        return self.readout(self.norm(x[:, -1]))  # type: ignore[no-any-return]


def transformer(
    vocabulary: int,
    classes: int,
    length: int,
    *,
    width: int = 128,
    heads: int = 4,
    layers: int = 2,
    expansion: int = 4,
    seed: int = 0,
) -> Transformer:
    """Return a freshly initialised `Transformer`; the arguments are its own.

    Matrices and embeddings are drawn from N(0, 0.02²) as in GPT-2, and biases start at 0.
    """
    with seeded(seed):
        model = Transformer(vocabulary, classes, length, width=width, heads=heads, layers=layers, expansion=expansion)
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
    return model
