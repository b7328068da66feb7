"""A range of the rows of a pool, as a source of another process, which reads the files itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alcli.arrays import Floats, Int64, Keys
from alcli.data.cached.scratch import ahead
from alcli.data.streamed.feature_blocks import FeatureBlocks


@dataclass(frozen=True)
class PoolPart:
    """Rows first..last of a pool, under their numbers in the pool. Picklable.

    keys: the hashes of their ids, None where nobody asks for them. Memory: two blocks while features are read.
    """

    features: FeatureBlocks
    first: int
    last: int
    keys: Keys | None

    @property
    def n(self) -> int:
        """The number after the last row: rows before the first one have numbers too."""
        return self.last

    @property
    def dim(self) -> int:
        """D, the number of features of a row."""
        return self.features.dim

    @property
    def told(self) -> dict[str, str]:
        """The oddities found so far, by kind."""
        return self.features.told

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield (number of the first row, X_BD). A thread reads and checks one block ahead."""
        return ahead(self.features.between(self.first, self.last))

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each of `rows`, uint64. Raises LookupError where the hashes were left out."""
        if self.keys is None:
            raise LookupError("the hashes of ids were asked of a part of a pool that was made without them")
        return self.keys[rows - self.first]

    def describe(self, row: int) -> str:
        """Name a row for messages: its file, its number in it, and its id."""
        return self.features.describe(row)
