"""The TensorFlow implementation of `Feed`: tf.data prefetches batches, and TensorFlow operations augment them.

Only this subpackage of `cvlib.data` imports TensorFlow. Order, random numbers and labels are computed outside of it.
"""
