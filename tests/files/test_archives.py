"""Zip archives: nothing is written outside the folder, nothing beyond the limits, nothing when refused."""

import io
import stat
import struct
import warnings
import zipfile

import pytest

from kernelsm import InputError
from kernelsm.files.archives import open_archive, unpack
from kernelsm.files.limits import Limits

SMALL = Limits(files=5, unpacked_megabytes=1)


def zipped(*entries, compression=zipfile.ZIP_DEFLATED, mode=None):
    """Bytes of an archive of (name, content) pairs; `mode` are the Unix type and rights of every entry."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # two equal names
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.filename = name  # ZipInfo would cut it at a NUL
            info.compress_type = compression
            if mode is not None:
                info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def with_flag(data, flag):
    """The archive with a flag set in every header."""
    data = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= flag
            at = data.find(signature, at + 4)
    return bytes(data)


def stating(data, size):
    """The archive with another unpacked size in every header."""
    data = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset : at + offset + 4] = struct.pack("<I", size)
            at = data.find(signature, at + 4)
    return bytes(data)


GOOD = zipped(("data/a.csv", "x\n1\n"), ("data/deep/b.bin", b"\0" * 70_000), ("empty/", b""), ("ü ü.txt", "ü"))


@pytest.fixture
def place(tmp_path):
    """A folder with nothing in it but what a test puts there."""
    inner = tmp_path / "place"
    inner.mkdir()
    return inner


def refused(data, place, limits=SMALL):
    """Error of an archive that is refused; nothing may be left of it."""
    archive, folder = place / "stored", place / "out"
    archive.write_bytes(data)
    with pytest.raises(InputError) as caught:
        unpack(archive, folder, "upload.zip", limits)
    assert sorted(path.name for path in place.rglob("*")) == ["stored"]
    assert [path.name for path in place.parent.iterdir()] == ["place"]
    assert caught.value.place.startswith("upload.zip")
    return caught.value


def test_files_come_out_as_they_went_in(place):
    (place / "stored").write_bytes(GOOD)
    unpack(place / "stored", place / "out", "upload.zip", SMALL)
    files = {
        path.relative_to(place / "out").as_posix(): path for path in (place / "out").rglob("*") if path.is_file()
    }
    assert files.keys() == {"data/a.csv", "data/deep/b.bin", "ü ü.txt"}
    assert files["data/a.csv"].read_bytes() == b"x\n1\n"
    assert files["data/deep/b.bin"].read_bytes() == b"\0" * 70_000
    assert not any(path.stat().st_mode & stat.S_IXUSR for path in files.values())


def test_an_empty_folder_is_filled_and_left_as_it_was_on_refusal(place):
    folder = place / "out"
    folder.mkdir(mode=0o700)
    (place / "stored").write_bytes(zipped(("a", "1"), ("../b", "2")))
    with pytest.raises(InputError):
        unpack(place / "stored", folder, "upload.zip", SMALL)
    assert list(folder.iterdir()) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (place / "stored").write_bytes(GOOD)
    unpack(place / "stored", folder, "upload.zip", SMALL)
    assert (folder / "data/a.csv").exists()


def test_a_folder_with_files_is_not_touched(place):
    (place / "out").mkdir()
    (place / "out/mine").write_text("kept")
    (place / "stored").write_bytes(zipped(("mine", "other")))
    with pytest.raises(InputError, match="files in it"):
        unpack(place / "stored", place / "out", "upload.zip", SMALL)
    assert (place / "out/mine").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../evil", "'..'"),
        ("a/../../evil", "'..'"),
        ("a/..", "'..'"),
        ("/etc/evil", "absolute"),
        ("//server/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("c:evil", "absolute"),
        ("a\\..\\evil", "backslash"),
        ("..\\evil", "backslash"),
        ("a//b", "empty part"),
        ("./a", "empty part"),
        ("a/./b", "empty part"),
        ("line\nbreak", "control"),
        ("bell\x07", "control"),
        ("turned\u202etxt.exe", "control"),
        ("n" * 300, "length"),
        ("d/" * 40 + "x", "length"),
    ],
)
def test_names_that_are_no_plain_paths_are_refused(place, name, found):
    error = refused(zipped(("good", "1"), (name, "2")), place)
    assert found in error.found
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "no zip archive"),
        (b"PK\x03\x04 but nothing more", "no zip archive"),
        (b"name,label\n1,2\n", "no zip archive"),
        (GOOD[: len(GOOD) // 2], "no zip archive"),
        (GOOD[:40] + b"\xff" * 20 + GOOD[60:], "damaged"),
        (zipped(("a", b"abc" * 99), compression=zipfile.ZIP_STORED).replace(b"abcabc", b"abcabd", 1), "damaged"),
        (with_flag(zipped(("a", "1")), 0x1), "encrypted"),
        (with_flag(zipped(("a", "1")), 0x40), "damaged"),
        (zipped(*((str(i), "") for i in range(6))), "more than 5 files"),
        (zipped(*((f"{i}/", "") for i in range(6))), "more than 5 files"),
        (zipped(("zeros", bytes(2**20 + 1))), "2 MiB when unpacked"),
        (zipped(("a", bytes(700_000)), ("b", bytes(700_000))), "2 MiB when unpacked"),
        (zipped(("link", "/etc/passwd"), mode=stat.S_IFLNK | 0o777), "a link"),
        (zipped(("pipe", ""), mode=stat.S_IFIFO | 0o600), "a special file"),
        (zipped(("disk", ""), mode=stat.S_IFBLK | 0o600), "a special file"),
        (zipped(("a", "1"), ("a", "2")), "taken already"),
        (zipped(("a", "1"), ("A", "2")), "taken already"),
        (zipped(("a", "1"), ("a/b", "2")), "taken already"),
        (zipped(("a/b", "1"), ("a", "2")), "taken already"),
        (zipped(("a/", ""), ("a", "2")), "taken already"),
        (zipped(("a", "1"), ("a/", "")), "taken already"),
        (zipped(("a", "1"), compression=zipfile.ZIP_BZIP2), "bzip2"),
        (zipped(("a", "1"), compression=zipfile.ZIP_LZMA), "lzma"),
    ],
)  # fmt: skip
def test_archives_that_are_no_safe_archives_are_refused(place, data, found):
    assert found in refused(data, place).found


def test_a_bomb_whose_list_lies_is_not_written_beyond_the_limit(place):
    bomb = zipped(("zeros", bytes(50 * 2**20)))
    assert len(bomb) < 100_000
    assert "when unpacked" in refused(bomb, place).found
    assert "damaged" in refused(stating(bomb, 1000), place).found


def test_bytes_are_counted_while_they_are_written(place, monkeypatch):
    # a list that is believed must not matter: say nothing of the sizes at all
    monkeypatch.setattr("kernelsm.files.archives._check_entries", lambda *_: None)
    error = refused(zipped(("a", bytes(700_000)), ("b", bytes(700_000))), place)
    assert "when unpacked" in error.found


def test_the_number_of_files_is_counted_before_the_list_is_read(place, monkeypatch):
    data = zipped(*((str(i), "") for i in range(50)))
    end = data.rfind(b"PK\x05\x06")
    lying = data[: end + 8] + struct.pack("<HH", 1, 1) + data[end + 12 :]
    monkeypatch.setattr("zipfile.ZipFile", None)
    assert "more than 5 files" in refused(lying, place).found


def test_damage_met_by_the_reader_of_an_open_archive_is_told(place):
    (place / "stored").write_bytes(GOOD[:40] + b"\xff" * 20 + GOOD[60:])
    with open_archive(place / "stored", "u.zip", SMALL) as archive:
        listed = archive.namelist()
    assert "data/a.csv" in listed

    def read_all():
        with open_archive(place / "stored", "u.zip", SMALL) as archive:
            return [archive.read(entry) for entry in archive.infolist()]

    with pytest.raises(InputError, match=r"^u\.zip: found a damaged archive"):
        read_all()
