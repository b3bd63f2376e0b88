"""Another template on the same texts: a copy beside the first, and both compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from app_harness import press, texts
from demonstrations_page import RUN, TASK, part
from person import ME

from kernelsm import Outcomes, load_example
from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.prompt_projects import find_prompts
from kernelsm.workspace.tables import save_run


def test_a_copy_with_another_template_is_asked_and_stands_beside_the_first(
    jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(report: Any, store: Any, **settings: Any) -> dict[str, str]:
        task = find_prompts(settings["source"]).task
        masks = fixed_size_masks(task.K, 30, size=task.k, seed=0)
        meta = {"prompts": settings["source"], "unit": "nats"}
        values = np.full((30, len(task.queries)), 0.25) + 0.01 * np.arange(30)[:, None]
        return {"run": save_run(Outcomes(masks, values, meta={**meta, "task": task.content_hash}))}

    monkeypatch.setattr("kernelsm.pipelines.ask_model.run", answered)
    monkeypatch.setattr(
        "kernelsm.pipelines.zero_shot.run", lambda report, store, **_: {"queries": [0.5, 0.75], "fresh": [0.6, 0.7]}
    )
    app = part(ME.open("demonstrations", run=RUN), "Templates")
    assert "Templates on the same texts" not in texts(app)  # there is one only
    (instruction,) = (one for one in app.text_area if one.label == "Instruction")
    instruction.set_value("Say whether a review is positive or negative.").run()
    next(one for one in app.number_input if one.label.startswith("Demonstrations in a prompt")).set_value(2).run()
    assert app.main.code[-1].value.startswith("Say whether a review is positive or negative.\n\nReview: ")
    press(app, "Try this template")
    source = app.session_state["kernelsm_view"].prompts
    copy = find_prompts(source).task
    assert (copy.candidates, copy.queries, copy.fresh) == (TASK.candidates, TASK.queries, TASK.fresh)
    assert copy.template.instruction == "Say whether a review is positive or negative."
    assert copy.k == 2
    press(app, "Ask without demonstrations")
    app.run()
    assert "Without demonstrations the loss is **0.5**, and **75%** of the answers are right" in texts(app)
    press(app, "Ask the model")
    press(app, "Show this result on all pages")
    part(app, "Templates")
    table = app.main.dataframe[-1].value
    assert list(table["k"]) == [2, 4]
    assert list(table["no demonstration"]) == pytest.approx([0.5, 0.3846], abs=1e-3)
    assert list(table["the mean prompt"]) == pytest.approx([0.395, load_example(RUN).values.mean()], abs=1e-3)
    assert table["the best asked"][0] == pytest.approx(0.25)
    (back,) = (one for one in app.button if one.label.startswith("Turn to"))
    back.click().run()
    assert app.session_state["kernelsm_view"].run == RUN


def test_a_template_without_its_fields_is_refused_with_the_way_to_mend_it() -> None:
    app = part(ME.open("demonstrations", run=RUN), "Templates")
    (query,) = (one for one in app.text_area if one.label == "Query")
    query.set_value("Sentiment:").run()
    assert not app.exception
    assert "Put {text} where the text goes." in texts(app).replace("\\", "")
    assert "Try this template" not in [one.label for one in app.button]
