"""Heads on disk: one safetensors file, a JSON header of fixed form in its metadata, nothing that can run.

Whatever a file says is checked before it is used: the format version, a SHA-256 over the tensors, duplicate keys, the
names and shapes of the tensors. The head itself checks their values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from alcli import __version__, plugins, stored
from alcli.arrays import Array, Floats, Keys
from alcli.data.absorbed import Absorbed, Audited, NoClass
from alcli.data.class_names import ClassNames
from alcli.data.reading.head_header import HEAD_FORMAT, contents_of, header_of
from alcli.data.writing.atomic import replacing
from alcli.errors import AlcliError, DataError, printable
from alcli.heads._contract import family_of
from alcli.heads._model import Model
from alcli.posteriors._contract import posterior_of

_PREDICTOR = "predictor"
_MODELS = ("model", _PREDICTOR)
_NAMES = "class_names.features"
# Only where the posterior does not hold all labels, and where an audit has measured the head.
_HELD, _AUDITED = "absorbed.held", "audited.id"
_OURS = ("absorbed.id", "absorbed.label", "absorbed.weight", "anchor.id", "anchor.features")


@dataclass(frozen=True)
class HeadFile:
    """A fitted model with the names of its classes, the origin of its features, and the labels that it has absorbed.

    classes: None in a regression. class_type: the type of classes in typed files, "string", "integer" or "boolean".
    provenance: the metadata of the pool. anchors: features of A absorbed ids [A, D], whose hashes are `anchor_id`;
    they show a pool of other features. recipe: the options of the fit, for a refit. written_by: versions of libraries.
    predictor: the model that predicts, where it is not the model that strategies look at (heads/_pair.py).
    class_names: what the names of classes were when the head was fitted; None without names.
    fitted_on: the number of labels that prior precision, curvature, noise and temperature were chosen from; 0 where
    the file does not say. no_class: the items that belong to no class, which are not learned from and not asked for.
    audited: the audit that measured the head and its predecessors. normalizes: a label that looks like a class is it.
    """

    model: Model
    classes: tuple[str, ...] | None
    class_type: str
    provenance: dict[str, Any]
    absorbed: Absorbed
    anchor_id: Keys
    anchors: Floats
    recipe: dict[str, Any]
    written_by: dict[str, str] = field(default_factory=dict)
    predictor: Model | None = None
    class_names: ClassNames | None = None
    fitted_on: int = 0
    no_class: NoClass = field(default_factory=NoClass)
    audited: Audited = field(default_factory=Audited)
    normalizes: bool = False

    @property
    def predicts(self) -> Model:
        """The model that predicts."""
        return self.model if self.predictor is None else self.predictor

    def changed(self, change: Callable[[Model], Model]) -> HeadFile:
        """The head with all its models changed."""
        predictor = None if self.predictor is None else change(self.predictor)
        return replace(self, model=change(self.model), predictor=predictor)


def save_head(path: Path, head: HeadFile, *, overwrite: bool) -> None:
    """Write a head atomically; the same head gives the same bytes. Raises CannotCreateError, OutputError."""
    from safetensors.numpy import save

    models = {"model": head.model} | ({} if head.predictor is None else {"predictor": head.predictor})
    tensors = {
        f"{name}.{k}": np.ascontiguousarray(v) for name, model in models.items() for k, v in model.arrays().items()
    }
    absorbed = head.absorbed
    tensors |= {"absorbed.id": absorbed.id_L, "absorbed.label": absorbed.label_L, "absorbed.weight": absorbed.weight_L}
    if not absorbed.is_held_L.all():
        tensors[_HELD] = absorbed.is_held_L
    tensors |= {"anchor.id": head.anchor_id, "anchor.features": np.ascontiguousarray(head.anchors)}
    about: dict[str, Any] = {
        "format": HEAD_FORMAT,
        **{name: model.settings() for name, model in models.items()},
        "classes": head.classes,
        "class_type": head.class_type,
        "dim": head.model.dim,
        "provenance": head.provenance,
        "recipe": head.recipe,
        "fitted_on": head.fitted_on,
        "versions": {"alcli": __version__, "numpy": version("numpy"), "scipy": version("scipy")},
    }
    about |= {} if head.no_class.label is None else {"no_class": head.no_class.as_json()}
    about |= {"normalizes": True} if head.normalizes else {}
    if len(head.audited):
        tensors[_AUDITED], about["audits"] = head.audited.id_M, head.audited.as_json()
    if head.class_names is not None:
        tensors[_NAMES] = np.ascontiguousarray(head.class_names.features_KD)
        about["class_names"] = {"names": head.class_names.names, "class_type": head.class_names.class_type}
    about["sha256"] = _digest(tensors, about)
    data = save(tensors, metadata={"alcli": json.dumps(about, sort_keys=True)})
    with replacing(path, overwrite=overwrite) as file:
        file.write(data)


def load_head(path: Path, *, expect_sha256: str | None = None) -> HeadFile:
    """Read and check a head. Raises InputError, DataError naming the tensor or key, NewerFormatError.

    expect_sha256: the SHA-256 of the file, from a source that the user trusts. The checksum inside the file shows
    damage; it does not show that somebody else wrote the file.
    """
    shown = printable(path)
    data = contents_of(path)
    if expect_sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != expect_sha256.lower():
        what = f"{shown}: its SHA-256 is {found}, expected {expect_sha256.lower()}"
        raise DataError(what, hint="it is not the file that was handed over")
    about = header_of(data, shown)
    tensors = _tensors(data, about, shown)
    try:
        head = _restored(tensors, about)
    except AlcliError as error:
        raise type(error)(f"{shown}: {error.message}", hint=error.hint) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{shown}: its header does not describe a head ({printable(error)})") from None
    _check_consistent(head, tensors, shown)
    return head


def _tensors(data: bytes, about: dict[str, Any], shown: str) -> dict[str, Array]:
    """Read the tensors. Raises DataError when one is missing, or their checksum is not the one in the header."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise DataError(f"{shown}: not a readable head: {printable(str(error).splitlines()[0])}") from None
    missing = [name for name in _OURS if name not in tensors]
    if missing:
        raise DataError(f"{shown}: tensor '{missing[0]}' is missing, the file is not a whole head")
    if _digest(tensors, about) != about.get("sha256"):
        what = f"{shown}: its content does not match its checksum, the file is damaged"
        raise DataError(what, hint="fit the head again or restore a copy")
    return tensors


def _restored(tensors: dict[str, Array], about: dict[str, Any]) -> HeadFile:
    """The head that tensors and header describe.

    Raises KeyError, TypeError and the like for a header of another form.
    """
    models = {name: _restore_model(name, tensors, about[name]) for name in _MODELS if name in about}
    return HeadFile(
        model=models["model"],
        classes=None if about["classes"] is None else tuple(map(str, about["classes"])),
        class_type=str(about["class_type"]),
        provenance=dict(about["provenance"]),
        absorbed=Absorbed(
            tensors["absorbed.id"], tensors["absorbed.label"], tensors["absorbed.weight"], tensors.get(_HELD)
        ),
        anchor_id=tensors["anchor.id"],
        anchors=tensors["anchor.features"],
        recipe=dict(about["recipe"]),
        written_by=dict(about["versions"]),
        predictor=models.get("predictor"),
        class_names=_restore_names(tensors, about["class_names"]) if "class_names" in about else None,
        fitted_on=stored.whole(about, "fitted_on") if "fitted_on" in about else 0,
        no_class=NoClass.from_json(about["no_class"]) if "no_class" in about else NoClass(),
        audited=Audited.from_json(tensors[_AUDITED], about["audits"]) if _AUDITED in tensors else Audited(),
        normalizes=about.get("normalizes") is True,
    )


def _restore_names(tensors: dict[str, Array], settings: dict[str, Any]) -> ClassNames:
    """The names of classes that tensors and settings describe. Raises DataError where they do not fit together."""
    names = tuple(map(str, settings["names"]))
    if _NAMES not in tensors:
        raise DataError(f"tensor '{_NAMES}' is missing, the file is not a whole head")
    features_KD = tensors[_NAMES]
    is_float = features_KD.dtype in (np.float32, np.float64)
    if features_KD.ndim != 2 or len(features_KD) != len(names) or not is_float or not np.isfinite(features_KD).all():
        raise DataError(f"tensor '{_NAMES}' does not hold a finite vector for each of {len(names)} names")
    return ClassNames(names, features_KD, str(settings["class_type"]))


def _restore_model(name: str, tensors: dict[str, Array], settings: dict[str, Any]) -> Model:
    """The model that settings and the tensors of this name describe. Raises DataError, also naming the predictor.

    Its kinds are looked up among alcli's own; nothing is imported by a name from a file.
    """
    own = {key.removeprefix(f"{name}."): array for key, array in tensors.items() if key.startswith(f"{name}.")}
    kind, posterior = str(settings["head"]["kind"]), settings["posterior"]
    if kind not in plugins.names("heads"):
        raise DataError(f"unknown kind of head '{printable(kind)}'")
    if posterior is not None and posterior["kind"] not in plugins.names("posteriors"):
        raise DataError(f"unknown kind of posterior '{printable(posterior['kind'])}'")
    posterior_class = None if posterior is None else posterior_of(plugins.load("posteriors", posterior["kind"]))
    family = family_of(plugins.load("heads", kind))
    try:
        return Model.from_arrays(own, settings, family=family, posterior=posterior_class)
    except AlcliError as error:
        if name == _PREDICTOR:
            error.message = f"{name}: {error.message}"
        raise


def _digest(tensors: dict[str, Array], about: dict[str, Any]) -> str:
    """Return the SHA-256 over the header and over names, dtypes, shapes and bytes of the tensors.

    The checksum itself, which is in the header, is left out. It shows damage, not forgery.
    """
    digest = hashlib.sha256(json.dumps({k: v for k, v in about.items() if k != "sha256"}, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode("utf-8", "surrogatepass"))
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_consistent(head: HeadFile, tensors: dict[str, Array], shown: str) -> None:
    """Raise DataError for tensors whose shapes, types or values do not belong together."""
    n, n_anchors = tensors["absorbed.id"].size, tensors["anchor.id"].size
    label_type = "float64" if head.classes is None else "int64"
    features_type = "float64" if tensors["anchor.features"].dtype == np.float64 else "float32"
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        "absorbed.id": ((n,), "uint64"),
        "absorbed.label": ((n,), label_type),
        "absorbed.weight": ((n,), "float64"),
        "anchor.id": ((n_anchors,), "uint64"),
        "anchor.features": ((n_anchors, head.model.dim), features_type),
    }
    if _HELD in tensors:
        expected[_HELD] = (n,), "bool"
    if _AUDITED in tensors:
        expected[_AUDITED] = (len(head.audited),), "uint64"
    for name, (shape, kind) in expected.items():
        if tensors[name].shape != shape or tensors[name].dtype != kind:
            got = f"{tensors[name].dtype} {tensors[name].shape}"
            raise DataError(f"{shown}: tensor '{name}' is {got}, expected {kind} {shape}")
        if not np.isfinite(tensors[name]).all():
            raise DataError(f"{shown}: tensor '{name}' holds NaN or infinity")
    _check_classes(head, head.model, shown)
    if head.predictor is not None:
        _check_classes(head, head.predictor, f"{shown}: {_PREDICTOR}")
    _check_dims(head, shown)
    known = (*_OURS, _HELD, _AUDITED, *([_NAMES] if head.class_names else []))
    models = tuple(f"{name}." for name in (_MODELS if head.predictor else _MODELS[:1]))
    extra = [name for name in tensors if name not in known and not name.startswith(models)]
    if extra:
        raise DataError(f"{shown}: unknown tensor '{printable(extra[0])}'")


def _check_dims(head: HeadFile, shown: str) -> None:
    """Raise DataError for a predictor or names of classes that are of other features, or names of other classes."""
    found = {} if head.predictor is None else {_PREDICTOR: head.predictor.dim}
    if head.class_names is not None:
        found[_NAMES] = head.class_names.features_KD.shape[1]
        if not set(head.class_names.names) <= set(head.classes or ()):
            raise DataError(f"{shown}: its header names classes that the head does not have, in 'class_names'")
    for name, dim in found.items():
        if dim != head.model.dim:
            raise DataError(f"{shown}: '{name}' takes features of length {dim}, the model {head.model.dim}")


def _check_classes(head: HeadFile, model: Model, shown: str) -> None:
    """Raise DataError for names of classes that do not fit the weights or the labels. shown: begins the message."""
    if (head.classes is None) != (model.n_classes is None):
        raise DataError(f"{shown}: its header and its weights disagree whether it is a regression")
    if head.classes is None:
        return
    n = len(set(head.classes))
    if n != len(head.classes) or n != model.n_classes:
        raise DataError(f"{shown}: its header names {n} classes, its weights have {model.n_classes}")
    label_L = head.absorbed.label_L
    if ((label_L < 0) | (label_L >= n)).any():
        what = f"tensor 'absorbed.label' holds the number of a class that there is not, expected 0 to {n - 1}"
        raise DataError(f"{shown}: {what}")
