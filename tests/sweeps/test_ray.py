"""A killed job in a sweep on a two-node Ray cluster, in an isolated network because Ray accepts any connection."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
ADDRESS = "127.0.0.1:6379"
ISOLATED = "CVLIB_TEST_ISOLATED"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None or importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None,
        reason="needs Ray: pip install -e '.[ray]'",
    ),
]


def test_the_other_test_passes_in_an_isolated_network() -> None:
    """Run the other test of this file in a network that has only a loopback device."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("needs permission to create a network namespace: unshare -n")
    inner = f"ip link set lo up && exec {sys.executable} -m pytest -m slow -k cluster {__file__}"
    environment = {**os.environ, ISOLATED: "1"}
    result = subprocess.run(["unshare", "-n", "sh", "-c", inner], cwd=ROOT, env=environment, timeout=900,
                            capture_output=True, text=True, check=False)  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:]
    assert "1 passed" in result.stdout


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[None]:
    """Start a head node and a second node, with one core each, on this machine."""
    if ISOLATED not in os.environ:
        pytest.skip("runs only as part of the test above")
    ray = [str(Path(sys.executable).parent / "ray"), "start", "--num-cpus=1", "--object-store-memory=100000000"]
    head = [*ray, "--head", "--node-ip-address=127.0.0.1", "--port=6379", "--include-dashboard=false", "--block"]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    nodes = []
    for command in (head, [*ray, f"--address={ADDRESS}", "--block"]):
        log_file = tmp_path / f"node-{len(nodes)}.log"
        with log_file.open("w") as log:
            nodes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path))
        deadline = time.monotonic() + 180
        while "Ray runtime started" not in log_file.read_text() and time.monotonic() < deadline:
            time.sleep(0.5)
    yield
    for node in reversed(nodes):
        node.terminate()
        node.wait(timeout=60)


@pytest.mark.usefixtures("cluster")
def test_a_killed_job_resumes_on_a_cluster_without_affecting_the_others(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run.py"), "-m", "model.filters=[4]", "model.dense=[8]", "trainer.epochs=12",
               "seed=0,1,2", "hydra.sweep.dir=sweep", "hydra/launcher=ray_cluster",
               f"hydra.launcher.ray.init.address={ADDRESS}"]  # fmt: skip
    with (tmp_path / "out").open("w") as out:
        sweep = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out)
    try:
        victim = _kill_first_job(sweep, tmp_path)
        assert sweep.wait(timeout=600) == 0, (tmp_path / "out").read_text()[-4000:]
    finally:
        sweep.kill()
    summaries = [json.loads(path.read_text()) for path in tmp_path.glob("sweep/*/summary.json")]
    assert [one["status"] for one in summaries] == ["completed"] * 3
    assert len({one["pid"] for one in summaries}) == 3  # max_calls=1: a process for every job
    logs = {path.parent.name: path.read_text() for path in tmp_path.glob("sweep/*/train.log")}
    assert {name for name, text in logs.items() if "resumes after epoch" in text} == {victim.parent.name}


def _kill_first_job(sweep: subprocess.Popen[bytes], folder: Path) -> Path:
    """Kill the process of one job after its first checkpoint; return its run's summary."""
    deadline = time.monotonic() + 300
    while not list(folder.glob("sweep/*seed=0*/checkpoints/epoch-*.npz")) and time.monotonic() < deadline:
        assert sweep.poll() is None, (folder / "out").read_text()[-4000:]
        time.sleep(0.05)
    (victim,) = folder.glob("sweep/*seed=0*/summary.json")
    psutil.Process(json.loads(victim.read_text())["pid"]).kill()
    return victim
