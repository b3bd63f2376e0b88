"""What fits on one line of a list, a message or a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.one_line import LONGEST_TITLE, escape_line_breaks, is_one_line, one_line_title

BREAKS = ["\n", "\r", "\t", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]


@pytest.mark.parametrize("letter", BREAKS)
def test_a_break_is_seen_escaped_and_replaced(letter):
    text = f"a{letter}b"
    assert not is_one_line(text)
    assert escape_line_breaks(text) == "a" + ascii(letter)[1:-1] + "b"
    assert one_line_title(text) == "a b"


@pytest.mark.parametrize("text", ["", "plain", "größe ≥ 3 µm", "مهمة 🙂", "\u202etxt.exe", "a b", r"a\nb"])
def test_other_letters_stay(text):
    assert is_one_line(text)
    assert escape_line_breaks(text) == one_line_title(text) == text


@given(st.text(st.characters(codec=None)))
def test_any_text_is_made_to_fit(text):
    assert is_one_line(escape_line_breaks(text))
    title = one_line_title(text)
    assert is_one_line(title)
    assert len(title) == min(len(text), LONGEST_TITLE)
    assert len(str(InputError(text, text, text, text)).splitlines()) == 1


def test_a_long_title_is_cut():
    assert one_line_title("x" * 400) == "x" * 300
