"""Tests of `cvlib recommend`."""
