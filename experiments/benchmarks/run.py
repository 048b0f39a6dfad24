"""Every ratio of speed in one table: `python experiments/benchmarks/run.py [--only NAME] [--quick] [--data FOLDER]`.

What is measured is written to results.json and results.md beside this file; of what isn't measured this time the
earlier rows stay. `pip install -e '.[benchmark]'` brings what is compared with; without it those rows are left out.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
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
BENCHMARKS = {
    "resnet": training.resnet, "cnn": training.cnn, "startup": startup.startup, "frozen": frozen.frozen,
    "feeding": feeding.feeding, "segmentation": segmentation.segmentation, "coco": coco.coco,
    "detection": detection.detection,
}  # fmt: skip


def main() -> None:
    """Measure what was asked for, and write the table anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="measure this alone (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds; the table is shown, not kept")
    parser.add_argument("--data", type=Path, default=os.environ.get("CVLIB_BENCHMARK_DATA"), metavar="FOLDER",
                        help="images, a folder per class below train and val (or CVLIB_BENCHMARK_DATA)")  # fmt: skip
    chosen = parser.parse_args()
    for name in chosen.only or BENCHMARKS:
        print(f"{name}: load {os.getloadavg()[0]:.1f}", flush=True)
        rows = BENCHMARKS[name](chosen.quick, data=chosen.data and Path(chosen.data))
        print(measure.table(rows))
        if not chosen.quick:
            _keep(name, rows)


def _keep(name: str, rows: list[measure.Row]) -> None:
    """At once, so that a later benchmark that fails takes nothing with it."""
    file = HERE / "results.json"
    kept = json.loads(file.read_text()) if file.exists() else {"rows": {}, "machines": {}}
    kept["machines"][name] = measure.machine()
    kept["rows"][name] = measure.as_json(rows)
    file.write_text(json.dumps(kept, indent=1) + "\n")
    write_table(kept)


def write_table(kept: dict[str, Any]) -> None:
    """results.md, of what results.json holds."""
    told = [measure.Row(**row) for known in BENCHMARKS for row in kept["rows"].get(known, [])]
    places = "\n\n".join(_places(kept["machines"]))
    text = f"# How fast\n\n{measure.__doc__.split(chr(10), 2)[2]}\n{places}\n\n{measure.table(told)}\n"
    (HERE / "results.md").write_text(text)


def _places(machines: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Each machine, with the benchmarks that were measured on it."""
    for machine in {str(one): one for one in machines.values()}.values():
        names = ", ".join(name for name in BENCHMARKS if machines.get(name) == machine)
        facts = "\n".join(f"- {key}: {', '.join(value) if isinstance(value, list) else value}"
                          for key, value in machine.items())  # fmt: skip
        yield f"Measured by `--only` {names}:\n\n{facts}"


if __name__ == "__main__":
    main()
