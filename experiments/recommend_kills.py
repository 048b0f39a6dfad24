"""Kill a recommendation again and again, and compare its decisions before and after every kill.

    python experiments/recommend_kills.py [--kills 20] [--seed 0] [--outputs DIR] [DATA --minutes 4 …]

Each time, the process gets SIGKILL after a random number of seconds, and the same command is given again. The command
fails if a decision in the journal was changed, lost or made twice, or if the test part was read more than once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Kill, restart, and let the last call end; print what happened, and return 1 if a decision differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the seconds until each kill")
    parser.add_argument("--shortest", type=float, default=6, help="seconds until a kill, at least")
    parser.add_argument("--longest", type=float, default=30)
    parser.add_argument("--outputs", type=Path, default=Path("outputs/kills"))
    chosen, words = parser.parse_known_args()
    words = words or ["digits", "--minutes", "4"]
    command = [sys.executable, "-m", "cvlib.cli", "recommend", *words, "--name", "killed", "--outputs",
               str(chosen.outputs)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    journal = chosen.outputs / "sweeps" / "recommend-killed" / "recommend.jsonl"
    if journal.exists():
        sys.exit(f"{journal} exists: give another --outputs")
    draw, before, kills = random.Random(chosen.seed), list[str](), 0
    while True:
        seconds = draw.uniform(chosen.shortest, chosen.longest) if kills < chosen.kills else None
        done = _run(command, environment, seconds)
        kills += done is None
        now = _decisions(journal)
        if now[: len(before)] != before:
            print(f"kill {kills}: a decision was changed or lost")
            return 1
        how = "ended" if done is not None else f"kill {kills} after {seconds:.0f} s"
        print(f"{how}: {len(before)} decisions kept, {len(now) - len(before)} new", flush=True)
        before = now
        if done is not None:
            break
    names = [json.loads(line)["what"] for line in before]
    twice, tests = len(names) - len(set(names)), sum(name.startswith("test of ") for name in names)
    print(f"{kills} kills, exit code {done}; {twice} decisions made twice; the test part was read {tests} times; "
          f"{json.loads(before[-1])['used']:.0f} s used")  # fmt: skip
    return int(done != 0 or twice != 0 or tests != 1)


def _run(command: list[str], environment: dict[str, str], seconds: float | None) -> int | None:
    """Return the exit code of the command; None if it was killed after `seconds`, which its own children survive."""
    try:
        return subprocess.run(command, env=environment, timeout=seconds, stdout=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return None


def _decisions(journal: Path) -> list[str]:
    """Return the whole lines of the journal."""
    content = journal.read_text(encoding="utf-8") if journal.is_file() else ""
    return content[: content.rfind("\n") + 1].splitlines()


if __name__ == "__main__":
    sys.exit(main())
