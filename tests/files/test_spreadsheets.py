"""Excel workbooks are read as the CSV they would be saved as, and hostile ones are refused."""

import datetime
import io
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.files.limits import Limits
from kernelsm.files.spreadsheets import read_excel
from kernelsm.samples.reader import preview_samples, read_samples

LIMITS = Limits(rows=2000, columns=20, megabytes=20, unpacked_megabytes=20)


def workbook(**sheets):
    """The bytes of a workbook with sheets of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def changed(data, **entries):
    """The workbook with the content of some entries changed; `xl_sheet` stands for the first sheet."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            key = {"xl/worksheets/sheet1.xml": "sheet", "xl/workbook.xml": "book"}.get(entry.filename, "")
            content = old.read(entry)
            new.writestr(entry.filename, entries[key](content) if key in entries else content)
    return file.getvalue()


def refused(data, limits=LIMITS):
    with pytest.raises(InputError) as caught:
        read_excel(data, "t.xlsx", limits)
    assert caught.value.place.startswith("t.xlsx")
    return caught.value


ROWS = [
    ["text", "number", "whole", "flag", "day", "time", "note"],
    ['a, "b"\nc', 0.25, 3, True, datetime.date(2030, 12, 31), datetime.datetime(2030, 1, 2, 3, 4, 5), "x"],
    [None, None, None, None, None, None, None],
    ["größe; 007", 1e-300, 2**53 - 1, False, None, None, 5],
]
GOOD = workbook(data=ROWS)


def test_cells_keep_what_they_hold():
    read = read_excel(GOOD, "t.xlsx", LIMITS)
    assert {name: held.to_pylist() for name, held in read.columns.items()} == {
        "text": ['a, "b"\nc', "größe; 007"], "number": [0.25, 1e-300], "whole": [3, 2**53 - 1],
        "flag": [True, False], "day": ["2030-12-31", None], "time": ["2030-01-02 03:04:05", None], "note": ["x", "5"],
    }  # fmt: skip
    assert (read.rows, read.notes, read.encoding) == (2, (), "")


def test_the_first_sheet_with_a_table_is_read_and_said():
    data = workbook(empty=[], Samples=[["x", "y"], [1, 2]], more=[["z"], [1]])
    read = read_excel(data, "t.xlsx", LIMITS)
    assert list(read.columns) == ["x", "y"]
    assert read.notes == ("The sheet “Samples” is read; 2 others are not.",)
    assert refused(workbook(a=[], b=[[None]])).found == "no sheet with a row"


def test_an_index_that_pandas_wrote_is_left_out(tmp_path):
    frame = pd.DataFrame({"x": np.arange(5.0), "label": list("ababa")})
    frame.to_excel(tmp_path / "t.xlsx")
    samples = read_samples(tmp_path / "t.xlsx")
    assert samples.names == ("x", "label")
    assert "pandas" in samples.notes[0]
    assert samples.values("x").tolist() == frame["x"].tolist()


def test_a_preview_reads_the_first_rows(tmp_path):
    path = tmp_path / "t.xlsx"
    path.write_bytes(workbook(a=[["x", "label"], *([i / 2, i % 2] for i in range(1500))]))
    preview = preview_samples(path)
    assert (preview.samples.rows, preview.rows) == (1000, None)
    assert read_samples(path).values("x")[-1] == 749.5


def test_what_is_wrong_is_named_with_its_place():
    ragged = refused(workbook(a=[["x", "y"], [1, 2], [], [1, 2, 3]]))
    assert ragged.place == "t.xlsx, sheet 'a', row 4 of the sheet"
    assert refused(workbook(a=[["x", None, "y"], [1, 2, 3]])).found == "no name"
    assert "no row below" in refused(workbook(a=[["x", "y"]])).found
    assert refused(workbook(a=[["x"], *([i] for i in range(2001))])).found == "more than 2,000 rows"
    assert "columns" in refused(workbook(a=[list(range(21)), list(range(21))])).found
    assert "no zip archive" in refused(b"x,y\n1,2\n").found


@pytest.mark.parametrize(
    "attack",
    [
        lambda xml: xml.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "ha">]><worksheet', 1),
        lambda xml: b'<?xml version="1.0"?><! doctype x>' + xml,
        lambda xml: b'<?xml version="1.0" encoding="cp037"?>' + xml.decode().encode("cp037"),
        lambda xml: xml.decode().encode("utf-16"),
    ],
)
def test_xml_that_defines_entities_is_refused(attack):
    error = refused(changed(GOOD, sheet=attack))
    assert "entry 'xl/worksheets/sheet1.xml'" in error.place
    assert "XML" in error.found


def test_bombs_are_refused():
    bomb = changed(GOOD, sheet=lambda xml: xml.replace(b"<sheetData>", b"<sheetData>" + b" " * 30 * 2**20))
    assert len(bomb) < 100_000
    assert "MiB when unpacked" in refused(bomb).found
    far = changed(GOOD, sheet=lambda xml: xml.replace(b'r="4"', b'r="1000000000"'))
    assert "rows" in refused(far).found
    wide = changed(GOOD, sheet=lambda xml: xml.replace(b'"G1"', b'"ZZZ1"'))
    assert refused(wide).found == "18,278 columns"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_workbook_with_changed_bytes_never_crashes_the_reader(data):
    where = data.draw(st.sampled_from(["archive", "sheet", "book"]))

    def spoil(content):
        bad = bytearray(content)
        for _ in range(data.draw(st.integers(1, 4))):
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
        return bytes(bad)

    bad = spoil(GOOD) if where == "archive" else changed(GOOD, **{where: spoil})
    try:
        place = next(iter(read_excel(bad, "t.xlsx", LIMITS).columns)) and "t.xlsx"
    except InputError as error:
        place = error.place
    assert place.startswith("t.xlsx")


def renamed(data, change):
    """The workbook with names and contents of entries changed by a function of both."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(*change(entry.filename, old.read(entry)))
    return file.getvalue()


def test_entities_are_refused_whatever_an_entry_is_called():
    entity = b'<!DOCTYPE x [<!ENTITY e "EXPANDED">]><worksheet'

    def other_ending(name, content):
        content = content.replace(b"sheet1.xml", b"sheet1.dat")
        if name.endswith("sheet1.xml"):
            return name.replace(".xml", ".dat"), content.replace(b"<worksheet", entity, 1)
        return name, content

    assert "entities" in refused(renamed(GOOD, other_ending)).found
    # a declaration that stands further behind is found too
    late = changed(
        GOOD,
        sheet=lambda content: (
            b"<?xml version='1.0'" + b" " * 300 + b"encoding='utf-7'?>" + content[content.find(b"<worksheet") :]
        ),
    )
    assert refused(late).found == "XML that is not UTF-8"


def test_styles_that_would_fill_the_memory_are_refused():
    def many_fonts(name, content):
        if name.endswith("styles.xml"):
            content = content.replace(b"</fonts>", b"<font/>" * 320_000 + b"</fonts>")
        return name, content

    assert refused(renamed(GOOD, many_fonts)).expected == "at most 2 MiB beside its sheets"


def test_texts_that_would_be_other_things_stay_texts():
    rows = [["id", "gene", "told", "written"], ["0012", "1E5", "true", "12"], ["12", "2E3", "no", "13"]]
    held = {
        name: column.to_pylist() for name, column in read_excel(workbook(a=rows), "t.xlsx", LIMITS).columns.items()
    }
    assert held == {"id": ["0012", "12"], "gene": ["1E5", "2E3"], "told": ["true", "no"], "written": [12, 13]}


def test_merged_cells_and_formulas_that_were_never_computed_are_said():
    book = openpyxl.Workbook()
    for row in (["group", "double"], ["A", "=1*2"], [None, "=2*2"]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    file = io.BytesIO()
    book.save(file)
    read = read_excel(file.getvalue(), "t.xlsx", LIMITS)
    assert read.columns["group"].to_pylist() == ["A"]  # a row of nothing is no row
    assert [note.partition(" ")[0] for note in sorted(read.notes)] == ["Cells", "Formulas"]
