"""Which backend of Keras is used if TensorFlow or JAX isn't installed."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys

import pytest

from cvlib.runtime import backend
from cvlib.runtime.errors import UserError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of the packages that count as installed, in a process that has imported neither of them."""
    names: set[str] = set()
    for package in ("keras", "tensorflow"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delenv("KERAS_BACKEND")
    spec = importlib.machinery.ModuleSpec("any", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name in names else None)
    return names


@pytest.mark.parametrize(("packages", "expected"), [("tensorflow jax", "tensorflow"), ("jax", "jax")])
def test_jax_is_the_default_without_tensorflow(installed: set[str], packages: str, expected: str) -> None:
    installed.update(packages.split())
    backend.check()
    assert backend.name() == expected


def test_without_both_one_line_says_what_to_install(installed: set[str]) -> None:
    with pytest.raises(UserError, match="neither TensorFlow nor JAX is installed: pip install"):
        backend.check()


def test_a_chosen_backend_that_is_missing_is_named(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    installed.add("jax")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(UserError, match="KERAS_BACKEND=tensorflow needs TensorFlow"):
        backend.check()
    with pytest.raises(UserError, match="cvlib export needs TensorFlow, which is not installed"):
        backend.use_tensorflow("cvlib export")
