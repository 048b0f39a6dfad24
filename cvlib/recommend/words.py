"""The recommendation in sentences."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cvlib.compare.verdict import p_text, scaling
from cvlib.recommend import finish
from cvlib.recommend.ranking import Ranked
from cvlib.recommend.result import Result
from cvlib.recommend.session import Session, Trained, validation_metric
from cvlib.report import parts
from cvlib.report.headline import interval, shown
from cvlib.runs.run import read_run
from cvlib.runtime.clock import duration

_ALONE = "Only one candidate was trained: there was too little time to say more than this."
_UNTESTED = "With one seed each, the difference can't be tested: there was too little time to say more than this."


def verdict(session: Session, result: Result) -> Iterator[str]:
    """Yield the verdict: which candidate is best, and how surely."""
    best, look = result.best, result.look
    spec = finish.winner(result).run.metric_specs[0]
    metric = validation_metric(finish.winner(result).run.summary)
    mean = float(np.mean([run.value for run in result.finals[best]]))
    seeds = len(result.finals[best])
    count = f"{seeds} seeds" if seeds > 1 else "one seed"
    yield f"{best.name} is recommended: {metric} {shown(mean, spec)} ({count})."
    if mean == spec.low and spec.higher_is_better:
        yield "This is the lowest possible value: no candidate has learned the task in this time."
    names = list(result.finals)
    if look is not None and look.against:
        scale, digits, unit = scaling(spec)
        for one in look.against:
            low, high, lead = (scale * number for number in
                               (one.estimate.low, one.estimate.high, one.estimate.difference))  # fmt: skip
            told = "is clearly ahead of" if one.corrected < session.settings.alpha else "is not clearly ahead of"
            interval = f"95 % interval {low:.{digits}f} to {high:.{digits}f}"
            yield (f"{names[look.leader].name} {told} {names[one.other].name}: {lead:.{digits}f}{unit} on validation "
                   f"({interval}; {p_text(one.corrected)} after correction).")  # fmt: skip
    elif len(names) > 1:
        others = {one: [run.value for run in runs if run.value is not None]
                  for one, runs in result.finals.items() if one != best}  # fmt: skip
        known = [f"{one.name} {shown(float(np.mean(values)), spec)}" for one, values in others.items() if values]
        why = _UNTESTED if seeds == 1 else "The results can't be compared image by image."
        yield f"The other finalists reached: {', '.join(known)} ({count}). {why}"
    else:
        yield _ALONE if result.untried and not result.short else "There was no other finalist."
    for failed, error in result.failed.items():
        yield f"{failed.name} failed in the finals: {error.rstrip('.')}."
    if result.why_ended:
        yield f"No more seeds were trained, because {result.why_ended}."
    yield from _restrictions(session)


def _restrictions(session: Session) -> Iterator[str]:
    """Yield what all runs had to do without, for lack of time."""
    for override in session.shared:
        key, _, value = override.partition("=")
        if key == "data.image_size":
            yield f"All runs used images of {value}×{value} pixels, smaller than usual, to fit into the time."
        else:
            yield f"All runs used {100 * float(value):.3g} % of the training images, to fit into the time."


def tested(target: Path) -> str:
    """Return the sentence on the test part."""
    found = read_run(target)
    metric, spec = found.headline, found.metric_specs[0]
    value, span = found.metric(metric), interval(found, found.headline)
    if value is None:
        return "The test part was not read."
    words = f"On the test part, which no decision looked at, {metric} is {shown(value, spec)}"
    if span is None:
        return words + "."
    return f"{words} (95 % interval {shown(span[0], spec)} to {shown(span[1], spec)}, for this network)."


def next_steps(session: Session, result: Result, ranked: Sequence[Ranked], again: str) -> Iterator[str]:
    """Yield what would be worth doing next."""
    if result.out_of_time:
        more = f"{again} --minutes {2 * session.settings.minutes:g}"
        yield f"To be surer, give it more time; it continues from here: {more}"
    elif not (result.look is not None and result.look.clear) and len(result.finals) > 1:
        yield "More time gives no more seeds. Only more validation images can tell the finalists apart."
    cut = [run for runs in result.finals.values() for run in runs if run.minutes is not None]
    if cut:
        longest = duration(60 * (cut[0].minutes or 0))
        yield (f"Training in the finals was limited to {longest}, to fit into the time. With several times as many "
               "minutes, the finals are held again with longer training.")  # fmt: skip
    if result.untried:
        names = ", ".join(one.name for one in result.untried)
        yield f"Not tried, because of the time: {names}. They are tried if you give it several times as many minutes."
    if session.shared:
        yield f"Train the winner again without {session.shared[0]}, or give more minutes with another --name."
    at_hand = session.journal.get("backbones at hand", [])
    if len(ranked) < len(at_hand):
        yield f"{len(at_hand) - len(ranked)} of {len(at_hand)} pretrained backbones at hand were not ranked."
    elif len(at_hand) == 1:
        yield "Only one pretrained backbone was at hand: pip install 'cvlib-experiments[lite]' adds two."


def commands(session: Session, run: Trained, target: Path) -> list[tuple[str, str]]:
    """Return what a person wants to do with the winner, and the command for it."""
    given = parts.overrides(run.folder) or []
    kept = [one for one in given if one != "trainer.test=false" and not one.startswith("output_root=")]
    metric = validation_metric(run.run.summary)
    return [
        ("Train it again", parts.command(kept)),
        ("Predict", f"cvlib predict {shlex.quote(str(target))} IMAGES"),
        ("Export", f"cvlib export {shlex.quote(str(target))} --format onnx"),
        ("Compare all runs", f"cvlib compare {shlex.quote(str(session.folder))} --metric {metric}"),
    ]


def method(session: Session, result: Result) -> Iterator[str]:
    """Yield how the recommendation was decided."""
    settings = session.settings
    read = sum(what.startswith(finish.TEST) for what in session.journal.names)
    times = "once, after the winner was fixed" if read < 2 else f"{read} times, each for the winner of that call"
    yield f"All decisions looked at training and validation images only. The test part was read {times}."
    yield ("After every round of seeds, the finalists are compared by a t-test over seeds and paired validation "
           f"images. The chance of {100 * settings.alpha:g} % to tell equal finalists apart is spread over "
           f"{settings.most_seeds} looks (Bonferroni) and, at each look, over all pairs (Holm). Four fifths of it are "
           "for the first finals.")  # fmt: skip
    short = sum(len(runs) for runs in result.short)
    if short:
        yield (f"{short} short runs chose the finalists. They are compared by one number each, without a test, so a "
               "candidate that was left out there may still be good.")  # fmt: skip
    yield f"It took {duration(session.journal.elapsed)} of {settings.minutes:g} minutes."


def rows(result: Result) -> list[dict[str, str]]:
    """Return a row for each candidate that was trained, best first."""
    lines = []
    for name, (stage, runs) in result.last_runs.items():
        done = [run for run in runs if run.value is not None]
        row = {"candidate": name, "reached": stage, "seeds": str(len(done))}
        if not done:
            lines.append({**row, "validation": "failed", "training": "–", "parameters": "–", "latency": "–"})
            continue
        spec, total = done[0].run.metric_specs[0], done[0].run.number("parameters", "total")
        seconds = [run.run.number("timing", "train") or 0.0 for run in done]
        mean = float(np.mean([run.value for run in done if run.value is not None]))
        measured = done[0].run.benchmark
        taken = measured.number("keras", "latency_ms") if measured else None
        lines.append({**row, "validation": shown(mean, spec), "training": duration(float(np.mean(seconds))),
                      "parameters": f"{total:,.0f}" if total else "–",
                      "latency": f"{taken:.3g} ms" if taken else "–"})  # fmt: skip
    return lines
