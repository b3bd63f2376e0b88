"""Charts that follow a slider while it is dragged: a script in the browser draws frames that were computed before.

Streamlit hears of a slider when it is let go. So for each stop the page sends beforehand where the marks of its
charts would lie, and `frontend/live_charts.js` draws them while the slider moves, by mouse, finger or keys. Nothing
depends on it: in a browser that does not run the script the charts change on release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from kernelsm import __version__

_HOME = Path(__file__).parent
_FOLDER, _PACKAGE, _SHORT = "frontend", "kernelsm", "live_charts"
NAME = f"{_PACKAGE}.{_SHORT}"


@dataclass(frozen=True)
class Frame:
    """What a stop of a slider shows.

    Parameters
    ----------
    charts : dict of str to list
        Marks that move, by the key of their chart. A mark names its `trace` by number and holds what changes of it;
        marks without a number replace all of the chart's (see `kernelsm.charts.marks`).
    said : str
        For screen readers, once the slider rests.
    texts : dict of str to list of str
        Values of metrics, by the key of the container that holds them.
    """

    charts: dict[str, list[dict[str, Any]]]
    said: str
    texts: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveSlider:
    """A slider that charts follow.

    Parameters
    ----------
    key : str
        Key of its widget.
    at : int
        Stop where it stands, counted from 0.
    frames : sequence of Frame, optional
        One for each stop; None while they are being computed or nobody has asked for them.
    """

    key: str
    at: int
    frames: Sequence[Frame] | None


def live_charts(sliders: Sequence[LiveSlider], key: str, *, fades: Sequence[str] = ()) -> list[str]:
    """Let charts follow these sliders; returns the keys of those whose missing frames are asked for.

    Call it in a fragment of its own where any are missing: the browser asks for them while nobody touches anything.

    Parameters
    ----------
    sliders : sequence of LiveSlider
    key : str
        Of this element.
    fades : sequence of str
        What is pale until the slider is let go, as CSS selectors: what it says is not known before.
    """
    described = [
        {
            "key": slider.key,
            "at": slider.at,
            "frames": None
            if slider.frames is None
            else [
                {"charts": frame.charts, "said": frame.said, "texts": frame.texts} for frame in slider.frames
            ],
        }
        for slider in sliders
    ]  # fmt: skip
    asked = f"{key}_asked"
    # the count makes every answer another one: the browser does not look at data that it has already
    data = {"sliders": described, "fades": list(fades), "asked": st.session_state.get(asked, 0)}
    _know_files()
    mount = component(NAME, js=f"{_SHORT}.js", isolate_styles=False)
    wanted = mount(key=key, data=data, on_wanted_change=partial(_count, asked)).wanted
    missing = {slider.key for slider in sliders if slider.frames is None}
    return [name for name in wanted if name in missing] if isinstance(wanted, list) else []


def _count(asked: str) -> None:
    """Count a question; the run that it starts answers it."""
    st.session_state[asked] = st.session_state.get(asked, 0) + 1


def _know_files() -> None:
    """Tell Streamlit where the script lies: it serves it as a file, which a content security policy may ask for."""
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(NAME) is None:
        manifest = ComponentManifest(_PACKAGE, __version__, [ComponentConfig(_SHORT, _FOLDER)])
        manager.register_from_manifest(manifest, _HOME)
