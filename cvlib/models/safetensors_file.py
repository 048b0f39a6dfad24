"""A reader of `.safetensors` files: 8 bytes with the length of a header, the header in JSON, then the numbers.

The header has an entry for each tensor: its type, its shape, and the first and the last byte of its numbers. The format
holds no code. Reference: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.runtime.errors import UserError

_LONGEST_HEADER = 100_000_000  # bytes; the format's limit
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "i1", "U8": "u1", "BOOL": "u1"}  # fmt: skip


def read(file: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors of a file by name, as read-only views of its content, and the file's metadata.

    Raises `UserError` if the file can't be read, or isn't a complete file in this format.
    """
    try:
        with file.open("rb") as opened:
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        return _parse(content)
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise UserError(f"{file} is not a complete .safetensors file ({reason}): check that it is complete") from error


def _parse(content: mmap.mmap) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError("its header is cut short")
    header: dict[str, Any] = json.loads(content[8 : 8 + length].decode())
    metadata = {str(key): str(value) for key, value in (header.pop("__metadata__", None) or {}).items()}
    data, end = memoryview(content)[8 + length :], 0
    arrays = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        kind, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if not all(type(side) is int and side >= 0 for side in (*shape, first, last)) or kind not in _TYPES:
            raise ValueError(f"the entry of {name[:40]} is invalid")
        if first != end or last - first != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize or last > len(data):
            raise ValueError(f"the numbers of {name[:40]} are cut short")
        numbers = np.frombuffer(data[first:last], _TYPES[kind])
        if kind == "BF16":  # the upper half of a float32
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        arrays[name], end = numbers.reshape(shape), last
    if end != len(data):
        raise ValueError(f"{len(data) - end:,} bytes follow its last tensor")
    return arrays, metadata
