"""The table F(s) alone: Outcomes, its files and their checks, samplers of subsets."""
