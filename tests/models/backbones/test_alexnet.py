"""AlexNet's published parameter count, layer by layer."""

from __future__ import annotations

from tests.networks import network


def test_it_has_the_published_parameter_count_at_227_pixels_and_1000_classes() -> None:
    model = network("alexnet", 227, 3, 1000).model
    convolutions = [(11, 3, 96), (5, 96, 256), (3, 256, 384), (3, 384, 384), (3, 384, 256)]
    dense = [(6 * 6 * 256, 4096), (4096, 4096), (4096, 1000)]
    by_hand = sum((k * k * i + 1) * o for k, i, o in convolutions) + sum((i + 1) * o for i, o in dense)
    assert by_hand == 62_378_344
    assert model.count_params() == by_hand


def test_it_accepts_images_of_its_smallest_side() -> None:
    built = network("alexnet", 67, 1, 2, dense=[8])
    assert built.base.get_layer("conv5_pool").output.shape == (None, 1, 1, 256)
