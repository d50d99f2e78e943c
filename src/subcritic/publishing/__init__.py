"""Reports made, checked and kept: the results page, the summary."""
