"""A reader of PyTorch's weights files, in the zip format and in the legacy format. It runs no code from the file.

A file in the zip format is an uncompressed archive: `NAME/data.pkl` describes the tensors by name, and `NAME/data/KEY`
holds the numbers of a storage. A legacy file is a sequence of pickles (a magic number, a version, the machine's byte
order, the tensors by name, the keys of the storages) followed by the raw storages. `torch_pickle` interprets the
pickles.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cvlib.models.torch_pickle import Interpreter, Refused, Storage, Tensor
from cvlib.runtime.errors import UserError

Content: TypeAlias = bytes | mmap.mmap

_LARGEST = (
    2**28
)  # maximum size in bytes of a published file that `read` checks; the known files have at most 25 million
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_ZIP = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes before the name in the header of an archive's member
_WRAPPED = ("state_dict", "model_state_dict", "state_dict_ema", "model")  # keys of a checkpoint that hold its tensors
_LARGEST_PICKLE = 2**26  # bytes


def read(file: Path, sha256: str) -> dict[str, np.ndarray]:
    """Return the tensors of a published file by name, in the file's order, as read-only views of its content.

    Raises `UserError` if the file can't be read, has a different SHA-256, or isn't a weights file.
    """
    return parse(_published(file, sha256), str(file))


def read_any(file: Path) -> dict[str, np.ndarray]:
    """Return the tensors of any file, as `read` does. The numbers are read from the disk when they are used."""
    try:
        with file.open("rb") as opened:
            content: Content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file
        content = b""
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from error
    return parse(content, str(file))


def parse(content: Content, name: str) -> dict[str, np.ndarray]:
    """Return the tensors in the content of a file, as `read` does; error messages call the file `name`."""
    try:
        return _zipped(content) if content[:4] == _ZIP else _legacy(content)
    except Refused as refused:
        raise UserError(f"{name} is not a weights file of PyTorch, or it is damaged: {refused}; save a network's "
                        "weights with torch.save(network.state_dict(), file)") from refused  # fmt: skip


def _published(file: Path, sha256: str) -> bytes:
    """Return the content of a file after checking its SHA-256."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror}") from error
    if len(content) > _LARGEST or hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{file} is not the published file (its SHA-256 differs): it was altered or cut short")
    return content


def _zipped(content: Content) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else content) as archive:  # type: ignore[arg-type]
            members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            if "data.pkl" not in members or "constants.pkl" in members:
                raise Refused(
                    "its archive holds no named tensors" + " but a TorchScript program" * ("code" in str(members))
                )
            if "byteorder" in members and _member(content, members["byteorder"]) != b"little":
                raise Refused("its numbers are not little-endian")
            pickled = _member(content, members["data.pkl"])
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, OSError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"its archive is invalid ({str(error)[:80]})") from error
    if len(pickled) > _LARGEST_PICKLE:
        raise Refused("its list of tensors is too long")
    tensors, storages = _tensors(Interpreter(io.BytesIO(bytes(pickled))).run())
    arrays = {}
    for key, storage in storages.items():
        if f"data/{key}" not in members:
            raise Refused(f"its archive has no storage {key[:80]}")
        numbers = _member(content, members[f"data/{key}"])
        if len(numbers) != storage.count * _itemsize(storage):
            raise Refused(f"storage {key[:80]} differs from the declared size")
        arrays[key] = _numbers(numbers, storage, storage.count, 0)
    return {name: _view(arrays[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _member(content: Content, info: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of an uncompressed member of an archive, without a copy."""
    header = content[info.header_offset : info.header_offset + _LOCAL_HEADER]
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or header[:4] != _ZIP:
        raise Refused("its archive is compressed, encrypted or damaged")
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = info.header_offset + _LOCAL_HEADER + lengths
    found = memoryview(content)[start : start + info.file_size]
    if len(found) != info.file_size or zlib.crc32(found) != info.CRC:
        raise Refused("its archive is damaged or cut short")
    return found


def _legacy(content: Content) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    if Interpreter(stream).run() != _MAGIC:
        raise Refused("it doesn't begin with the format's magic number")
    if Interpreter(stream).run() != _VERSION:
        raise Refused("its version is unknown")
    system = Interpreter(stream).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("its numbers are not little-endian")
    described, keys = Interpreter(stream).run(), Interpreter(stream).run()
    tensors, storages = _tensors(described)
    arrays = _storages(content, stream.tell(), keys, storages)
    return {name: _view(arrays[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _tensors(described: Any) -> tuple[dict[str, Tensor], dict[str, Storage]]:
    """Return the tensors by name and their storages by key. A checkpoint holds the tensors under one of its keys."""
    if isinstance(described, dict):
        described = next((described[key] for key in _WRAPPED if isinstance(described.get(key), dict)), described)
    if not isinstance(described, dict) or not all(isinstance(tensor, Tensor) for tensor in described.values()):
        raise Refused("it contains something other than named tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in described.values()}
    if any(storages[tensor.storage.key] != tensor.storage for tensor in described.values()):
        raise Refused("two tensors describe the same storage differently")
    return described, storages


def _storages(content: Content, start: int, keys: Any, storages: dict[str, Storage]) -> dict[str, np.ndarray]:
    """Return the raw storages, which follow the pickles in the order of `keys`: 8 bytes of count, then the numbers."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Refused("its list of storages is invalid")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        raise Refused("its storages don't match its tensors")
    arrays = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(content[start : start + 8], "little", signed=True)
        end = start + 8 + storage.count * _itemsize(storage)
        if count != storage.count or end > len(content):
            raise Refused(f"storage {key} is cut short or differs from the declared size")
        arrays[key] = _numbers(content, storage, count, start + 8)
        start = end
    if start != len(content):
        raise Refused(f"{len(content) - start:,} bytes follow its last storage")
    return arrays


def _itemsize(storage: Storage) -> int:
    return 2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize


def _numbers(content: Content | memoryview, storage: Storage, count: int, start: int) -> np.ndarray:
    """Return a storage's numbers. NumPy has no bfloat16, which is the upper half of a float32."""
    if storage.dtype != "bfloat16":
        return np.frombuffer(content, storage.dtype, count, start)
    return (np.frombuffer(content, "<u2", count, start).astype("<u4") << 16).view("<f4")


def _view(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return a view of the tensor's numbers. `torch_pickle` has checked that all of them are inside the storage."""
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
