"""The part `rare` of study_auto.py: who finds the rows of a rare class, beside scikit-activeml's margin and badge.

Everyone begins at the same 20 random labels, one of them at least of the rare class, and picks 60 rows in 6 rounds of
10. Printed is how many of these are of the rare class; and how good scikit-learn's LogisticRegression(C=1), fitted to
all 80 labels, is on a third of the pool: balanced accuracy, which depends on where the head draws the line, and average
precision, which depends on the order of the rows alone. Means over the seeds.

Ours choose with the default head; `grad/kmeanspp` is badge as published. Those `of theirs` are scikit-activeml's, which
choose with LogisticRegression(C=1). In between ours choose with that very head, so that beside theirs only the
selection differs.

The pools: in the first nine about 3.8% of the rows are of the rare class. One has yes-or-no columns, as in a
questionnaire, one an encoder's features of digits, one (skipped where it is not at hand) those of 5,000 questions of
banking77, three intents of 77 being rare, and the others are synthetic classes and pixels. In the last three the share
is 15% or 50%, which shows what a rule for rare classes costs elsewhere.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from skactiveml import pool as peers
from skactiveml.classifier import SklearnClassifier
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from alcli.arrays import Array, Int64
from alcli.data.pool import open_pool
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.numerics.metrics import balanced_accuracy
from alcli.selection.source import ArraySource
from alcli.simulation.contenders import contender
from alcli.simulation.oracle import Oracle
from alcli.simulation.plan import Cell, initial_rng, selection_seed
from alcli.simulation.round import RoundState
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.truth import truth_of
from benchmarks.auto_numbers import mean_and_half
from benchmarks.studies import BANKING77, DIGITS, is_there
from benchmarks.timing import table

RARE = 0.038
INITIAL, BATCH, ROUNDS = 20, 10, 6
PUBLISHED = "grad/kmeanspp"  # badge as it was published
QUESTIONS, INTENTS = 5000, 3
MEASURES = ("rows of the rare class", "balanced accuracy, %", "average precision, %")  # of `judged`
OURS = ["random", "margin", "badge", PUBLISHED, "direct", "uherding", "relevance", "auto"]
PEERS: Mapping[str, Callable[[int], object]] = {
    "margin": lambda seed: peers.UncertaintySampling(method="margin_sampling", random_state=seed),
    "badge": lambda seed: peers.Badge(random_state=seed),
}
Rows = tuple[Array, Array]


@dataclass(frozen=True)
class Start:
    """The rows of one seed. y_N: 1 for the rare class, else 0. Others: row numbers."""

    X_ND: Array
    y_N: Int64
    test: Int64
    askable: Int64
    initial: Int64


def rare(data: Path, out: Path, seeds: int) -> None:
    """Print the tables."""
    warnings.filterwarnings("ignore")  # of scikit-activeml and scikit-learn: of purity, and of fits that are not theirs
    out.mkdir(parents=True, exist_ok=True)
    every = pools(data)
    found = {
        name: [_kept(out / f"{name}-{seed}.json".replace(" ", "-"), rows, seed) for seed in range(seeds)]
        for name, rows in every.items()
    }
    for i, what in enumerate(MEASURES):
        values = {
            who: np.array([[results[who][i] for results in found[name]] for name in every])
            for who in next(iter(found.values()))[0]
        }
        show(f"{what}: {INITIAL} labels and {ROUNDS} rounds of {BATCH}, {seeds} seeds", list(every), values)


def show(title: str, names: Sequence[str], values: Mapping[str, Array]) -> None:
    """The means of each pool and of the rare ones, and by how much auto is ahead of whom. values: [pools, S]."""
    few = [i for i, name in enumerate(names) if "%" not in name]
    rows = [[who, *(f"{v:.1f}" for v in of.mean(axis=1)), f"{of[few].mean():.1f}"] for who, of in values.items()]
    for who in ("uherding", "margin", "margin of theirs", "badge of theirs"):
        ahead = values["auto"] - values[who]
        rows.append([f"auto - {who}", *map(mean_and_half, ahead), mean_and_half(ahead[few].mean(axis=0))])
    print(f"\n{title}")
    table(["", *names, "mean of the rare"], rows)


def _kept(path: Path, rows: Rows, seed: int) -> dict[str, list[float]]:
    """The results of one seed, from a file or played and kept there."""
    if not path.exists():
        path.write_text(json.dumps(results_of(rows, seed)))
    results: dict[str, list[float]] = json.loads(path.read_text())
    return results


def results_of(rows: Rows, seed: int) -> dict[str, list[float]]:
    """Per contender, (rows of the rare class that it found, balanced accuracy and average precision in points)."""
    start = started(rows, seed)
    chosen = {name: ours(start, name, seed) for name in OURS}
    chosen |= {f"{name}, their head": ours(start, name, seed, logistic) for name in (*PEERS, PUBLISHED)}
    chosen |= {f"{name} of theirs": theirs(start, name, seed) for name in PEERS}
    return {who: judged(start, labelled) for who, labelled in chosen.items()}


def started(rows: Rows, seed: int) -> Start:
    """A third of the rows is for testing; one of the initial labels at least is of the rare class."""
    X_ND, y_N = rows
    order = initial_rng(seed).permutation(len(y_N))
    test, askable = np.split(order, [len(order) // 3])
    initial = askable[:INITIAL]
    if not y_N[initial].any():
        initial = np.append(initial[:-1], askable[y_N[askable] == 1][0])
    return Start(np.asarray(X_ND, np.float32), y_N.astype(np.int64), np.sort(test), np.sort(askable), initial)


def default(data: Training, start: Model | None) -> Model:
    return fit(data, Recipe().checked().spec(regression=False), start=start, tune_update=False)


def logistic(data: Training, start: Model | None) -> Model:
    """LogisticRegression(C=1) as a head without a posterior: its logit, half of it for each class."""
    found = LogisticRegression(C=1, max_iter=1000).fit(data.X_LD, data.y_L)
    half_1D = np.hstack([found.coef_, found.intercept_[:, None]]) / 2.0
    return Model(LinearHead("softmax", np.vstack([-half_1D, half_1D]), 2.0))


def ours(
    start: Start,
    name: str,
    seed: int,
    fitted: Callable[[Training, Model | None], Model] = default,
    options: Mapping[str, float] = MappingProxyType({}),
) -> Int64:
    """The labelled rows after all rounds."""
    source, oracle = ArraySource(start.X_ND, np.arange(len(start.y_N))), Oracle(start.y_N, start.askable)
    oracle.ask(start.initial)
    who, model = contender(name), None
    for number in range(ROUNDS):
        labelled = oracle.labelled
        model = fitted(Training(source.take(labelled), oracle.labels(), np.ones(len(labelled)), 2), model)
        state = RoundState(source, oracle, model, 2, labelled[:0])
        who.choose(state, BATCH, selection_seed(Cell(name, seed), number), options)
    return oracle.labelled


def theirs(start: Start, name: str, seed: int) -> Int64:
    """The same with scikit-activeml's strategy and head."""
    X_MD, labelled = start.X_ND[start.askable], start.initial
    peer = PEERS[name](seed)
    for _ in range(ROUNDS):
        y_M = np.where(np.isin(start.askable, labelled), start.y_N[start.askable], np.nan)
        head = SklearnClassifier(LogisticRegression(C=1, max_iter=1000), classes=[0, 1])
        picks = peer.query(X_MD, y_M, head, batch_size=BATCH)  # type: ignore[attr-defined]
        labelled = np.concatenate([labelled, start.askable[picks]])
    return labelled


def judged(start: Start, labelled: Int64) -> list[float]:
    head = LogisticRegression(C=1, max_iter=1000).fit(start.X_ND[labelled], start.y_N[labelled])
    X_TD, y_T = start.X_ND[start.test], start.y_N[start.test]
    found = float(start.y_N[labelled].sum() - start.y_N[start.initial].sum())
    precision = float(average_precision_score(y_T, head.decision_function(X_TD)))
    return [found, 100 * balanced_accuracy(y_T, head.predict(X_TD)), 100 * precision]


def pools(data: Path) -> dict[str, Rows]:
    """(features, whether a row is of the rare class) of every pool that is at hand, by name."""
    pixels = load_digits()
    questions = {"questions": _questions(data / BANKING77)} if is_there(data / BANKING77) else {}
    standard = StandardScaler().fit_transform(pixels.data), pixels.target
    return {
        "answers": answers(),
        "two blobs": synthetic(20, 6, 1, RARE, 0),
        "six blobs": synthetic(30, 8, 3, RARE, 3),
        "clusters": clusters(40, 15, 1.2, 0),
        "crowded": clusters(10, 25, 1.5, 5),
        "pixels 1": one_of(standard, 1),
        "pixels 8": one_of((pixels.data / 8.0, pixels.target), 8),
        "encoded 5": one_of(of_file(DIGITS), 5),
        **questions,
        "blobs 15%": synthetic(30, 8, 2, 0.15, 5),
        "blobs 50%": synthetic(20, 6, 1, 0.5, 1),
        "pixels 50%": (pixels.data / 8.0, (pixels.target < 5).astype(np.int64)),
    }


def of_file(path: Path) -> Rows:
    """All rows of a pool, and the numbers of their classes."""
    pool = open_pool(str(path))
    truth = truth_of(pool, None)
    return np.asarray(pool.take(truth.used)), truth.y_N[truth.used]


def _questions(path: Path) -> Rows:
    """Random questions; those of three random intents are rare."""
    X_ND, y_N = of_file(path)
    rng = np.random.default_rng(1)
    rows = rng.permutation(len(y_N))[:QUESTIONS]
    return X_ND[rows], np.isin(y_N[rows], rng.choice(y_N.max() + 1, INTENTS, replace=False)).astype(np.int64)


def answers() -> Rows:
    """Every way to answer six questions with three or four answers each; yes-or-no columns. A row is rare where all of
    several conditions hold, as with the best cars in the UCI repository.
    """
    grid = np.array(list(itertools.product(*(range(n) for n in (4, 4, 4, 3, 3, 3)))))
    price, upkeep, doors, persons, boot, safety = grid.T
    room = (boot == 2) | ((boot == 1) & (doors >= 2))
    is_rare = (safety == 2) & (persons >= 1) & (price >= 2) & (upkeep >= 1) & (price + upkeep >= 4) & room
    columns = [np.eye(n)[grid[:, i]] for i, n in enumerate((4, 4, 4, 3, 3, 3))]
    return np.hstack(columns), is_rare.astype(np.int64)


def synthetic(D: int, informative: int, blobs: int, share: float, seed: int, n: int = 3000) -> Rows:
    """n rows of scikit-learn's make_classification."""
    X_ND, y_N = make_classification(
        n,
        D,
        n_informative=informative,
        n_clusters_per_class=blobs,
        weights=[1.0 - share],
        flip_y=0.0,
        random_state=seed,
    )
    return X_ND, y_N


def clusters(D: int, K: int, distance: float, seed: int, n: int = 4000) -> Rows:
    """n rows in K Gaussian clusters, one of which is rare and the others are equally large."""
    rng = np.random.default_rng(seed)
    means_KD = distance * rng.normal(size=(K, D))
    cluster_N = rng.choice(K, p=[(1.0 - RARE) / (K - 1)] * (K - 1) + [RARE], size=n)
    return means_KD[cluster_N] + rng.normal(size=(n, D)), (cluster_N == K - 1).astype(np.int64)


def one_of(rows: Rows, c: int) -> Rows:
    """All rows of the other classes, and so many random rows of class c that it is rare."""
    X_ND, y_N = rows
    of_class, others = np.flatnonzero(y_N == c), np.flatnonzero(y_N != c)
    few = np.random.default_rng(c).permutation(of_class)[: round(RARE / (1.0 - RARE) * len(others))]
    kept = np.sort(np.concatenate([few, others]))
    return X_ND[kept], (y_N[kept] == c).astype(np.int64)
