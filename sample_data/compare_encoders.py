"""Compare the two ways to train the encoder: `python sample_data/compare_encoders.py` prints the table of README.md.

Each line is the test accuracy of a logistic regression over all ten digits, on raw pixels and on the features of each
encoder. Needs alcli with the extra `test`. Cost: both encoders are trained, about a minute on one core.
"""

from __future__ import annotations

import numpy as np
import torch
from digits_encoder import features, train_contrastive, train_on_five_classes
from make_digits import Digits, load
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

N_LABELS, N_DRAWS = (40, 200), 10


def accuracies(X_ND: np.ndarray, digits: Digits) -> list[float]:
    """Return the test accuracy for 40, 200 and all training labels; 40 and 200 are the mean of ten draws."""
    X_ND = X_ND / X_ND[digits.train].std()
    strata = digits.labels[digits.train]
    drawn = [
        [train_test_split(digits.train, train_size=m, random_state=s, stratify=strata)[0] for s in range(N_DRAWS)]
        for m in N_LABELS
    ]
    scores = []
    for draws in [*drawn, [digits.train]]:
        fits = [LogisticRegression(C=0.3, max_iter=5000).fit(X_ND[rows], digits.labels[rows]) for rows in draws]
        scores.append(float(np.mean([fit.score(X_ND[digits.test], digits.labels[digits.test]) for fit in fits])))
    return scores


def main() -> None:
    torch.set_num_threads(1)
    digits = load()
    train = digits.train
    images, labels = torch.from_numpy(digits.pixels)[:, None], torch.from_numpy(digits.labels)
    inputs = {
        "raw pixels": digits.pixels.reshape(-1, 64),
        "classes 0-4": features(train_on_five_classes(images[train], labels[train]), images),
        "contrastive": features(train_contrastive(images[train]), images),
    }
    for name, X_ND in inputs.items():
        scores = zip((*N_LABELS, len(train)), accuracies(X_ND, digits))
        print(f"{name:12s}", *(f"{n} labels: {100 * score:.1f} %" for n, score in scores), sep="  ")


if __name__ == "__main__":
    main()
