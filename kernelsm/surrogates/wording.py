"""Signs in words, the same everywhere: attribution is F(with) - F(without), so for a loss negative helps."""

from __future__ import annotations

import math

LEVEL = 0.9  # of the intervals in sentences, tables and charts
_MOST_DECIMALS, _LARGE = 7, 1e7  # beyond these a power of ten reads better than a row of zeros


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


def amount(value: float, margin: float | None, digits: str = ".3g") -> str:
    """Return a number with the half-width of its interval, where that is known and has an end: "0.120 ± 0.034".

    Both have the decimals that show two digits of the half-width; `digits` is the format where these do not apply.
    """
    if margin is None or not math.isfinite(margin):
        return format(value, digits)
    two = f"{margin:.1e}"
    decimals = max(0, 1 - int(two.split("e")[1]))
    if not margin or decimals > _MOST_DECIMALS or max(abs(value), margin) >= _LARGE:
        return f"{value:{digits}} ± {margin:.2g}"
    sign = "+" if digits.startswith("+") else ""
    return f"{value:{sign}z.{decimals}f} ± {margin:.{decimals}f}"  # z: no minus before what rounds to 0


def is_unclear(value: float, margin: float | None) -> bool:
    """Whether zero lies within the interval, or the interval is not known from too few subsets (NaN)."""
    return margin is not None and not abs(value) > margin


def attribution_sentence(
    name: str, value: float, unit: str, higher_is_better: bool = False, margin: float | None = None
) -> str:
    """Say in a sentence what including a task does; `margin` is the half-width of its interval."""
    word = effect_word(value, higher_is_better)
    if word == "no effect" and not margin:
        return f"Including {name} leaves the {unit} as it is."
    verb = "raises" if value > 0 else "lowers" if value < 0 else "changes"
    claim = f"Including {name} {verb} the {unit} by {amount(abs(value), margin)}"
    return f"{claim}: {'it cannot be told from no effect' if is_unclear(value, margin) else f'it {word}'}."


def interaction_sentence(
    first: str, second: str, value: float, unit: str, higher_is_better: bool = False, margin: float | None = None
) -> str:
    """Say in a sentence what two tasks do together beyond the sum of their effects."""
    word = interaction_word(value, higher_is_better)
    if word == "none" and not margin:
        return f"{first} and {second} do together exactly the sum of what each does alone."
    side = "lower" if value < 0 else "higher"
    size = f"{amount(abs(value), margin)} {side} than the sum of their separate effects"
    end = "it cannot be told from zero" if is_unclear(value, margin) else word
    return f"With {first} and {second} together the {unit} is {size}: {end}."
