"""The prior that is learnt from the pool: what it gains, the traps it must not fall into, and degenerate pools."""

from dataclasses import replace

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads._pool_prior import Constants, pool_prior
from alcli.heads._prior import default_prior
from alcli.heads.softmax import softmax as softmax_head
from alcli.numerics.blocks import thread_limit
from alcli.numerics.last_layer.prior import SOFTMAX_BIAS_PRECISION
from alcli.numerics.logistic import one_hot, softmax

C, D = 12, 48


class Clusters:
    """Rows around class centres with a large common part. shares_C: the frequencies of the classes.

    names_CD: the centres, with noise. noise: the length of the noise of a row, where centres have length one.
    """

    def __init__(self, n=1500, seed=0, noise=1.6, shares_C=None, scale=1.0):
        rng = np.random.default_rng(seed)
        centres_CD = rng.normal(size=(C, D)) / np.sqrt(D)
        common_D = rng.normal(size=D) / np.sqrt(D) * 1.5
        self.y = rng.choice(C, size=n, p=shares_C)
        noise_ND = rng.normal(size=(n, D)) * noise / np.sqrt(D)
        self.X = (scale * (centres_CD[self.y] + common_D + noise_ND)).astype(np.float32)
        self.names_CD = centres_CD + common_D + rng.normal(size=(C, D)) * 0.7 / np.sqrt(D)

    def accuracies(self, n, names=None, constants=Constants(), known=None):
        """The accuracy on rows that no fit saw of (the plain head, the head around the pool prior), n labels."""
        train, test = np.arange(900), np.arange(900, len(self.X))
        labelled = train[:n] if known is None else train[np.isin(self.y[train], known)][:n]
        data = training(self.X[labelled], self.y[labelled])
        prior = pool_prior(blocks_of(np.delete(self.X[train], labelled, axis=0)), data, names, constants)
        return tuple(accuracy(W, self.X[test], self.y[test]) for W in (plain(data), around(data, prior)))


def blocks_of(X, size=10_000):
    """The rows as `pool_prior` reads them, `size` rows a block."""
    return lambda: (X[a : a + size] for a in range(0, len(X), size))


def training(X, y, n_classes=C):
    return Training(X, np.asarray(y, np.int64), np.ones(len(X)), n_classes)


def plain(data):
    """The weights of the head with a prior centred at zero."""
    return softmax_head(data, default_prior(data.X_LD, data.weights_L)).W_CD1


def around(data, prior):
    """The weights of the head with a prior centred at the mixture."""
    return softmax_head(replace(data, anchor=prior.anchor)).W_CD1


def accuracy(W, X, y):
    return float((logits(W, X).argmax(axis=1) == y).mean())


def logits(W, X):
    return with_bias(X) @ W.T


def gains(n, names=None, **how):
    """The gain of the pool prior over the plain head at n labels, the mean over three pools."""
    found = np.array(
        [pool.accuracies(n, names and pool.names_CD) for pool in (Clusters(seed=s, **how) for s in range(3))]
    )
    return float((found[:, 1] - found[:, 0]).mean())


def test_the_pool_gains_and_names_gain_more():
    pool, named = gains(24), gains(24, names=True)
    assert pool > 0.03
    assert named > pool + 0.03


def test_names_alone_predict():
    pool = Clusters()
    prior = pool_prior(blocks_of(pool.X), training(pool.X[:0], []), pool.names_CD)
    W = around(training(pool.X[:0], []), prior)
    assert accuracy(W, pool.X, pool.y) > 0.6
    assert prior.mass_C.sum() == pytest.approx(len(pool.X))
    np.testing.assert_array_equal(W, prior.W_CD1)


def test_with_many_labels_it_is_level_with_the_plain_head():
    before, after = Clusters().accuracies(850)
    assert after == pytest.approx(before, abs=0.01)


def test_uneven_classes_keep_their_masses_and_gain():
    shares_C = 1.0 / np.arange(1, C + 1)
    shares_C /= shares_C.sum()
    assert gains(36, shares_C=shares_C) > 0.0
    pool = Clusters(shares_C=shares_C, noise=0.7)
    first = np.unique(pool.y, return_index=True)[1]
    prior = pool_prior(blocks_of(np.delete(pool.X, first, axis=0)), training(pool.X[first], pool.y[first]))
    np.testing.assert_allclose(prior.mass_C, np.bincount(pool.y) - 1, atol=0.05 * len(pool.y))


def test_labels_that_were_chosen_for_being_hard_do_not_switch_the_pool_off():
    """The prior is as precise as that of the plain head whatever held-out labels say; the least certain rows gain."""
    pool = Clusters(seed=1)
    train, test = np.arange(900), np.arange(900, 1500)
    labelled = list(train[:C])
    for _ in range(4):
        W = plain(training(pool.X[labelled], pool.y[labelled]))
        probs = np.sort(softmax(logits(W, pool.X[train])), axis=1)
        order = np.argsort(probs[:, -1] - probs[:, -2], kind="stable")
        labelled += [i for i in order if i not in labelled][:C]
    data = training(pool.X[labelled], pool.y[labelled])
    prior = pool_prior(blocks_of(np.delete(pool.X[train], labelled, axis=0)), data)
    before, after = plain(data), around(data, prior)
    assert prior.concentration > 2.0
    assert accuracy(after, pool.X[test], pool.y[test]) > accuracy(before, pool.X[test], pool.y[test]) + 0.01


def test_without_names_it_takes_rows_of_unknown_classes_for_known_ones():
    """So it must not choose what to label: rows of unknown classes look certain to it, less so to the plain head."""
    found = []
    for seed in range(3):
        pool = Clusters(seed=seed, noise=1.0)
        labelled = np.flatnonzero(pool.y < C // 2)[: C // 2 * 3]
        rest = np.delete(np.arange(len(pool.X)), labelled)
        data = training(pool.X[labelled], pool.y[labelled])
        prior = pool_prior(blocks_of(pool.X[rest]), data)
        assert not prior.mass_C[C // 2 :].any()
        assert prior.mass_C.sum() == pytest.approx(len(rest))
        sure = [softmax(logits(W, pool.X[rest])).max(axis=1) for W in (plain(data), around(data, prior))]
        unknown = pool.y[rest] >= C // 2
        found.append([p[unknown].mean() for p in sure])
    assert (np.array(found)[:, 1] > np.array(found)[:, 0] + 0.1).all()


def test_a_fifth_of_unknown_classes_does_not_take_the_gain():
    known = np.arange(C * 4 // 5)
    found = np.array([Clusters(seed=s).accuracies(24, known=known) for s in range(3)])
    assert (found[:, 1] - found[:, 0]).mean() > 0.02


def test_wrong_names_are_named_and_cost_nothing():
    gain = {}
    for wrong in (0, 3, C):
        found = []
        for seed in range(3):
            pool = Clusters(seed=seed)
            names = pool.names_CD.copy()
            names[:wrong] = np.roll(names[:wrong], 1, axis=0)
            found.append(np.subtract(*pool.accuracies(60, names)[::-1]))
            prior = pool_prior(blocks_of(pool.X[60:]), training(pool.X[:60], pool.y[:60]), names)
            assert prior.refused == (wrong == C)
            assert len(np.setdiff1d(prior.wrong_names, np.arange(wrong))) <= 1
            assert len(prior.wrong_names) >= int(0.7 * wrong)
        gain[wrong] = float(np.mean(found))
    without = float(np.mean([np.subtract(*Clusters(seed=s).accuracies(60)[::-1]) for s in range(3)]))
    assert min(gain[0], gain[3]) > without - 0.01
    assert gain[C] == pytest.approx(without, abs=1e-9)


def test_the_head_is_the_minimum_of_its_objective():
    pool = Clusters()
    data = training(pool.X[:20], pool.y[:20])
    prior = pool_prior(blocks_of(pool.X[20:]), data, pool.names_CD)
    W = around(data, prior)
    away = W - prior.W_CD1
    # The middle of a class that has a name and no label counts as one labelled row.
    waiting = np.setdiff1d(np.arange(C), data.y_L)
    assert len(waiting)
    X, y = np.concatenate([data.X_LD, prior.typical_CD[waiting]]), np.concatenate([data.y_L, waiting])
    gradient = (softmax(logits(W, X)) - one_hot(y, C)).T @ with_bias(X)
    np.testing.assert_allclose(gradient[:, :-1], -prior.prior_precision * away[:, :-1], atol=1e-7)
    np.testing.assert_allclose(gradient[:, -1], -SOFTMAX_BIAS_PRECISION * away[:, -1], atol=1e-7)


def test_typical_rows_have_the_directions_of_the_means():
    pool = Clusters(scale=30.0)
    prior = pool_prior(blocks_of(pool.X[20:]), training(pool.X[:20], pool.y[:20]))
    centre_D = (pool.X / np.linalg.norm(pool.X, axis=1, keepdims=True)).mean(axis=0)
    away = prior.typical_CD / np.linalg.norm(pool.X, axis=1).mean() - centre_D
    cosines = (away * prior.means_CD).sum(axis=1) / np.linalg.norm(away, axis=1)
    np.testing.assert_allclose(cosines[prior.means_CD.any(axis=1)], 1.0, atol=1e-3)


def test_labels_of_other_classes_do_not_push_a_named_class_away():
    for seed in range(3):
        pool = Clusters(seed=seed)
        kept = np.flatnonzero(pool.y != C - 1)[: 2 * C]
        others = np.setdiff1d(np.arange(len(pool.X)), kept)
        data = training(pool.X[kept], pool.y[kept])
        prior = pool_prior(blocks_of(pool.X[others]), data, pool.names_CD)
        rows = others[pool.y[others] == C - 1]
        alone, fitted = (
            (logits(W, pool.X[rows]).argmax(axis=1) == C - 1).mean() for W in (prior.W_CD1, around(data, prior))
        )
        assert fitted > alone - 0.05


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e3])
def test_the_scale_of_the_features_does_not_matter(scale):
    one, other = Clusters(), Clusters(scale=scale)
    assert one.accuracies(24) == pytest.approx(other.accuracies(24), abs=0.005)


def test_neither_blocks_nor_threads_change_a_bit():
    pool = Clusters(n=5000)
    data = training(pool.X[:30], pool.y[:30])
    found = []
    for threads, block in ((1, 4970), (3, 171), (2, 2048)):
        with thread_limit(threads):
            rest = pool.X[30:]
            prior = pool_prior(blocks_of(rest, block), data, pool.names_CD)
            found.append(prior)
    for other in found[1:]:
        np.testing.assert_array_equal(other.W_CD1, found[0].W_CD1)
        np.testing.assert_array_equal(other.mass_C, found[0].mass_C)


def small(name):
    """(pool rows, labelled rows, labels, number of classes) of degenerate problems."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)).astype(np.float32)
    return {
        "two classes": (X, X[:4] + 1, [0, 0, 1, 1], 2),
        "one label": (X, X[:1], [1], 3),
        "one class": (X, X[:3], [0, 0, 0], 1),
        "more features than rows": (np.hstack([X[:10]] * 8), np.hstack([X[:2]] * 8), [0, 1], 2),
        "ten rows": (X[:8], X[8:10], [0, 1], 2),
        "duplicates": (np.repeat(X[:2], 30, axis=0), X[:2], [0, 1], 2),
        "all rows equal": (np.repeat(X[:1], 30, axis=0), np.repeat(X[:1], 2, axis=0), [0, 1], 2),
        "rows of zeros": (np.vstack([X, np.zeros((20, 5), np.float32)]), np.zeros((2, 5), np.float32), [0, 1], 2),
        "no pool": (X[:0], X[:6], [0, 1, 2, 0, 1, 2], 3),
        "float16": (X.astype(np.float16), X[:4].astype(np.float16), [0, 1, 0, 1], 2),
        "norms 1e-3 to 1e3": (X * np.logspace(-3, 3, 60)[:, None], X[:4] * 1e3, [0, 1, 0, 1], 2),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "two classes",
        "one label",
        "one class",
        "more features than rows",
        "ten rows",
        "duplicates",
        "all rows equal",
        "rows of zeros",
        "no pool",
        "float16",
        "norms 1e-3 to 1e3",
    ],
)
def test_degenerate_pools_give_finite_heads(name):
    pool, X, y, n_classes = small(name)
    data = training(X, y, n_classes)
    for names in (None, np.random.default_rng(1).normal(size=(n_classes, X.shape[1]))):
        prior = pool_prior(blocks_of(pool), data, names)
        W = around(data, prior)
        assert np.isfinite(W).all()
        assert prior.mass_C.sum() == pytest.approx(len(pool), abs=1e-3)
        if name == "duplicates":
            assert accuracy(W, X, np.array(y)) == 1.0


def test_it_is_advisable_for_embeddings_and_not_for_a_table_of_few_columns():
    pool, table = Clusters(), np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    assert pool_prior(blocks_of(pool.X[20:]), training(pool.X[:20], pool.y[:20])).advisable
    assert not pool_prior(blocks_of(table), training(table[:4], [0, 0, 1, 1], 2)).advisable


def test_trust_by_hand_falls_with_the_labels_of_each_class_and_later_with_names():
    """Classes with 5, 15 and 0 labels; the last takes part where it has a name."""
    pool = Clusters()
    rows = np.concatenate([np.flatnonzero(pool.y == c)[:n] for c, n in ((0, 5), (1, 15))])
    data, blocks = training(pool.X[rows], pool.y[rows]), blocks_of(np.delete(pool.X, rows, axis=0))
    names = np.zeros_like(pool.names_CD)
    names[:3] = pool.names_CD[:3]
    without, named = pool_prior(blocks, data), pool_prior(blocks, data, names)
    assert without.trust == pytest.approx((5 / 10 + 5 / 20) / 2)
    assert named.trust == pytest.approx((20 / 25 + 20 / 35 + 1) / 3)
    whole = pool_prior(blocks, data, constants=Constants(half=1e12))
    np.testing.assert_allclose(without.W_CD1, without.trust * whole.W_CD1, rtol=1e-9, atol=1e-12)


def test_trust_rises_with_the_dimensions_and_names_need_none():
    rng, found = np.random.default_rng(0), []
    for dim in (2, 6, 30):
        X = rng.normal(size=(400, dim)).astype(np.float32)
        data = training(X[:4], [0, 0, 1, 1], 2)
        prior = pool_prior(blocks_of(X), data)
        expected = np.clip((prior.dimensions - 3) / 7, 0, 1) * 5 / 7
        assert prior.trust == pytest.approx(expected)
        assert pool_prior(blocks_of(X), data, X[:2]).trust == pytest.approx(20 / 22)
        found.append(prior.trust)
    assert found[0] == 0.0 < found[1] < found[2] == pytest.approx(5 / 7)


def test_neither_label_nor_name_is_one_sentence():
    with pytest.raises(DataError, match="a class with a label or a name"):
        pool_prior(blocks_of(np.ones((5, 3), np.float32)), training(np.empty((0, 3), np.float32), []))


def test_one_odd_label_does_not_refuse_the_names():
    for seed in range(3):
        pool = Clusters(seed=seed)
        wrong = (pool.y[:1] + 1) % C
        prior = pool_prior(blocks_of(pool.X[1:]), training(pool.X[:1], wrong), pool.names_CD)
        assert not prior.refused
        W = around(training(pool.X[:1], wrong), prior)
        assert accuracy(W, pool.X[1:], pool.y[1:]) > 0.7
