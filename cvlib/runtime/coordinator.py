"""The process of JAX's coordination service: `python coordinator.py HOST:PORT PROCESSES`.

Process 0 of a run starts it, and tells it through its standard input when the run ends. If process 0 ends without a
word, the service tells the other processes.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time

LOST = "was lost"
LEFT = "cvlib/left/"  # folder of the keys of processes that leave the service
_END = b"end\n"
_LINGER = 15.0  # seconds in which the other processes may read why the run ends
_GOODBYES = 60.0  # seconds to wait until all processes have left
_FREE = 60  # seconds to wait until an earlier service has left the port


def started(address: str, processes: int) -> subprocess.Popen[bytes]:
    """Start the service; Ctrl-C in the terminal doesn't reach it."""
    return subprocess.Popen([sys.executable, "-P", __file__, address, str(processes)],
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            start_new_session=True)  # fmt: skip


def end(service: subprocess.Popen[bytes]) -> None:
    """Tell the service that the run has ended, and wait for its end, so that the port is free."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        service.communicate(_END, timeout=_GOODBYES + 5)


def main(address: str, processes: int) -> None:
    """Serve the processes until process 0 closes the pipe."""
    from jax._src.lib import _jax

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a cluster sends them to all processes
    port = int(address.rpartition(":")[2])
    _wait_until_free(port)
    # Recoverable: otherwise the loss of one process makes C++ code abort all others with a stack trace.
    service = _jax.get_distributed_runtime_service(f"[::]:{port}", processes + 1, recoverable=True)
    client = _jax.get_distributed_runtime_client(f"localhost:{port}", processes, init_timeout=600)
    client.connect()
    if sys.stdin.buffer.read() == _END:
        deadline = time.monotonic() + _GOODBYES
        while len(client.key_value_dir_get(LEFT)) < processes and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)
    else:
        client.key_value_set("cvlib/ended/0", LOST, allow_overwrite=True)
        time.sleep(_LINGER)
    client.shutdown()
    service.shutdown()


def _wait_until_free(port: int) -> None:
    deadline = time.monotonic() + _FREE
    while time.monotonic() < deadline:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
            try:
                trial.bind(("", port))
                return
            except OSError:
                time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
