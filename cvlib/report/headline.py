"""The main result of a run in words, with its interval."""

from __future__ import annotations

from html import escape

import numpy as np

from cvlib.compare import statistics
from cvlib.compare.runs import sample_values
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.run import Run


def headline(run: Run) -> str:
    """Return the main metric on test with its interval, or that on validation for an unfinished run; else empty."""
    metric = run.headline
    value = run.metric(metric)
    if value is None:
        metric = metric.replace("test/", "val/", 1)
        value = run.metric(metric)
    if value is None:
        return ""
    return f'<div class="verdict"><p><b>{escape(sentence(run, metric, value))}</b></p>{_about(run, metric)}</div>'


def sentence(run: Run, metric: str, value: float) -> str:
    """Return the metric with its 95 % interval, if the run's test results allow for one."""
    spec, limits = run.metric_spec(metric), interval(run, metric)
    text = f"{metric} {shown(value, spec)}"
    return text if limits is None else f"{text} (95 % interval {shown(limits[0], spec)} to {shown(limits[1], spec)})"


def interval(run: Run, metric: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a metric of this network for new test images; None if it can't be computed."""
    found, spec = sample_values(run, metric), run.metric_spec(metric)
    if found is None or spec.sample == "own":
        return None
    low, high = statistics.network_interval(np.array(found[1]), spec.low, spec.high)
    return None if np.isnan(low) else (low, high)


def shown(value: float, spec: MetricSpec) -> str:
    """Return a metric as text, such as `91.2 %`."""
    return f"{100 * value:.1f} %" if spec.in_percent else f"{value:.4f}"


def _about(run: Run, metric: str) -> str:
    if not metric.startswith("test/"):
        kept = run.settings.get("trainer.test") is False
        why = (
            "trainer.test=false leaves the test images unread" if kept else "a run evaluates the test images at its end"
        )
        return f"<p>On validation images; {why}.</p>"
    count = (run.summary.get("samples") or {}).get("test")
    images = f"{count} test images. " if count else ""
    return f"<p>{images}The interval is for this network on other images; other seeds are not included.</p>"
