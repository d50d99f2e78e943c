"""The study `experiment1`."""
