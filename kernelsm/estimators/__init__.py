"""F(s) of trained networks: GradEx and retraining."""
