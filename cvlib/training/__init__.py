"""The training loop, what it optimizes with, and what it can go on from."""
