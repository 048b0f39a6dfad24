"""A reader of weights files in PyTorch's legacy format. It needs no PyTorch and can't run code from the file.

A legacy file is a sequence of pickles (a magic number, a version, the machine's byte order, the tensors by name, the
keys of the storages) followed by the raw storages. A pickle is a program, and Python's unpickler executes it. The small
interpreter here supports only the instructions that such a file needs. It creates numbers, strings, tuples, lists,
dicts and descriptions of tensors. It imports nothing and calls nothing.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cvlib.runtime.errors import UserError

_LARGEST = 2**28  # maximum size of a file in bytes; the known files have at most 25 million
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_ZIP = b"PK\x03\x04"
_ORDERED_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_STORAGES = {"torch FloatStorage": "<f4", "torch HalfStorage": "<f2", "torch DoubleStorage": "<f8",
             "torch LongStorage": "<i8", "torch IntStorage": "<i4"}  # fmt: skip
_LITERALS = {"PROTO", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}  # PROTO's argument is not pushed
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Refused(ValueError):
    """The content is not that of a weights file."""


@dataclass(frozen=True)
class _Global:
    """A name that the pickle would import. It is never imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A sequence of numbers that is stored after the pickles."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides are in elements, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(file: Path, sha256: str) -> dict[str, np.ndarray]:
    """Return the tensors of a file by name, in the file's order, as read-only views of its content.

    Raises `UserError` if the file can't be read, has a different SHA-256, or isn't in the legacy format.
    """
    return parse(_published(file, sha256), str(file))


def parse(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the tensors in the content of a legacy file, as `read` does; error messages call the file `name`."""
    if content.startswith(_ZIP):
        raise UserError(f"{name} is in PyTorch's zip format: only the legacy format is supported")
    try:
        return _parse(content)
    except _Refused as refused:
        raise UserError(f"{name} is not a weights file in PyTorch's legacy format: {refused}") from refused


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


def _parse(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    if _Interpreter(stream).run() != _MAGIC:
        raise _Refused("it doesn't begin with the format's magic number")
    if _Interpreter(stream).run() != _VERSION:
        raise _Refused("its version is unknown")
    system = _Interpreter(stream).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Refused("its numbers are not little-endian")
    tensors, keys = _Interpreter(stream).run(), _Interpreter(stream).run()
    if not isinstance(tensors, dict) or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise _Refused("it contains something other than named tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if any(storages[tensor.storage.key] != tensor.storage for tensor in tensors.values()):
        raise _Refused("two tensors describe the same storage differently")
    arrays = _storages(content, stream.tell(), keys, storages)
    return {name: _view(arrays[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _storages(content: bytes, start: int, keys: Any, storages: dict[str, _Storage]) -> dict[str, np.ndarray]:
    """Return the raw storages, which follow the pickles in the order of `keys`: 8 bytes of count, then the numbers."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _Refused("its list of storages is invalid")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        raise _Refused("its storages don't match its tensors")
    arrays = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(content[start : start + 8], "little", signed=True)
        end = start + 8 + storage.count * np.dtype(storage.dtype).itemsize
        if count != storage.count or end > len(content):
            raise _Refused(f"storage {key} is cut short or differs from the declared size")
        arrays[key] = np.frombuffer(content, storage.dtype, count, start + 8)
        start = end
    if start != len(content):
        raise _Refused(f"{len(content) - start:,} bytes follow its last storage")
    return arrays


def _view(numbers: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """Return a view of the tensor's numbers. `_tensor` has checked that all of them are inside the storage."""
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)


class _Interpreter:
    """An interpreter for one pickle in the stream. It rejects every instruction that is not defined here."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return the pickle's value; the stream is then at the end of the pickle."""
        try:
            for opcode, argument, _ in pickletools.genops(self.stream):
                if opcode.name == "STOP":
                    return self._pop()
                self._step(opcode.name, argument)
        except _Refused:
            raise
        except (ValueError, OverflowError) as error:  # an instruction is cut short or unknown
            raise _Refused(f"a pickle in it is invalid ({str(error).splitlines()[0][:80]})") from error
        raise _Refused("it is cut short")

    def _step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack += [] if name == "PROTO" else [argument]
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self.stack.append(tuple(self._pop_many(_TUPLES[name])))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self._top()
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise _Refused("it reads a value that it never stored")
            self.stack.append(self.memo[argument])
        elif name in self._INSTRUCTIONS:
            self._INSTRUCTIONS[name](self, argument)
        else:
            raise _Refused(f"it uses the instruction {name}, which no weights file needs")

    def _pop(self) -> Any:
        self._top()
        return self.stack.pop()

    def _top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise _Refused("it pops more values than it pushes")
        return self.stack[-1]

    def _pop_many(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise _Refused("it pops more values than it pushes")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _append(self, _: Any) -> None:
        self._extend(self._pop_many(1))

    def _appends(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise _Refused("it appends to something that isn't a list")
        target += values

    def _setitem(self, _: Any) -> None:
        self._set_items(self._pop_many(2))

    def _setitems(self, _: Any) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2 or not all(isinstance(key, str) for key in values[::2]):
            raise _Refused("it contains a dict whose keys are not strings")
        target.update(zip(values[::2], values[1::2], strict=True))

    def _build(self, _: Any) -> None:
        """Discard the state of an OrderedDict, in which PyTorch stores the versions of its layers."""
        self._pop()
        if not isinstance(self._top(), dict):
            raise _Refused("it sets the state of something that isn't a dict")

    def _global(self, argument: str) -> None:
        if argument not in (_ORDERED_DICT, _TENSOR, *_STORAGES):
            raise _Refused(f"it imports {argument.replace(' ', '.')[:80]!r}, which no weights file needs")
        self.stack.append(_Global(argument))

    def _binpersid(self, _: Any) -> None:
        self.stack.append(_storage(self._pop()))

    def _reduce(self, _: Any) -> None:
        called, arguments = self._pop_many(2)
        if called == _Global(_ORDERED_DICT) and arguments == ():
            self.stack.append({})
        elif called == _Global(_TENSOR):
            self.stack.append(_tensor(arguments))
        else:
            raise _Refused("it calls something that no weights file needs")

    _INSTRUCTIONS: ClassVar[dict[str, Callable[[_Interpreter, Any], None]]] = {
        "MARK": _mark, "EMPTY_DICT": _empty_dict, "EMPTY_LIST": _empty_list, "TUPLE": _tuple, "APPEND": _append,
        "APPENDS": _appends, "SETITEM": _setitem, "SETITEMS": _setitems, "BUILD": _build, "GLOBAL": _global,
        "BINPERSID": _binpersid, "REDUCE": _reduce,
    }  # fmt: skip


def _storage(described: Any) -> _Storage:
    """Return the storage described by ("storage", type, key, location, count, None)."""
    if isinstance(described, tuple) and len(described) == 6:
        word, kind, key, _, count, view = described
        known = isinstance(kind, _Global) and kind.name in _STORAGES
        if word == "storage" and known and isinstance(key, str) and _is_count(count) and view is None:
            return _Storage(_STORAGES[kind.name], key, count)
    raise _Refused("its description of a storage is invalid")


def _tensor(described: Any) -> _Tensor:
    """Return the tensor described by (storage, offset, shape, strides, requires_grad, hooks).

    All its numbers must be inside the storage.
    """
    if not isinstance(described, tuple) or len(described) != 6 or not isinstance(described[0], _Storage):
        raise _Refused("its description of a tensor is invalid")
    storage, offset, shape, strides = described[:4]
    if not (_is_count(offset) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise _Refused("its description of a tensor is invalid")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if 0 in shape or math.prod(shape) > storage.count or last >= storage.count:
        raise _Refused("a tensor in it is empty or exceeds its storage")
    return _Tensor(storage, offset, shape, strides)


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and len(values) <= 8 and all(map(_is_count, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40
