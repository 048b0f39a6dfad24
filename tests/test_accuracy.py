"""`experiments/benchmarks/accuracy.py`: intervals, continued results, scores, and a short comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "experiments/benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in [name for name in sys.modules if name.startswith("accuracy_parts")]:
        del sys.modules[name]


def entry(row: str, seed: int, value: float, overrides: tuple[str, ...] = ()) -> dict[str, object]:
    return {"row": row, "seed": seed, "overrides": list(overrides), "metrics": {"mAP": value}, "train_seconds": 10,
            "processor_seconds": 20, "parameters": 3_012_018, "peak_mib": 1000.4}  # fmt: skip


def test_the_table_has_students_interval_and_survives_a_stop(tmp_path: Path) -> None:
    from accuracy_parts.results import Results

    file = tmp_path / "results.json"
    for seed, value in enumerate((0.1, 0.2, 0.3)):  # opened again each time, as after a stop
        Results(file, {"epochs": 2}).add(entry("yolov8n", seed, value), {"cores": 2})
    results = Results(file, {"epochs": 2})
    results.add({**entry("ours", 0, 0.5, ("model=yolo",)), "predict_speed": 41.3}, {"cores": 4})
    assert results.table(["mAP"]).splitlines()[2:] == [  # 4.303 · 0.1 / √3 = 0.248
        "| yolov8n | 3 | 0.200 ± 0.248 | 10 | 20 | 3.01 M | 1,000 | – |",
        "| ours | 1 | 0.500 | 10 | 20 | 3.01 M | 1,000 | 41.3 |",
    ]
    assert [one["machine"] for one in results.entries] == [0, 0, 0, 1]
    assert results.find("yolov8n", 2, []) is not None
    assert results.find("yolov8n", 3, []) is None
    with pytest.raises(ValueError, match="has results of yolov8n with other versions or other code"):
        results.find("yolov8n", 2, [], "another recipe")


def test_results_with_other_settings_or_overrides_are_refused(tmp_path: Path) -> None:
    from accuracy_parts.results import Results

    file = tmp_path / "results.json"
    results = Results(file, {"epochs": 2, "cores": 2})
    results.add(entry("s", 0, 0.5, ("model.size=s",)), {})
    with pytest.raises(ValueError, match=r"epochs 2 \(now 3\); choose another --results"):
        Results(file, {"epochs": 3, "cores": 2})
    with pytest.raises(ValueError, match=r"results of s with other overrides"):
        results.find("s", 1, ["model.size=m"])


def test_further_rows_of_cvlib_start_from_its_own() -> None:
    from accuracy_parts import rows

    chosen = rows.chosen(
        "detection", "yolov8n,ours", ["s=model.size=s trainer.ema=0.99", "grid=model=yolo model.head=grid"]
    )
    assert [row.name for row in chosen] == ["yolov8n", "ours", "s", "grid"]
    assert [row.overrides for row in chosen[2:]] == [
        ["model=yolo", "model.size=s", "trainer.ema=0.99"],
        ["model=yolo", "model.head=grid"],
    ]
    with pytest.raises(ValueError, match="unknown unet; known for detection: ours, ours-imagenet, yolov8n, yolo11n"):
        rows.chosen("detection", "unet", [])
    with pytest.raises(ValueError, match="expected a new name"):
        rows.chosen("detection", None, ["ours=model.size=s"])


def test_scores_of_boxes_masks_and_classes(tmp_path: Path) -> None:
    from accuracy_parts import scores
    from accuracy_parts.collection import Sample

    label = {"corners": [[0, 0, 10, 10], [20, 20, 40, 40]], "classes": [0, 1], "crowd": [False, False]}
    found = [{"image_id": 0, "category_id": label, "score": 0.9, "bbox": box}
             for label, box in ((0, [0, 0, 10, 10]), (1, [20, 20, 20, 12]))]  # fmt: skip
    # The second box has an IoU of 0.6: right for the thresholds 0.50, 0.55 and 0.60.
    metrics = scores.of_boxes([Sample("", 50, 50, label)], 2, found)
    assert metrics == pytest.approx({"mAP": (1 + 0.3) / 2, "mAP50": 1, "mAP75": 0.5})
    truth, guess = np.array([[0, 0, 1, 1, 255]], np.uint8), np.array([[0, 1, 1, 1, 0]], np.uint8)
    Image.fromarray(truth).save(tmp_path / "truth.png")
    Image.fromarray(guess).save(tmp_path / "000000.png")
    metrics = scores.of_masks([Sample("", 1, 5, str(tmp_path / "truth.png"))], 2, tmp_path)
    assert metrics["mIoU"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics["pixel_accuracy"] == 0.75
    assert scores.of_classes([0, 0, 1, 1], [0, 1, 1, 1])["accuracy"] == 0.75


def test_peers_get_the_images_splits_and_labels_that_cvlib_reads(tmp_path: Path) -> None:
    from accuracy_parts.collection import export
    from accuracy_parts.yolo_peer import write_yolo

    import cvlib

    place = ROOT / "cvlib/data/photographs/cards"
    dataset = cvlib.load_data("model=yolo", "data=folder", f"data.path={place}")
    shared = export(dataset, tmp_path / "files", limit=0)
    assert {name: len(samples) for name, samples in shared.splits.items()} == {
        name: len(split) for name, split in dataset.splits.items()
    }
    again = export(dataset, tmp_path / "elsewhere", limit=0)
    assert again.fingerprint == shared.fingerprint
    data = write_yolo(shared, tmp_path / "yolo")
    boxes, sample = dataset.val.labels[0], shared.splits["val"][0]
    lines = np.loadtxt(data.parent / "labels/val/000000.txt", ndmin=2)
    assert lines[:, 0].tolist() == boxes.classes[~boxes.crowd].tolist()
    centres, sides = lines[:, 1:3] * [sample.width, sample.height], lines[:, 3:] * [sample.width, sample.height]
    np.testing.assert_allclose(
        np.hstack([centres - sides / 2, centres + sides / 2]), boxes.corners[~boxes.crowd], atol=1e-2
    )
    assert (data.parent / "images/val/000000.jpg").read_bytes() == Path(sample.file).read_bytes()


@pytest.mark.slow
def test_a_quick_comparison_trains_cvlib_and_leaves_out_missing_peers(tmp_path: Path) -> None:
    from accuracy_parts import rows

    random, images, results = np.random.default_rng(0), tmp_path / "images", tmp_path / "results.json"
    for place in (f"{split}/{label}" for split in ("train", "val", "test") for label in ("dark", "bright")):
        (images / place).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 128, (24, 24, 3)) + (128 if place.endswith("bright") else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(images / place / f"{number}.png")
    command = [sys.executable, FOLDER / "accuracy.py", "classification", images, "--rows", "ours,timm", "--quick",
               "--work", tmp_path / "work", "--results", results]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    missing = rows.known("classification")["timm"].missing()
    assert "| ours | 1 | " in done.stdout
    assert (f"timm: left out, because {missing} isn't installed" if missing else "| timm | 1 | ") in done.stdout
    (result, *_) = json.loads(results.read_text())["results"]
    assert result["metrics"]["accuracy"] == result["recorded"]["accuracy"]
    assert 100 < result["peak_mib"] < 10_000
