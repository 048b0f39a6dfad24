"""Run all speed comparisons and write one table.

    python experiments/benchmarks/run.py [--only NAME] [--quick] [--data FOLDER] [--avx2]

With --avx2, oneDNN and PyTorch use no wider instructions than AVX2, and the rows say so. Results are written to
results.json and results.md beside this file. Earlier results of other benchmarks are kept.
`pip install -e '.[benchmark]'` installs the libraries to compare with. Comparisons with missing libraries are left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import coco
import detection
import feeding
import frozen
import measure
import segmentation
import startup
import training

HERE = Path(__file__).parent
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
BENCHMARKS = {
    "resnet": training.resnet, "cnn": training.cnn, "startup": startup.startup, "frozen": frozen.frozen,
    "feeding": feeding.feeding, "segmentation": segmentation.segmentation, "decoders": segmentation.decoders,
    "coco": coco.coco, "detection": detection.detection,
}  # fmt: skip


def main() -> None:
    """Run the chosen benchmarks and update the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run only this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds; the table isn't saved")
    parser.add_argument("--data", type=Path, default=os.environ.get("CVLIB_BENCHMARK_DATA"), metavar="FOLDER",
                        help="images in class folders below train and val (or $CVLIB_BENCHMARK_DATA)")  # fmt: skip
    parser.add_argument("--avx2", action="store_true", help="limit oneDNN and PyTorch to AVX2")
    chosen = parser.parse_args()
    os.environ.update(AVX2 if chosen.avx2 else {})  # before the contenders' processes start
    for name in chosen.only or BENCHMARKS:
        print(f"{name}: load {os.getloadavg()[0]:.1f}", flush=True)
        rows = BENCHMARKS[name](chosen.quick, data=chosen.data and Path(chosen.data))
        if chosen.avx2:
            rows = [replace(row, what=f"{row.what}, AVX2 only") for row in rows]
        print(measure.table(rows))
        if not chosen.quick:
            _save(f"{name}, AVX2 only" if chosen.avx2 else name, rows)


def _save(name: str, rows: list[measure.Row]) -> None:
    """Save the results of one benchmark immediately, so that they aren't lost if a later benchmark fails."""
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {"rows": {}, "machines": {}}
    results["machines"][name] = measure.machine()
    results["rows"][name] = measure.as_json(rows)
    file.write_text(json.dumps(results, indent=1) + "\n")
    write_table(results)


def write_table(results: dict[str, Any]) -> None:
    """Write results.md from the content of results.json."""
    rows = [measure.Row(**row) for known in _names() for row in results["rows"].get(known, [])]
    machines = "\n\n".join(_machines(results["machines"]))
    text = f"# Speed\n\n{measure.__doc__.split(chr(10), 2)[2]}\n{machines}\n\n{measure.table(rows)}\n"
    (HERE / "results.md").write_text(text)


def _names() -> list[str]:
    """Return the names under which results are saved, in the order of the table."""
    return [f"{name}{suffix}" for name in BENCHMARKS for suffix in ("", ", AVX2 only")]


def _machines(machines: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield a description of each machine, with the benchmarks that ran on it."""
    for machine in {str(one): one for one in machines.values()}.values():
        names = ", ".join(name for name in _names() if machines.get(name) == machine)
        facts = "\n".join(f"- {key}: {', '.join(value) if isinstance(value, list) else value}"
                          for key, value in machine.items())  # fmt: skip
        yield f"Measured for {names}:\n\n{facts}"


if __name__ == "__main__":
    main()
