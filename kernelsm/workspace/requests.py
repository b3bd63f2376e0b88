"""What a user asks a job to do with files that were sent: make a project of them, or check them as prompts.

A request names files by the key of their content among the uploads, and travels to the job as JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kernelsm.files.accepting import ending_of
from kernelsm.prompts.task import PromptTemplate
from kernelsm.prompts.task_files import GROUPS, PromptFiles, Reading, read_prompt_task
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.store import cache_root
from kernelsm.tasks.suite import NEXT_TOKENS
from kernelsm.workspace.uploads import upload_path

NetworkOrigin = Literal["train", "weights", "folder", "path", "features", "packaged"]
NETWORK_ORIGINS: tuple[NetworkOrigin, ...] = ("train", "weights", "folder", "path", "features", "packaged")

OWN_UNITS = "own units"
"""What weights of a regression give that do not give standardised quantities."""

USUAL_TOKENS, ALL_TOKENS = 128, 0


@dataclass(frozen=True)
class FileRef:
    """A file that was sent: its key among the uploads, and its name."""

    key: str
    name: str

    def path(self, root: Path) -> Path:
        """Where it is kept."""
        return upload_path(self.key, ending_of(self.name), root)


@dataclass(frozen=True)
class NetworkRequest:
    """The network that a user wants.

    Parameters
    ----------
    origin : {"train", "weights", "folder", "path", "features", "packaged"}
        Train a built-in one; take uploaded weights; a Hugging Face folder as a zip; one by its path or hub name;
        gradient features instead of a network; or the packaged language model. For text that follows, folders, paths
        and names are those of language models, and "train" is the packaged one.
    architecture : str
        Of the one to train; "" takes the first that fits the data.
    hidden : int, optional
        Units of its hidden layer, where it has one.
    training : dict
        Arguments of `train_base` that replace the preset's. With a Hugging Face model: if not empty it is trained
        further, else taken as it is. With a language model: epochs, learning rate and batch size of fine-tuning.
    ridge : float, optional
        λ of the pull towards W0.
    weights, config, archive : FileRef, optional
        Uploaded safetensors, their description in JSON, a zip of a folder.
    path : str
        A folder of this computer or a name on the hub.
    predicts : {"", "own units"}
        What the uploaded weights of a regression give: standardised quantities, or quantities in their own units.
    rank : int, optional
        Of the adapters of a language model.
    classes : dict of str to int
        Label of the samples -> class of the Hugging Face model that it stands for, as the user chose; empty where
        names or numbers tell.
    encoder, encoder_path : FileRef and str, optional
        The zip of a sentence encoder for texts that a built-in network reads, or its folder or hub name; the packaged
        one if neither is given.
    tokens : int
        At most so many tokens of a text are read by a Hugging Face classifier; `ALL_TOKENS` for as many as it can.
    """

    origin: NetworkOrigin = "train"
    architecture: str = ""
    hidden: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    ridge: float | None = None
    weights: FileRef | None = None
    config: FileRef | None = None
    archive: FileRef | None = None
    path: str = ""
    predicts: str = ""
    rank: int | None = None
    classes: dict[str, int] = field(default_factory=dict)
    tokens: int = USUAL_TOKENS
    encoder: FileRef | None = None
    encoder_path: str = ""


@dataclass(frozen=True)
class ProjectRequest:
    """What a project is to be made of; JSON types only but for the dataclasses.

    Parameters
    ----------
    title : str
    data : FileRef
        Samples, or gradient features.
    mapping : dict
        A `SampleMapping`. For gradient features `task_weighting` and `target_weighting` alone, where they are to be
        others than those of the file.
    model : NetworkRequest
    """

    title: str
    data: FileRef
    mapping: dict[str, Any]
    model: NetworkRequest

    def job(self) -> JobSpec:
        """The job that makes the project."""
        content, usual = asdict(self), NetworkRequest()
        # as it was written before there was this choice: the same work is one job
        for name in ("predicts", "rank", "classes", "tokens", "encoder", "encoder_path"):
            if content["model"][name] == getattr(usual, name):
                del content["model"][name]
        return JobSpec("kernelsm.pipelines.prepare:run", {"request": json.dumps(content)})

    def seconds(self, rows: int) -> float:
        """Seconds that the job is expected to take for a file of so many rows, when nothing is cached."""
        if self.model.origin == "features":
            return 15.0
        text = 0.0
        if (
            self.mapping.get("objective") == NEXT_TOKENS
        ):  # a language model is loaded, reads every text twice, is timed
            text = 60.0 + rows
        elif self.mapping.get("kind") == "text":
            text = rows / 60
        return 6.0 + text + rows / 20_000

    @classmethod
    def from_json(cls, text: str) -> ProjectRequest:
        """Read what `job` wrote."""
        content = json.loads(text)
        model = content.pop("model")
        files = {
            name: FileRef(**model.pop(name))
            for name in ("weights", "config", "archive", "encoder")
            if model.get(name)
        }
        return cls(**{**content, "data": FileRef(**content["data"])}, model=NetworkRequest(**{**model, **files}))


@dataclass(frozen=True)
class PromptRequest:
    """What prompts are to be made of.

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
    reading : Reading
        What the columns mean, and what the answers are.
    """

    candidates: FileRef
    queries: FileRef
    fresh: FileRef | None = None
    template: PromptTemplate = field(default_factory=PromptTemplate)
    k: int = 4
    model: str = ""
    reading: Reading = field(default_factory=Reading)

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
        return read_prompt_task(candidates, queries, fresh, k=self.k, template=self.template, reading=self.reading)

    def job(self) -> JobSpec:
        """The job that checks the prompts with the model."""
        content = {
            **{group: getattr(self, group) and asdict(getattr(self, group)) for group in GROUPS},
            "template": self.template.to_dict(), "k": self.k, "model": self.model,
        }  # fmt: skip
        if reading := self.reading.to_dict():  # as it was written before there was this choice
            content["reading"] = reading
        return JobSpec("kernelsm.pipelines.prompt_check:run", {"request": json.dumps(content)})

    @classmethod
    def from_json(cls, text: str) -> PromptRequest:
        """Read what `job` wrote."""
        content = json.loads(text)
        files = {name: FileRef(**content[name]) for name in GROUPS if content[name]}
        template, reading = (
            PromptTemplate.from_dict(content["template"]),
            Reading.from_dict(content.get("reading", {})),
        )
        return cls(**files, template=template, k=content["k"], model=content["model"], reading=reading)
