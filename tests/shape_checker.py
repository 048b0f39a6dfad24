"""The type checker for array annotations during tests; see conftest.py."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # accept an int for a float, as static type checkers do
