import itertools

import numpy as np
import pytest
import torch

from alcli import parsing
from alcli.errors import UsageError
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.deviations import perturbations, perturbed_layers, scaled_deviations, softmax_deviation
from alcli.numerics.logistic import log_softmax, softmax
from alcli.numerics.network import Network
from alcli.numerics.rows import Rows
from alcli.posteriors._contract import sample_noise
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import noise_stability
from alcli.strategies.noise_stability import jacobian_rows
from tests.helpers import view_of

STRATEGY = strategy_of(noise_stability)


def linear(D=6, C=4, seed=0, **rest):
    return LinearHead("softmax", np.random.default_rng(seed).standard_normal((C, D + 1)), 1.0, **rest)


def mlp(D=6, M=5, C=4, activation="tanh", depth=1, **rest):
    rng, dims = np.random.default_rng(2), (D, *[M] * depth)
    layers = tuple((rng.standard_normal((m, d)), rng.standard_normal(m)) for d, m in itertools.pairwise(dims))
    return NetworkHead(layers, activation, linear(M, C, **rest))


def network_of(head):
    return Network(head.layers, head.activation, head.W_CD1)


def rows_of(n=60, D=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D)) * np.linspace(0.3, 2, n)[:, None]


def choose(X, head, k=20, seed=0, labelled=(), **options):
    return select(STRATEGY, view_of(X, head=Model(head), labelled=labelled), k, seed=seed, options=options)


def gram(rows):
    with workers() as spread:
        return rows.inner_with(rows, np.arange(rows.n), spread) * rows.scale**2


def jacobian(head, X):
    """Of the class probabilities by the last layer's weights, the bias left out, by automatic differentiation: [N, C
    * C * D].
    """
    W = torch.tensor(head.W_CD1)
    out = [
        torch.autograd.functional.jacobian(lambda W, x=x: torch.softmax(W[:, :-1] @ x + W[:, -1], 0), W)[
            ..., :-1
        ].reshape(-1)
        for x in torch.tensor(X)
    ]
    return torch.stack(out).numpy()


def sampled(network, X, samples, zeta, seed=0, output="softmax", scaling="global"):
    weights = perturbed_layers(network, output, bias=False)
    noise = sample_noise((sum(W.size for W in weights),), samples, seed=seed, first=0)
    return Rows(Factor(scaled_deviations(network, X, perturbations(noise, weights, zeta, scaling), output)))


def farthest_first(E, k):
    """Greedy k-centre whose first centre is 0, all distances in float64."""
    picks, nearest, distances = [], np.linalg.norm(E, axis=1), []
    for _ in range(k):
        picks.append(int(nearest.argmax()))
        distances.append(nearest.max())
        nearest = np.minimum(nearest, np.linalg.norm(E - E[picks[-1]], axis=1))
        nearest[picks] = -1
    return picks, distances


# The oracles of the specification, in its order.


def test_1_exact_finite_differences_of_a_softmax():
    rng = np.random.default_rng(0)
    z, delta = 3 * rng.standard_normal((100, 5)), 1e-3 * rng.standard_normal((100, 7, 5))
    assert (
        np.abs(softmax_deviation(log_softmax(z), delta) - (softmax(z[:, None] + delta) - softmax(z)[:, None])).max()
        < 1e-15
    )


def test_1_digits_survive_saturation_where_the_plain_difference_loses_them():
    z = np.array([[np.log(1e14), 0.0]])  # p_max = 1 - 1e-14
    delta = np.array([[[1e-3, -2e-3]]])
    wide, moved = z[0].astype(np.longdouble), (z[0] + delta[0, 0]).astype(np.longdouble)
    share = lambda logits: np.exp(logits[1] - logits[0]) / (1 + np.exp(logits[1] - logits[0]))  # noqa: E731
    exact = share(wide) - share(moved)  # what the top class gains is what the other loses
    found = softmax_deviation(log_softmax(z), delta)[0, 0, 0]
    naive = (softmax(z + delta[0]) - softmax(z))[0, 0]
    assert abs(found / exact - 1) < 1e-8
    assert abs(naive / exact - 1) > 1e-1


def test_2_products_of_many_samples_tend_to_the_kernel():
    head, X = linear(), rows_of(30)
    K = gram(jacobian_rows(network_of(head), X, "softmax"))
    errors = [np.linalg.norm(gram(sampled(network_of(head), X, S, 1e-4)) - K) / np.linalg.norm(K) for S in (250, 4000)]
    assert errors[1] < 0.04
    assert 2 < errors[0] / errors[1] < 8  # 4 in the mean: the error falls as one over the root of S
    rows = sampled(network_of(head), X, 4000, 1e-4)
    assert abs(np.mean(rows.sq_norms * rows.scale**2 / np.diag(K)) - 1) < 0.01


@pytest.mark.parametrize("scaling", ["global", "layer"])
@pytest.mark.parametrize("output", ["softmax", "logits", "hidden"])
def test_2_with_hidden_layers_too(output, scaling):
    network, X = network_of(mlp()), rows_of(20)
    K = gram(jacobian_rows(network, X, output, scaling))
    errors = [
        np.linalg.norm(gram(sampled(network, X, S, 1e-4, 1, output, scaling)) - K) / np.linalg.norm(K)
        for S in (250, 4000)
    ]
    assert errors[1] < 0.06
    assert 2 < errors[0] / errors[1] < 8


def test_3_the_kernel_is_the_gram_matrix_of_jacobians():
    head, X = linear(), rows_of(25)
    J = jacobian(head, X)
    rows = jacobian_rows(network_of(head), X, "softmax")
    p = softmax(head.logits(X))
    sq_A = (p**2).sum(1) - 2 * (p**3).sum(1) + (p**2).sum(1) ** 2
    assert np.allclose(gram(rows), J @ J.T)
    assert np.allclose(rows.sq_norms * rows.scale**2, (X**2).sum(1) * sq_A)
    assert np.allclose(rows.sq_norms * rows.scale**2, (J**2).sum(1))


def test_4_logits_of_a_linear_head_see_features_only_and_this_is_said():
    head, X = linear(), rows_of()
    assert np.allclose(gram(jacobian_rows(network_of(head), X, "logits")), 4 * X @ X.T)
    chosen = choose(X, head, output="logits")
    assert (
        chosen.rows_K.tolist() == choose(X, linear(seed=9), output="logits").rows_K.tolist() == farthest_first(X, 20)[0]
    )
    assert chosen.notes == (noise_stability.BLIND,)
    assert choose(X, head).notes == ()
    assert choose(X, mlp(), output="logits").notes == ()


def test_5_deviations_are_linear_in_small_steps():
    network, X = network_of(linear()), rows_of()
    wide, narrow, tiny = (sampled(network, X, 30, zeta).factors[0].F_ND for zeta in (1e-2, 1e-3, 1e-4))
    change = np.linalg.norm(wide - narrow) / np.linalg.norm(narrow)
    finer = np.linalg.norm(narrow - tiny) / np.linalg.norm(tiny)
    assert change < 0.2
    assert np.isclose(change / finer, 10, rtol=0.2)


@pytest.mark.parametrize("head", [linear(), mlp(), mlp(activation="relu", depth=2)], ids=["linear", "mlp", "deep"])
def test_6_picks_are_those_of_greedy_k_centre_on_the_deviations(head):
    X = rows_of(200)
    seed = int(np.random.default_rng(np.random.SeedSequence(5)).integers(2**63))
    rows = sampled(network_of(head), X, 30, 1e-3, seed)
    picks, distances = farthest_first(rows.written_out(0, rows.n) * rows.scale, 40)
    chosen = choose(X, head, 40, seed=5, estimator="sampled")
    assert chosen.rows_K.tolist() == picks
    assert np.allclose(chosen.scores_K, distances, rtol=1e-5)


def test_6_the_kernel_picks_what_written_out_jacobians_pick():
    head, X = linear(), rows_of(200)
    picks, distances = farthest_first(jacobian(head, X), 60)
    chosen = choose(X, head, 60)
    assert chosen.rows_K.tolist() == picks
    assert np.allclose(chosen.scores_K, distances, rtol=1e-5)


def test_7_the_first_pick_has_the_largest_norm_and_distances_fall():
    head, X = linear(), rows_of(300)
    chosen = choose(X, head, 100)
    norms = np.linalg.norm(jacobian(head, X), axis=1)
    assert chosen.rows_K[0] == norms.argmax()
    assert np.isclose(chosen.scores_K[0], norms.max())
    assert (np.diff(chosen.scores_K) <= 0).all()


@pytest.mark.parametrize("seed", range(10))
def test_7_covers_within_twice_the_best_radius(seed):
    head, X = linear(seed=seed), rows_of(9, seed=seed)
    E = np.concatenate([jacobian(head, X), np.zeros((1, 96))])  # 0 is a centre that costs nothing
    distance = np.linalg.norm(E[:, None] - E[None], axis=2)
    radius = lambda picks: distance[:-1][:, [*picks, 9]].min(axis=1).max()  # noqa: E731
    best = min(radius(c) for c in itertools.combinations(range(9), 3))
    assert radius(choose(X, head, 3).rows_K) <= 2 * best + 1e-12


def test_8_two_classes_rank_by_p_times_one_minus_p_times_the_norm():
    head, X = linear(C=2), rows_of(80)
    p = softmax(head.logits(X))[:, 0]
    expected = 2 * p * (1 - p) * np.linalg.norm(X, axis=1)
    chosen = choose(X, head, 80, selector="topnorm")
    assert chosen.rows_K.tolist() == np.argsort(-expected, kind="stable").tolist()
    assert np.allclose(chosen.scores_K, -np.sort(-expected), rtol=1e-5)


@pytest.mark.parametrize("selector", ["kcenter", "topnorm", "direction"])
def test_8_rows_that_cannot_move_come_last(selector):
    X = rows_of(40)
    X[[3, 30]] = 0  # phi = 0
    X[[7, 20]] *= 1e6  # one-hot
    chosen = choose(X, linear(), 40, selector=selector)
    assert chosen.rows_K[-4:].tolist() == [3, 7, 20, 30]
    assert (chosen.scores_K[-4:] == 0).all()
    assert (chosen.scores_K[:-4] > 0).all()


def test_9_output_norms_divide_the_deviations():
    head, X = linear(), rows_of(100)
    lengths = np.linalg.norm(softmax(head.logits(X)), axis=1, keepdims=True)
    picks, distances = farthest_first(jacobian(head, X) / lengths, 40)
    chosen = choose(X, head, 40, norm_output=True)
    assert chosen.rows_K.tolist() == picks
    assert np.allclose(chosen.scores_K, distances, rtol=1e-5)
    assert picks != choose(X, head, 40).rows_K.tolist()


# What else it promises.


def test_confident_rows_by_hand():
    # Two classes, W = [[1], [-1]], no bias: |E| = 2 p (1 - p) |x| with p = 1 / (1 + exp(-2 x)) is largest near x =
    # 0.77.
    X = np.array([[0.1], [0.77], [3.0], [-0.77], [0.0]], np.float32)
    head = LinearHead("softmax", np.array([[1.0, 0.0], [-1.0, 0.0]]), 1.0)
    chosen = choose(X, head, 5)
    # x and -x have opposite deviations; then 3 and 0.1, nearest to 0; 0 does not move.
    assert set(chosen.rows_K[:2].tolist()) == {1, 3}
    assert chosen.rows_K[2:].tolist() == [0, 2, 4]
    p = 1 / (1 + np.exp(-1.54))
    assert np.allclose(chosen.scores_K[:2], 2 * p * (1 - p) * 0.77, rtol=1e-5)


def test_samples_do_not_depend_on_how_many_follow():
    network, X = network_of(linear()), rows_of()
    few, many = sampled(network, X, 5, 1e-3).factors[0].F_ND, sampled(network, X, 20, 1e-3).factors[0].F_ND
    assert np.allclose(few * np.sqrt(5), many[:, :20] * np.sqrt(20), rtol=1e-9)


@pytest.mark.parametrize("selector", ["kcenter", "kmeanspp", "kdpp", "topnorm", "direction"])
@pytest.mark.parametrize("estimator", ["kernel", "sampled"])
@pytest.mark.parametrize("head", [linear(), mlp()], ids=["linear", "mlp"])
def test_any_selector_any_estimator(head, estimator, selector):
    X = rows_of(90)
    chosen = choose(X, head, 12, selector=selector, estimator=estimator)
    assert len(set(chosen.rows_K.tolist())) == 12
    again = select(
        STRATEGY,
        view_of(X, head=Model(head), block_rows=7),
        12,
        seed=0,
        options={"selector": selector, "estimator": estimator},
    )
    assert again.rows_K.tolist() == chosen.rows_K.tolist()
    assert again.scores_K.tobytes() == chosen.scores_K.tobytes()


def test_the_seed_matters_where_noise_is_drawn():
    X = rows_of(90)
    sets = {tuple(choose(X, linear(), 12, seed=s, estimator="sampled", samples=2).rows_K.tolist()) for s in range(4)}
    assert len(sets) == 4
    assert choose(X, linear(), seed=1).rows_K.tolist() == choose(X, linear(), seed=2).rows_K.tolist()


def test_auto_takes_the_kernel_for_a_linear_head_and_samples_for_hidden_layers():
    X = rows_of(90)
    for head, estimator in ((linear(), "kernel"), (mlp(), "sampled")):
        assert choose(X, head).scores_K.tobytes() == choose(X, head, estimator=estimator).scores_K.tobytes()


def test_many_rows_are_drawn_by_determinants_of_their_samples(monkeypatch):
    X = rows_of(90)
    monkeypatch.setattr(noise_stability, "MOST", 80)
    few, many = choose(X[:80], linear(), selector="kdpp"), choose(X, linear(), selector="kdpp")
    assert few.scores_K.tobytes() == choose(X[:80], linear(), selector="kdpp", estimator="kernel").scores_K.tobytes()
    assert many.scores_K.tobytes() == choose(X, linear(), selector="kdpp", estimator="sampled").scores_K.tobytes()
    assert "estimator=auto drew noise" in many.notes[0]
    assert few.notes == ()


def test_biases_are_perturbed_when_asked():
    head, X = linear(), rows_of(50)
    J = jacobian(head, X).reshape(50, 4, 4, 6)
    p = softmax(head.logits(X))
    A = p[:, :, None] * np.eye(4) - np.einsum("nc,nd->ncd", p, p)
    E = np.concatenate([J, A[..., None]], axis=3).reshape(50, -1)
    assert choose(X, head, 30, perturb_bias=True).rows_K.tolist() == farthest_first(E, 30)[0]


def test_directions_of_unit_length():
    head, X = linear(), rows_of(60)
    J = jacobian(head, X)
    E = J / np.linalg.norm(J, axis=1, keepdims=True)
    chosen = choose(X, head, 25, selector="direction")
    assert chosen.rows_K[0] == 0  # all are as long: the first
    for t in range(1, 25):
        nearest = np.linalg.norm(E[:, None] - E[chosen.rows_K[:t]][None], axis=2).min(axis=1)
        assert np.isclose(nearest[chosen.rows_K[t]], nearest.max())
        assert np.isclose(chosen.scores_K[t], nearest.max())


def test_hidden_features_need_hidden_layers():
    with pytest.raises(UsageError, match="hidden layers"):
        choose(rows_of(), linear(), output="hidden")
    assert len(choose(rows_of(), mlp(), output="hidden").rows_K) == 20


@pytest.mark.parametrize("estimator", ["auto", "kernel", "sampled"])
def test_regressions(estimator):
    X = rows_of()
    flat = linear(C=1, link="identity", regression=True)
    chosen = choose(X, flat, estimator=estimator, samples=400)
    assert chosen.notes[-1] == noise_stability.BLIND
    if estimator != "sampled":
        assert chosen.rows_K.tolist() == farthest_first(X, 20)[0]
    curved = choose(X, mlp(C=1, link="identity", regression=True), estimator=estimator)
    assert curved.notes == ()
    assert not STRATEGY.needs_classes


def test_the_temperature_of_the_probabilities_counts():
    X = rows_of()
    cold, warm = linear(), linear(temperature=4.0)
    halved = LinearHead("softmax", cold.W_CD1 / 4, 1.0)
    assert choose(X, warm).rows_K.tolist() == choose(X, halved).rows_K.tolist() != choose(X, cold).rows_K.tolist()


def test_labelled_rows_are_no_centres():
    X = rows_of(80)
    picks = choose(X, linear(), 20).rows_K
    left = choose(np.concatenate([X, X[picks]]), linear(), 20, labelled=range(80, 100))
    assert left.rows_K.tolist() == picks.tolist()


@pytest.mark.parametrize("head", [linear(), mlp()], ids=["linear", "mlp"])
def test_the_number_of_threads_does_not_matter(head):
    X, answers = rows_of(5000).astype(np.float32), set()
    for threads in (1, 2):
        with thread_limit(threads):
            answers.add(choose(X, head, 20, estimator="sampled", samples=3, norm_output=True).scores_K.tobytes())
    assert len(answers) == 1


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "1e4"])
def test_the_size_of_the_noise_is_checked(text):
    with pytest.raises(UsageError, match=r"zeta.*between"):
        parsing.parse_options(STRATEGY.run, {"zeta": text}, "noise-stability")
