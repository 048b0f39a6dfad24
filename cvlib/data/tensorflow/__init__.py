"""The TensorFlow implementation of `Feed`: tf.data prefetches, TensorFlow operations change geometry and colour.

Only this subpackage of `cvlib.data` imports TensorFlow. Order, random numbers and labels are computed outside of it.
"""
