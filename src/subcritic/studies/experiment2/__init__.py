"""The study `experiment2`."""
