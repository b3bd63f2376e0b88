"""Readouts by their definition: what each gives every one of the 2^K subsets."""

from itertools import product
from math import factorial

import numpy as np


def all_subsets(tasks):
    return np.array(list(product((0.0, 1.0), repeat=tasks)))


def readouts_of(tasks, anchors, probabilities, order):
    """Names and arguments of every readout of this order that `tasks` tasks have."""
    anchored = "leave_one_out" if order == 1 else "second_difference"
    yield from ((anchored, {"at": at}) for at in anchors)
    for p in probabilities:
        yield "inclusion", {"p": p}
        yield "banzhaf", {"p": p}
    yield from (("inclusion", {"size": size}) for size in range(order, tasks - order + 1))
    yield "shapley", {}


def corners(grid, kind, tasks, at=None, p=None, size=None):
    """What the mean of g, for each way to hold some of these tasks, gives each row of the grid: its definition."""
    t, found = len(tasks), {}
    others = [k for k in range(grid.shape[1]) if k not in tasks]
    rest = grid[:, others]
    count = rest.sum(axis=1)
    for held in product((0, 1), repeat=t):
        corner = (grid[:, tasks] == held).all(axis=1)
        if at is not None:  # the one subset that is otherwise as the anchor
            chance = (corner & (rest == at[others]).all(axis=1)).astype(float)
        elif kind == "inclusion":  # the mean over random subsets, given this corner
            chance = corner * ((grid.sum(axis=1) == size) if size else np.where(grid == 1, p, 1 - p).prod(axis=1))
            chance = chance / chance.sum()
        elif kind == "banzhaf":  # over subsets of the others
            chance = corner * np.where(rest == 1, p, 1 - p).prod(axis=1)
        else:  # |S|! (K - |S| - t)! / (K - t + 1)!
            orders = [factorial(int(n)) * factorial(len(others) - int(n)) for n in count]
            chance = corner * np.array(orders) / factorial(len(others) + 1)
        found[held] = chance
    return found


def weights(grid, kind, tasks, **arguments):
    """What the readout of one task, or of a pair, gives each row of the grid."""
    of_corner = corners(grid, kind, tasks, **arguments)
    return sum((-1) ** (len(tasks) - sum(held)) * chance for held, chance in of_corner.items())
