"""Export of a run's network to other runtimes, and a check of the exported files."""
