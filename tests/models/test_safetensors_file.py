"""`.safetensors` files are read as the package writes them, and damaged ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvlib.models import safetensors_file
from cvlib.runtime.errors import UserError

WRITTEN = Path(__file__).parent / "data/torch.safetensors"  # by safetensors 0.8


def test_a_file_of_the_package_is_read() -> None:
    tensors, metadata = safetensors_file.read(WRITTEN)
    assert metadata == {"format": "pt"}
    np.testing.assert_array_equal(tensors["a"], [[0, 1, 2], [4, 5, 6]])
    np.testing.assert_array_equal(tensors["t"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["h"], np.array([0.5, -2], np.float16))
    np.testing.assert_array_equal(tensors["b"], np.array([1.5, -3.25], np.float32))  # bfloat16
    assert tensors["n"].shape == () and tensors["n"] == 7


def refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "some.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        safetensors_file.read(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = WRITTEN.read_bytes()
    for length in range(len(whole)):
        refused(tmp_path, whole[:length])
    refused(tmp_path, whole + b"\x00")


@pytest.mark.parametrize(
    "entry",
    [None, [], {}, {"dtype": "F32"}, {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
     {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}, {"dtype": "X", "shape": [1], "data_offsets": [0, 4]},
     {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
     {"dtype": "F32", "shape": [10**9] * 9, "data_offsets": [0, 4]},
     {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}, {"dtype": [], "shape": [1], "data_offsets": [0, 4]}],
)  # fmt: skip
def test_an_invalid_entry_is_refused(tmp_path: Path, entry: Any) -> None:
    for header in ({"a": entry}, [entry], entry):
        text = json.dumps(header).encode()
        refused(tmp_path, len(text).to_bytes(8, "little") + text + bytes(4))
    refused(tmp_path, (2**63).to_bytes(8, "little") + b"{}")
