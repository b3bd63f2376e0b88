"""What a model is trained on and measured by."""
