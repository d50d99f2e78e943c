"""The study `gradients`."""
