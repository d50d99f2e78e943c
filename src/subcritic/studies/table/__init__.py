"""The study `table`."""
