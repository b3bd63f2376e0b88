"""Signs and numbers in words, everywhere the same: attribution is F(with) - F(without): for a loss negative helps."""

from __future__ import annotations

import math
from enum import IntEnum

LEVEL = 0.9  # of the intervals in sentences, tables and charts
_MOST_DECIMALS, _LARGE = 7, 1e7  # beyond these a power of ten reads better than a row of zeros
_MOST_DIGITS = 5  # of a number beside its half-width


class Verdict(IntEnum):
    """What the data say of one effect; `kernelsm.surrogates.verdicts` decides it."""

    UNCLEAR = 0
    """It cannot be told from zero; how large an effect would matter is not known."""
    NOT_MEASURED = 1
    """Its interval holds zero, and effects that would matter as well: it is not measured well enough yet."""
    NO_EFFECT = 2
    """All of its interval is so near zero that it would not matter."""
    CLEAR = 3
    """It can be told from zero."""


NOT_MEASURED = "not measured well enough yet"


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


def effect_verdict(verdict: Verdict, value: float, higher_is_better: bool = False) -> str:
    """Return what lists and charts say of an attribution: its word where it is clear, else why there is none."""
    others = {
        Verdict.UNCLEAR: "cannot be told from no effect",
        Verdict.NOT_MEASURED: NOT_MEASURED,
        Verdict.NO_EFFECT: "no effect",
    }
    return others.get(verdict) or effect_word(value, higher_is_better)


def interaction_verdict(verdict: Verdict, value: float, higher_is_better: bool = False) -> str:
    """Return what lists and charts say of an interaction: its word where it is clear, else why there is none."""
    others = {
        Verdict.UNCLEAR: "cannot be told from zero",
        Verdict.NOT_MEASURED: NOT_MEASURED,
        Verdict.NO_EFFECT: "no interaction",
    }
    return others.get(verdict) or interaction_word(value, higher_is_better)


def number(value: float, *, signed: bool = False, digits: int = 3) -> str:
    """Return a number with so many significant digits, however small, and no zeros at its end: "0.00123".

    Whole numbers keep all their digits.

    Examples
    --------
    >>> number(0.000512, signed=True), number(0.5), number(1234.5), number(2e-12)
    ('+0.000512', '0.5', '1234', '2e-12')
    """
    sign = "+" if signed else ""
    if 1e-4 <= abs(value) < 10 ** (digits - 1):  # most numbers, and no power of ten in sight
        return f"{value:{sign}.{digits}g}"
    if not math.isfinite(value) or value == 0:
        return f"{value:{sign}.0f}" if value else "0"
    power = math.floor(math.log10(abs(value)))
    if power < -_MOST_DECIMALS or abs(value) >= _LARGE:
        return f"{value:{sign}.{digits}g}"
    text = f"{value:{sign}.{max(digits - 1 - power, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float, *, signed: bool = False) -> str:
    """Return a share in percent with one decimal, and small ones with two significant digits: "0.063%".

    Examples
    --------
    >>> percent(0.1234), percent(0.00063), percent(0.0)
    ('12.3%', '0.063%', '0.0%')
    """
    return f"{100 * share:{'+' if signed else ''}.{max(1, _decimals(100 * share))}f}%"


def decimals_for(*amounts: float, least: int = 0) -> int:
    """Return the decimals that show two significant digits of every amount that is not zero; at least `least`.

    Examples
    --------
    >>> decimals_for(0.5, 0.034), decimals_for(0.0, least=3), decimals_for(12.0)
    (3, 3, 0)
    """
    return max([least, *(_decimals(amount) for amount in amounts)])


def _decimals(amount: float) -> int:
    """Decimals of two significant digits; as many as are shown at most."""
    if amount == 0 or not math.isfinite(amount):
        return 0
    return min(max(0, 1 - _power(amount)), _MOST_DECIMALS)


def amount(value: float, margin: float | None, *, signed: bool = False, measured: bool = False) -> str:
    """Return a number with the half-width of its interval, where that is known and has an end: "0.120 ± 0.034".

    Both have the decimals that show two digits of the half-width. A half-width of zero is left out: the number is
    exact. `measured` adds that it was read from measured rows.
    """
    shown, half = value_and_margin(value, margin, signed=signed)
    return f"{shown}{f' ± {half}' if half else ''}{', measured' if measured else ''}"


def value_and_margin(value: float, margin: float | None, *, signed: bool = False) -> tuple[str, str]:
    """Return a number and the half-width of its interval, both with the decimals of two digits of the half-width.

    This is the one rule for decimals: sentences, tables and files of words have it from here. A number has at most
    five digits. The half-width is "" where it is not known, has no end, is zero, or is too small to be seen there.

    Examples
    --------
    >>> value_and_margin(0.38612, 0.0431, signed=True), value_and_margin(0.38612, None)
    (('+0.386', '0.043'), ('0.386', ''))
    >>> value_and_margin(0.0205441, 3.2e-6), value_and_margin(2.79701, 8.3e-7)
    (('0.020544', '0.000003'), ('2.797', ''))
    """
    if margin is None or not math.isfinite(margin) or margin == 0:
        return number(value, signed=signed), ""
    decimals = decimals_of_margin(margin)
    if abs(value) > margin:
        decimals = min(decimals, max(0, _MOST_DIGITS - 1 - _power(value)))
        if float(f"{margin:.{decimals}f}") == 0:
            return number(value, signed=signed, digits=_MOST_DIGITS), ""
    if decimals > _MOST_DECIMALS or max(abs(value), margin) >= _LARGE:
        return number(value, signed=signed), f"{margin:.2g}"
    # z: no minus before what rounds to 0
    return f"{value:{'+' if signed else ''}z.{decimals}f}", f"{margin:.{decimals}f}"


def decimals_of_margin(margin: float) -> int:
    """Return the decimals that show two significant digits of a half-width; it is finite and not zero."""
    return max(0, 1 - _power(margin))


def _power(amount: float) -> int:
    """The power of ten of a number's first digit, once it is rounded to two."""
    return int(f"{amount:.1e}".split("e")[1])


def ranged(value: float, low: float, high: float, *, signed: bool = False) -> str:
    """Return a number with the ends of its interval, in the decimals of two digits of its half-width.

    Examples
    --------
    >>> ranged(0.0123456, 0.004, 0.0207, signed=True), ranged(0.5, float("nan"), float("nan"))
    ('+0.0123 (+0.0040 to +0.0207)', '0.5')
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0:
        return number(value, signed=signed)
    decimals = min(decimals_of_margin(half), _MOST_DECIMALS)
    middle, least, most = (f"{end:{'+' if signed else ''}z.{decimals}f}" for end in (value, low, high))
    return f"{middle} ({least} to {most})"


def is_unclear(value: float, margin: float | None) -> bool:
    """Whether zero lies within the interval of a number looked at alone, or the interval is not known (NaN)."""
    return margin is not None and not abs(value) > margin


def attribution_sentence(
    name: str,
    value: float,
    unit: str,
    higher_is_better: bool = False,
    margin: float | None = None,
    *,
    verdict: Verdict = Verdict.CLEAR,
    measured: bool = False,
) -> str:
    """Say in a sentence what including a task does; `margin` is the half-width of its interval."""
    if value == 0 and not margin:
        return f"Including {name} leaves the {unit} as it is{_read(measured)}."
    known = amount(value, margin, signed=True, measured=measured)
    if verdict == Verdict.NOT_MEASURED:
        return f"What including {name} does to the {unit} is {NOT_MEASURED}: {known}."
    if verdict == Verdict.NO_EFFECT:
        return f"Including {name} has no effect on the {unit} that would matter: {known}."
    verb = "raises" if value > 0 else "lowers" if value < 0 else "changes"
    clear = verdict == Verdict.CLEAR
    word = f"it {effect_word(value, higher_is_better)}" if clear else "it cannot be told from no effect"
    return f"Including {name} {verb} the {unit} by {amount(abs(value), margin)}{_read(measured)}: {word}."


def interaction_sentence(
    first: str,
    second: str,
    value: float,
    unit: str,
    higher_is_better: bool = False,
    margin: float | None = None,
    *,
    verdict: Verdict = Verdict.CLEAR,
    measured: bool = False,
) -> str:
    """Say in a sentence what two tasks do together beyond the sum of their effects."""
    if value == 0 and not margin:
        return f"{first} and {second} do together exactly the sum of what each does alone{_read(measured)}."
    known = amount(value, margin, signed=True, measured=measured)
    if verdict == Verdict.NOT_MEASURED:
        return f"What {first} and {second} do together beyond the sum of both is {NOT_MEASURED}: {known}."
    if verdict == Verdict.NO_EFFECT:
        return f"{first} and {second} have no interaction that would matter: {known}."
    side = "lower" if value < 0 else "higher"
    size = f"{amount(abs(value), margin)}{_read(measured)} {side} than the sum of their separate effects"
    word = interaction_word(value, higher_is_better) if verdict == Verdict.CLEAR else "it cannot be told from zero"
    return f"With {first} and {second} together the {unit} is {size}: {word}."


def _read(measured: bool) -> str:
    return " (measured)" if measured else ""
