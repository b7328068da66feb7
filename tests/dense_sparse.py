"""Sparse approximation with its matrices written out, float64: what the factored code is compared with."""

from __future__ import annotations

import numpy as np

from alcli.numerics.gradients.gradient_rows import GradientRows


def instance(N=9, K=3, D=4, seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    A, F = rng.standard_normal((N, K)) * size + 0.3 * size, rng.standard_normal((N, D))
    G = np.einsum("nk,nd->nkd", A, np.hstack([F, np.ones((N, 1))])).reshape(N, -1)
    return GradientRows(A, F), rng.random(N) * size / N, G


class Dense:
    """The published problem with its matrices written out, float64, in the units of the pool."""

    def __init__(self, G, sigma, b, alpha, beta):
        self.Phi, self.v, self.sigma, self.alpha, self.beta = G.T / b, G.mean(0), sigma, alpha, beta
        self.norms = (self.Phi**2).sum(0) + beta

    def f1(self, w):
        return ((self.v - self.Phi @ w) ** 2).sum() + self.beta * ((w - 1) ** 2).sum()

    def f(self, w, S):
        return self.f1(w) - self.alpha * (self.sigma[S] ** 2).sum()

    def gradient(self, w):
        return 2 * self.Phi.T @ (self.Phi @ w - self.v) + 2 * self.beta * (w - 1)

    def line_search(self, u, w):
        return (self.gradient(w) @ u / 2) / (((self.Phi @ u) ** 2).sum() + self.beta * u @ u)

    def de_bias(self, w, S):
        u = np.zeros_like(w)
        u[S] = self.gradient(w)[S]
        u[(w <= 1e-12) & (u > 0)] = 0
        if not u.any():
            return w
        mu = self.line_search(u, w)
        mu = min(mu, (w[u > 0] / u[u > 0]).min()) if (u > 0).any() else mu
        return np.maximum(w - mu * u, 0)


def dense_greedy(p, b, tau=None):
    w, S, fs = np.zeros(len(p.sigma)), [], []
    for _ in range(b):
        g = p.gradient(w)
        score = (
            tau * g - p.alpha * p.sigma**2 if tau else -(np.maximum(-g, 0) ** 2) / (4 * p.norms) - p.alpha * p.sigma**2
        )
        score[S] = np.inf
        j = int(score.argmin())
        S.append(j)
        w[j] = max(0, w[j] - g[j] / (2 * p.norms[j]))
        w = p.de_bias(w, S)
        fs.append(p.f(w, S))
    return S, w[S], np.array(fs)


def dense_iht(p, b, iterations, prox_scaled=False):
    w = z = np.zeros(len(p.sigma))
    best = np.inf, None, None
    for _ in range(iterations):
        u = p.gradient(z)
        mu = p.line_search(u, z)
        s = z - mu * u
        S = np.argsort(
            -(0.5 * np.maximum(s, 0) ** 2 + (mu if prox_scaled else 1) * p.alpha * p.sigma**2), kind="stable"
        )[:b]
        before, w = w, np.zeros_like(w)
        w[S] = np.maximum(s[S], 0)
        w = p.de_bias(w, S)
        if p.f(w, S) < best[0]:
            best = p.f(w, S), S, w[S]
        z = w - p.line_search(w - before, w) * (w - before)
    return best


def written_out(X_ND, p_NC, P_NC):
    """(E_P[g] [N, C, D1], E_P |g - E_P[g]| [N]) by enumeration of the labels."""
    C = P_NC.shape[1]
    phi = np.hstack([X_ND, np.ones((len(X_ND), 1))])
    g_NYCD1 = np.einsum("nyc,nd->nycd", p_NC[:, None] - np.eye(C)[None], phi)
    expected = np.einsum("ny,nycd->ncd", P_NC, g_NYCD1)
    return expected, (P_NC * np.sqrt(((g_NYCD1 - expected[:, None]) ** 2).sum((2, 3)))).sum(1)


def pool(n=60, D=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D))


def dense_of(X_ND, head, k, label_dist, alpha, beta):
    """The problem of the gradient form written out; mix with a tenth of uniform."""
    p, calibrated = np.exp(head.trained_log_probs(X_ND)), np.exp(head.log_probs(X_ND))
    C = p.shape[1]
    P = {
        "temp": calibrated,
        "laplace": np.exp(head.predictive(X_ND)),
        "pseudo": np.eye(C)[p.argmax(1)],
        "mix": 0.9 * calibrated + 0.1 / C,
    }
    G, lengths = written_out(X_ND, p, P[label_dist])
    return Dense(G.reshape(len(X_ND), -1), lengths / len(X_ND), k, alpha, beta)
