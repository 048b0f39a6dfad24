"""Benchmarks of finished runs: accuracy, speed, size and memory of a run's network in every format."""
