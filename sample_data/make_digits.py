"""Make every data file of this folder from scikit-learn's digits: `python sample_data/make_digits.py`.

Takes about a minute. Needs alcli with the extra `test`. Seeded: the same library versions on the same kind of
processor give the same numbers.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from digits_encoder import DigitsEncoder, train_contrastive
from PIL import Image

HERE = Path(__file__).parent
N_TEST, N_FIRST, N_LATER = 500, 40, 20


@dataclass(frozen=True)
class Digits:
    """pixels: float32 [1797, 8, 8] in 0..1, of which png holds the eight-bit form.

    labels: int64. train and test: row numbers.
    """

    pixels: np.ndarray
    png: list[bytes]
    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def ids(self) -> list[str]:
        return [f"digit-{row:04d}" for row in range(len(self.labels))]

    @property
    def split(self) -> list[str]:
        is_test = np.isin(np.arange(len(self.labels)), self.test)
        return is_test.choose(["train", "test"]).tolist()  # type: ignore[no-any-return]


def load() -> Digits:
    """The images in scikit-learn's order, split at random with every class in its share."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    source = load_digits()
    grey = np.rint(source.images * (255 / 16)).astype(np.uint8)
    labels = source.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=N_TEST, random_state=0, stratify=labels)
    pixels = (grey / np.float32(255)).astype(np.float32)
    return Digits(pixels, [png(image) for image in grey], labels, np.sort(train), np.sort(test))


def png(image: np.ndarray) -> bytes:
    """One grey 8 x 8 image as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return file.getvalue()


def write_images(digits: Digits) -> None:
    table = pa.table(
        {"id": digits.ids, "image": pa.array(digits.png, pa.binary()), "label": digits.labels, "split": digits.split}
    )
    pq.write_table(table, HERE / "digits.parquet", compression="zstd", write_page_checksum=True)


def export(model: DigitsEncoder, images: torch.Tensor) -> None:
    """One .pt2 file for any number of images; `features` is reachable as the output of the module of that name."""
    program = torch.export.export(
        model, (images[:2].clone(),), dynamic_shapes={"images": {0: torch.export.Dim("batch")}}
    )
    torch.export.save(program, HERE / "digits-encoder.pt2")


def write_labels(digits: Digits) -> None:
    """Write two files of labels of random training rows: the labels of the start, and labels that arrive later."""
    rows = np.random.default_rng(0).permutation(digits.train)[: N_FIRST + N_LATER]
    for name, chosen in (("digits-labels.csv", rows[:N_FIRST]), ("new-labels.csv", rows[N_FIRST:])):
        with open(HERE / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "label"])
            writer.writerows((digits.ids[row], int(digits.labels[row])) for row in chosen)


def embed() -> None:
    """The pool, made of the images and the encoder by the command itself."""
    files = ["sample_data/digits.parquet", "-m", "torch:sample_data/digits-encoder.pt2", "--layer", "features"]
    out = ["-o", "sample_data/digits-features.parquet", "--force", "--quiet"]
    subprocess.run([sys.executable, "-m", "alcli", "embed", *files, *out], cwd=HERE.parent, check=True)


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load()
    images = torch.from_numpy(digits.pixels)[:, None]
    model = train_contrastive(images[digits.train])
    export(model, images)
    write_images(digits)
    write_labels(digits)
    embed()


if __name__ == "__main__":
    main()
