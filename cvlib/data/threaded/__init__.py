"""The implementation of `Feed` without TensorFlow: NumPy augments batches that threads prepare ahead of their use."""
