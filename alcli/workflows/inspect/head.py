"""The facts about a head file: its models, its classes, the labels that it has absorbed, and where it comes from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.absorbed import Absorbed
from alcli.data.head_file import HeadFile, load_head
from alcli.data.reading.head_header import contents_of
from alcli.workflows.recipe import POOL


def about_head(path: Path) -> dict[str, Any]:
    """Return the facts about a head. Raises what `load_head` does."""
    head = load_head(path)
    model = head.predicts
    posterior = None if head.model.posterior is None else head.model.posterior.settings()["kind"]
    facts: dict[str, Any] = {
        "model": model.head.kind,
        "posterior": posterior,
        "dim": model.dim,
        "prior_precision": model.head.prior_precision,
        **_of_task(head),
        **_of_labels(head.absorbed, head.fitted_on),
        **({} if head.no_class.label is None else {"items_of_no_class": len(head.no_class.ids)}),
        **_of_pool_prior(head),
        **_of_audits(head),
        "features": dict(head.provenance),
        "written_by": dict(head.written_by),
        "sha256": hashlib.sha256(contents_of(path)).hexdigest(),
    }
    return facts


def _of_task(head: HeadFile) -> dict[str, Any]:
    """The classes with the number of absorbed labels of each, or the range of the labels of a regression."""
    model, label_L = head.predicts, head.absorbed.label_L
    if head.classes is None:
        range_ = {} if not len(label_L) else {"label_min": float(label_L.min()), "label_max": float(label_L.max())}
        return {"predicts": "numbers", "noise_variance": model.head.noise_variance} | range_
    counts_C = np.bincount(label_L, minlength=len(head.classes))
    return {
        "predicts": "classes",
        "temperature": model.temperature,
        "classes": len(head.classes),
        "class_type": head.class_type,
        "labels_of_class": dict(zip(head.classes, counts_C.tolist())),
        **({"twins_of_classes": "are taken as the class"} if head.normalizes else {}),
    }


def _of_labels(absorbed: Absorbed, fitted_on: int) -> dict[str, Any]:
    """The number of labels; of labels that came after the fit, where the file tells; of labels with a weight."""
    found: dict[str, Any] = {"labels_absorbed": len(absorbed)}
    if fitted_on:
        found |= {"fitted_on": fitted_on, "absorbed_after_the_fit": max(len(absorbed) - fitted_on, 0)}
    weighted = int((absorbed.weight_L != 1.0).sum())
    not_held = int((~absorbed.is_held_L).sum())
    found |= {"labels_with_a_weight": weighted} if weighted else {}
    return found | ({"labels_outside_the_posterior": not_held} if not_held else {})


def _of_audits(head: HeadFile) -> dict[str, Any]:
    """The number of audited rows, and the accuracy that each look at them found, with its 95% interval."""
    if not len(head.audited):
        return {}
    return {"audited_rows": len(head.audited), "audits": [asdict(one) for one in head.audited.rounds]}


def _of_pool_prior(head: HeadFile) -> dict[str, Any]:
    """The prior of the pool, and which model strategies look at."""
    found: dict[str, Any] = {"prior": str(head.recipe.get("prior", "plain"))}
    if head.class_names is not None:
        found["names_of_classes"] = len(head.class_names.names)
    if head.predictor is not None:
        found["models"] = f"two: strategies look at the plain one, the other ({POOL} prior) predicts"
    return found
