"""The feed in TensorFlow: tf.data for reading ahead, TensorFlow's operations for geometry and colour.

Only this folder of `cvlib.data` imports TensorFlow. Order, random numbers and labels come from outside of it.
"""
