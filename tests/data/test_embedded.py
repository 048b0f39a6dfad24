"""The datasets that need no download."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import embedded
from cvlib.runtime.errors import UserError


def test_digits_are_the_scans_of_scikit_learn_scaled_to_255():
    from sklearn.datasets import load_digits

    scans = load_digits()
    dataset = data.load(DataConfig(), seed=0)
    assert [len(dataset.train), len(dataset.val), len(dataset.test)] == [1258, 270, 269]
    assert dataset.classes == list("0123456789") and dataset.channels == 1 and dataset.size == (8, 8)
    assert dataset.train.images.dtype == np.uint8 and dataset.train.images.shape == (1258, 8, 8, 1)
    for split in (dataset.train, dataset.val, dataset.test):
        indices = [int(name.removeprefix("digits/")) for name in split.names]
        assert np.array_equal(split.labels, scans.target[indices])
        assert np.abs(split.images[..., 0] / 255 * 16 - scans.images[indices]).max() < 0.04
    assert dataset.train.images.max() == 255 and dataset.train.images.min() == 0


def test_digits_are_stratified():
    dataset = data.load(DataConfig(), seed=0)
    totals = sum(np.bincount(split.labels, minlength=10) for split in (dataset.train, dataset.val, dataset.test))
    assert np.all(np.abs(np.bincount(dataset.test.labels) - 0.15 * totals) < 1.5)


def test_samples_limits_the_number_of_digits():
    dataset = data.load(DataConfig(samples=300), seed=0)
    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 300
    assert set(np.bincount(np.concatenate([split.labels for split in (dataset.train, dataset.val, dataset.test)]))) <= {
        29, 30, 31}  # fmt: skip
    everything = data.load(DataConfig(samples=5000), seed=0)
    assert everything.notes == ["data.samples=5000: data=digits has only 1797 scans; all are used"]


def test_the_split_depends_on_the_split_seed_and_not_on_the_run_seed():
    one, same, other = (data.load(DataConfig(split_seed=s), seed=r) for s, r in ((0, 0), (0, 9), (1, 0)))
    assert one.test.names == same.test.names != other.test.names


def test_channels_can_be_overridden():
    grey, colour = (data.load(DataConfig(channels=c), seed=0) for c in (None, 3))
    assert colour.channels == 3
    assert np.array_equal(colour.val.images, np.repeat(grey.val.images, 3, axis=-1))


def test_letters_give_the_requested_number_of_images_and_contain_no_digits():
    dataset = data.load(DataConfig(name="letters", samples=500), seed=0)
    assert sum(len(split) for split in (dataset.train, dataset.val, dataset.test)) == 500
    assert dataset.size == (32, 32) and dataset.channels == 1 and len(dataset.classes) == 46
    drawn = "".join(embedded.CHARACTERS.values())
    assert len(set(drawn)) == len(drawn) and not set(drawn) & set("0123456789")
    assert {c for c in drawn if c.isalpha()} == set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert set(np.unique(dataset.train.labels)) == set(range(46))


def test_letters_depend_only_on_the_split_seed():
    one, same, other = (data.load(DataConfig(name="letters", samples=100, split_seed=s), seed=0) for s in (3, 3, 4))
    assert np.array_equal(one.train.images, same.train.images)
    assert data.fingerprint(one) != data.fingerprint(other)


def test_every_font_has_a_glyph_for_every_character():
    glyphs = {
        (font, character): embedded._glyph(font, character, 0)
        for characters in embedded.CHARACTERS.values() for character in characters
        for font in (*embedded._FONTS, *(embedded._TEX_FONTS if character.isascii() and character.isalpha() else ()))
    }  # fmt: skip
    for font in (*embedded._FONTS, *embedded._TEX_FONTS):
        pictures = [glyph.tobytes() for (name, _), glyph in glyphs.items() if name == font]
        # The placeholder for a missing glyph would be the same image for several characters.
        assert len(set(pictures)) == len(pictures), font


def test_letters_can_be_classified():
    """The labels are correct and learnable: nearest neighbours are far better than chance (2 %)."""
    from sklearn.neighbors import KNeighborsClassifier

    dataset = data.load(DataConfig(name="letters", samples=3000), seed=0)
    flat = [split.images[:, ::2, ::2, 0].reshape(len(split), -1) for split in (dataset.train, dataset.test)]
    score = KNeighborsClassifier(1).fit(flat[0], dataset.train.labels).score(flat[1], dataset.test.labels)
    assert score > 0.35


def test_too_few_letters_are_refused():
    with pytest.raises(UserError, match=r"data\.samples=10 is too small"):
        data.load(DataConfig(name="letters", samples=10), seed=0)


def test_an_unknown_dataset_is_refused():
    with pytest.raises(UserError, match="data=digit is unknown"):
        data.load(DataConfig(name="digit"), seed=0)
    with pytest.raises(UserError, match="can't be used with data=digits"):
        data.load(DataConfig(path="somewhere"), seed=0)


def test_importing_the_data_package_imports_no_framework():
    code = "import cvlib.data, sys; print({'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
