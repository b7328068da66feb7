from __future__ import annotations

import io

import numpy as np
import pytest

from alcli.embedders import _images
from alcli.embedders._images import array_reader, fitted_to, image_options, in_mode, picture_reader
from alcli.errors import DataError, InputError, UsageError


def png(array, mode=None):
    from PIL import Image

    buffer = io.BytesIO()
    (Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)).save(buffer, "PNG")
    return buffer.getvalue()


def reader(size=None, mode="RGB", mean="0", std="1", shape=()):
    return array_reader(fitted_to(image_options(size, mode, mean, std, "model"), shape, "model"))


def test_colour_becomes_channels_first_in_0_to_1():
    array = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    np.testing.assert_allclose(reader()(png(array)), array.transpose(2, 0, 1) / 255, atol=1e-6)


def test_channels_are_normalised_one_by_one():
    x = reader(mean="0.1,0.2,0.3", std="1,2,4")(png(np.full((2, 2, 3), 255, np.uint8)))
    np.testing.assert_allclose(x[:, 0, 0], [0.9, 0.4, 0.175], atol=1e-6)


def test_grey_of_16_bits_is_scaled_and_not_clipped():
    ramp = np.array([[0, 257 * 100, 65535]], np.uint16)
    np.testing.assert_allclose(reader(mode="L")(png(ramp))[0, 0] * 255, [0, 100, 255], atol=1e-3)


def test_palettes_and_transparency_become_colours():
    array = np.zeros((2, 2, 4), np.uint8)
    array[..., 0], array[..., 3] = 200, 255
    np.testing.assert_allclose(reader()(png(array))[:, 0, 0] * 255, [200, 0, 0], atol=1e-3)
    assert reader()(png(array, "P")).shape == (3, 2, 2)
    assert in_mode(picture_reader()(png(array, "P")), "L").mode == "L"


def test_crop_keeps_the_centre_and_squash_keeps_everything():
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 255
    assert reader("4", "L")(png(wide)).min() == 1.0
    squashed = reader("4!", "L")(png(wide))
    assert squashed.shape == (1, 4, 4)
    assert squashed.min() < 0.1 < 0.5 < squashed.max()
    assert reader("3x5", "L")(png(wide)).shape == (1, 3, 5)


def test_the_exif_tag_turns_an_image_upright():
    from PIL import Image

    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(buffer, "JPEG", exif=exif)
    assert reader()(buffer.getvalue()).shape == (3, 4, 2)


def test_what_the_model_was_exported_with_fills_in():
    assert reader(mode="auto", shape=(1, 8, 8))(png(np.zeros((20, 20, 3), np.uint8))).shape == (1, 8, 8)
    assert reader(mode="auto", shape=("c", "h", "w"))(png(np.zeros((20, 20), np.uint8))).shape == (3, 20, 20)
    assert reader("4", mode="auto", shape=(1, 8, 8))(png(np.zeros((20, 20), np.uint8))).shape == (1, 4, 4)


def test_unreadable_images_are_data_or_input_errors(tmp_path):
    read = reader()
    whole = png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    for bad in (b"", b"not an image", whole[: len(whole) // 2], whole[:20]):
        with pytest.raises(DataError, match="cannot be decoded"):
            read(bad)
    with pytest.raises(DataError, match="null"):
        read(None)
    with pytest.raises(InputError, match=r"gone\.png"):
        read(tmp_path / "gone.png")
    with pytest.raises(InputError):
        read(tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(_images, "MAX_PIXELS", 99)
    with pytest.raises(DataError, match="10 x 10 pixels"):
        reader()(png(np.zeros((10, 10), np.uint8)))


@pytest.mark.parametrize(
    "options",
    [
        {"size": "0"},
        {"size": "3x"},
        {"size": "!"},
        {"mean": "a"},
        {"mean": "1,2"},
        {"std": "0"},
        {"std": "nan"},
        {"mode": "L", "mean": "1,2,3"},
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options):
    with pytest.raises(UsageError):
        reader(**options)
