"""What preparing a project found out about the user's network, in sentences."""

from __future__ import annotations

from typing import Any

from kernelsm.app.shell.words import plain
from kernelsm.models.class_matching import BY_NAME, BY_NUMBER, IN_ORDER
from kernelsm.models.known_families import Way
from kernelsm.objectives.registry import find_class
from kernelsm.workspace.projects import Project

_READINGS = {
    "own mask": " Padding is left out by the mask of its own code.",
    "without padding": " Padding is left out by running texts of one length together, which is slower.",
}
_ENGINES = {
    "hooks": "for many samples at once, by hooks, which is the fastest way",
    "vmap": "for many samples at once, by vmap",
    "loop": "for one sample after the other, which is the slowest way",
}
_EXPECTED_READINGS = {
    "finished mask": "padding is left out by a mask that is made once",
    "own mask": "padding is left out by the mask of its own code",
    "without padding": "padding is left out by running texts of one length together, which is slower",
}
_HOW: dict[str, str] = {
    BY_NAME: "by name",
    BY_NUMBER: "by number",
    IN_ORDER: "in order, because neither names nor numbers fit",
}
_MOST_SHOWN = 10
_MUCH_UNKNOWN = 0.05


def network_sentences(about: dict[str, Any]) -> list[str]:
    """Return sentences about a network that was brought; none about one that was trained here."""
    sentences = []
    if proof := about.get("proof"):
        family, samples = plain(str(proof["family"])), proof["samples"]
        same = (
            f"{family}: on {samples} of your samples, padded and not, its logits are those of its own forward call, "
            "one sample at a time."
        )
        sentences.append(same + _READINGS.get(proof["reading"], ""))
    if classes := about.get("classes"):
        pairs = class_pairs(classes["labels"], classes["of"], classes["names"])
        sentences.append(f"Labels and classes of the model, matched {how_matched(classes['how'])}: {pairs}.")
    return sentences


def engine_sentence(about: dict[str, Any]) -> str:
    """Return how gradients are computed, as it was tried on a few samples; empty where that is not known."""
    seen = about.get("engine") or {}
    if seen.get("engine") not in _ENGINES:
        return ""
    because = (
        f" Faster ways do not fit ({plain(seen['engine_because'][:160])})." if seen.get("engine_because") else ""
    )
    return f"Gradients are computed {_ENGINES[seen['engine']]}.{because}"


def expected_way(way: Way | None) -> str:
    """Return how a network of a known kind will be run, before it is loaded; `None` is another kind."""
    if way is None:
        return "How its padding is left out and its gradients are computed is tried out when it is prepared."
    padding = f"{_EXPECTED_READINGS[way.reading]}, and " if way.reading else ""
    said = f"{padding}gradients are computed {_ENGINES[way.engine]}."
    return f"For networks of this kind {said} Preparing tries it on a few of your samples."


def text_sentences(about: dict[str, Any]) -> list[str]:
    """Return sentences on texts that were cut, or that the network's tokenizer does not know."""
    facts = about.get("texts")
    if not facts:
        return []
    sentences = []
    if facts["cut"]:
        sentences.append(f"{facts['cut']:,} of {facts['of']:,} texts were cut at {facts['tokens']:,} tokens.")
    unknown, equal = facts["unknown"], facts["equal"]
    if unknown > _MUCH_UNKNOWN or (equal and unknown):
        same = f" {equal:,} different texts became the same as another." if equal else ""
        sentences.append(
            f"{unknown:.0%} of the tokens stand for words or signs that the tokenizer does not know, as of another "
            f"script or language.{same} Choose a model or an encoder that knows them."
        )
    elif equal:
        sentences.append(
            f"{equal:,} different texts became the same as another: they differ only where they are cut, or in what "
            "the tokenizer does not tell apart."
        )
    return sentences


def how_matched(how: str) -> str:
    """Say by what labels were matched with classes, to follow "matched"."""
    return _HOW.get(how, "as you chose")


def class_pairs(labels: list[str], of: list[int], names: list[str]) -> str:
    """Say which label is which class of a network: "bad is LABEL_1, good is LABEL_0"."""
    pairs = [
        f"{plain(label)} is {plain(names[number]) if number < len(names) else f'class {number}'}"
        for label, number in zip(labels[:_MOST_SHOWN], of, strict=False)
    ]
    return ", ".join(pairs) + (f", and {len(labels) - _MOST_SHOWN} more" if len(labels) > _MOST_SHOWN else "")


def doubts(project: Project) -> list[str]:
    """Return sentences on a network that is no better than guessing, or whose classes seem to be others."""
    about, objective = project.about, find_class(project.recipe.objective)
    headline = about.get(objective.headline)
    if not headline:
        return []
    right, majority, names = headline["test"], about.get("majority"), about.get("data", {}).get("classes", [])
    sentences = []
    if other := about.get("renumbered"):
        found = [
            f"{plain(str(names[number]))} for {plain(str(names[label]))}"
            for label, number in enumerate(other["of"])
            if label != number and max(label, number) < len(names)
        ]  # fmt: skip
        sentences.append(
            f"The network is right on {right:.0%} of the test samples. Were its classes numbered otherwise, it would "
            f"be on {other['accuracy']:.0%}: it says {', '.join(found[:_MOST_SHOWN])}. Check which label is which "
            "class of the model."
        )
    if majority and right <= majority["share"]:
        name = names[majority["class"]] if majority["class"] < len(names) else str(majority["class"])
        sentences.append(
            f"As trained, the network is right on {right:.1%} of the test samples, and always saying "
            f"{plain(str(name))} would be right on {majority['share']:.1%}: it is no better than guessing. What "
            "tasks do to it says little yet. Train longer, choose another network, or look at the labels."
        )
    elif objective.is_guessing(right, project.recipe.size.classes):
        sentences.append(
            "As trained, the network is hardly better than guessing on the test samples: what tasks do to it says "
            "little yet. Train longer, choose another network, or look at the labels."
        )
    return sentences
