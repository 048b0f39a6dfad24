"""Train cvlib and its peers on the same images, and compare accuracy, time, size and memory.

    python experiments/benchmarks/accuracy.py detection FOLDER --epochs 25 --image-size 320 --batch-size 16 --seeds 3

All rows have the same files, splits, epochs, image size, batch size and number of cores. Each peer has its own
recommended recipe (accuracy_parts/*_peer.py), cvlib its defaults. `--ours "NAME=OVERRIDES"` adds a row of cvlib with
further overrides and can be repeated. Rows of peers that aren't installed are left out;
`pip install -e '.[benchmark]'` installs all of them. If they are in another environment than cvlib, run this script
there, and give cvlib's Python with `--cvlib-python`. The cvlib of this checkout is used in any case.

The table has the mean over the seeds ± half of the 95 % interval (Student's t), the seconds of the epochs with their
validation, the parameters, and the processor seconds and peak memory of the whole process (the largest one, if it has
several), which also starts, reports and tests. Prediction is timed from the files of the test images to the answer. One
evaluator scores the test images of all rows (accuracy_parts/scores.py). Each result is saved at once in the file of
`--results`, and the same command continues there. Other work on the machine makes all rows slower: compare seconds of
the same round, or processor seconds.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
from accuracy_parts import job, rows, scores
from accuracy_parts.job import Failed, Job
from accuracy_parts.results import Results
from accuracy_parts.rows import Row

_QUICK = {"epochs": 1, "image_size": 64, "batch_size": 4, "seeds": 1}
_QUICK_IMAGES = 8  # of each split


def main() -> int:
    """Train the rows that have no result yet, and print the table; return 1 if a training failed."""
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the training process is ended, too
    if hasattr(os, "sched_setaffinity"):  # all processes inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    chosen.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=time.strftime("%Y-%m-%d_%H-%M-%S_"), dir=chosen.work))  # two can start at once
    try:
        selected = rows.chosen(chosen.task, chosen.rows, chosen.ours)
        shared = _export(chosen, selected, work)
        results = Results(chosen.results or work / "results.json", _settings(chosen, shared))
        failed = _train(chosen, selected, shared, results, work)
    except (ValueError, Failed) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command with the same --results continues", file=sys.stderr)
        return 130
    left_out = [f"- {row.name}: left out, because {missing} isn't installed"
                for row in selected if (missing := row.missing())]  # fmt: skip
    table = "\n".join([results.table(scores.METRICS[chosen.task]), *left_out]) if results.entries else "no results\n"
    print(table)
    if chosen.output:
        chosen.output.write_text(f"{_description(chosen)}\n\n{table}", encoding="utf-8")
    return int(bool(failed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=rows.TASKS)
    parser.add_argument("folder", type=Path, help="the images with their labels, in any layout that cvlib reads")
    parser.add_argument("--rows", help="names separated by commas (default: all of the task): " + "; ".join(
                        f"{task}: {', '.join(rows.known(task))}" for task in rows.TASKS))  # fmt: skip
    parser.add_argument("--ours", action="append", default=[], metavar="NAME=OVERRIDES", help="another row of cvlib")
    parser.add_argument("--data", action="append", default=[], metavar="OVERRIDE", help="such as data.layout=voc")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--image-size", type=int, default=320, help="height and width in pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings of each row (seeds 0, 1, …)")
    parser.add_argument("--cores", type=int, default=measure.machine()["cores"])
    parser.add_argument("--tiles", action="store_true", help="segmentation: train on crops at full resolution")
    parser.add_argument("--quick", action="store_true", help=f"one epoch on {_QUICK_IMAGES} small images")
    parser.add_argument("--cvlib-python", default=sys.executable, metavar="PYTHON", help="the Python that runs cvlib, "
                        "if the peers are in another environment")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="JSON", help="file to continue (default: a new one in --work)")
    parser.add_argument("--output", type=Path, metavar="MD", help="file for the table")
    parser.add_argument("--work", type=Path, default=Path("outputs/accuracy"), help="folder for runs and logs")
    chosen = parser.parse_args()
    if chosen.tiles and chosen.task != "segmentation":
        parser.error("--tiles is only for segmentation")
    if chosen.quick:
        vars(chosen).update(_QUICK)
    chosen.folder, chosen.work = chosen.folder.absolute(), chosen.work.absolute()
    return chosen


def _data(chosen: argparse.Namespace) -> list[str]:
    """Return the overrides for the data, with one split for all seeds."""
    return ["data=folder", f"data.path='{chosen.folder}'", "data.split_seed=0", *chosen.data]


def _export(chosen: argparse.Namespace, selected: list[Row], work: Path) -> Path:
    """Write what cvlib reads in the folder to a file for all rows, and return the file."""
    file = work / "collection.json"
    model = rows.known(chosen.task)["ours"].overrides
    limit = _QUICK_IMAGES if chosen.quick else 0
    command = [chosen.cvlib_python, "-m", "accuracy_parts.collection", str(file), str(limit), *model, *_data(chosen)]
    job.run(command, work / "collection.log", chosen.cores, [job.BENCHMARKS, job.ROOT])
    return file


def _settings(chosen: argparse.Namespace, shared: Path) -> dict[str, Any]:
    """Return what all results of a file have in common."""
    names = ("task", "epochs", "image_size", "batch_size", "cores", "tiles", "data")
    return {"folder": chosen.folder.name, "collection": job.read(shared)["fingerprint"],
            **{name: getattr(chosen, name) for name in names}}  # fmt: skip


def _description(chosen: argparse.Namespace) -> str:
    return (f"{chosen.task} on {chosen.folder.name}: {chosen.epochs} epochs, {chosen.image_size} px, "
            f"batch size {chosen.batch_size}, {chosen.cores} cores, {chosen.seeds} seeds")  # fmt: skip


def _train(chosen: argparse.Namespace, selected: list[Row], shared: Path, results: Results, work: Path) -> list[str]:
    """Train all rows with one seed after the other; return the names of the trainings that failed."""
    failed = []
    for seed in range(chosen.seeds):
        for row in selected:
            if row.missing() or results.find(row.name, seed, row.overrides, row.recipe()):
                continue
            one = Job(
                chosen.task, row.name, row.model, row.imagenet, row.overrides, seed, shared,
                work / f"{row.name}-{seed}", chosen.epochs, chosen.image_size, chosen.batch_size, chosen.cores,
                chosen.tiles, chosen.quick,
            )  # fmt: skip
            print(f"{row.name}, seed {seed}: training in {one.folder}, load {os.getloadavg()[0]:.1f}", flush=True)
            try:
                entry = _result(chosen, row, one)
            except Failed as error:
                print(error, file=sys.stderr)
                failed.append(one.folder.name)
                continue
            results.add(entry, measure.machine())
            values = ", ".join(f"{name} {value:.3f}" for name, value in entry["metrics"].items())
            print(f"  {values}; {entry['train_seconds']:.0f} s", flush=True)
    return failed


def _result(chosen: argparse.Namespace, row: Row, one: Job) -> dict[str, Any]:
    """Train and score one row with one seed, and return its result."""
    one.write()
    used = job.run(_command(chosen, row, one), one.folder / "train.log", chosen.cores,
                   [job.ROOT] if row.overrides else [job.BENCHMARKS])  # fmt: skip
    load = os.getloadavg()[0]
    command = [chosen.cvlib_python, "-m", "accuracy_parts.scores", str(one.file)]
    job.run(command, one.folder / "scores.log", chosen.cores, [job.BENCHMARKS, job.ROOT])
    return {
        "row": row.name, "seed": one.seed, "overrides": row.overrides, "recipe": row.recipe(),
        "metrics": job.read(one.folder / "scores.json"), **job.read(one.result),
        "process_seconds": used.seconds, "processor_seconds": used.processor, "peak_mib": used.peak_mib,
        "load": load, "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def _command(chosen: argparse.Namespace, row: Row, one: Job) -> list[str]:
    """Return the command that trains a row."""
    if not row.overrides:
        return [sys.executable, "-m", f"accuracy_parts.{row.trainer}", str(one.file)]
    size = f"data.tiles={one.image_size}" if one.tiles else f"data.image_size={one.image_size}"
    return [
        chosen.cvlib_python, "-m", "cvlib.cli", "train", *row.overrides, *_data(chosen), size,
        f"data.batch_size={one.batch_size}", f"trainer.epochs={one.epochs}", f"seed={one.seed}",
        *(["trainer.steps_per_epoch=2"] if one.quick else []), f"hydra.run.dir='{one.folder / 'run'}'",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
