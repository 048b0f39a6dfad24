"""The training loop, the optimizer, checkpoints and resume."""
