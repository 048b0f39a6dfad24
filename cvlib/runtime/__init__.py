"""Errors and exit codes, atomic files, isolation, hardware, disk caches, clocks."""
