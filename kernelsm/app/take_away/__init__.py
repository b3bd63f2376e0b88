"""The dialog Take away, which every page offers."""
