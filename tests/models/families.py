"""Tiny classifiers of many families of transformers, with random weights, and what their own code makes of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

PAD, END, CLASSES, WORDS = 1, 2, 3, 40
LENGTHS = (9, 9, 7, 5, 3, 8)

_ENCODER = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 40,
}  # fmt: skip
_DECODER = {**_ENCODER, "num_key_value_heads": 2}
_DISENTANGLED = {**_ENCODER, "relative_attention": True, "position_biased_input": False, "type_vocab_size": 0}

FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": _ENCODER,
    "Roberta": {**_ENCODER, "max_position_embeddings": 42, "type_vocab_size": 1},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 40},
    "Albert": {**_ENCODER, "embedding_size": 8},
    "Electra": {**_ENCODER, "embedding_size": 8},
    "MPNet": {**_ENCODER, "max_position_embeddings": 42},
    # texts are longer than the windows that the attention of these is cut to
    "ModernBert": {**_ENCODER, "num_hidden_layers": 4, "local_attention": 4, "global_attn_every_n_layers": 2},
    "Deberta": {**_DISENTANGLED, "pos_att_type": "c2p|p2c"},
    "DebertaV2": {
        **_DISENTANGLED, "pos_att_type": "p2c|c2p", "position_buckets": 8, "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
    },
    "XLNet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 16},
    "FNet": {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 16, "max_position_embeddings": 40},
    "Bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2},
    "Longformer": {**_ENCODER, "attention_window": 4, "max_position_embeddings": 42},
    "BigBird": _ENCODER,
    "T5": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0},
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "GPTNeoX": _ENCODER,
    "OPT": {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 16, "word_embed_proj_dim": 16,
        "max_position_embeddings": 40,
    },
    "Llama": _DECODER,
    "Mistral": {**_DECODER, "sliding_window": 4},
    "Gemma": {**_DECODER, "head_dim": 8},
    "Qwen2": _DECODER,
    "Qwen3": {**_DECODER, "head_dim": 8},
    "Phi": _DECODER,
    "Mpt": {"d_model": 16, "n_heads": 2, "n_layers": 2, "max_seq_len": 40, "expansion_ratio": 1},
}  # fmt: skip


def family_network(family: str) -> Any:
    """A classifier of a family in eval mode, with weights large enough that every part of it matters."""
    import transformers

    numbers = {
        "vocab_size": WORDS,
        "num_labels": CLASSES,
        "pad_token_id": PAD,
        "bos_token_id": 0,
        "eos_token_id": END,
    }
    config = getattr(transformers, f"{family}Config")(**numbers, **FAMILIES[family])
    torch.manual_seed(3)
    network = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    return network


def saved_family(family: str, folder: Path) -> Any:
    """Save a classifier of a family and return it."""
    network = family_network(family)
    network.save_pretrained(folder)
    return network


def family_texts() -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Six texts, padded to one length, and each by itself."""
    tokens = torch.from_numpy(np.random.default_rng(0).integers(3, WORDS, (len(LENGTHS), max(LENGTHS))))
    for row, length in zip(tokens, LENGTHS, strict=True):
        row[length - 1], row[length:] = END, PAD
    return tokens, [row[None, :length] for row, length in zip(tokens, LENGTHS, strict=True)]


def own_logits(network: Any) -> torch.Tensor:
    """Logits (n, C) of the texts by the network's own forward call, one at a time."""
    with torch.no_grad():
        return torch.cat([network(input_ids=text).logits for text in family_texts()[1]])


def own_gradients(network: Any) -> np.ndarray:
    """Gradients (n, C, d) of the logits by all parameters, by autograd, one text at a time."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    found = []
    for text in family_texts()[1]:
        logits = network(input_ids=text).logits[0]
        rows = [
            torch.autograd.grad(logit, parameters, retain_graph=True, materialize_grads=True)
            for logit in logits.unbind()
        ]
        found.append(torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]))
    return torch.stack(found).numpy()
