"""The study `throughput`."""
