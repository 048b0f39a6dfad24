"""The page's script in a browser: tables sort and filter, and the figures follow the filter."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cvlib.compare import compare

MakeRun = Callable[..., Path]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome")
HELPERS = """
const table = document.querySelector("section table");
const heading = (text) => [...table.tHead.rows[0].cells].find((cell) => cell.textContent.startsWith(text));
const column = (text) => [...table.tBodies[0].rows].filter((row) => row.offsetParent !== null || row.offsetHeight)
  .map((row) => row.cells[heading(text).cellIndex].textContent);
const shown = (selector) => [...document.querySelectorAll(selector)].filter((part) => !part.closest(".off"))
  .map((part) => part.textContent);
const enter = (control, text) => { control.value = text; control.dispatchEvent(new Event("input", {bubbles: true})); };
"""


def in_browser(folder: Path, page: str, code: str) -> Any:
    """Return what the body of a JavaScript function returns in the page."""
    script = f"<script>{{{HELPERS} const result = (() => {{{code}}})();"
    script += (
        'document.body.innerHTML = "<pre></pre>"; document.querySelector("pre").textContent = JSON.stringify(result);}'
    )
    (folder / "page.html").write_text(page.replace("</body>", script + "</script></body>"), encoding="utf-8")
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
               "--dump-dom", (folder / "page.html").as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"{BROWSER} does not start: {done.stderr[-200:]}")
    found = re.search("<pre>(.*)</pre>", done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.fixture
def page(tmp_path: Path, make_run: MakeRun) -> str:
    """Return the page of 2 x 2 groups; one of them has no training time."""
    hits = {(0.1, "scratch"): 3, (0.1, "finetune"): 6, (1.0, "scratch"): 8, (1.0, "finetune"): 9}
    times = {(0.1, "finetune"): 64, (1.0, "finetune"): 9, (1.0, "scratch"): 100}
    for (fraction, mode), right in hits.items():
        timing = {"train": times[fraction, mode]} if (fraction, mode) in times else {}
        for seed in (1, 2):
            changes = {"data.fraction": fraction, "mode.name": mode, "seed": seed}
            results = [1] * right + [0] * (10 - right)
            make_run(f"runs/{fraction}{mode}{seed}", changes, right=results, timing=timing)
    return compare([tmp_path / "runs"], print, form="html").replace("\u00a0", " ")


def test_a_click_sorts_by_value_and_a_third_click_restores_the_order(tmp_path: Path, page: str) -> None:
    found = in_browser(tmp_path, page, """
        const seen = [column("training")];
        for (let click = 0; click < 3; click += 1) {
          heading("training").querySelector("button").click();
          seen.push([heading("training").getAttribute("aria-sort"), column("training")]);
        }
        heading("mode").querySelector("button").click();
        return [...seen, column("mode"), document.querySelectorAll("th[aria-sort]").length];
    """)  # fmt: skip
    original = ["1 min 4 s", "–", "9.0 s", "1 min 40 s"]
    assert found == [
        original, ["descending", ["1 min 40 s", "1 min 4 s", "9.0 s", "–"]],
        ["ascending", ["9.0 s", "1 min 4 s", "1 min 40 s", "–"]], [None, original],
        ["finetune", "finetune", "scratch", "scratch"], 1,
    ]  # fmt: skip


def test_the_filter_selects_rows_and_figures(tmp_path: Path, page: str) -> None:
    found = in_browser(tmp_path, page, """
        const [words] = document.querySelectorAll(".filter input");
        const [mode, fraction] = document.querySelectorAll(".filter select");
        const state = () => [column("#"), shown(".panels .title"), document.querySelector(".filter output").value];
        const seen = [[...fraction.options].map((option) => option.text), state()];
        enter(fraction, "1");
        seen.push(state());
        enter(words, "SCRATCH 0.1");
        seen.push(state()[0]);
        enter(fraction, "");
        seen.push(state()[0], shown(".figures .panels g.s1 .line title"), shown(".figures .panels g.s0 .line title"));
        enter(words, "");
        seen.push(state()[0]);
        return seen;
    """)  # fmt: skip
    both = ["data.fraction=0.1", "data.fraction=1"]
    assert found == [
        ["all", "0.1", "1"],
        [["3", "4", "1", "2"], both * 3, ""],
        [["1", "2"], both[1:] * 3, "2 of 4 rows, also in the figures"],
        [],
        ["4"], ["scratch", "scratch"], [],
        ["3", "4", "1", "2"],
    ]  # fmt: skip


def test_the_page_is_complete_without_the_script(page: str) -> None:
    before = page[: page.index("<script>")]
    assert "<button" not in before and "<input" not in before and 'class="off"' not in before
    assert before.count("<tr") == page.count("<tr")
