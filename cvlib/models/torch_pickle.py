"""An interpreter for the pickles in PyTorch's weights files. It needs no PyTorch and can't run code from the file.

A pickle is a program, and Python's unpickler executes it. The small interpreter here supports only the instructions
that a weights file needs. It creates numbers, strings, tuples, lists, dicts and descriptions of tensors. It imports
nothing and calls nothing.
"""

from __future__ import annotations

import io
import math
import mmap
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

_ORDERED_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_STORAGES = {"torch FloatStorage": "<f4", "torch HalfStorage": "<f2", "torch DoubleStorage": "<f8",
             "torch BFloat16Storage": "bfloat16", "torch LongStorage": "<i8", "torch IntStorage": "<i4"}  # fmt: skip
_LITERALS = {
    "PROTO",
    "BINFLOAT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "BINUNICODE",
}  # PROTO's argument is not pushed
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Refused(ValueError):
    """The content is not that of a weights file."""


@dataclass(frozen=True)
class _Global:
    """A name that the pickle would import. It is never imported."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A sequence of numbers that is stored outside the pickle. `dtype` is NumPy's, or bfloat16."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides are in elements, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Interpreter:
    """An interpreter for one pickle in the stream. It rejects every instruction that is not defined here."""

    def __init__(self, stream: io.BytesIO | mmap.mmap) -> None:
        self.stream = stream
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return the pickle's value; the stream is then at the end of the pickle."""
        try:
            for opcode, argument, _ in pickletools.genops(self.stream):  # type: ignore[arg-type]
                if opcode.name == "STOP":
                    return self._pop()
                self._step(opcode.name, argument)
        except Refused:
            raise
        except (ValueError, OverflowError) as error:  # an instruction is cut short or unknown
            raise Refused(f"a pickle in it is invalid ({str(error).splitlines()[0][:80]})") from error
        raise Refused("it is cut short")

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
                raise Refused("it reads a value that it never stored")
            self.stack.append(self.memo[argument])
        elif name in self._INSTRUCTIONS:
            self._INSTRUCTIONS[name](self, argument)
        else:
            raise Refused(f"it uses the instruction {name}, which no weights file needs")

    def _pop(self) -> Any:
        self._top()
        return self.stack.pop()

    def _top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise Refused("it pops more values than it pushes")
        return self.stack[-1]

    def _pop_many(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise Refused("it pops more values than it pushes")
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
            raise Refused("it appends to something that isn't a list")
        target += values

    def _setitem(self, _: Any) -> None:
        self._set_items(self._pop_many(2))

    def _setitems(self, _: Any) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, values: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2 or not all(isinstance(key, str) for key in values[::2]):
            raise Refused("it contains a dict whose keys are not strings")
        target.update(zip(values[::2], values[1::2], strict=True))

    def _build(self, _: Any) -> None:
        """Discard the state of an OrderedDict, in which PyTorch stores the versions of its layers."""
        self._pop()
        if not isinstance(self._top(), dict):
            raise Refused("it sets the state of something that isn't a dict")

    def _global(self, argument: str) -> None:
        if argument not in (_ORDERED_DICT, _TENSOR, *_STORAGES):
            raise Refused(f"it imports {argument.replace(' ', '.')[:80]!r}, which no weights file needs")
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
            raise Refused("it calls something that no weights file needs")

    _INSTRUCTIONS: ClassVar[dict[str, Callable[[Interpreter, Any], None]]] = {
        "MARK": _mark, "EMPTY_DICT": _empty_dict, "EMPTY_LIST": _empty_list, "TUPLE": _tuple, "APPEND": _append,
        "APPENDS": _appends, "SETITEM": _setitem, "SETITEMS": _setitems, "BUILD": _build, "GLOBAL": _global,
        "BINPERSID": _binpersid, "REDUCE": _reduce,
    }  # fmt: skip


def _storage(described: Any) -> Storage:
    """Return the storage described by ("storage", type, key, location, count); a legacy file appends None."""
    if isinstance(described, tuple) and len(described) in (5, 6):
        word, kind, key, _, count, *view = described
        known = isinstance(kind, _Global) and kind.name in _STORAGES
        if word == "storage" and known and isinstance(key, str) and _is_count(count) and view in ([], [None]):
            return Storage(_STORAGES[kind.name], key, count)
    raise Refused("its description of a storage is invalid")


def _tensor(described: Any) -> Tensor:
    """Return the tensor described by (storage, offset, shape, strides, requires_grad, hooks).

    All its numbers must be inside the storage.
    """
    if not isinstance(described, tuple) or len(described) != 6 or not isinstance(described[0], Storage):
        raise Refused("its description of a tensor is invalid")
    storage, offset, shape, strides = described[:4]
    if not (_is_count(offset) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise Refused("its description of a tensor is invalid")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if 0 in shape or math.prod(shape) > storage.count or last >= storage.count:
        raise Refused("a tensor in it is empty or exceeds its storage")
    return Tensor(storage, offset, shape, strides)


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and len(values) <= 8 and all(map(_is_count, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40
