"""Weights files in PyTorch's legacy format, read without PyTorch: numbers come out, and nothing in the file can run.

A legacy file is a row of pickles (a magic number, a version, the machine's byte order, the tensors by name, the keys
of the storages) followed by the raw storages. A pickle is a program, and Python's own unpickler does what it says.
Here a small interpreter knows only the instructions that such a file needs. It makes numbers, texts, tuples, lists,
dicts and descriptions of tensors; it imports nothing and calls nothing.
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

_LARGEST = 2**28  # bytes of a file; those that are known have 25 million at most
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_ZIP = b"PK\x03\x04"
_ORDERED_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_STORAGES = {"torch FloatStorage": "<f4", "torch HalfStorage": "<f2", "torch DoubleStorage": "<f8",
             "torch LongStorage": "<i8", "torch IntStorage": "<i4"}  # fmt: skip
_LITERALS = {"PROTO", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}  # PROTO's argument is not pushed
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Refused(ValueError):
    """The content isn't what a weights file holds."""


@dataclass(frozen=True)
class _Global:
    """A name that the pickle imports. Nothing is imported for it."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A row of numbers that lies behind the pickles."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """Numbers of a storage in a shape; offset and strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(file: Path, sha256: str) -> dict[str, np.ndarray]:
    """Return the tensors of a file by name, in the file's order, as read-only views of its content.

    Raises `UserError` where the file can't be read, isn't the one with that SHA-256, or isn't in the legacy format.
    """
    return parse(_published(file, sha256), str(file))


def parse(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the tensors in the content of a legacy file, as `read`; `name` is what errors call it."""
    if content.startswith(_ZIP):
        raise UserError(f"{name} is in PyTorch's zip format: only the legacy format is read")
    try:
        return _parse(content)
    except _Refused as refused:
        raise UserError(f"{name} is not a weights file in PyTorch's legacy format: {refused}") from refused


def _published(file: Path, sha256: str) -> bytes:
    """The content of the file with that SHA-256; nothing of any other is looked at."""
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
        raise _Refused("it holds other things than tensors by name")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if any(storages[tensor.storage.key] != tensor.storage for tensor in tensors.values()):
        raise _Refused("two tensors describe one storage differently")
    arrays = _storages(content, stream.tell(), keys, storages)
    return {name: _view(arrays[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _storages(content: bytes, start: int, keys: Any, storages: dict[str, _Storage]) -> dict[str, np.ndarray]:
    """The raw storages behind the pickles, in the order of `keys`: a count of 8 bytes, then the numbers."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _Refused("the list of its storages is spoiled")
    if len(set(keys)) != len(keys) or set(keys) != set(storages):
        raise _Refused("its storages are not those of its tensors")
    arrays = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(content[start : start + 8], "little", signed=True)
        end = start + 8 + storage.count * np.dtype(storage.dtype).itemsize
        if count != storage.count or end > len(content):
            raise _Refused(f"storage {key} is cut short, or its size isn't the declared one")
        arrays[key] = np.frombuffer(content, storage.dtype, count, start + 8)
        start = end
    if start != len(content):
        raise _Refused(f"{len(content) - start:,} bytes follow its last storage")
    return arrays


def _view(numbers: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor's own numbers; `_tensor` has checked that all of them lie within the storage."""
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)


class _Interpreter:
    """Runs one pickle of the stream; every instruction that isn't here is refused."""

    def __init__(self, stream: io.BytesIO) -> None:
        self.stream = stream
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return what the pickle holds, with the stream behind it."""
        try:
            for opcode, argument, _ in pickletools.genops(self.stream):
                if opcode.name == "STOP":
                    return self._pop()
                self._step(opcode.name, argument)
        except _Refused:
            raise
        except (ValueError, OverflowError) as error:  # from reading an instruction: cut short, or no instruction
            raise _Refused(f"a pickle in it is spoiled ({str(error).splitlines()[0][:80]})") from error
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
                raise _Refused("it recalls a value that it never kept")
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
            raise _Refused("it takes more values than it made")
        return self.stack[-1]

    def _pop_many(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise _Refused("it takes more values than it made")
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
            raise _Refused("it holds a dict whose keys are not texts")
        target.update(zip(values[::2], values[1::2], strict=True))

    def _build(self, _: Any) -> None:
        """The state of an OrderedDict: PyTorch keeps the versions of its layers there, which nobody needs."""
        self._pop()
        if not isinstance(self._top(), dict):
            raise _Refused("it sets the state of something that isn't a dict")

    def _global(self, argument: str) -> None:
        if argument not in (_ORDERED_DICT, _TENSOR, *_STORAGES):
            raise _Refused(f"it asks for {argument.replace(' ', '.')[:80]!r}, which no weights file needs")
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
    """From ("storage", type, key, place, count, None)."""
    if isinstance(described, tuple) and len(described) == 6:
        word, kind, key, _, count, view = described
        known = isinstance(kind, _Global) and kind.name in _STORAGES
        if word == "storage" and known and isinstance(key, str) and _is_count(count) and view is None:
            return _Storage(_STORAGES[kind.name], key, count)
    raise _Refused("it describes a storage in an unknown way")


def _tensor(described: Any) -> _Tensor:
    """From (storage, offset, shape, strides, requires_grad, hooks); no number may lie beyond the storage."""
    if not isinstance(described, tuple) or len(described) != 6 or not isinstance(described[0], _Storage):
        raise _Refused("it describes a tensor in an unknown way")
    storage, offset, shape, strides = described[:4]
    if not (_is_count(offset) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise _Refused("it describes a tensor in an unknown way")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if 0 in shape or math.prod(shape) > storage.count or last >= storage.count:
        raise _Refused("a tensor in it is empty or goes beyond its storage")
    return _Tensor(storage, offset, shape, strides)


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and len(values) <= 8 and all(map(_is_count, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40
