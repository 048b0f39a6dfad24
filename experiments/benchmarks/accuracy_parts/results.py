"""The results file, which a stopped script continues, and the table that is made from it."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

# Student's t: quantile 0.975 for 1, 2, … 30 degrees of freedom; with more, the last one, which is larger than the exact
# one by at most 0.08. The table needs no SciPy in the environment of the peers.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
      2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
      2.042)  # fmt: skip


class Results:
    """The results in a file; each is saved when it is added."""

    def __init__(self, file: Path, settings: dict[str, Any]):
        """Open the file; raise `ValueError` if it holds results with other settings."""
        self.file = file
        self.settings = settings
        self.entries: list[Entry] = []
        self.machines: list[dict[str, Any]] = []
        if file.exists():
            content = json.loads(file.read_text())
            different = [key for key in settings if content["settings"].get(key) != settings[key]]
            if different:
                values = ", ".join(f"{key} {content['settings'].get(key)} (now {settings[key]})" for key in different)
                raise ValueError(f"{file} has results with other settings: {values}; choose another --results")
            self.entries, self.machines = content["results"], content["machines"]

    def find(self, row: str, seed: int, overrides: Sequence[str], recipe: str = "") -> Entry | None:
        """Return the result of a row and a seed; raise `ValueError` if it has other overrides or another recipe."""
        for entry in self.entries:
            if entry["row"] == row and entry["overrides"] != list(overrides):
                raise ValueError(f"{self.file} has results of {row} with other overrides: {entry['overrides']}; "
                                 "choose another name or --results")  # fmt: skip
            if entry["row"] == row and entry.get("recipe", "") != recipe:
                raise ValueError(f"{self.file} has results of {row} with other versions or other code: choose another "
                                 "--results")  # fmt: skip
            if (entry["row"], entry["seed"]) == (row, seed):
                return entry
        return None

    def add(self, entry: Entry, machine: dict[str, Any]) -> None:
        """Add a result, and save the file."""
        if machine not in self.machines:
            self.machines.append(machine)
        self.entries.append({**entry, "machine": self.machines.index(machine)})
        content = {"settings": self.settings, "machines": self.machines, "results": self.entries}
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n")
        temporary.replace(self.file)

    def table(self, metrics: Sequence[str]) -> str:
        """Return a Markdown table with a line for each row, in the order of the results."""
        header = ["row", "seeds", *metrics, "training s", "processor s", "parameters", "memory MiB",
                  "predicted images/s"]  # fmt: skip
        lines = [header, ["---", *["---:"] * (len(header) - 1)]]
        for row in dict.fromkeys(entry["row"] for entry in self.entries):
            own = [entry for entry in self.entries if entry["row"] == row]
            measured = [mean_with_interval([entry["metrics"][metric] for entry in own]) for metric in metrics]
            costs = [f"{statistics.mean(entry[cost] for entry in own):,.0f}" for cost in
                     ("train_seconds", "processor_seconds", "parameters", "peak_mib")]  # fmt: skip
            costs[2] = f"{own[0]['parameters'] / 1e6:.2f} M"
            speeds = [entry["predict_speed"] for entry in own if "predict_speed" in entry]
            costs.append(f"{statistics.mean(speeds):,.3g}" if speeds else "–")
            lines.append([row, str(len(own)), *measured, *costs])
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def mean_with_interval(values: Sequence[float]) -> str:
    """Return the mean, with two or more values ± half of its 95 % interval by Student's t."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = _T[min(len(values) - 1, len(_T)) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.3f} ± {half:.3f}"
