"""Which label of the samples is which class of a Hugging Face model: said where known, asked where not."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from kernelsm.app.data.network_facts import class_pairs, how_matched
from kernelsm.app.shell import frame
from kernelsm.app.shell.uploaded_files import ONE_AT_A_TIME
from kernelsm.app.shell.words import plain
from kernelsm.files.accepting import ending_of
from kernelsm.files.json_text import read_json_object
from kernelsm.files.limits import limits
from kernelsm.models.class_matching import class_names, has_own_names, match_classes
from kernelsm.models.model_folders import CONVERT, EXPECTED, archived_config, own_folder
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.build import class_labels
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.uploads import upload_path

_MOST_ASKED = 50  # classes


def class_controls(ref: FileRef, mapping: SampleMapping, archive: FileRef | None, path: str) -> dict[str, int] | None:
    """Draw which label is which class, and return what the user chose: {} where it is known, None while it is not.

    Parameters
    ----------
    ref : FileRef
        The samples.
    mapping : SampleMapping
    archive, path
        The zip of the model's folder, or its path or hub name.
    """
    labels, names = _labels(ref.key, ref.name, mapping), _names(archive, path)
    if not labels:
        return {}
    # what was answered for another file or model is no answer for this one
    asked = content_hash(ref.key, archive.key if archive else path, labels, names)
    if not names:  # a name on the hub: its classes are known once it is here
        return _orders(asked, labels, (), optional=True) if len(labels) == 2 else {}
    if len(names) < len(labels) or (len(names) > len(labels) and not has_own_names(names)):
        return {}  # its head is new or does not fit, which checking tells
    match = match_classes(labels, names)
    if match.is_known:
        pairs = class_pairs(list(labels), list(match.of), list(names))
        st.caption(f"Labels and classes of the model, matched {how_matched(match.how)}: {pairs}.")
        return {}
    listed = ", ".join(plain(name) for name in names[:_MOST_ASKED])
    st.markdown(
        f"**Which label is which class of the model?** Its classes are {listed}: the labels of the samples fit "
        "neither their names nor their numbers."
    )
    if len(labels) == len(names) == 2:
        return _orders(asked, labels, names)
    return _one_by_one(asked, labels, names) if len(labels) <= _MOST_ASKED else {}


def _orders(
    asked: str, labels: tuple[str, ...], names: tuple[str, ...], *, optional: bool = False
) -> dict[str, int] | None:
    """Both orders of two classes; as names and numbers tell, too, where they are not known yet."""
    ways: dict[str, dict[str, int]] = {"as its names and numbers tell": {}} if optional else {}
    for order in ([0, 1], [1, 0]):
        said = class_pairs(list(labels), order, list(names))
        ways[said] = dict(zip(labels, order, strict=True))
    chosen = st.segmented_control(
        "Labels and classes of the model", list(ways), key=f"bring_classes_{asked}",
        default=next(iter(ways)) if optional else None,
        help="In the wrong order the model would seem to be wrong nearly always.", wrap=True,
    )  # fmt: skip
    return ways[chosen] if chosen else None


def _one_by_one(asked: str, labels: tuple[str, ...], names: tuple[str, ...]) -> dict[str, int] | None:
    """A class for each label."""
    chosen: dict[str, int] = {}
    columns = frame.panels(min(4, len(labels)), 160)
    for place, label in enumerate(labels):
        with columns[place % len(columns)]:
            number = st.selectbox(
                plain(label), range(len(names)), None, format_func=lambda number: names[number],
                key=f"bring_class_{place}_{asked}", placeholder="which class?",
            )  # fmt: skip
        if number is not None:
            chosen[label] = number
    if len(chosen) < len(labels):
        return None
    if len(set(chosen.values())) < len(labels):
        st.warning("Two labels cannot be the same class of the model.", icon=":material/info:")
        return None
    return chosen


@st.cache_data(max_entries=16, show_spinner="Reading the labels ...")
def _labels(key: str, name: str, mapping: SampleMapping) -> tuple[str, ...]:
    """Labels of a file of samples; none where it cannot be grouped, which checking tells."""
    try:
        with ONE_AT_A_TIME:
            return class_labels(read_samples(upload_path(key, ending_of(name)), name), mapping)
    except InputError:
        return ()


def _names(archive: FileRef | None, path: str) -> tuple[str, ...]:
    """Names of a model's classes; none where they are not known before it is loaded."""
    return class_names(described(archive, path))


def described(archive: FileRef | None, path: str) -> dict[str, Any]:
    """Return config.json of a model before it is loaded; {} where that is not at hand, or cannot be read.

    Parameters
    ----------
    archive, path
        The zip of the model's folder, or its path or hub name.
    """
    with suppress(InputError):  # checking says what is wrong with it
        if archive:
            return archived_config(upload_path(archive.key, ending_of(archive.name)), archive.name, limits())
        if (folder := own_folder(path)) and (folder / "config.json").is_file():
            return read_json_object(folder / "config.json", "config.json", EXPECTED, CONVERT)
    return {}
