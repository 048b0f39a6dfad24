"""The formats in which a run's network can be stored, and where. Needs neither TensorFlow nor Keras."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from cvlib.runtime.errors import UserError

KERAS, INT8 = "keras", "litert_int8"
_FILES = {  # in a run's folder
    KERAS: "model.keras", "saved_model": "export/saved_model", "onnx": "export/model.onnx",
    "litert": "export/model.tflite", INT8: "export/model_int8.tflite",
}  # fmt: skip
FORMS = tuple(_FILES)
_PACKAGES = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",), INT8: ("ai_edge_litert",)}


def place(folder: Path, form: str) -> Path:
    """Return where a run's folder holds its network in this format."""
    return folder / _FILES[form]


def require(form: str) -> None:
    """Raise `UserError` if a package that the format needs is not installed."""
    missing = [name for name in _PACKAGES.get(form, ()) if find_spec(name) is None]
    if missing:
        raise UserError(f"--format {form} needs {', '.join(missing)}: pip install -e '.[export]'")


def size(path: Path) -> int:
    """Return the size of a file, or of all files in a folder, in bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
