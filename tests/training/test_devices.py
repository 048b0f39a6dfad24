"""Starting TensorFlow for one run."""

from __future__ import annotations

import subprocess
import sys

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
