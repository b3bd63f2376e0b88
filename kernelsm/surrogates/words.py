"""Signs in words, the same everywhere: attribution is F(with) - F(without), so for a loss negative helps."""

from __future__ import annotations


def effect_word(value: float, higher_is_better: bool = False) -> str:
    """Return "helps", "hurts" or "no effect" for an attribution."""
    if value == 0:
        return "no effect"
    return "helps" if (value > 0) == higher_is_better else "hurts"


def interaction_word(value: float, higher_is_better: bool = False) -> str:
    """Return "synergy", "redundancy or conflict" or "none" for a second difference."""
    if value == 0:
        return "none"
    return "synergy" if (value > 0) == higher_is_better else "redundancy or conflict"


def attribution_sentence(name: str, value: float, unit: str, higher_is_better: bool = False) -> str:
    """Say in a sentence what including a task does."""
    word = effect_word(value, higher_is_better)
    if word == "no effect":
        return f"Including {name} leaves the {unit} as it is."
    verb = "raises" if value > 0 else "lowers"
    return f"Including {name} {verb} the {unit} by {abs(value):.3g}: it {word}."


def interaction_sentence(first: str, second: str, value: float, unit: str, higher_is_better: bool = False) -> str:
    """Say in a sentence what two tasks do together beyond the sum of their effects."""
    word = interaction_word(value, higher_is_better)
    if word == "none":
        return f"{first} and {second} do together exactly the sum of what each does alone."
    side = "higher" if value > 0 else "lower"
    size = f"{abs(value):.3g} {side} than the sum of their separate effects"
    return f"With {first} and {second} together the {unit} is {size}: {word}."
