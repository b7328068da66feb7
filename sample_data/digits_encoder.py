"""The upstream model of the sample data: a small convolutional encoder of 8 x 8 images, and two ways to train it.

Contrastive training sees images only (Chen et al., A Simple Framework for Contrastive Learning of Visual
Representations, ICML 2020, Alg. 1). The alternative is supervised on the digits 0 to 4. `compare_encoders.py` trains
both and compares them on all ten classes; `make_digits.py` ships the contrastive one, which is ahead.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

DIM = 64
EPOCHS, BATCH, TEMPERATURE = 150, 256, 0.5


class DigitsEncoder(nn.Module):
    """Images [B, 1, 8, 8] in 0..1 -> `features`, the penultimate layer [B, 64] -> `projection` [B, out].

    Training compares projections.
    """

    def __init__(self, out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.features = nn.Linear(64 * 4 * 4, DIM)
        self.projection = nn.Sequential(nn.ReLU(), nn.Linear(DIM, out))

    def forward(self, images: Tensor) -> Tensor:
        return self.projection(self.features(self.body(images)))  # type: ignore[no-any-return]


def distort(images: Tensor, draws: torch.Generator) -> Tensor:
    """Turn, shear, scale and shift each image a little, change its contrast, add noise."""

    def within(limit: float) -> Tensor:
        return (torch.rand(len(images), generator=draws) * 2 - 1) * limit

    angle, scale, shear = within(0.25), 1 + within(0.15), within(0.2)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    maps = torch.stack([torch.stack([cos, shear - sin, within(0.25)], 1), torch.stack([sin, cos, within(0.25)], 1)], 1)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, align_corners=False)
    contrast = (1 + within(0.3)).view(-1, 1, 1, 1)
    return (moved * contrast + 0.1 * torch.randn(images.shape, generator=draws)).clamp(0, 1)


def train_contrastive(images: Tensor) -> DigitsEncoder:
    """Bring two distortions of one image together and those of different images apart. No label is read."""
    torch.manual_seed(0)
    model = DigitsEncoder(out=64)

    def loss(batch: Tensor, draws: torch.Generator) -> Tensor:
        views = torch.cat([distort(images[batch], draws), distort(images[batch], draws)])
        z = functional.normalize(model(views), dim=1)
        similarities = (z @ z.T / TEMPERATURE).masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf)
        return functional.cross_entropy(similarities, torch.arange(len(z)).roll(len(batch)))

    return _optimise(model, loss, len(images))


def train_on_five_classes(images: Tensor, labels: Tensor) -> DigitsEncoder:
    """Tell the digits 0 to 4 apart; the other five are never seen."""
    torch.manual_seed(0)
    model, seen = DigitsEncoder(out=5), torch.nonzero(labels < 5)[:, 0]

    def loss(batch: Tensor, draws: torch.Generator) -> Tensor:
        return functional.cross_entropy(model(distort(images[seen[batch]], draws)), labels[seen[batch]])

    return _optimise(model, loss, len(seen))


def _optimise(model: DigitsEncoder, loss: Callable[[Tensor, torch.Generator], Tensor], n: int) -> DigitsEncoder:
    """Train on all n images for EPOCHS.

    loss: of a batch of row numbers [B], and the source of its random distortions.
    """
    draws = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=EPOCHS * (n // BATCH))
    for _ in range(EPOCHS):
        for batch in torch.randperm(n, generator=draws)[: n // BATCH * BATCH].view(-1, BATCH):
            optimiser.zero_grad()
            loss(batch, draws).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def features(model: DigitsEncoder, images: Tensor) -> np.ndarray:
    """Return the penultimate activations, float32 [N, 64]."""
    return model.features(model.body(images)).numpy()  # type: ignore[no-any-return]
