"""What runs as a job: preparing, computing, asking a language model, checking."""
