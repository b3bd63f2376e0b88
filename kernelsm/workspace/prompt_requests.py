"""Demonstrations that a user brings, as a job is told of them: files by their content, template, k, model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kernelsm.prompts.task import PromptTemplate
from kernelsm.prompts.task_files import PromptFiles, read_prompt_task
from kernelsm.runtime.jobs import JobSpec
from kernelsm.runtime.store import cache_root
from kernelsm.workspace.requests import FileRef


@dataclass(frozen=True)
class BroughtPrompts:
    """Everything that makes a prompt task of files.

    Parameters
    ----------
    candidates, queries : FileRef
        See `read_prompt_task`.
    fresh : FileRef, optional
    template : PromptTemplate
    k : int
        Demonstrations in a prompt.
    model : str
        A folder or a name on the Hugging Face hub; "" is the default model.
    """

    candidates: FileRef
    queries: FileRef
    fresh: FileRef | None = None
    template: PromptTemplate = field(default_factory=PromptTemplate)
    k: int = 4
    model: str = ""

    def read(self, root: Path | None = None) -> PromptFiles:
        """Read the files.

        Raises
        ------
        InputError
            Names the first thing that is wrong; or a file is not here any more.
        """
        home = root or cache_root()
        candidates, queries = ((ref.path(home).read_bytes(), ref.name) for ref in (self.candidates, self.queries))
        fresh = (self.fresh.path(home).read_bytes(), self.fresh.name) if self.fresh else None
        return read_prompt_task(candidates, queries, fresh, k=self.k, template=self.template)

    def job(self) -> JobSpec:
        """The job that checks them with the model."""
        return JobSpec("kernelsm.pipelines.prompt_check:run", {"what": json.dumps(asdict(self))})

    @classmethod
    def from_json(cls, text: str) -> BroughtPrompts:
        """Read what `job` wrote."""
        told = json.loads(text)
        files = {name: FileRef(**told[name]) for name in ("candidates", "queries", "fresh") if told[name]}
        return cls(**files, template=PromptTemplate(**told["template"]), k=told["k"], model=told["model"])
