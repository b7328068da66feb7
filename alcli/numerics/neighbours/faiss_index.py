"""An index of rows for approximate neighbours: IVF-Flat of faiss, which is loaded when an index is made.

k-means divides the rows into L lists, and a query is compared with the rows of the P lists whose centres lie nearest.
So a neighbour is missed where its list is not among these P, which happens the more often the less the rows cluster.
With P = L every neighbour is found.

faiss keeps the lists and compares rows. Which list a row belongs to, and which lists a query looks into, is computed
here in fixed blocks of rows, and faiss then compares two rows by themselves. So no answer depends on the number of
threads, or on the queries that are asked together.

Letters: N rows, L lists, P lists that a query looks into, Q queries, S sampled rows.
Source: Jegou, Douze & Schmid 2011, "Product quantization for nearest neighbor search", section 4.1 (inverted file);
Douze et al. 2024, "The faiss library".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from alcli.arrays import Array, Float32, Float64, Int64
from alcli.errors import MemoryLimitError, UnavailableError
from alcli.numerics.block_array import BlockArray, scaled
from alcli.numerics.blocks import BLOCK_ROWS, n_threads, workers
from alcli.numerics.diversity.kmeans import k_means
from alcli.numerics.factors import safe_exponent
from alcli.remarks import steps
from alcli.requirements import install_hint

# Lists that a query looks into, unless the caller says so.
PROBED = 8
# A list holds at least so many rows on average, and so many rows a list are sampled to find the lists.
_ROWS_A_LIST, _SAMPLED_A_LIST = 32, 40
# Rows whose distances to all centres are computed together.
_TILE = 512
# Rows that are added together.
_ADDED = 16 * BLOCK_ROWS


def n_lists(n: int) -> int:
    """The number of lists of an index of n rows: 4 sqrt(n), but at least 32 rows a list on average."""
    return max(1, min(round(4.0 * math.sqrt(n)), n // _ROWS_A_LIST))


def index_bytes(n: int, dim: int) -> int:
    """The memory that an index of n rows takes, in bytes: float32 rows and their numbers."""
    return n * (4 * dim + 8)


class NeighbourIndex:
    """An index of the rows of an array, compared by Euclidean distance.

    X_ND: float32, or float64 that is rounded to float32. rng: draws the rows that the lists are found from.
    n_probed: P; at least L gives exact answers.
    Cost: k-means of 40 L rows, then 2 N L D flops. A query costs 2 L D, and 3 D flops for each row of its P lists.
    Memory: 4 D + 8 bytes a row, up to twice that while lists grow; the array itself is read in blocks and not kept.
    Raises UnavailableError where faiss is not installed, MemoryLimitError where the rows do not fit in memory.
    """

    def __init__(self, X_ND: BlockArray, rng: np.random.Generator, *, n_probed: int = PROBED) -> None:
        self._faiss = _faiss()
        self.n, self.dim = len(X_ND), int(X_ND.shape[1])
        self._exponent = safe_exponent(X_ND)
        X_ND = scaled(X_ND, -self._exponent)
        self.n_lists = n_lists(self.n)
        self.n_probed = min(n_probed, self.n_lists)
        sample = np.sort(rng.permutation(self.n)[: _SAMPLED_A_LIST * self.n_lists])
        self._centres_LD = k_means(_as_float32(X_ND[sample]), self.n_lists, rng).centres_KD.astype(np.float32)
        quantizer = self._faiss.IndexFlatL2(self.dim)
        quantizer.add(self._centres_LD)
        self._index = self._faiss.IndexIVFFlat(quantizer, self.dim, self.n_lists)
        self._index.nprobe = self.n_probed
        # The index would be freed of its centres with this name alone.
        self._quantizer = quantizer
        try:
            self._add(X_ND)
        except MemoryError as error:
            need = index_bytes(self.n, self.dim) >> 20
            what = f"no memory for an index of {self.n:,} rows, which takes {need:,} MiB"
            raise MemoryLimitError(what, hint="use --candidates") from error

    def lists_of(self, X_QD: BlockArray) -> Array:
        """The numbers of the P lists that each query looks into, nearest centre first, int32 [Q, P]."""
        return self._lists(scaled(X_QD, -self._exponent), self.n_probed)

    def within(self, X_QD: Array, radius: float, lists_QP: Array | None = None) -> tuple[Int64, Int64]:
        """Find the rows that are nearer to each query than the radius.

        lists_QP: the answer of `lists_of` for these queries, where it is known. Returns (starts, rows): the rows of
        query q are rows[starts[q] : starts[q + 1]], ascending. Memory: 24 bytes for each row found.
        """
        lists_QP = self.lists_of(X_QD) if lists_QP is None else lists_QP
        if not len(X_QD):
            return np.zeros(1, np.int64), np.empty(0, np.int64)
        limit = math.ldexp(radius, -self._exponent) ** 2
        with _threads(self._faiss):
            starts, _, rows = self._index.range_search_preassigned(self._queries(X_QD), limit, *_probes(lists_QP))
        starts = starts.astype(np.int64)
        # A list holds its rows in ascending order, but a query looks into several lists.
        keys = np.repeat(np.arange(len(X_QD)) * self.n, np.diff(starts)) + rows
        keys.sort()
        return starts, keys % self.n

    def nearest(self, X_QD: Array, k: int) -> tuple[Int64, Float64]:
        """Find the k nearest rows of each query, nearest first, the lowest row number first among equals.

        Returns (rows int64 [Q, k], distances float64 [Q, k]); -1 and inf where the P lists hold fewer rows.
        """
        k = min(k, self.n)
        if not len(X_QD) or not k:
            return np.empty((len(X_QD), k), np.int64), np.empty((len(X_QD), k))
        lists_QP = self.lists_of(X_QD)
        with _threads(self._faiss):
            sq_QK, rows_QK = self._index.search_preassigned(self._queries(X_QD), k, *_probes(lists_QP))
        sq_QK[rows_QK < 0] = np.inf
        order = np.lexsort((rows_QK, sq_QK))
        distances_QK = np.sqrt(np.take_along_axis(sq_QK, order, axis=1).astype(np.float64))
        return np.take_along_axis(rows_QK, order, axis=1), np.ldexp(distances_QK, self._exponent)

    def _queries(self, X_QD: Array) -> Float32:
        return _as_float32(np.ldexp(X_QD, -self._exponent))

    def _add(self, X_ND: BlockArray) -> None:
        """Put every row into the list of its nearest centre, in the order of the rows."""
        pointer, total = self._faiss.swig_ptr, -(-self.n // _ADDED)
        for a in steps(range(0, self.n, _ADDED), "indexing rows", total):
            X_BD = _as_float32(X_ND[a : a + _ADDED])
            list_B = self._lists(X_BD, 1)[:, 0].astype(np.int64)
            rows_B = np.arange(a, a + len(X_BD))
            with _threads(self._faiss):
                self._index.add_core(len(X_BD), pointer(X_BD), pointer(rows_B), pointer(list_B))

    def _lists(self, X_QD: BlockArray, most: int) -> Array:
        """The `most` lists of nearest centre of each scaled row, int32 [Q, most]; in blocks of `BLOCK_ROWS`."""
        out_QP = np.empty((len(X_QD), most), np.int32)
        sq_L = np.square(self._centres_LD).sum(axis=1)
        turned_DL = -2.0 * self._centres_LD.T

        def work(first: int, last: int) -> None:
            for a in range(first, last, _TILE):
                rows = slice(a, min(a + _TILE, last))
                gap_BL = _as_float32(X_QD[rows]) @ turned_DL
                gap_BL += sq_L
                if most == 1:
                    out_QP[rows, 0] = gap_BL.argmin(axis=1)
                    continue
                near_BP = np.argpartition(gap_BL, most - 1, axis=1)[:, :most]
                order = np.argsort(np.take_along_axis(gap_BL, near_BP, axis=1), axis=1, kind="stable")
                out_QP[rows] = np.take_along_axis(near_BP, order, axis=1)

        with workers() as spread:
            spread(len(X_QD), work)
        return out_QP


def _faiss() -> Any:
    """The library. Raises UnavailableError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
        raise UnavailableError(f"the library 'faiss' {why}", hint=install_hint("faiss")) from error
    return faiss


@contextmanager
def _threads(faiss: Any) -> Iterator[None]:
    """Let faiss use as many threads as other work of this process."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_threads())
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _probes(lists_QP: Array) -> tuple[Int64, Float32]:
    """The lists, and distances to their centres, which faiss asks for and does not use where lists hold whole rows."""
    return lists_QP.astype(np.int64), np.zeros(lists_QP.shape, np.float32)


def _as_float32(X_BD: Array) -> Float32:
    return np.ascontiguousarray(X_BD, np.float32)
