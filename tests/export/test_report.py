"""The HTML report: what it holds, that names stay text, and that it asks for nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from results import EVIL_TARGET, EVIL_TASK, evil, one_task, planted, small_table

from kernelsm import Outcomes
from kernelsm.export.findings import headlines, not_told
from kernelsm.export.report import html_report
from kernelsm.export.report_charts import script_json
from kernelsm.export.result import Result, Settings, result_of


class Read(HTMLParser):
    """Elements with their attributes, and the text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag
            if tag == "script":
                self.scripts.append("")

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_the_report_holds_verdict_numbers_fidelity_settings_versions_and_citation() -> None:
    result = planted()
    found = Read(html_report(result, written="2026-01-02"))
    for said in headlines(result):
        assert said in found.text
    assert "synergy" in headlines(result)[2]
    assert "lock (with key) and key (with lock)" in found.text
    assert re.search(r"LDS of this surrogate 0\.9\d\d", re.sub(r"\s+", " ", found.text))
    for words in (
        "the game without noise", "LDS of the tuned linear surrogate", "written 2026-01-02", "kernelsm 0.1.0",
        "arXiv preprint arXiv:2602.03783", "python -m kernelsm fit planted", "What was not told from zero",
        "poetry (does nothing)",
    ):  # fmt: skip
        assert words in found.text, words
    data = json.loads(found.scripts[0])
    assert set(data) == {"effects", "interactions", "fidelity"}
    assert any(scale for scale in data["interactions"]["dark"])
    assert {attributes["id"] for tag, attributes in found.elements if attributes.get("role") == "img"} == set(data)


def test_a_table_in_the_report_has_every_task_with_the_ends_of_its_interval() -> None:
    result = planted()
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', html_report(result))
    shown = {name: re.findall(r'<td class="number(?: end)?">([^<]*)</td>', cells) for name, cells in rows}
    low, high = result.readout.attribution.interval()
    for k, name in enumerate(result.outcomes.task_names):
        value, start, end = shown[name]
        assert float(value.split(" ± ")[0]) == pytest.approx(result.readout.attribution.values[k, 0], abs=6e-4)
        assert float(start) == pytest.approx(low[k, 0], abs=6e-4)
        assert float(end) == pytest.approx(high[k, 0], abs=6e-4)


def test_names_stay_text_and_cannot_end_the_script_of_the_charts() -> None:
    page = html_report(evil())
    found = Read(page)
    assert not [tag for tag, _ in found.elements if tag in ("img", "b", "svg")]
    assert [tag for tag, _ in found.elements].count("h1") == 1
    assert len(found.scripts) == 3
    assert EVIL_TASK in found.text
    assert EVIL_TARGET in found.text  # neither markup nor a template
    assert "<img" not in found.scripts[0]
    assert EVIL_TASK not in page


def test_nothing_in_the_file_names_an_address_to_load_from() -> None:
    found = Read(html_report(evil()))
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "img"), tag
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    policies = [attributes for _, attributes in found.elements if "http-equiv" in attributes]
    (policy,) = (attributes["content"] for attributes in policies)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    (link,) = (attributes for tag, attributes in found.elements if tag == "a")
    assert link["href"] == "https://example.org/explore?run=x&target=y"


def test_one_task_too_few_subsets_and_a_linear_surrogate_have_reports() -> None:
    assert "One task has no pairs." in html_report(one_task())
    few = small_table(m=8)
    result = result_of(few, Settings.checked(few), title="Few", table="few.csv", is_example=False)
    assert result.fidelity is None
    assert "too few subsets to hold any out" in html_report(result)
    linear = small_table()
    result = result_of(linear, Settings.checked(linear, kernel="linear"), title="L", table="l.csv", is_example=False)
    assert "Every interaction is exactly zero" in html_report(result)


def test_a_score_says_that_positive_helps() -> None:
    outcomes = small_table(higher_is_better=True)
    result = result_of(outcomes, Settings.checked(outcomes), title="S", table="s.csv", is_example=False)
    assert "Outcomes are scores: a positive effect helps." in html_report(result)
    assert "raises the score" in " ".join(headlines(result)) or "lowers the score" in " ".join(headlines(result))


def test_metadata_that_would_tell_of_other_data_stays_out() -> None:
    outcomes = small_table(
        meta={"computed_from": "a" * 40, "estimator": "gradex", "ridge": 0.5, "calibrated": True, "note": "private"}
    )
    page = html_report(result_of(outcomes, Settings.checked(outcomes), title="M", table="m.csv", is_example=False))
    text = Read(page).text
    assert "a" * 40 not in page
    assert "private" not in text
    assert "estimator gradex" in text
    assert "calibrated true" in text


def test_what_was_not_told_from_zero_counts_every_task_and_pair_once() -> None:
    result = planted()
    heads = [head for head, _ in not_told(result)]
    tasks = sum(int(head.split(" of ")[0]) for head in heads if " of 10 tasks" in head)
    pairs = sum(int(head.split(" ")[0]) for head in heads if " pairs" in head)
    assert tasks + sum(result.readout.task_verdicts == 3) == 10
    assert pairs + result.readout.clear.sum() // 2 == 45


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "&lt;", "\u2028", "]]>"])
def test_json_in_a_script_element_reads_back_and_holds_no_markup(text: str) -> None:
    written = script_json({"name": text})
    assert json.loads(written) == {"name": text}
    assert not set(written) & set("<>&\u2028")


def test_many_tasks_are_drawn_in_part_and_listed_in_full() -> None:
    outcomes: Outcomes = small_table(K=90, m=220)
    result: Result = result_of(
        outcomes, Settings.checked(outcomes, kernel="rbf"), title="Many", table="m.csv", is_example=False
    )
    page = html_report(result)
    assert "Drawn are the 60 strongest" in page
    assert page.count('<tr><th scope="row">task ') >= 90
    assert "The 300 strongest of 4,005 pairs" in page
