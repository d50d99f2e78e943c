"""What studies measure with: training sessions, observers, probes, snapshots."""
