"""Text of strangers: the position of the first byte that is wrong, lines with their numbers, whole letters."""

import pytest

from kernelsm.files.text import check_text, check_whole_letters, decode_text, is_number, text_lines
from kernelsm.runtime.errors import InputError


def refused(check, *arguments):
    with pytest.raises(InputError) as caught:
        check(*arguments)
    return caught.value


def test_text_is_decoded_without_its_mark():
    assert decode_text("\ufeffgröße\n".encode(), "t.txt") == "größe\n"
    assert decode_text(b"", "t.txt") == ""


@pytest.mark.parametrize(
    ("data", "position"),
    [(b"\xff", 0), (b"abc\xe9", 3), ("ä".encode()[:1], 0), (b"\xef\xbb\xbfa\xff", 4), ("ää".encode() + b"\xff", 4)],
)
@pytest.mark.parametrize("block", [1, 2, 3, 2**20])
def test_the_first_byte_that_is_no_text_is_named(data, position, block, monkeypatch, tmp_path):
    monkeypatch.setattr("kernelsm.files.text._BLOCK", block)
    (tmp_path / "t").write_bytes(data)
    for source in (data, tmp_path / "t"):
        error = refused(check_text, source, "t.txt")
        assert error.found == f"a byte that is not UTF-8 at position {position:,}"
    with pytest.raises(InputError, match="not UTF-8"):
        decode_text(data, "t.txt")


def test_binary_data_is_named(monkeypatch):
    monkeypatch.setattr("kernelsm.files.text._BLOCK", 2)
    assert refused(check_text, b"abc\0", "t.txt").found == "binary data (a NUL byte at position 3)"


def test_only_the_beginning_is_looked_at_where_that_is_asked(monkeypatch):
    monkeypatch.setattr("kernelsm.files.text._BLOCK", 4)
    check_text("äbcä".encode() + b"\xff", "t.txt", 4)
    assert "position 6" in refused(check_text, "äbcä".encode() + b"\xff", "t.txt").found


def test_lines_have_the_numbers_that_an_editor_shows():
    data = "\ufeffone\n\n  \r\ntwo\u2028still two\rthree".encode()
    found = [(number, line.rstrip("\n")) for number, line in text_lines(data, "t.txt", 100)]
    assert found == [(1, "one"), (4, "two\u2028still two"), (5, "three")]


def test_a_line_that_is_too_long_is_refused_by_its_number():
    error = refused(list, text_lines(b"ok\n" + b"x" * 10, "t.txt", 10))
    assert (error.place, error.found) == ("t.txt, line 2", "more than 10 letters")
    assert len(list(text_lines(b"x" * 8 + b"\n" + b"y" * 9, "t.txt", 10))) == 2


def test_half_a_letter_is_refused():
    check_whole_letters("größe 🙂", "t.txt")
    assert "surrogate" in refused(check_whole_letters, "a\ud83d", "t.txt").found


@pytest.mark.parametrize(("text", "fine"), [("1", True), ("-1e3", True), ("nan", True), ("", False), ("1,5", False)])
def test_numbers_are_told_from_words(text, fine):
    assert is_number(text) == fine
