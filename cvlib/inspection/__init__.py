"""Inspection of networks: layers, receptive fields, features and explanations of Keras models."""
