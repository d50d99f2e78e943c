"""The study `gallery`."""
