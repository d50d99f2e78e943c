"""The stages: what each runs and what it records."""
