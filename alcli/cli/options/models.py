"""Options about heads: the head that is fitted to labels, and the update of a head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from alcli import parsing, plugins
from alcli.cli.options.declare import COMMON, MODEL, SAFETY, UPDATING, argument, option
from alcli.cli.options.values import auto_or_number, sha256

if TYPE_CHECKING:
    from alcli.workflows.recipe import Recipe

# The names of the Laplace posteriors: this, and then the form of the covariance.
LAPLACE = "laplace-"
LINEAR = "aux: inactive; a linear head has no hidden layer to train a loss-prediction branch on (use --head mlp)"


def complete_head(incomplete: str) -> list[str]:
    """Return the kinds of heads that begin so."""
    return [name for name in plugins.names("heads") if name.startswith(incomplete)]


def complete_posterior(incomplete: str) -> list[str]:
    """Return the kinds of posteriors that begin so; the forms of laplace are values of --covariance."""
    sampled = [name for name in plugins.names("posteriors") if not name.startswith(LAPLACE)]
    return [name for name in ["laplace", *sampled, "none"] if name.startswith(incomplete)]


def complete_covariance(incomplete: str) -> list[str]:
    """Return the forms of the Laplace covariance that begin so."""
    forms = [name.removeprefix(LAPLACE) for name in plugins.names("posteriors") if name.startswith(LAPLACE)]
    return [form for form in forms if form.startswith(incomplete)]


# -- a head ----------------------------------------------------------------------------------------

HeadArgument = Annotated[Path, argument("HEAD", "The head to update. It is replaced unless -o is given.")]
HeadFile = Annotated[
    Path | None,
    option("-H, --head HEAD", COMMON, "A head from fit-head or update. Items whose labels it knows are left out."),
]
NewHead = Annotated[Path, option("-o, --out HEAD", COMMON, "The head to write, a .safetensors file.")]
UpdatedHead = Annotated[
    Path | None, option("-o, --out HEAD", COMMON, "Write the new head here.", default="replace the head")
]
ExpectSha256 = Annotated[
    str | None,
    option(
        "--expect-sha256 HEX",
        SAFETY,
        "The digest that sha256sum prints for the head. A head with another digest is refused.",
        parse=sha256,
    ),
]
HeadParam = Annotated[
    list[str] | None, option("-p, --param KEY=VALUE", COMMON, "Set an option of the head. Can be repeated.")
]
HeadKind = Annotated[
    str | None,
    option(
        "--head KIND",
        MODEL,
        "Kind of head: softmax, ridge or mlp.",
        default="softmax; ridge where labels are numbers",
        complete=complete_head,
    ),
]
Posterior = Annotated[
    str,
    option(
        "--posterior KIND",
        MODEL,
        "Uncertainty of the last layer: laplace, ensemble, dropout, variational or none. "
        "Its own options are -p posterior.KEY=VALUE.",
        complete=complete_posterior,
    ),
]
Covariance = Annotated[
    str,
    option(
        "--covariance FORM",
        MODEL,
        "Form of the Laplace covariance: shared (one matrix for all classes), shared-cat, block (one matrix a class, "
        "the most accurate), kron, diag or full.",
        complete=complete_covariance,
    ),
]
PriorPrecision = Annotated[
    float | None,
    option(
        "--prior-precision auto|X",
        MODEL,
        "Precision of the Gaussian prior on the weights. auto chooses it from the labels.",
        default="auto",
        parse=auto_or_number,
    ),
]
Prior = Annotated[
    str,
    option(
        "--prior",
        MODEL,
        "Centre of the prior of a softmax head: plain is zero, pool is learnt from the unlabelled items and from "
        "--class-names, auto is pool with --class-names, else plain.",
        choices=("auto", "plain", "pool"),
    ),
]
ClassNames = Annotated[
    str | None,
    option(
        "--class-names POOL",
        MODEL,
        "Embeddings of the names of the classes: a pool whose ids are the classes, embedded as the items were. Labels "
        "may be missing then.",
    ),
]
Calibrate = Annotated[
    str,
    option(
        "--calibrate",
        MODEL,
        "Scale the logits so that the probabilities that are shown fit held-out labels.",
        choices=("none", "temperature"),
    ),
]
AuxLoss = Annotated[
    bool,
    option(
        "--aux-loss",
        MODEL,
        "Train a branch of an mlp head that predicts losses, for lplgrad and learning-loss. "
        "Its own options are -p aux-KEY=VALUE.",
    ),
]
FitPreset = Annotated[
    str,
    option(
        "--preset",
        MODEL,
        "paper takes the settings that Huseljic et al. 2025 publish: a posterior of prior precision 1 and curvature 1, "
        "and updates with step size 10.",
        choices=("none", "paper"),
    ),
]
Task = Annotated[
    str,
    option(
        "--task",
        MODEL,
        "Whether labels are classes or numbers. auto follows the type of the label column.",
        choices=("auto", "classification", "regression"),
    ),
]

# -- an update -------------------------------------------------------------------------------------

Remove = Annotated[
    list[str] | None,
    option(
        "--remove FILE",
        UPDATING,
        "Ids whose labels are taken back: the head is then as one fitted without them. Can be repeated.",
    ),
]
Method = Annotated[
    str,
    option(
        "--method",
        UPDATING,
        "second-order updates the posterior in closed form, first-order takes one gradient step a label, mc reweights "
        "draws of the posterior, refit fits the head again to all labels, old and new.",
        choices=("second-order", "first-order", "mc", "refit"),
    ),
]
Gamma = Annotated[
    float | None,
    option(
        "--gamma auto|X",
        UPDATING,
        "Step size. With auto, second-order takes the implicit update, which needs none.",
        default="auto",
        parse=auto_or_number,
    ),
]
UpdatePreset = Annotated[
    str,
    option(
        "--preset",
        UPDATING,
        "paper updates by the rule that Huseljic et al. 2025 publish, whatever the head: prior precision 1, curvature "
        "1, step size 10, no polish.",
        choices=("none", "paper"),
    ),
]
Polish = Annotated[
    str,
    option(
        "--polish",
        UPDATING,
        "auto follows the closed form with a few Newton steps on all labels, and fits anew once the labels have "
        "doubled. none leaves it at the closed form.",
        choices=("auto", "none"),
    ),
]
Mode = Annotated[
    str,
    option(
        "--mode",
        UPDATING,
        "One label after another, or all at once, so that their order has no effect.",
        choices=("sequential", "batch"),
    ),
]
AllowNewClasses = Annotated[
    bool, option("--allow-new-classes", UPDATING, "Add a class to the head for a label that it does not know.")
]


@dataclass(frozen=True)
class HeadOptions:
    """The options on the head that is fitted."""

    head: HeadKind = None
    posterior: Posterior = "laplace"
    covariance: Covariance = "shared"
    prior: Prior = "auto"
    class_names: ClassNames = None
    prior_precision: PriorPrecision = None
    calibrate: Calibrate = "none"
    aux_loss: AuxLoss = False

    def recipe(self, **more: Any) -> Recipe:
        """The recipe of the head. more: the other fields of `Recipe`."""
        from alcli.workflows.recipe import Recipe, prior_of

        return Recipe(
            self.head,
            self.posterior,
            self.covariance,
            self.prior_precision,
            self.calibrate,
            prior=prior_of(self.prior, self.class_names),
            **more,
        )

    def with_branch(self, param: list[str] | None, key: str) -> tuple[list[str], list[str]]:
        """(the -p texts with the text that --aux-loss stands for, remarks). key: the option behind --aux-loss.

        A head without hidden layers has nothing to train a branch on. The texts then stay as they are, and a remark
        says so.
        """
        param = param or []
        if not self.aux_loss:
            return param, []
        from alcli.heads._contract import family_of

        if self.head is None or "aux-loss" not in parsing.options_of(family_of(plugins.load("heads", self.head)).fit):
            return param, [LINEAR]
        return [*param, f"{key}=true"], []


@dataclass(frozen=True)
class FitOptions(HeadOptions):
    """The options on a head that is fitted and kept."""

    task: Task = "auto"
    preset: FitPreset = "none"
