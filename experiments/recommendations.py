"""Run `cvlib recommend` on several collections, and write what it says to a table.

    python experiments/recommendations.py [--only digits] [--also "PATH --minutes 15"] [--output FILE]
    python experiments/recommendations.py --ranking clothing=outputs/sweeps/photos_backbones

The outputs are kept in `--outputs`. A recommendation that is finished there is only read. `--ranking NAME=SWEEP` adds
the rank correlation (Spearman) of the ranking in the recommendation NAME with the validation accuracy of the fine-tuned
runs of a sweep that has every ranked backbone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from cvlib.runtime.clock import duration

ROOT = Path(__file__).parents[1]
COMMANDS = {  # the words after cvlib recommend
    "digits": "digits --minutes 5",
    "letters": "letters --minutes 5",
    "clothing": "clothing --minutes 8",
    "cats_dogs": "cats_dogs --task segmentation --minutes 8",
    "cards": "cards --minutes 9",
}
HEADER = "| data | minutes, used | verdict on validation | test part, read once |\n|---|---:|---|---|"


def main() -> int:
    """Run or read the recommendations, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=COMMANDS, help="only this dataset (may be repeated)")
    parser.add_argument("--also", action="append", default=[], metavar="WORDS", help="the words after cvlib recommend")
    parser.add_argument("--ranking", action="append", default=[], metavar="NAME=SWEEP")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), metavar="DIR")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to this Markdown file")
    chosen = parser.parse_args()
    outputs = chosen.outputs.absolute()
    lines = [HEADER, *(recommendation(words, outputs) for words in [*commands(chosen.only), *chosen.also])]
    text = "\n".join([f"Processor cores: {len(os.sched_getaffinity(0))}, shared with other work.", "", *lines, ""])
    for one in chosen.ranking:
        name, _, sweep = one.partition("=")
        text += "\n" + ranking(outputs / "sweeps" / f"recommend-{name}" / "recommend.jsonl", Path(sweep))
    print(text)
    if chosen.output:
        chosen.output.write_text(f"# Recommendations\n\n{text}", encoding="utf-8")
    return 0


def commands(only: list[str] | None) -> list[str]:
    """Return the words after `cvlib recommend` for the chosen datasets."""
    return [words for name, words in COMMANDS.items() if only is None or name in only]


def recommendation(words: str, outputs: Path) -> str:
    """Run `cvlib recommend` or read what it has found, and return a line of the table."""
    command = [sys.executable, "-m", "cvlib.cli", "recommend", *shlex.split(words), "--outputs", str(outputs)]
    print(f"cvlib recommend {words}", file=sys.stderr, flush=True)
    done = subprocess.run(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    if done.returncode:
        sys.exit(f"cvlib recommend {words}: {done.stderr.strip()}")
    return row(words, outputs)


def row(words: str, outputs: Path) -> str:
    """Return a line of the table: the words, the time, the verdict, and the result on the test part."""
    source, *options = shlex.split(words)
    called = options[options.index("--name") + 1] if "--name" in options else Path(source).name
    found = json.loads((outputs / "recommended" / called / "recommendation.json").read_text(encoding="utf-8"))
    verdict = [line for line in found["verdict"][:-1] if not line.startswith("No more seeds")]
    test = found["verdict"][-1].removeprefix("On the test part, which no decision looked at, ")
    test = test.removesuffix(".").replace(", for this network", "")
    minutes = f"{found['minutes']:g}, {duration(found['seconds'])}"
    shown = re.sub(r" --(minutes|name) \S+", "", " ".join([Path(source).name, *options]))
    return f"| `{shown}` | {minutes} | {' '.join(verdict)} | {test} |"


def ranking(journal: Path, sweep: Path) -> str:
    """Return the rank correlation of the probe's accuracy with that of the fine-tuned runs, and both numbers."""
    probes, tuned = probes_of(journal), fine_tuned(sweep)
    names = [name for name in probes if name in tuned]
    one, other = ([values[name] for name in names] for values in (probes, tuned))
    rho = float(stats.spearmanr(one, other).statistic)
    # Fisher's transformation with the variance of Bonett & Wright (2000)
    reach = 1.96 * np.sqrt((1 + rho**2 / 2) / (len(names) - 3)) if len(names) > 3 else np.inf
    low, high = (float(np.tanh(np.arctanh(np.clip(rho, -0.999, 0.999)) + sign * reach)) for sign in (-1, 1))
    table = ["| backbone | linear probe | fine-tuned, validation |", "|---|---:|---:|"]
    for probe, tuned_to, name in sorted(zip(one, other, names, strict=True), reverse=True):
        table.append(f"| {name} | {100 * probe:.1f} % | {100 * tuned_to:.1f} % |")
    return (f"Ranking of {len(names)} pretrained backbones against fine-tuning each: Spearman's rank correlation "
            f"{rho:.2f} (95 % interval {low:.2f} to {high:.2f}).\n\n" + "\n".join(table) + "\n")  # fmt: skip


def probes_of(journal: Path) -> dict[str, float]:
    """Return the probe's accuracy of every ranked backbone, by name."""
    found = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["what"].startswith("rank ") and isinstance(entry["value"], dict) and "probe" in entry["value"]:
            name = re.sub(r" .* from ", " from ", entry["what"].removeprefix("rank "))  # earlier journals have options
            found[name] = float(entry["value"]["probe"])
    return found


def fine_tuned(sweep: Path) -> dict[str, float]:
    """Return the mean validation accuracy of a sweep's fine-tuned runs, by the ranking's name of their backbone."""
    from cvlib.compare import runs

    found: dict[str, list[float]] = defaultdict(list)
    for run in runs.find([sweep], lambda line: None):
        value = (run.summary.get("metrics") or {}).get("val/accuracy")
        if run.mode == "finetune" and value is not None:
            found[backbone(run.config)].append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def backbone(config: dict[str, Any]) -> str:
    """Return the name of a run's backbone as the ranking writes it."""
    model, weights = config["model"], str(config["mode"]["weights"])
    if "/" in weights:
        return f"{model['name']} from {Path(weights).name}"
    variant = model.get("variant")
    return f"{model['name']} {variant}" if variant else str(model["name"])


if __name__ == "__main__":
    sys.exit(main())
