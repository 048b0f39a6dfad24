"""The typed schema of `conf/` and the checks of its values."""
