"""Output that never ends a program: a closed pipe, a full disk or an unknown letter doesn't stop a run."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

_STANDARD = 3  # the descriptors of stdin, stdout and stderr


class LastingStream:
    """A text stream in place of stdout or stderr that discards what can't be written.

    After a write error, for example because the reader closed the pipe, the rest is discarded as well.
    Letters that the stream's encoding lacks become question marks.

    Attributes:
        lost: the first write error; None if everything was written.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:
        """Return whether `other` is this stream or the one below it.

        absl's logging closes every stream that isn't equal to sys.stdout or sys.stderr. It must spare the one below.
        """
        return other is self or other is self._stream

    def __hash__(self) -> int:
        return id(self)

    def write(self, text: str) -> int:
        """Write the text, and return its length."""
        with self._tolerated():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(text.encode(encoding, "replace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        with self._tolerated():
            self._stream.flush()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal that can still be written."""
        return self.lost is None and self._stream.isatty()

    @contextlib.contextmanager
    def _tolerated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error
            if not isinstance(error, BlockingIOError):  # a full pipe that doesn't block may be writable again
                _discard_rest(self._stream)
        except ValueError:  # the stream object was closed
            self.lost = self.lost or OSError(errno.EBADF, os.strerror(errno.EBADF))


def _discard_rest(stream: TextIO) -> None:
    """Direct the stream to the null device; otherwise Python fails again at exit, when it flushes the stream."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Replace stdout and stderr within the block by streams that never raise an error.

    A closed stdin, stdout or stderr is opened on the null device, and stays so. Otherwise, the next file that is opened
    would get its number, and messages would be written into that file.
    """
    _open_missing()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lasting(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout.flush()
        if not isinstance(before[0], LastingStream):
            _note_loss()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def lost_by_error() -> OSError | None:
    """Return the error because of which stdout is incomplete; None also if the reader of a pipe has closed it."""
    error: OSError | None = getattr(sys.stdout, "lost", None)
    return None if error is None or error.errno in (errno.EPIPE, errno.EBADF) else error


def _note_loss() -> None:
    error = lost_by_error()
    if error is not None:
        print(f"note: the output is incomplete: stdout can't be written ({error.strerror})", file=sys.stderr)


def _lasting(stream: TextIO | None) -> Any:
    if stream is None:  # it was closed when Python started
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  (open as long as the process lives)
    return stream if isinstance(stream, LastingStream) else LastingStream(stream)


def _open_missing() -> None:
    for number in range(_STANDARD):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one
