"""One run from start to finish: data → task → network → transfer → fit → evaluate → record."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib import data, tasks
from cvlib.config.schema import AUTO, Config, as_mapping
from cvlib.data import splits
from cvlib.data.dataset import Dataset
from cvlib.data.input_spec import InputSpec
from cvlib.models import backbones
from cvlib.runs import more_epochs
from cvlib.runs.follower import Follower, opened
from cvlib.runs.record import Record, run_name
from cvlib.runs.run import read_run
from cvlib.runs.unrecorded import Unrecorded
from cvlib.runtime import backend, hardware, processes
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import require_utf8
from cvlib.runtime.output import lasting
from cvlib.training import batch_search, data_parallel, rematerialize
from cvlib.transfer import initial_run, pretraining, regimes, sources

if TYPE_CHECKING:
    import numpy as np

    from cvlib.models.network import Network
    from cvlib.models.run_state import RunState
    from cvlib.training.lr_search import Found
    from cvlib.training.training import OnEpoch, Training


def run(
    config: Config, folder: Path, provenance: dict[str, str] | None = None, wait: float = 0,
    on_epoch: OnEpoch | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run the experiment that `config` describes in `folder` and return its summary.

    With several processes, process 0 has the summary, and the others have an empty one.
    An unfinished run of the same config is resumed. A completed run is not changed. Raises `UserError` for invalid
    input, in which case nothing is written, and `RunFailed` if the run fails.

    Args:
        provenance: further files for the folder, as name → text.
        wait: how many seconds to wait for another process that is writing the run; −1: until it ends.
        on_epoch: called after every epoch with its number and its row of metrics.csv; may raise `Pruned`.
    """
    _check(config)
    require_utf8(folder)
    _refuse_in_data(config, folder)
    mapping = as_mapping(_resolved(config, folder))
    place = data_parallel.place(config)
    if place is not None:
        from cvlib.training import devices

        devices.import_quietly()  # before the others wait for signs of life, because imports can hold them up
    with lasting(), processes.joined(place):
        data_parallel.check_joined(config)
        if processes.number():
            _run(config, Follower(folder, mapping), on_epoch)
            return {}
        if more_epochs.continues(folder, mapping):
            with more_epochs.continued(folder, mapping, provenance, wait) as subfolder:
                return _run(config, Record(subfolder, mapping, home=folder), on_epoch)
        specs = tasks.of(config.model.task).metrics
        return _run(config, Record(folder, mapping, provenance, wait, specs), on_epoch)


def _run(requested: Config, record: Record, on_epoch: OnEpoch | None) -> dict[str, Any]:
    """Run the experiment in the record's folder, or resume it, and return its summary."""
    config, started = _resolved(requested, record.folder), time.monotonic()
    with opened(record), processes.interrupted_by_loss():
        if record.completed:
            if not processes.number():
                print(f"already completed: {record.home}")
            return record.summary
        record.say(f"{run_name(as_mapping(config))}{', resumed' if record.resumed else ''}: {record.home}")
        if requested.trainer.precision == "auto":
            why = hardware.native(config.model.depthwise)[1]
            record.say(f"trainer.precision=auto: {config.trainer.precision}, because {why}")
        config = batch_search.replace_auto(config, record)
        dataset, training = _prepare(config, record)
        training.on_epoch = on_epoch
        if config.optimizer.lr == AUTO:
            from cvlib.training import lr_search

            lr_search.replace_auto(training)
        state = _fit(training, dataset, time.monotonic() - started)
        from cvlib.evaluation import closing

        processes.from_first(lambda: closing.finish(training, dataset, state))
    return record.summary


def find_rates(config: Config, folder: Path, first: float, last: float, steps: int) -> Found:
    """Search for the learning rates of a run; nothing is recorded. See `cvlib.training.lr_search.search`.

    Raises `UserError` for invalid input, and `RunFailed` if the loss falls at no rate.
    """
    training = unrecorded(config, folder)[1]
    from cvlib.training import lr_search

    return lr_search.search(training, first, last, steps)


def unrecorded(config: Config, folder: Path, only_training: bool = False) -> tuple[Dataset, Training]:
    """Prepare a run as far as the start of its training; nothing is recorded, but features are cached as usual.

    With `only_training`, the validation split has a single image. Raises `UserError` for invalid input.
    """
    _check(config)
    config = _resolved(config, folder)
    record = Unrecorded(folder, as_mapping(config))
    return _prepare(batch_search.replace_auto(config, record), record, only_training)


def try_batch_sizes() -> None:
    """Train with growing batches; the program of the process that `cvlib.training.batch_search` starts."""
    from cvlib.training import batch_trial

    batch_trial.main(lambda config: _prepare(config, Unrecorded(Path(), as_mapping(config))))


def _check(config: Config) -> None:
    """Raise `UserError` for invalid input, before anything is read or written."""
    backend.check()
    data_parallel.check(config)
    rematerialize.check(config)
    tasks.check(config)
    sources.check(config)


def _prepare(config: Config, record: Record, only_training: bool = False) -> tuple[Dataset, Training]:
    """Load the data, build the network on its initial weights, and prepare its training."""
    dataset = _load_data(config, record)
    if only_training:
        dataset = dataclasses.replace(dataset, val=dataset.val.take([0]))
    spec = _input_spec(config, dataset, record)
    network = _network(config, spec, dataset, record)
    from cvlib.training import prepare

    return dataset, prepare.training(config, dataset, network, record)


def _refuse_in_data(config: Config, folder: Path) -> None:
    """Raise `UserError` if the run folder is inside the folder of images, because cvlib never changes user data."""
    if config.data.path is None:
        return
    own, images = folder.resolve(), Path(config.data.path).expanduser().resolve()
    if images.is_dir() and (own == images or images in own.parents):
        raise UserError(
            f"{folder} is inside the image folder data.path={config.data.path}: choose another hydra.run.dir"
        )


def _resolved(config: Config, folder: Path) -> Config:
    """Replace `trainer.precision=auto` with the precision of the run in `folder`, or else of this machine."""
    precision = hardware.precision(config.trainer.precision, config.model.depthwise)
    if config.trainer.precision == "auto" and (folder / "summary.json").is_file():
        precision = str(read_run(folder).summary.get("precision") or precision)
    return dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, precision=precision))


# data


def _load_data(config: Config, record: Record) -> Dataset:
    """Load the dataset, and record its splits by sample name."""
    task = tasks.of(config.model.task)
    dataset = data.load(config.data, config.seed, task.label_kind, task.name)
    tasks.check_classes(config, len(dataset.classes))
    earlier = initial_run.splits(config)
    if earlier is not None:
        dataset = splits.keep_apart(dataset, earlier)
    counts = [f"{name} {len(split.names)}" for name, split in dataset.splits.items()]
    layout = f" ({dataset.layout} layout)" if dataset.layout else ""
    record.say(f"{dataset.name}{layout}: {len(dataset.classes)} classes; {', '.join(counts)} images")
    if dataset.read_as:
        record.say(dataset.read_as)
    for note in dataset.notes:
        record.say(f"note: {note}")
    fingerprint = data.fingerprint(dataset)
    if processes.count() > 1:
        from cvlib.training import agreement

        agreement.check_data(config, fingerprint)
    record.keep_data(fingerprint)
    record.update(
        data_fingerprint=fingerprint, split_fingerprints=data.split_fingerprints(dataset),
        classes=dataset.classes, notes=dataset.notes, layout=dataset.layout, read_as=dataset.read_as,
        skipped=dataset.skipped, samples={name: len(split.names) for name, split in dataset.splits.items()},
    )  # fmt: skip
    record.write_splits({name: split.names for name, split in dataset.splits.items()})
    return dataset


def _input_spec(config: Config, dataset: Dataset, record: Record) -> InputSpec:
    """Return the network's input: a tile, the requested image size, or the data's, enlarged if the model needs it."""
    spec = tasks.input_spec(config, dataset.size, dataset.channels, dataset.span)
    size, resize = spec.size, spec.resize
    span = _span([split.sizes for split in dataset.splits.values() if split.sizes is not None])
    if spec.tiled:
        own = span or f"{dataset.size[0]}×{dataset.size[1]}"
        record.say(f"images ({own}) are cut into tiles of {size[0]}×{size[1]} pixels (data.tiles): one random tile of "
                   "each image per epoch; in validation, overlapping windows")  # fmt: skip
    elif span or dataset.size != size:
        own = span or f"{dataset.size[0]}×{dataset.size[1]}"
        least = tasks.smallest_side(config)
        enlarged = config.data.image_size is None and max(dataset.size) < least
        why = f": {config.model.name} needs at least {least}" if enlarged else ""
        record.say(f"images ({own}) are resized to {size[0]}×{size[1]} pixels (data.resize={resize}){why}")
    record.update(image_size=size[0] if size[0] == size[1] else list(size), channels=dataset.channels, resize=resize,
                  range=None if dataset.span is None else list(dataset.span))  # fmt: skip
    return spec


def _span(sizes: list[np.ndarray]) -> str | None:
    """Describe heights and widths `(n, 2)`, as in "192–600 high, 256 wide"; return None if all are equal."""
    heights, widths = ({int(side) for part in sizes for side in part[:, axis]} for axis in (0, 1))
    if len(heights) < 2 and len(widths) < 2:
        return None
    tall, wide = (f"{min(some)}–{max(some)}" if len(some) > 1 else f"{min(some)}" for some in (heights, widths))
    return f"{tall} high, {wide} wide"


# network and transfer


def _network(config: Config, spec: InputSpec, dataset: Dataset, record: Record) -> Network:
    """Build the network, load the weights that its mode starts from, and record their source."""
    from cvlib.training import devices

    devices.start(config)
    number = data_parallel.use(config)
    record.update(devices=number)
    if number > 1:
        of = f" of {processes.count()} processes" if processes.count() > 1 else ""
        record.say(f"{number} devices{of} share each batch of {config.data.batch_size} images")
    if note := rematerialize.note(config):
        record.say(note)
    from cvlib.models.network import build
    from cvlib.training import batch_norm
    from cvlib.transfer import freezing, weights

    _record_own_code(config, record)
    network = build(config.model, spec, len(dataset.classes))
    for phase in freezing.phases(network, config.mode, config.trainer.max_epochs):
        freezing.frozen_layers(network, phase.freeze)  # raises an error now if mode.freeze names no layer
    source = regimes.initial_weights(config.mode)
    if source is None:
        record.update(weights={"source": None, "matched": 0, "skipped": []})
    else:
        classes = dataset.classes if regimes.keeps_classes(config.mode) else None
        try:
            loaded = weights.start_from(network, source, classes)
        except sources.WeightsUnavailable as unavailable:
            if config.data.pretrain_on is None:
                raise
            folder = _pretrain(config, spec, record, str(unavailable))
            devices.start(config)  # the pretraining run has changed the random state and the layer names
            data_parallel.use(config)
            network = build(config.model, spec, len(dataset.classes))
            loaded = weights.start_from(network, str(folder), classes)
            loaded = dataclasses.replace(loaded, source=f"{config.data.pretrain_on} (pretrained in {folder})")
        record.say(f"weights: {loaded.matched:,} parameters of the base from {loaded.source}"
                   + (f"; left out: {', '.join(loaded.skipped)}" if loaded.skipped else "")
                   + (f"; {loaded.adapted}" if loaded.adapted else "")
                   + (f"; {loaded.head}" if loaded.head else ""))  # fmt: skip
        record.update(weights=dataclasses.asdict(loaded))
    batch_norm.prepare(network.model, config.trainer.bn_momentum)
    return network


def _record_own_code(config: Config, record: Record) -> None:
    """Record the hash of the user's own backbone; refuse to resume a run if its code has changed."""
    own_code, before = backbones.own_code(config.model.backbone), record.summary.get("backbone_file")
    if record.resumed and before not in (None, own_code):
        raise UserError(f"backbones/{config.model.backbone}.py has changed since this run began: choose another "
                        "hydra.run.dir")  # fmt: skip
    if own_code:
        record.update(backbone_file=own_code)


def _pretrain(config: Config, spec: InputSpec, record: Record, reason: str) -> Path:
    """Return the folder of a run that pretrained this base on `data.pretrain_on`; run it first if it is missing."""
    pretrained = pretraining.pretraining_config(config, spec.size, spec.channels)
    folder = pretraining.pretraining_folder(pretrained)
    record.say(f"NOTE: {reason}")
    record.say(f"NOTE: data={config.data.name} starts from weights pretrained on {config.data.pretrain_on} instead; "
               f"later runs reuse them from {folder}")  # fmt: skip
    processes.from_first(lambda: run(pretrained, folder, wait=-1) and None)
    record.say(f"pretrained weights are in {folder}\n")
    return folder


# fit


def _fit(training: Training, dataset: Dataset, setup_seconds: float) -> RunState:
    from cvlib import evaluation
    from cvlib.training import agreement, loop, resume

    record = training.record
    state, parts = resume.start(training)
    agreement.check_start(training, state)
    training.open_board(state.epoch)
    if not state.epoch:
        processes.from_first(lambda: evaluation.show_start(training, dataset))
    timing = record.summary["timing"]
    record.update(timing={**timing, "setup": round(timing.get("setup", 0.0) + setup_seconds, 2)})
    return loop.fit(training, state, parts)
