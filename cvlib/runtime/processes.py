"""One run in several processes, usually on several machines: how they find each other, agree, and notice a loss.

Every process runs the same command. Process 0 decides whatever must be equal everywhere, and the others wait for its
decision (`from_first`). The messages are small texts in the key-value store of JAX's coordination service. The service
has a process of its own next to process 0 (`cvlib.runtime.coordinator`), so that it survives a sudden end of process 0
for long enough to tell the others.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cvlib.runtime import coordinator
from cvlib.runtime.errors import INTERRUPTED, RunFailed, UserError, complain
from cvlib.runtime.quiet import quiet_import

Value = TypeVar("Value")

NUMBERS = ("CVLIB_PROCESS", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")  # environment variables with a process's number
_CONNECT = 300  # seconds for all processes to start
_LOST_AFTER = 120  # seconds without a sign of life
_TICK = 1.0  # seconds between signs of life
_GRACE = 5.0  # seconds in which a process may end with its own message after another one has ended
_OTHERS_FAULT = re.compile("gloo|nccl|connection|coordination service|peer", re.IGNORECASE)
_RESUMES = "the run ends here, and the same command in every process resumes it"


@dataclass(frozen=True)
class Place:
    """The place of this process among those of a run.

    Args:
        number: from 0.
        count: the number of processes.
        coordinator: host and port of process 0, as in "node1:9876".
        gpu: the only GPU of this machine that the process uses; None: all that are visible.
    """

    number: int
    count: int
    coordinator: str
    gpu: int | None = None


@dataclass
class _Group:
    place: Place
    client: Any  # of JAX's coordination service
    service: subprocess.Popen[bytes] | None
    messages: int = 0
    alone: bool = False  # within `from_first`
    stop_after: tuple[int, int] | None = None  # the step after which process 0 stops all processes
    over: threading.Event = field(default_factory=threading.Event)
    stderr: int = field(default_factory=lambda: os.dup(2))  # while imports are silenced, 2 leads nowhere


_group: _Group | None = None


def place(coordinator: str | None, count: int | None, environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return this process's place: as given by `coordinator` and `count`, or as SLURM says; None: a run of its own.

    Raises `UserError` if only one of the two is given, or if no variable has the number of the process.
    """
    if coordinator is None and count is None:
        return _in_slurm(environment)
    if coordinator is None or count is None:
        raise UserError("trainer.coordinator=HOST:PORT and trainer.processes=N belong together: set both")
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"trainer.coordinator={coordinator}: expected HOST:PORT of process 0, such as node1:9876")
    for name in NUMBERS:
        if (value := environment.get(name)) is not None:
            if not value.isdigit() or int(value) >= count:
                raise UserError(f"{name}={value}: expected 0 to {count - 1}, because trainer.processes={count}")
            return Place(int(value), count, coordinator) if count > 1 else None
    raise UserError(f"trainer.processes={count}: no environment variable has the number of this process: set "
                    f"{NUMBERS[0]}=0 to {count - 1}")  # fmt: skip


def _in_slurm(environment: Mapping[str, str]) -> Place | None:
    """Return the place of a task of `srun`; None outside of one, as in a batch script, or if it is the only task."""
    number, count = environment.get("SLURM_PROCID"), int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if number is None or count < 2:
        return None
    first = re.match(r"([^,\[]+)(?:\[(\d+))?", environment["SLURM_STEP_NODELIST"])  # node[001-4,7],other
    assert first is not None
    port = 61440 + int(environment.get("SLURM_JOB_ID", "0")) % 4096  # the same for all tasks of the job
    shared = count > int(environment.get("SLURM_STEP_NUM_NODES", "1"))  # several tasks on a machine
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    gpu = int(environment.get("SLURM_LOCALID", "0")) if shared and (not visible or "," in visible) else None
    return Place(int(number), count, f"{first[1]}{first[2] or ''}:{port}", gpu)


def count() -> int:
    """Return the number of processes that act together at present: 1 within `from_first`."""
    return 1 if _group is None or _group.alone else _group.place.count


def number() -> int:
    """Return the number of this process in the run, from 0."""
    return 0 if _group is None else _group.place.number


@contextlib.contextmanager
def joined(where: Place | None) -> Iterator[None]:
    """Act together with the other processes of the run within the block; do nothing if `where` is None.

    If a process is lost or ends with an error, the others print one line and exit.
    """
    global _group
    if where is None or _group is not None:
        yield
        return
    _group = group = _connect(where)
    watch = threading.Thread(target=_watch, args=(group,), daemon=True)
    watch.start()
    try:
        yield
        group.client.wait_at_barrier("cvlib/end", 600_000, list(range(where.count)))
    except BaseException as error:
        with contextlib.suppress(Exception):  # the service may be gone, too
            group.client.key_value_set(f"cvlib/ended/{where.number}", _reason(error))
        raise
    finally:
        group.over.set()
        watch.join(10)
        _disconnect(group)
        _group = None


def from_first(function: Callable[[], Value]) -> Value:
    """Return what `function` returns in process 0, which acts alone in it; the others wait and don't call it.

    The value must be one that JSON can hold. An exception in process 0 is raised in all processes.
    """
    group = _group
    if group is None or group.alone:
        return function()
    group.messages += 1
    key = f"cvlib/message/{group.messages}"
    if group.place.number:
        received: Value = _received(json.loads(_wait_for(group, key)))
        return received
    group.alone = True
    try:
        value = function()
    except BaseException as error:
        kind = next((kind.__name__ for kind in (UserError, KeyboardInterrupt) if isinstance(error, kind)), "RunFailed")
        group.client.key_value_set(key, json.dumps({"error": kind, "text": str(error) or _reason(error)}))
        raise
    finally:
        group.alone = False
    group.client.key_value_set(key, json.dumps({"value": value}, default=float))
    return value


def in_turn(function: Callable[[], Value]) -> Value:
    """Call `function` in process 0, and then in the others, which find in the caches what process 0 has computed."""
    made: list[Value] = []
    from_first(lambda: made.append(function()))
    if not made:
        assert _group is not None
        _group.alone = True
        try:
            made.append(function())
        finally:
            _group.alone = False
    return made[0]


def stops(requested: bool, epoch: int, step: int) -> bool:
    """Return whether training stops after this step; all processes stop after the same one.

    Process 0 announces it one step ahead. When this is called, the loss of the step is known. So no process can be here
    after the announced step before process 0 has begun that step, which is after the announcement.
    """
    group = _group
    if group is None or group.alone:
        return requested
    said = dict(group.client.key_value_dir_get("cvlib/stop/"))
    if group.place.number:
        if requested and not said:
            group.client.key_value_set(f"cvlib/stop/wanted{group.place.number}", "yes", allow_overwrite=True)
    elif (requested or said) and group.stop_after != (epoch, step):
        group.stop_after = (epoch, step + 1)  # if the epoch has no such step, the next epoch announces another one
        group.client.key_value_set("cvlib/stop/after", f"{epoch}/{step + 1}", allow_overwrite=True)
    return said.get("cvlib/stop/after") == f"{epoch}/{step}"


@contextlib.contextmanager
def interrupted_by_loss() -> Iterator[None]:
    """Raise `KeyboardInterrupt`, with one line, instead of the error of a step that other processes don't share."""
    try:
        yield
    except (UserError, RunFailed):
        raise
    except Exception as error:
        if _group is None or not _OTHERS_FAULT.search(str(error)):
            raise
        time.sleep(2 * _TICK)  # the watch may know more, and then ends this process
        _group.over.set()
        complain(f"another process was lost: {_RESUMES}")
        raise KeyboardInterrupt from error


def _connect(where: Place) -> _Group:
    """Connect to the coordination service, which process 0 starts first."""
    service = None
    if not where.number:
        service = coordinator.started(where.coordinator, where.count)
    with quiet_import():
        import jax
        from jax._src import distributed, xla_bridge
        from jax._src.lib import _jax

    if xla_bridge.backends_are_initialized():
        raise UserError("JAX has already computed in this process: start a run in several processes in new ones")
    if where.gpu is not None:
        jax.config.update("jax_cuda_visible_devices", str(where.gpu))
    # jax.distributed.initialize would start the service within process 0, and then a loss of process 0 makes C++ code
    # abort all others with a stack trace.
    client = _jax.get_distributed_runtime_client(where.coordinator, where.number, init_timeout=_CONNECT,
                                                 use_compression=True)  # fmt: skip
    try:
        client.connect()
    except Exception as error:
        raise UserError(f"trainer.processes={where.count}: they did not find each other at {where.coordinator} within "
                        f"{_CONNECT} s ({str(error).splitlines()[0]})") from error  # fmt: skip
    state = distributed.global_state
    state.client, state.process_id, state.num_processes = client, where.number, where.count
    state.coordinator_address = where.coordinator
    return _Group(where, client, service)


def _disconnect(group: _Group) -> None:
    from jax._src import distributed

    distributed.global_state.client = None
    with contextlib.suppress(Exception):  # the service may be gone
        group.client.key_value_set(f"{coordinator.LEFT}{group.place.number}", "yes")
        group.client.shutdown()
    os.close(group.stderr)
    if group.service is not None:
        coordinator.end(group.service)


def _watch(group: _Group) -> None:
    """Give signs of life, and end this process if another one has ended or gives none."""
    own, client = group.place.number, group.client
    seen: dict[str, tuple[str, float]] = {}
    ended_since = None
    while not group.over.wait(_TICK):
        try:
            client.key_value_increment(f"cvlib/alive/{own}", 1)
            alive, ended = dict(client.key_value_dir_get("cvlib/alive/")), client.key_value_dir_get("cvlib/ended/")
        except Exception:
            _leave(group, f"the connection to process 0 was lost: {_RESUMES}")
            return
        now = time.monotonic()
        for key, value in alive.items():
            if key not in seen or seen[key][0] != value:
                seen[key] = (value, now)
            elif now - seen[key][1] > _LOST_AFTER:
                _leave(group, f"process {key.rpartition('/')[2]} of {group.place.count} was lost: {_RESUMES}")
        if ended:
            ended_since = ended_since or now
            key, reason = sorted(ended)[0]
            if reason == coordinator.LOST or now - ended_since > _GRACE:
                _leave(group, f"process {key.rpartition('/')[2]} of {group.place.count} {reason}: {_RESUMES}")


def _leave(group: _Group, line: str) -> None:
    """Print a line and end this process, whose main thread may wait for another process forever."""
    if group.over.is_set():
        return
    sys.stdout.flush()
    os.write(group.stderr, f"error: {line}\n".encode())
    os._exit(INTERRUPTED)


def _wait_for(group: _Group, key: str) -> str:
    while True:
        try:
            return str(group.client.blocking_key_value_get(key, 5000))
        except Exception as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def _received(message: dict[str, Any]) -> Any:
    if "error" not in message:
        return message["value"]
    if message["error"] == "KeyboardInterrupt":
        raise KeyboardInterrupt
    raise (UserError if message["error"] == "UserError" else RunFailed)(message["text"])


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "was interrupted"
    text = " ".join(str(error).split())
    return (
        f"ended ({text})"
        if isinstance(error, UserError | RunFailed)
        else f"failed ({type(error).__name__}: {text[:200]})"
    )
