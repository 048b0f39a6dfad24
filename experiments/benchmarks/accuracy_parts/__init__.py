"""The parts of `accuracy.py`: jobs, the collection that all rows share, the peers' trainings, scores and the table.

The main process and the peers import no cvlib, because the two may be installed in different environments.
"""
