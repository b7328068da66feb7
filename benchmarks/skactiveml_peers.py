"""Strategies of scikit-activeml 1.0.1 in the place of ours: asked of the same candidates, with the same head, for as
many rows.

A peer is a `Strategy`, so whatever asks one of ours can ask it. It is given the candidates and the labelled rows in
the order of their ids, the labels of the latter, and the round's head behind scikit-activeml's own interface; of the
posterior, the very draws that ours is given.

Of what scikit-activeml has, these have no counterpart here or are another task: ContrastiveAL, Clue, Quire, FourDs (a
mixture model in place of a head), CostEmbeddingAL, ProbabilisticAL, EpistemicUncertaintySampling (two classes),
ValueOfInformationEER, and those for regression (GreedySampling*, ExpectedModel*, KLDivergenceMaximization,
RegressionTreeBasedAL).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from skactiveml import pool as peers
from skactiveml.base import SkactivemlClassifier

from alcli.arrays import Array, Floats, Int64
from alcli.heads._contract import LinearHead, Training
from alcli.heads._prior import default_prior
from alcli.heads.softmax import softmax
from alcli.numerics.logistic import log_softmax
from alcli.numerics.rows import unit_rows
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.subsets import Shortlist, by_hash
from alcli.selection.view import View

SHORTLIST = 200  # rows of highest BALD that batchbald looks at, and configurations that it keeps
LOOKED_AT = 40  # candidates of eer, each with every label a refit, and rows that it judges by
_NEEDS = ("features", "hidden", "labelled", "labelled_targets", "log_probs", "network", "row_key", "targets")


class Given(SkactivemlClassifier):
    """The head as it is: says what it says of any rows, and is never fitted. view: where the head is asked."""

    def __init__(self, view: View, classes: Any, missing_label: float = np.nan) -> None:
        super().__init__(classes=classes, missing_label=missing_label)
        self.view = view
        self.classes_ = np.asarray(classes)  # which scikit-learn takes for having been fitted

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Given:
        return self

    def predict_proba(self, X: Array) -> Array:
        return np.exp(self.view.evaluate("log_probs", X))

    def predict(self, X: Array) -> Array:
        return self.predict_proba(X).argmax(axis=1)

    def sample_proba(self, X: Array) -> Array:
        """Under the draws of the posterior, [S, B, C]."""
        return np.exp(self.view.evaluate("sample_log_probs", X)).transpose(1, 0, 2)


class Refitted(SkactivemlClassifier):
    """A softmax head, fitted to whatever rows it is given. prior_precision: None takes the default. start: a head to
    begin at.
    """

    def __init__(
        self,
        classes: Any = None,
        missing_label: float = np.nan,
        prior_precision: float | None = None,
        start: LinearHead | None = None,
    ) -> None:
        super().__init__(classes=classes, missing_label=missing_label)
        self.prior_precision, self.start = prior_precision, start

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Refitted:
        known = ~np.isnan(y) if np.isnan(self.missing_label) else y != self.missing_label
        data = Training(X[known], y[known].astype(np.int64), np.ones(known.sum()), len(self.classes))
        prior = default_prior(data.X_LD, data.weights_L) if self.prior_precision is None else self.prior_precision
        self.head_ = softmax(data, prior, self.start)
        self.classes_ = np.asarray(self.classes)
        return self

    def predict_proba(self, X: Array) -> Array:
        return np.exp(log_softmax(self.head_.logits(X)))


@dataclass(frozen=True)
class Question:
    """What a peer is asked. X_MD: candidates and labelled rows by id; y_M: NaN for candidates; is_candidate_M: these.
    seed: of its draws.
    """

    view: View
    rng: np.random.Generator
    k: int
    rows_M: Int64
    X_MD: Floats
    y_M: Array
    head: Given

    @classmethod
    def of(cls, view: View, k: int, rng: np.random.Generator) -> Question:
        rows_M, X_MD, is_labelled_M = view.with_labelled()
        y_M, targets_LC = np.full(len(rows_M), np.nan), view.labelled_targets()
        y_M[is_labelled_M] = targets_LC.argmax(axis=1)
        return cls(view, rng, k, rows_M, X_MD, y_M, Given(view, range(targets_LC.shape[1])))

    @property
    def classes(self) -> range:
        return range(len(self.head.classes_))

    @property
    def seed(self) -> int:
        return int(self.rng.integers(1 << 31))

    def among(self, rows: Int64) -> Question:
        """The same question with fewer rows beside the labelled ones."""
        kept_M = np.isin(self.rows_M, rows) | ~np.isnan(self.y_M)
        return replace(self, rows_M=self.rows_M[kept_M], X_MD=self.X_MD[kept_M], y_M=self.y_M[kept_M])

    def put(self, peer: Any, *models: Any, X_MD: Floats | None = None, **rest: Any) -> Int64:
        """The rows that a peer answers with."""
        picks_K = peer.query(self.X_MD if X_MD is None else X_MD, self.y_M, *models, batch_size=self.k, **rest)
        return self.rows_M[np.asarray(picks_K)]


def _uncertainty(method: str) -> Callable[[Question], Int64]:
    return lambda q: q.put(peers.UncertaintySampling(method=method, random_state=q.seed), q.head, fit_clf=False)


def _committee(peer: Callable[..., Any], **own: Any) -> Callable[[Question], Int64]:
    return lambda q: q.put(
        peer(sample_predictions_method_name="sample_proba", random_state=q.seed, **own), q.head, fit_ensemble=False
    )


def _batch_bald(q: Question) -> Int64:
    """Among the rows of highest BALD, as ours."""
    few = q.among(Shortlist.of(q.view, max(SHORTLIST, q.k)).rows_M)
    return _committee(peers.BatchBALD, n_MC_samples=SHORTLIST)(few)


def _error_reduction(q: Question) -> Int64:
    """The head is refitted with every label of every candidate; candidates and the rows that matter are those that
    ours draws.
    """
    few = q.among(q.view.rows[np.sort(by_hash(q.view, q.rng)[: max(LOOKED_AT, q.k)])])
    X_ED, known_M = q.view.targets(LOOKED_AT, q.rng), ~np.isnan(few.y_M)
    head = Refitted(q.classes, prior_precision=q.view.network().prior_precision)
    head.start = head.fit(few.X_MD[known_M], few.y_M[known_M]).head_
    return few.put(peers.MonteCarloEER(method="log_loss", random_state=q.seed), head, X_eval=X_ED)


@dataclass(frozen=True)
class Pair:
    """A strategy of ours and the peer of the same name. options: of ours, as text. samples: draws of the posterior,
    of both.

    theirs: what the peer is called there and how it is set. skipped: data sets that they cannot be asked on, and why.
    same: the picks are equal.
    """

    name: str
    theirs: str
    ask: Callable[[Question], Int64]
    options: Mapping[str, str] = field(default_factory=dict)
    samples: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)
    same: bool = False

    @property
    def peer(self) -> Strategy:
        needs = (*_NEEDS, "sample_log_probs") if self.samples else _NEEDS
        return Strategy(self._run, needs, pointwise=False, random=True, samples=self.samples)

    def _run(self, view: View, k: int, *, rng: np.random.Generator) -> Selection:
        rows_K = self.ask(Question.of(view, k, rng))
        return Selection(rows_K, np.zeros(len(rows_K), np.float32))


_EER = {"candidates": str(LOOKED_AT), "evaluation": str(LOOKED_AT)}
_BATCH = {"candidates": str(SHORTLIST), "configurations": str(SHORTLIST)}
_REFITS = {"banking77": f"{LOOKED_AT} candidates with 77 labels each are 3,080 refits a query"}
_TWICE = {"banking77": "with 77 picks gains tie, and their batch then holds a row twice"}

PAIRS = (
    Pair("random", "RandomSampling", lambda q: q.put(peers.RandomSampling(random_state=q.seed))),
    Pair("margin", "UncertaintySampling(margin_sampling)", _uncertainty("margin_sampling"), same=True),
    Pair("entropy", "UncertaintySampling(entropy)", _uncertainty("entropy"), same=True),
    Pair("least-confident", "UncertaintySampling(least_confident)", _uncertainty("least_confident"), same=True),
    Pair("bald", "GreedyBALD, our 100 draws", _committee(peers.GreedyBALD), samples=100, same=True),
    Pair(
        "batchbald",
        f"BatchBALD(n_MC_samples={SHORTLIST}), our 50 draws and {SHORTLIST} candidates",
        _batch_bald,
        _BATCH,
        samples=50,
        skipped=_TWICE,
    ),
    Pair(
        "qbc",
        "QueryByCommittee(vote_entropy), our 5 draws",
        _committee(peers.QueryByCommittee, method="vote_entropy"),
        samples=5,
    ),
    Pair(
        "kl=qbc",
        "QueryByCommittee(KL_divergence), our 5 draws",
        _committee(peers.QueryByCommittee),
        {"method": "kl"},
        samples=5,
        same=True,
    ),
    Pair(
        "variation-ratio",
        "QueryByCommittee(variation_ratios), our 100 draws",
        _committee(peers.QueryByCommittee, method="variation_ratios"),
        samples=100,
    ),
    Pair("badge", "Badge", lambda q: q.put(peers.Badge(random_state=q.seed), q.head, fit_clf=False)),
    Pair("coreset", "CoreSet", lambda q: q.put(peers.CoreSet(random_state=q.seed)), same=True),
    Pair("typiclust", "TypiClust(k=20)", lambda q: q.put(peers.TypiClust(k=20, random_state=q.seed))),
    Pair(
        "probcover",
        "ProbCover(n_classes=C), unit rows",
        lambda q: q.put(peers.ProbCover(n_classes=len(q.classes), random_state=q.seed), X_MD=unit_rows(q.X_MD)),
    ),
    Pair(
        "maxherding",
        "MaxHerding(gamma=1)",
        lambda q: q.put(peers.MaxHerding(metric_dict={"gamma": 1.0}, random_state=q.seed)),
        same=True,
    ),
    Pair("wide=maxherding", "MaxHerding, its own gamma 1/D", lambda q: q.put(peers.MaxHerding(random_state=q.seed))),
    Pair(
        "dropquery",
        "DropQuery(n_dropout_samples=3)",
        lambda q: q.put(peers.DropQuery(n_dropout_samples=3, random_state=q.seed), q.head, fit_clf=False),
    ),
    Pair("falcun", "Falcun", lambda q: q.put(peers.Falcun(random_state=q.seed), q.head, fit_clf=False)),
    Pair(
        "discriminative",
        "DiscriminativeAL, a softmax head",
        lambda q: q.put(peers.DiscriminativeAL(random_state=q.seed), Refitted()),
    ),
    Pair("eer", "MonteCarloEER(log_loss), the head refitted", _error_reduction, _EER, skipped=_REFITS),
)
