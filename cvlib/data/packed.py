"""`Packed`: a sequence that stores its items as bytes and builds each one when it is read.

A Python object per image takes hundreds of bytes, such as 400 for a `Path`. Packed, it takes its characters or numbers
and an offset.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import numpy as np

T = TypeVar("T")


class Codec(Protocol[T]):
    """Converts items of one type to bytes and back."""

    def encode(self, item: T) -> bytes:
        """Return the item as bytes."""

    def decode(self, data: bytes) -> T:
        """Return an equal item."""


class Packed(Sequence[T]):
    """An immutable sequence of items of one codec; equal to any sequence of equal items.

    Args:
        content: the bytes of all items.
        starts: the offset of each item in `content`, int (n,).
        ends: the offset after each item, int (n,).
        codec: converts the bytes of an item.
    """

    def __init__(self, content: bytes, starts: np.ndarray, ends: np.ndarray, codec: Codec[T]):
        self.content, self.starts, self.ends, self.codec = content, starts, ends, codec

    @classmethod
    def of(cls, items: Iterable[T], codec: Codec[T]) -> Packed[T]:
        """Pack `items`."""
        return cls._of_parts([codec.encode(item) for item in items], codec)

    @classmethod
    def joined(cls, parts: Sequence[Packed[T]]) -> Packed[T]:
        """Concatenate sequences of the same codec."""
        return cls._of_parts([item for part in parts for item in part._parts()], parts[0].codec)

    @classmethod
    def from_arrays(cls, arrays: tuple[np.ndarray, np.ndarray], codec: Codec[T]) -> Packed[T]:
        """Return the sequence that `arrays` was called on."""
        content, ends = arrays
        offsets = np.concatenate([np.zeros(1, np.int64), ends])
        return cls(content.tobytes(), offsets[:-1], offsets[1:], codec)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bytes, uint8, and the offset after each item, int64 (n,)."""
        whole = self._of_parts(list(self._parts()), self.codec)
        return np.frombuffer(whole.content, np.uint8), whole.ends

    def take(self, indices: np.ndarray | Sequence[int]) -> Packed[T]:
        """Return the items at `indices`; they share the bytes of this sequence."""
        chosen = np.asarray(indices, np.int64)
        return Packed(self.content, self.starts[chosen], self.ends[chosen], self.codec)

    @classmethod
    def _of_parts(cls, parts: list[bytes], codec: Codec[T]) -> Packed[T]:
        offsets = np.fromiter(accumulate(map(len, parts), initial=0), np.int64, len(parts) + 1)
        return cls(b"".join(parts), offsets[:-1], offsets[1:], codec)

    def _parts(self) -> Iterable[bytes]:
        return (self.content[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return list(self.take(np.arange(len(self))[index]))
        return self.codec.decode(self.content[self.starts[index] : self.ends[index]])

    def __iter__(self) -> Any:
        return map(self.codec.decode, self._parts())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({len(self)} items)"


@dataclass(frozen=True)
class PathCodec:
    """Paths of files, with the bytes that the system uses for them."""

    def encode(self, item: Path) -> bytes:
        return os.fsencode(item)

    def decode(self, data: bytes) -> Path:
        return Path(os.fsdecode(data))


@dataclass(frozen=True)
class HexCodec:
    """Digests as hexadecimal text, in half as many bytes."""

    def encode(self, item: str) -> bytes:
        return bytes.fromhex(item)

    def decode(self, data: bytes) -> str:
        return data.hex()
