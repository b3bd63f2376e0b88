"""The network f_W: built-in architectures and the training of the base model W0."""
