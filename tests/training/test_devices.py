"""Starting TensorFlow for one run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

IMPORT = """
import gc, sys
from cvlib.training import devices as backend
{before}
backend.import_quietly()
assert "tensorflow" in sys.modules
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


def after_import(before: str) -> str:
    script = IMPORT.format(before=before)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_garbage_collection_is_on_after_the_import_and_skips_the_imported_objects():
    assert after_import("") == "True True"


def test_disabled_garbage_collection_stays_disabled():
    assert after_import("gc.disable()") == "False False"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    (folder / "keras.json").write_text(
        json.dumps({"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"})
    )
    return {**os.environ, "KERAS_HOME": str(folder), **settings}


def test_settings_of_the_users_machine_do_not_change_a_run(tmp_path: Path) -> None:
    code = (
        "from cvlib.training import devices; devices.import_quietly(); import keras; c = keras.config\n"
        "print(c.backend(), c.image_data_format(), c.floatx(), c.epsilon(), keras.version())"
    )
    plain = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    odd = {name: value for name, value in environment(tmp_path, TF_USE_LEGACY_KERAS="1").items() if name in plain
           or name in ("KERAS_HOME", "TF_USE_LEGACY_KERAS")}  # fmt: skip
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=odd)
    assert found.stdout == f"tensorflow channels_last float32 1e-07 {metadata.version('keras')}\n"


@pytest.mark.parametrize(("backend", "words"), [("jax", "needs JAX"), ("torch", "is not supported")])
def test_another_backend_is_refused_in_one_line(tmp_path: Path, backend: str, words: str) -> None:
    if backend == "jax" and importlib.util.find_spec("jax"):
        pytest.skip("JAX is installed")
    script = [sys.executable, str(Path(__file__).parents[2] / "run.py"), "model=cnn"]
    found = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False,
                           env={**os.environ, "KERAS_BACKEND": backend})  # fmt: skip
    assert found.returncode == 2 and len(found.stderr.splitlines()) == 1
    assert f"KERAS_BACKEND={backend} {words}" in found.stderr and list(tmp_path.iterdir()) == []
