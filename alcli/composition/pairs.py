"""The names of strategies that are made of two halves, EMBEDDING/SELECTOR, and the pairs that make no sense.

The module imports no library, so names can be listed quickly. halves.py makes the strategies.
"""

from __future__ import annotations

from collections.abc import Mapping

from alcli.errors import UsageError

# Embedding -> (the needs of the embedding, a description)
EMBEDDINGS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "feature": (("features",), "the features"),
    "prob": (("log_probs",), "class probabilities"),
    "grad": (("hidden", "log_probs"), "gradients of the loss at the predicted labels, as in badge"),
    "noise": (
        ("features", "network"),
        "deviations of the predictions under noise on the weights, as in noise-stability",
    ),
    "delta": (
        ("features", "labelled", "labelled_targets", "network", "row_key"),
        "changes of all predictions by a row's label, as in ntk",
    ),
    "samples": (("sample_log_probs",), "expected log-likelihoods under draws of the posterior, as in acs-fw"),
}
# Selector -> a description
SELECTORS: Mapping[str, str] = {
    "kcenter": (
        "farthest first, from the labelled rows (feature, prob) or from the point 0, where nothing is to be learnt "
        "(grad, noise, delta, samples)"
    ),
    "kmeanspp": "D^2 sampling, from the longest row on",
    "kmeans": "the rows nearest to the centres of as many clusters as rows are wanted",
    "lcmd": "the farthest row of the largest cluster; labelled rows are centres (feature, prob)",
    "kdpp": "drawn as a set, with chances in proportion to the determinant of their inner products",
    "maxdet": "greedily, for the largest determinant of their inner products",
    "topnorm": "the longest rows",
    "fw": "a Bayesian coreset by Frank-Wolfe, with weights",
}
_BY_PRODUCTS = "the vectors of {} are known by their inner products alone, and fw needs sums of vectors"
# (embedding, selector) -> (the reason why the pair makes no sense, a hint)
REFUSED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("prob", "topnorm"): (
        "the longest vector of probabilities is that of the surest row, whose label teaches least",
        "for the least sure use -s margin",
    ),
    ("noise", "fw"): (_BY_PRODUCTS.format("noise"), "use grad/fw or samples/fw"),
    ("delta", "fw"): (_BY_PRODUCTS.format("delta"), "use grad/fw or samples/fw"),
}


def names() -> list[str]:
    """The names of all pairs that make sense."""
    return [f"{e}/{s}" for e in EMBEDDINGS for s in SELECTORS if (e, s) not in REFUSED]


def halves(name: str) -> tuple[str, str]:
    """Split EMBEDDING/SELECTOR into its halves.

    Raises UsageError for an unknown half, and for a pair that makes no sense.
    """
    embedding, _, selector = name.partition("/")
    for half, known, kind in ((embedding, EMBEDDINGS, "embedding"), (selector, SELECTORS, "selector")):
        if half not in known:
            raise UsageError(f"'{name}': no {kind} is named '{half}'", hint=f"{kind}s: {', '.join(known)}")
    if (embedding, selector) in REFUSED:
        why, instead = REFUSED[embedding, selector]
        raise UsageError(
            f"'{name}': embedding '{embedding}' does not go with selector '{selector}': {why}", hint=instead
        )
    return embedding, selector
