"""In-context demonstrations: task and files, asking a model, orders, the surrogate of prompts in their order."""
