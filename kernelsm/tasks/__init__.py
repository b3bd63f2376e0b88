"""What the K tasks are: the suite of samples grouped into tasks, and the built-in examples."""
