"""The study `references`."""
