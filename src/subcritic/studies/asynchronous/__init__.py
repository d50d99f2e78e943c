"""The study `asynchronous`."""
