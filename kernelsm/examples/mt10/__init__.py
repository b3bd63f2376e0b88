"""Meta-World MT10: ten tasks of a robot arm, and one policy for all of them."""
