"""Rows on which the members of a committee disagree most.

The committee is an ensemble, or draws of another posterior.

Source: Seung, Opper & Sompolinsky 1992, "Query by committee"; vote-entropy: Dagan & Engelson 1995,
"Committee-based sampling for training probabilistic classifiers"; kl: McCallum & Nigam 1998, "Employing EM
and pool-based active learning for text classification", which is bald with the committee as its draws. Vote
entropies of few members have few values, so rows of equal score are many. Such rows are drawn by a hash of
seed and id: in the order of their ids they would favour the classes that come first where ids lie by class
(docs/strategies.md).
Cost: 2 N D S C flops for S members and one pass over N S C numbers (kl: three); memory that of a block.
Passes: 1.

Options:
    method: measure of the disagreement.
        vote-entropy: the entropy of the shares of the votes.
        kl: the mean divergence KL(P_m || mean) of the members m from their mean.
"""

from __future__ import annotations

from typing import Literal

from alcli.arrays import Float64, Floats
from alcli.numerics.information.committee import entropy, information, votes
from alcli.selection.strategy import pointwise


@pointwise(needs=["sample_log_probs"], samples=5, posterior="ensemble", ties_drawn=True)
def qbc(log_probs_BSC: Floats, *, method: Literal["vote-entropy", "kl"] = "vote-entropy") -> Float64:
    """The disagreement in nats, float64 [B], between 0 and log C."""
    if method == "kl":
        return information(log_probs_BSC)
    return entropy(votes(log_probs_BSC) / log_probs_BSC.shape[1])
