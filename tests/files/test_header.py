"""The header of a table: every column has a name of its own."""

import pytest

from kernelsm.files.header import check_header
from kernelsm.runtime.errors import InputError


@pytest.mark.parametrize(
    ("names", "place", "found"),
    [
        (["a", " "], "t.csv, header, column 2", "no name"),
        (["a", "b", "a"], "t.csv, header, column 3", "'a' again (as column 1)"),
        (["a\ud800"], "t.csv, header, column 1", "half a surrogate pair (\\ud800..\\udfff)"),
        (["a", "b", "c", "d"], "t.csv, header", "4 columns"),
    ],
)
def test_the_first_wrong_column_is_named(names, place, found):
    with pytest.raises(InputError) as caught:
        check_header(names, "t.csv", 3)
    assert (caught.value.place, caught.value.found) == (place, found)


def test_columns_are_called_what_they_are():
    check_header(["a", "A", "a b"], "t.csv", 3)
    with pytest.raises(InputError, match="4 arrays; expected at most 3"):
        check_header(["a", "b", "c", "d"], "t.npz", 3, word="arrays")
