"""A language model of a few thousand parameters with a tokenizer of its own, made in a second."""

import torch

from kernelsm.models.language_model import LanguageModel

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 400}
WIDE = {"intermediate_size": 24, "initializer_range": 0.5, "max_position_embeddings": 512}
TEXTS = ["a good film", "a bad book, and a long one", "Text: a good book\nLabel: positive\n\n", "negative"] * 8


def tokenizer(*, start=False, end=False):
    """A byte-level tokenizer with merges of its own; `start` and `end` set marks around a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    inner.train_from_iterator(TEXTS, trainer)
    if start or end:
        single = f"{'<s> ' * start}$A{' </s>' * end}"
        inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", model_max_length=500)


def config(kind="Llama", **changes):
    import transformers

    if kind == "GPT2":
        sizes = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 512, "vocab_size": 400}
        return transformers.GPT2Config(**{**sizes, "initializer_range": 0.5, **changes})
    if kind in ("Llama", "Mistral", "Qwen2"):
        changes = {"num_key_value_heads": 2, **changes}
    return getattr(transformers, f"{kind}Config")(**{**SIZES, **WIDE, **changes})


def network(kind="Llama", seed=0, **changes):
    import transformers

    torch.manual_seed(seed)
    return transformers.AutoModelForCausalLM.from_config(config(kind, **changes)).eval()


def tiny_model(kind="Llama", *, start=False, **changes):
    return LanguageModel(network(kind, **changes), tokenizer(start=start), "tiny")


def save(folder, model=None, reader=None):
    (network() if model is None else model).save_pretrained(folder)
    (tokenizer() if reader is None else reader).save_pretrained(folder)
    return folder
