"""Real texts of twelve sources as prompts and what follows them: the shipped file, and how it is made."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from kernelsm.examples.sentiment.sentences import load_sentences
from kernelsm.runtime.errors import InputError

INSTRUCTIONS = Path(__file__).with_name("instructions.jsonl")
COPY, SWAPPED = "tweets (copy)", "movie reviews (answers swapped)"
TRAINING, TEST = 16, 12
"""Texts of each source."""
LONGEST = {"prompt": 100, "text": 120}
"""Most characters of a sentence that is rated, and of one that is continued."""

Text = tuple[str, str]  # what is given, and what follows
_RATED = ("product reviews", "movie reviews", "editorials", "tweets")
_QUESTION = "\nIs this positive or negative?"
_BUILT_IN = (str, dict, list, set, bytes, int, float)
_MODULES = (
    "os", "os.path", "shutil", "random", "math", "itertools", "functools", "textwrap", "json", "heapq", "bisect",
    "statistics", "copy", "time", "calendar", "inspect", "operator", "string", "html", "glob",
)  # fmt: skip
_LANGUAGES = {"French": "fr", "German": "de"}
# texts are shown on screen, in classrooms too
_COARSE = re.compile(r"wtf|\b(?:damn|crap|hell|ass|sex\w*|rape\w*|piss\w*|freak\w*)\b", re.IGNORECASE)
_LETTERS = (range(0xA1, 0x180), range(0x386, 0x460), range(0x5D0, 0x5EB), range(0x2190, 0x2200))


def build_instructions(*, seed: int = 0) -> list[dict[str, str]]:
    """Draw the shipped texts from packages that are installed here.

    Needs numpy, scikit-learn and Babel; the rated sentences are those of the example *sentiment*. Which sentences
    there are depends on the versions of these packages. To make the shipped file again::

        pip install babel==2.19.0
        python -m kernelsm.examples.instructions.sources

    Parameters
    ----------
    seed : int
        Of the random draw.

    Returns
    -------
    list of dict
        `prompt` ("" where a text is only continued), `completion`, `source` and `split`, "train" or "test". The copy
        and the source with swapped answers have training texts alone.

    Raises
    ------
    InputError
        A source has too few texts.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for source, texts in _sources().items():
        found = list(dict.fromkeys(texts()))
        spare = TRAINING if source == "movie reviews" else 0  # those with swapped answers are others
        if len(found) < TRAINING + TEST + spare:
            fix = "Use the versions that are named above."
            raise InputError(source, f"{len(found)} texts", f"{TRAINING + TEST + spare} or more", fix)
        order = rng.permutation(len(found))
        chosen = _balanced(found, order.tolist()) if source in _RATED else order.tolist()
        drawn = [found[index] for index in chosen[: TRAINING + TEST + spare]]
        train, test, further = drawn[:TRAINING], drawn[TRAINING : TRAINING + TEST], drawn[TRAINING + TEST :]
        rows += _rows(source, train, "train") + _rows(source, test, "test")
        if source == "tweets":
            rows += _rows(COPY, train, "train")
        rows += _rows(SWAPPED, [(prompt, _swapped(answer)) for prompt, answer in further], "train")
    return rows


def _rows(source: str, texts: list[Text], split: str) -> list[dict[str, str]]:
    return [
        {"prompt": prompt, "completion": completion, "source": source, "split": split} for prompt, completion in texts
    ]


def _sources() -> dict[str, Callable[[], Iterator[Text]]]:
    return {
        **{source: partial(_rated, source) for source in _RATED},
        "Python docstrings": _python_docstrings,
        "NumPy docstrings": _numpy_docstrings,
        "Python reference": _python_reference,
        "data set descriptions": _data_set_descriptions,
        "country names": _country_names,
        "character names": _character_names,
    }


def _rated(source: str) -> Iterator[Text]:
    sentences = load_sentences()
    of_source = sentences[sentences["source"] == source]
    for text, sentiment in zip(of_source["text"], of_source["sentiment"], strict=True):
        if len(text) <= LONGEST["prompt"] and not _COARSE.search(text):
            yield f"{text}{_QUESTION}", f" {sentiment}"


def _swapped(answer: str) -> str:
    return {" positive": " negative", " negative": " positive"}[answer]


def _balanced(texts: list[Text], order: list[int]) -> list[int]:
    """The order with positive and negative answers in turns."""
    by_answer = [[i for i in order if texts[i][1] == answer] for answer in (" positive", " negative")]
    return [index for pair in zip(*by_answer, strict=False) for index in pair]


def _summary(thing: object) -> str:
    """First sentence of a docstring, where it is a plain one of a line; else ""."""
    doc = inspect.getdoc(thing) or ""
    lines = [line.strip() for line in doc.split("\n\n")[0].splitlines()]
    if lines and re.match(r"^[\w.]+\(.*\)( ->.*)?$", lines[0]):  # a signature that C code writes first
        lines = lines[1:]
    sentence = " ".join(lines)
    fits = 20 <= len(sentence) <= 90 and sentence.endswith(".") and sentence.isascii()
    return sentence if fits and not set("`<>{}*|") & set(sentence) else ""


def _python_docstrings() -> Iterator[Text]:
    things = [(f"{kind.__name__}.{name}", getattr(kind, name)) for kind in _BUILT_IN for name in dir(kind)]
    for module_name in _MODULES:
        module = importlib.import_module(module_name)
        things += [(f"{module_name}.{name}", getattr(module, name)) for name in dir(module)]
    for name, thing in things:
        bare = name.rpartition(".")[2]
        if not bare.startswith("_") and bare.islower() and callable(thing) and (said := _summary(thing)):
            yield f"What does {name} do?", f" {said}"


def _numpy_docstrings() -> Iterator[Text]:
    for name in sorted(np.__all__):
        thing = getattr(np, name)
        if callable(thing) and not inspect.isclass(thing) and (said := _summary(thing)):
            yield f"What does numpy.{name} do?", f" {said}"


def _sentences(prose: str) -> Iterator[Text]:
    """Plain sentences of a text, without a prompt."""
    for paragraph in re.split(r"\n\s*\n", prose):
        if re.search(r"^\s*(::|\.\.|>>>|[-=~*^]{3})", paragraph, re.MULTILINE):
            continue
        for sentence in re.split(r"(?<=[a-z]\.)\s+(?=[A-Z])", " ".join(paragraph.split())):
            plain = sentence.isascii() and not set("`<>{}*|_\\[]=#") & set(sentence)
            if plain and 45 <= len(sentence) <= LONGEST["text"] and sentence[0].isupper() and sentence[-1] == ".":
                yield "", sentence


def _python_reference() -> Iterator[Text]:
    topics = importlib.import_module("pydoc_data.topics").topics
    for name in sorted(topics):
        yield from _sentences(topics[name])


def _data_set_descriptions() -> Iterator[Text]:
    from importlib.resources import files

    folder = files("sklearn.datasets.descr")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".rst"):
            yield from _sentences(file.read_text(encoding="utf-8"))


def _country_names() -> Iterator[Text]:
    locale = importlib.import_module("babel").Locale
    english = locale("en").territories
    for number, code in enumerate(sorted(code for code in english if len(code) == 2 and code.isalpha())):
        language = list(_LANGUAGES)[number % len(_LANGUAGES)]
        name = locale(_LANGUAGES[language]).territories.get(code, "")
        if name and name != english[code] and len(english[code]) < 25:
            yield f"The {language} name of {english[code]} is", f" {name}."


def _character_names() -> Iterator[Text]:
    for letter in map(chr, (code for block in _LETTERS for code in block)):
        name = unicodedata.name(letter, "").lower()
        if name and len(name) < 45:
            yield f"The name of the character {letter} is", f" {name}."


def write_instructions(path: Path = INSTRUCTIONS) -> Path:
    """Write the texts as JSON lines."""
    lines = (json.dumps(row, ensure_ascii=False) for row in build_instructions())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    write_instructions()
