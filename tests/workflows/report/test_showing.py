"""Texts and pictures on the cards: from the pool, from a file of items, and from the one folder that the user named."""

from __future__ import annotations

import base64
import io
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alcli.embedders import _contract
from alcli.errors import AlcliError, DataError, InputError
from alcli.workflows.report.showing import shortened
from alcli.workflows.report.thumbnails import read_inside, thumbnailer
from tests.dom import check_readable, parsed
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import untouched


def encoded(picture: Image.Image, format: str = "PNG", **more: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **more)
    return out.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8))


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.fixture
def page(alcli):
    def report(*arguments):
        Path("ids.csv").write_text("id\nr040\nr041\nr042\n")
        ask = ("report", "pool.parquet", "-H", "head.safetensors", "--batch", "ids.csv", "-o", "report.html", "--force")
        outcome = alcli(*ask, *arguments).done()
        found = parsed(Path("report.html").read_bytes())
        check_readable(found)
        return found.all("article"), outcome.err

    return report


def texts(card):
    return [" ".join(p.words.split()) for p in card.all("p", class_="text")]


def test_texts_of_the_pool_and_of_a_file_are_found_by_their_names(head, page):
    write_pool("pool.parquet", tiny_features()[0], Text=[f"text {k}" for k in range(60)], note=["x"] * 60)
    cards, _ = page()
    assert [texts(card) for card in cards] == [["text 40"], ["text 41"], ["text 42"]]
    cards, _ = page("--keep", "note,Text")
    assert texts(cards[0]) == ["note x", "Text text 40"]
    Path("items.csv").write_text("id,title,year\nr041,second,2\nr040,first,1\n")
    cards, remarks = page("--items", "items.csv")
    assert [texts(card) for card in cards] == [["first"], ["second"], []]
    assert "items.csv: 1 item of the batch not found" in remarks
    assert [texts(card) for card in page("--items", "items.csv", "--keep", "year")[0]] == [["1"], ["2"], []]


def test_a_long_text_is_cut(head, page):
    write_pool("pool.parquet", tiny_features()[0], text=["word " * 1000] * 60)
    (shown,) = texts(page()[0][0])
    assert shown.endswith("… (5,000 letters)")
    assert len(shown) < 600
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "abc … (4 letters)"


def test_pictures_in_a_table_become_small(head, page):
    images = [encoded(noise(400, 300), "JPEG")] * 60
    images[41], images[42] = b"no image", None
    items = pa.table({"id": names(60), "image": pa.array(images, pa.binary())})
    pq.write_table(items, "items.parquet")
    cards, remarks = page("--items", "items.parquet")
    (image,) = cards[0].all("img")
    assert image.attrs["alt"] == "Picture of item r040"
    assert opened(image.attrs["src"]).size == (192, 144)
    assert cards[1].one("p", class_="missing").words.startswith("no picture: the image cannot be decoded")
    assert not cards[2].all("img")
    assert "1 image of 2 could not be shown" in remarks
    structs = pa.StructArray.from_arrays([items["image"].combine_chunks(), pa.array(["x.png"] * 60)], ["bytes", "path"])
    pq.write_table(pa.table({"id": names(60), "image": structs}), "items.parquet")
    cards, _ = page("--items", "items.parquet")
    assert [len(card.all("img")) for card in cards] == [1, 0, 0]


def test_paths_lead_into_the_folder_that_was_named_and_nowhere_else(folder, alcli, page):
    photos = folder / "photos"
    (photos / "sub").mkdir(parents=True)
    (folder / "secret.png").write_bytes(encoded(noise(9, 9)))
    (photos / "sub" / "in.png").write_bytes(encoded(noise(9, 9)))
    (photos / "out.png").symlink_to(folder / "secret.png")
    (photos / "within.png").symlink_to(photos / "sub" / "in.png")
    os.mkfifo(photos / "pipe.png")
    for path in ("sub/in.png", "within.png", str(photos / "sub" / "in.png"), "sub/../sub/in.png"):
        assert read_inside(photos, path) == (photos / "sub" / "in.png").read_bytes()
    outside = ("../secret.png", str(folder / "secret.png"), "out.png", "sub/../../secret.png", "/etc/passwd")
    for path in outside:
        with pytest.raises(DataError, match=r"leads out of the folder of --images"):
            read_inside(photos, path)
    for path in ("none.png", "a\0b", "sub", "pipe.png", "https://example.org/a.png", "x" * 5000):
        with pytest.raises(InputError):
            read_inside(photos, path)
    with pytest.raises(DataError, match="--images DIR"):
        read_inside(None, "sub/in.png")

    ids = ["sub/in.png", "../secret.png", "none.png", *names(57)]
    write_pool("pool.parquet", tiny_features()[0], ids)
    write_labels("labels.csv", {id: CLASSES[k % 3] for k, id in enumerate(ids[3:20], 3)})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    Path("own.csv").write_text("id\n" + "\n".join(ids[:3]) + "\n")
    ask = ("report", "pool.parquet", "-H", "head.safetensors", "--batch", "own.csv", "--images", "photos")
    with untouched(photos / "sub"):
        alcli(*ask, "-o", "report.html").done()
    cards = parsed(Path("report.html").read_bytes()).all("article")
    assert [len(card.all("img")) for card in cards] == [1, 0, 0]
    assert "leads out of the folder" in cards[1].one("p", class_="missing").words
    alcli(*ask[:-1], "nowhere", "-o", "other.html").refused(66, "nowhere: is not a folder")
    alcli(*ask[:-1], "own.csv", "-o", "other.html").refused(66, "own.csv: is not a folder")


def test_without_a_folder_a_path_is_a_text(head, page):
    write_pool("pool.parquet", tiny_features()[0], filename=["/etc/passwd"] * 60)
    cards, _ = page()
    assert texts(cards[0]) == ["/etc/passwd"]
    assert not cards[0].all("img")


def test_without_pillow_cards_have_no_pictures_and_a_remark_says_so(head, page, monkeypatch):
    pq.write_table(pa.table({"id": names(60), "image": [encoded(noise(9, 9))] * 60}), "items.parquet")
    monkeypatch.delitem(_contract._LIBRARIES, "PIL.Image", raising=False)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    cards, remarks = page("--items", "items.parquet")
    assert "the cards have no pictures: the library 'PIL.Image'" in remarks
    assert "pip install 'pillow>=11'" in remarks
    assert "no picture" in cards[0].one("p", class_="missing").words


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "I;16", "CMYK", "F"])
def test_every_kind_of_image_has_a_picture(mode):
    whole = noise(300, 200)
    picture = whole.convert("I").convert("I;16") if mode == "I;16" else whole.convert(mode)
    format = "TIFF" if mode in ("CMYK", "F", "I;16") else "PNG"
    found = opened(thumbnailer(1, None)(encoded(picture, format)))
    assert found.size == (192, 128)
    assert found.mode in ("L", "RGB")


def test_what_is_transparent_is_white_and_a_tiny_image_stays_as_it_is():
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    clear.putpixel((1, 2), (10, 20, 30, 255))
    found = opened(thumbnailer(1, None)(encoded(clear)))
    assert (found.format, found.size) == ("PNG", (8, 8))
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((1, 2)) == (10, 20, 30)


def test_a_picture_holds_none_of_the_metadata_of_the_image():
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    data = encoded(noise(300, 200), "JPEG", exif=exif, comment=b"by me")
    assert b"taken at home" in data
    uri = thumbnailer(1, None)(data)
    held = base64.b64decode(uri.partition(",")[2])
    assert b"taken at home" not in held
    assert b"by me" not in held


def test_a_thousand_pictures_and_texts_fit_into_five_megabytes(folder, alcli):
    """Noise is the largest picture of its size that there is."""
    picture = thumbnailer(1000, None)(encoded(noise(300, 200)))
    assert len(picture) < 3000
    n = 1010
    rng = np.random.default_rng(0)
    write_pool("pool.parquet", rng.standard_normal((n, 4)), [f"i{k}" for k in range(n)], text=["word " * 1000] * n)
    write_labels("labels.csv", {f"i{k}": CLASSES[k % 3] for k in range(10)})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    Path("ids.csv").write_text("id\n" + "".join(f"i{k}\n" for k in range(5, n)))
    outcome = alcli("report", "pool.parquet", "-H", "head.safetensors", "--batch", "ids.csv", "-o", "report.html")
    outcome.done()
    page = parsed(Path("report.html").read_bytes())
    assert len(page.all("article")) == 1000
    assert "5 more are left out." in page.one("section", id="batch").all("p")[0].words
    assert Path("report.html").stat().st_size + 1000 * len(picture) < 5_000_000


def test_errors_of_pictures_are_those_of_alcli():
    for wrong in (b"", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        with pytest.raises(AlcliError, match="cannot be decoded"):
            thumbnailer(1, None)(wrong)
