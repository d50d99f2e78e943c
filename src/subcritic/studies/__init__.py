"""Studies: each folder one question, how it is measured and how it is shown."""
