"""What is known of an example of policies beyond its tables of losses: rollouts, and how well they were foretold."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernelsm.runtime.atomic_files import write_whole


@dataclass(frozen=True)
class HeldOut:
    """LDS of a surrogate on subsets held out, over several draws of them.

    Parameters
    ----------
    surrogate : str
        "default", "kernel" (RBF, tuned) or "linear" (ridge, tuned).
    measure : str
        Of the outcomes that are predicted.
    fitted, tested : int
        Subsets in each draw.
    scores : list of float
        One for each draw.
    """

    surrogate: str
    measure: str
    fitted: int
    tested: int
    scores: list[float]

    @property
    def mean(self) -> float:
        """Mean over draws."""
        return float(np.mean(self.scores))

    @property
    def middle(self) -> tuple[float, float]:
        """Between which values nine in ten draws lie."""
        low, high = np.quantile(self.scores, [0.05, 0.95])
        return float(low), float(high)


@dataclass(frozen=True)
class GroupResult:
    """What a policy reached in a target that was trained together with chosen tasks.

    Parameters
    ----------
    target, way : str
    tasks : list of str
        Of the group, the target's own among them.
    seed : int
    mean_return, success : float
        In the target, by rollouts.
    loss : float
        Cloning loss of the target's held-out steps.
    """

    target: str
    way: str
    tasks: list[str]
    seed: int
    mean_return: float
    success: float
    loss: float


@dataclass(frozen=True)
class PolicyRecord:
    """Rollouts of an example of policies.

    Parameters
    ----------
    tasks : list of str
    base_return, base_success : list of float
        Of W0, in each task.
    base_episodes : int
        Of each task.
    first_order : list of float
        Share of the actions' size that the first order misses, one for each fine-tuned policy that was compared; see
        `LogitError.of_logits`.
    estimates : dict
        Measure -> LDS of GradEx' cloning losses against what really came of the subsets, by kind of subsets.
    held_out : list of HeldOut
    groups : list of GroupResult
    policy_gradient : dict
        Of the same policy that learns from its own actions (`kernelsm.objectives.policy`): how many `subsets` were
        really fine-tuned on, how far weights moved (`distance`, as a share of their size), `relative_error` and `lds`
        of GradEx, `lds_of_returns` of its gains against real returns, and the `mean_return`.
    """

    tasks: list[str]
    base_return: list[float]
    base_success: list[float]
    base_episodes: int
    first_order: list[float]
    estimates: dict[str, dict[str, float]]
    held_out: list[HeldOut]
    groups: list[GroupResult]
    policy_gradient: dict[str, float]

    @property
    def seeds(self) -> int:
        """From how many seeds each group was fine-tuned."""
        return len({one.seed for one in self.groups})

    def save(self, path: Path) -> Path:
        """Write as JSON."""
        with write_whole(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return path

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PolicyRecord:
        """Read what `save` wrote."""
        lists = {
            "held_out": [HeldOut(**one) for one in content["held_out"]],
            "groups": [GroupResult(**one) for one in content["groups"]],
        }
        return cls(**{**content, **lists})

    def by_way(self) -> dict[str, dict[str, list[float]]]:
        """Mean over targets of each way's return, success and loss: way -> measure -> one number for each seed.

        A way with several groups for a target counts with their mean.
        """
        found: dict[str, dict[str, list[float]]] = {}
        for way in dict.fromkeys(one.way for one in self.groups):
            own = [one for one in self.groups if one.way == way]
            found[way] = {
                measure: [
                    float(np.mean([
                        np.mean([getattr(one, measure) for one in own if (one.seed, one.target) == (seed, target)])
                        for target in self.tasks
                    ]))
                    for seed in sorted({one.seed for one in own})
                ]
                for measure in ("mean_return", "success", "loss")
            }  # fmt: skip
        return found
