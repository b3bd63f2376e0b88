"""What a model is trained on and measured by.

Training of W0, gradient features, GradEx, retraining and measures do not know any particular loss. They ask the
objective that a `TaskSuite` names; `registry.find(suite)` returns it. Training of W0 and the check that a network
fits its samples ask too, so they stand in this folder: `models` stands above it and cannot import from here.

Adding an objective
-------------------
An objective is one file of this folder; `classification.py` is the example to read beside these steps,
`regression.py` a shorter one.

1. Derive a class from `Objective` and give it a `name`: the word that suites and files hold.
2. State its `measures`. The first is the loss that is trained on; each has a unit and says whether higher is better.
   `headline` names the one by which people judge a network.
3. `check_labels(labels, place)` returns labels in the one type that the other methods rely on, or raises an
   `InputError` that names the first row that is wrong. `TaskSuite` has seen by then that there is one finite label,
   or array of them, for each sample.
4. `loss(outputs, labels)` is the loss of each sample, differentiable by torch. W0 is trained on it, and `Retraining`
   minimises it. Axes in front, of networks trained together, pass through.
5. `linearisations` say which functions of the outputs GradEx may linearise, the best first. A plain `Linearisation`
   takes every output unchanged: it needs a name, `targets(labels, rows)` and the loss of outputs and targets, an
   `OutputLoss` with one method, `expand`, which returns slope and curvature as an `Expansion`. It must be convex. The
   solver stops where a gradient norm is small in absolute terms, so outputs and labels should be numbers of about 1:
   standardise quantities. A quadratic loss states its `constant_curvature`, and is solved in closed form.
6. `measure(outputs, labels, group_of, groups, linearisation)` returns every measure of every group of samples;
   `group_means` does it for those that are means over samples. `output_word`, `labels_in_words` and
   `headline_in_words` are what pages say of it.
7. Add one line to the table in `registry.py`. Code outside of kernelsm calls `registry.register` instead.

Where more is needed than labels (a scale, say), a suite holds it in `objective_settings`, which become arguments of
the class. Where outputs influence each other's loss, as the logits of a softmax do, `OutputLoss.restrict` is to be
overridden too; a loss that leaves it out ends in a TypeError that says so.

The module of an objective must not import torch at its top: pages and estimates of cost, which start without
it, ask for names, measures and sizes. `tests/objectives/test_another_objective.py` takes an objective of its own,
ridge regression, through all of this and compares it with the closed form.
"""
