"""Sweeps and searches: jobs, trials, and the Hydra sweeper."""
