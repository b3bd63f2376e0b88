"""F(s): the table of outcomes, samplers of subsets, and estimators of outcomes."""
