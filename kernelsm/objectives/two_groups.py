"""F1 and AUC: how well samples that have a label are told from those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelsm.objectives.objective import Measure, group_means

if TYPE_CHECKING:
    from torch import Tensor

OF_TWO_GROUPS = (
    Measure("F1", "fraction", higher_is_better=True),
    Measure("AUC", "fraction", higher_is_better=True),
)


def mean_f1(said: Tensor, truth: Tensor, group_of: Tensor, groups: int, *, of_absent: float | None = None) -> Tensor:
    """Return the mean F1 over labels, 2 TP / (2 TP + FP + FN) of each.

    Parameters
    ----------
    said, truth : Tensor, shape (labels, n, m)
        1 where a label is said of a sample, or applies to it, 0 elsewhere.
    group_of : Tensor of int64, shape (n,)
    groups : int
    of_absent : float, optional
        F1 of a label that neither applies to a sample of the group nor is said of one. Left out where not given.

    Returns
    -------
    Tensor, shape (m, groups)
    """
    import torch

    hits, applying, predicted = (
        group_means(part.transpose(0, 1), group_of, groups) for part in (said * truth, truth, said)
    )
    both = applying + predicted
    there = both > 0
    each = 2 * hits / torch.where(there, both, torch.ones_like(both))
    if of_absent is not None:
        return torch.where(there, each, torch.full_like(each, of_absent)).mean(dim=1)
    return each.sum(dim=1) / there.sum(dim=1)


def mean_auc(outputs: Tensor, truth: Tensor, group_of: Tensor, groups: int) -> Tensor:
    """Return how many pairs, of a sample with the label and one without, are in order; the mean share over labels.

    Parameters
    ----------
    outputs, truth : Tensor, shape (labels, n, m)
        Log-odds of each label, and 1 where it applies.
    group_of : Tensor of int64, shape (n,)
    groups : int

    Returns
    -------
    Tensor, shape (m, groups)
        Labels that apply to all samples of a group or to none are left out; ½ where that is every label.
    """
    import torch

    found = outputs.new_full((outputs.shape[2], groups), 0.5)
    # a sample alone has nothing to be compared with
    for group in torch.nonzero(group_of.bincount(minlength=groups) > 1).squeeze(1).tolist():
        inside = torch.nonzero(group_of == group).squeeze(1)
        told = []
        for of_label, labels in zip(outputs[:, inside], truth[:, inside, 0], strict=True):
            with_label, without = of_label[labels > 0], of_label[labels <= 0]
            if len(with_label) and len(without):
                told.append(_share_in_order(with_label, without))
        if told:
            found[:, group] = torch.stack(told).mean(dim=0)
    return found


def _share_in_order(above: Tensor, below: Tensor) -> Tensor:
    """Share of pairs of rows (a, m) and (b, m) in which the first is larger, for each column; ties count half."""
    import torch

    ordered = below.T.contiguous().sort(dim=1).values
    wanted = above.T.contiguous()
    smaller = torch.searchsorted(ordered, wanted)
    not_larger = torch.searchsorted(ordered, wanted, right=True)
    return (smaller + not_larger).to(above).mean(dim=1) / (2 * below.shape[0])
