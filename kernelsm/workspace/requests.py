"""What a user brings, as a job is told of it: files by their content, the meaning of columns, the network wanted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kernelsm.files.accepting import ending_of
from kernelsm.runtime.jobs import JobSpec
from kernelsm.workspace.uploads import upload_path

Way = Literal["train", "weights", "folder", "path", "features"]
WAYS: tuple[Way, ...] = ("train", "weights", "folder", "path", "features")


@dataclass(frozen=True)
class FileRef:
    """A file that was sent: its key among the uploads, and its name."""

    key: str
    name: str

    def path(self, root: Path) -> Path:
        """Where it is kept."""
        return upload_path(self.key, ending_of(self.name), root)


@dataclass(frozen=True)
class Model:
    """The network that a user wants.

    Parameters
    ----------
    way : {"train", "weights", "folder", "path", "features"}
        Train a built-in one; take uploaded weights; a Hugging Face folder as a zip; one by its path or hub name; or
        gradient features instead of a network.
    architecture : str
        Of the one to train; "" takes the first that fits the data.
    hidden : int, optional
        Units of its hidden layer, where it has one.
    training : dict
        Arguments of `train_base` that replace the preset's. With a Hugging Face model: if not empty it is trained
        further, else taken as it is.
    ridge : float, optional
        λ of the pull towards W0.
    weights, config, archive : FileRef, optional
        Uploaded safetensors, their description in JSON, a zip of a folder.
    path : str
        A folder of this computer or a name on the hub.
    """

    way: Way = "train"
    architecture: str = ""
    hidden: int | None = None
    training: dict[str, Any] = field(default_factory=dict)
    ridge: float | None = None
    weights: FileRef | None = None
    config: FileRef | None = None
    archive: FileRef | None = None
    path: str = ""


@dataclass(frozen=True)
class Preparation:
    """Everything the job needs to know; JSON types only but for the dataclasses.

    Parameters
    ----------
    title : str
    data : FileRef
        Samples, or gradient features.
    mapping : dict
        A `SampleMapping`; empty for gradient features.
    model : Model
    """

    title: str
    data: FileRef
    mapping: dict[str, Any]
    model: Model

    def job(self) -> JobSpec:
        """The job that prepares this."""
        return JobSpec("kernelsm.pipelines.prepare:run", {"what": json.dumps(asdict(self))})

    @classmethod
    def from_json(cls, text: str) -> Preparation:
        """Read what `job` wrote."""
        told = json.loads(text)
        model = told.pop("model")
        files = {name: FileRef(**model.pop(name)) for name in ("weights", "config", "archive") if model.get(name)}
        return cls(**{**told, "data": FileRef(**told["data"])}, model=Model(**{**model, **files}))
