"""Text in any encoding is read as the same UTF-8, and what was detected is said."""

import gzip

import pytest

from kernelsm import InputError
from kernelsm.files.encodings import UTF_8, find_encoding
from kernelsm.files.limits import Limits
from kernelsm.files.plain_text import plain_text
from kernelsm.files.source import open_source

SMALL = Limits(megabytes=1)
WESTERN = "text,label\n" + "café “a rude little film”,neg\n" * 5
SPANISH = "La niña comió piñas en el jardín; después volvió a casa, señor. ¿Dónde está?\n"
POLISH = "Zażółć gęślą jaźń, proszę państwa, to był naprawdę świetny film, który polecam każdemu\n"
RUSSIAN = "Это был очень хороший фильм, я советую его всем своим друзьям\n"
GREEK = "Ήταν μια πολύ καλή ταινία, τη συνιστώ σε όλους\n"


def read(data, name="t.csv", limits=SMALL):
    with plain_text(data, name, limits) as text, open_source(text.source) as file:
        return file.read().decode("utf-8-sig"), text.encoding, text.notes


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (WESTERN, "cp1252", "Windows-1252"),
        (SPANISH, "cp1252", "Windows-1252"),
        ("größe\n", "latin-1", "Windows-1252"),
        (POLISH, "cp1250", "Windows-1250"),
        (RUSSIAN, "cp1251", "Windows-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        (GREEK, "cp1253", "Windows-1253"),
        (WESTERN, "utf-16", "UTF-16"),
        (WESTERN, "utf-16-le", "UTF-16"),
        (WESTERN, "utf-16-be", "UTF-16"),
        (WESTERN, "utf-32", "UTF-32"),
        ("x\n" * 300_000 + "größe\n", "cp1252", "Windows-1252"),  # after the first block
    ],
)
def test_other_encodings_become_the_same_text(tmp_path, text, codec, name):
    data = text.encode(codec)
    limits = Limits(megabytes=2)
    found, encoding, notes = read(data, limits=limits)
    assert (found, len(notes)) == (text, 1)
    assert encoding.startswith(name)
    assert name in notes[0]
    path = tmp_path / "file"
    path.write_bytes(data)
    assert read(path, limits=limits) == (found, encoding, notes)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf_8_needs_no_word(mark):
    assert read(mark + WESTERN.encode()) == (WESTERN, "UTF-8", ())
    assert find_encoding(b"", "t.csv") == UTF_8


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (POLISH.encode()[:-4] + b"\xe9 and more\n", "a byte that is not UTF-8"),  # damaged rather than another one
        ("zoë".encode()[:-1], "position 2"),  # cut off
        (b"caf\xe9 \x01\x02", "position 3"),  # binary
        (b"a,b\n1,\0\n", "a NUL byte at position 6"),
        (bytes(range(128, 256)) * 40, "not UTF-8 at position 0"),
        ("a\n".encode("utf-16")[:-1], "not UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(data, found):
    with pytest.raises(InputError) as caught:
        read(data)
    assert found in caught.value.found
    assert caught.value.place == "t.csv"


def test_a_packed_file_is_unpacked_within_the_limit(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(WESTERN.encode("utf-16")))
    for source in (path, path.read_bytes()):
        assert read(source, "t.csv.gz")[:2] == (WESTERN, "UTF-16")
    bomb = gzip.compress(b"x" * 5 * 2**20)
    assert len(bomb) < 10_000
    for bad, found in ((bomb, "at least 2 MiB when unpacked"), (bomb[:-20], "gzip"), (b"\x1f\x8bno", "gzip")):
        with pytest.raises(InputError) as caught:
            read(bad, "t.csv.gz", Limits(megabytes=1 if bad is bomb else 100))
        assert found in caught.value.found


def test_letters_make_a_file_larger_and_count(tmp_path):
    with pytest.raises(InputError, match="at most 1 MiB"):
        read(("я" * 600_000).encode("cp1251"))
