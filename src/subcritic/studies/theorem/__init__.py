"""The study `theorem`."""
