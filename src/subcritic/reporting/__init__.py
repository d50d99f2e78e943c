"""What reports share: reading records, styles of figures, estimates with intervals, writing tables."""
