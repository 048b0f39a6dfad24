"""Where a process finds its place in a run of several."""

from __future__ import annotations

import pytest

from cvlib.runtime import processes
from cvlib.runtime.errors import UserError
from cvlib.runtime.processes import Place

SLURM = {"SLURM_JOB_ID": "4242", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "4",
         "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu[07-08,11],old3"}  # fmt: skip


def test_slurm_gives_the_place() -> None:
    expected = Place(3, 4, f"gpu07:{61440 + 4242 % 4096}", gpu=1)
    assert processes.place(None, None, SLURM) == expected
    for nodes in ("gpu07", "gpu07,old3"):
        assert processes.place(None, None, SLURM | {"SLURM_STEP_NODELIST": nodes}) == expected
    for own in ({"SLURM_STEP_NUM_NODES": "4"}, {"CUDA_VISIBLE_DEVICES": "0"}):  # all visible GPUs are this process's
        found = processes.place(None, None, SLURM | own)
        assert found is not None and found.gpu is None
    assert processes.place(None, None, SLURM | {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert processes.place(None, None, {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None  # a batch script
    assert processes.place(None, None, {}) is None


def test_overrides_and_a_variable_give_the_place() -> None:
    assert processes.place("node1:9876", 2, {"CVLIB_PROCESS": "1"} | SLURM) == Place(1, 2, "node1:9876")
    assert processes.place("node1:9876", 2, {"OMPI_COMM_WORLD_RANK": "0"}) == Place(0, 2, "node1:9876")
    assert processes.place("node1:9876", 1, {"CVLIB_PROCESS": "0"}) is None


@pytest.mark.parametrize(
    ("coordinator", "count", "environment", "words"),
    [
        ("node1:9876", None, {}, "belong together"),
        (None, 2, {}, "belong together"),
        ("node1", 2, {}, "HOST:PORT"),
        ("node1:9876", 2, {}, "CVLIB_PROCESS=0 to 1"),
        ("node1:9876", 2, {"CVLIB_PROCESS": "2"}, "expected 0 to 1"),
    ],
)
def test_a_place_that_is_not_clear_is_refused(
    coordinator: str | None, count: int | None, environment: dict[str, str], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        processes.place(coordinator, count, environment)


def test_one_process_decides_alone() -> None:
    assert processes.count() == 1 and processes.number() == 0
    assert processes.from_first(lambda: {"loss": 0.5}) == {"loss": 0.5} == processes.in_turn(lambda: {"loss": 0.5})
    assert processes.stops(True, 0, 1) and not processes.stops(False, 0, 1)
