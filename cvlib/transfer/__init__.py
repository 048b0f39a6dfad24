"""Freezing schedules, sources of initial weights, and cached features of a frozen base."""
