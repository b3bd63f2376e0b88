"""Policies of robots: environments, demonstrations of experts, rollouts, and what fine-tuning does to returns."""
