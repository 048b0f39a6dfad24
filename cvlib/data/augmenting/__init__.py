"""Augmentation: NumPy turns random numbers into `Changes`, which the feed's engine applies to the pixels.

A sample's numbers depend only on (stream, seed, epoch, index). Order, batch, model and number of threads have no
effect. Boxes are moved here as well. The pixels are computed by `cvlib.data.tensorflow.pixels` or
`cvlib.data.threaded.pixels`, which take the same changes.
"""
