"""Every kind of thing that users keep, in the order in which they are listed."""

from __future__ import annotations

from typing import Any

from kernelsm.workspace.confirmations import CONFIRMATIONS
from kernelsm.workspace.kept import Kept
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.prompt_projects import PROMPTS
from kernelsm.workspace.tables import TABLES

KEPT_KINDS: tuple[Kept[Any], ...] = (PROJECTS, PROMPTS, TABLES, CONFIRMATIONS)
