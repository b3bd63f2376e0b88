"""JSON from strangers: what is read, and how each refusal says what is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm.files import json_text
from kernelsm.files.json_text import JsonError, parse_json, parse_json_object, read_json_object
from kernelsm.runtime.errors import InputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def wrong(content):
    with pytest.raises(JsonError) as caught:
        parse_json(content)
    return caught.value


def refused(content):
    with pytest.raises(InputError) as caught:
        parse_json_object(content, "a.json", "an object", "Write it again.")
    assert (caught.value.place, caught.value.expected, caught.value.fix) == ("a.json", "an object", "Write it again.")
    return caught.value.found


@given(VALUES)
def test_what_json_writes_is_read(value):
    text = json.dumps(value, ensure_ascii=False)
    assert parse_json(text) == value
    if text.isascii():
        assert parse_json(b"\xef\xbb\xbf" + text.encode()) == value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "Expecting value at line 1, position 1"),
        ('{"a": 1,\n "b" 2}', "Expecting ':' delimiter at line 2, position 6"),
        ('{"a": 1, "b": 2, "a": 3}', "the field 'a' twice"),
        ('[{"deep": {"a": 1, "a": 1}}]', "the field 'a' twice"),
        ("[" * 100_000, "lists within lists without end"),
        ('{"a":' * 100_000, "lists within lists without end"),
        ("9" * 5000, "Exceeds the limit"),
        (b'{"a": "\xe9"}', "a byte that is not UTF-8 at position 7"),
        (b'{"a": "\x00"}', "binary data (a NUL byte at position 7)"),
        ('{"a": 1}'.encode("utf-16"), "a byte that is not UTF-8 at position 0"),
    ],
)
def test_what_is_wrong_is_told(content, told):
    assert str(wrong(content)).startswith(told)
    assert told in refused(content)


def test_a_place_is_told_where_there_is_one():
    error = wrong("[1,\n2,,\n3]")
    assert (error.reason, error.line, error.position) == ("Expecting value", 2, 3)
    assert (wrong("[" * 100_000).line, wrong("[" * 100_000).position) == (0, 0)


def test_a_long_field_that_stands_twice_does_not_fill_the_screen():
    assert len(refused(json.dumps({"x" * 10_000: 1})[:-1] + ', "' + "x" * 10_000 + '": 2}')) < 200


@pytest.mark.parametrize(
    ("content", "found"), [("[1]", "a JSON list"), ("1", "a JSON value"), ("null", "a JSON value")]
)  # fmt: skip
def test_other_values_than_objects_are_refused(content, found):
    assert refused(content) == found


def test_a_description_is_read_from_its_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"

    def told():
        with pytest.raises(InputError) as caught:
            read_json_object(path, "mine.zip, a.json", "an object", "Zip it again.")
        assert caught.value.place == "mine.zip, a.json"
        return caught.value.found

    assert told() == "no such file"
    path.write_bytes(b'{"a": 1}')
    assert read_json_object(path, "a.json", "an object", "") == {"a": 1}
    monkeypatch.setattr(json_text, "MOST_DESCRIPTION_BYTES", 2**20)
    path.write_bytes(b'{"a": "' + b"x" * 2**20 + b'"}')
    assert told() == "1.0 MiB"
