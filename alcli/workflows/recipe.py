"""The recipe of a head: the options of `fit-head`.

`query` fits a head by the default recipe, `update` repeats the recipe of a head, and `simulate` has the same options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from alcli import parsing, plugins
from alcli.errors import DataError, UsageError, printable, suggestion
from alcli.heads._contract import HeadFamily, family_of
from alcli.heads._fitting import FitSpec
from alcli.posteriors._contract import Posterior, posterior_of

CALIBRATIONS = ("none", "temperature")
PLAIN, POOL = "plain", "pool"
PRIORS = (PLAIN, POOL)
AUTO = "auto"
COVARIANCES = ("shared", "shared-cat", "block", "kron", "diag", "full")

PAPER = "paper"
# (curvature, gamma, prior precision of the posterior) by the name of `--preset`; None chooses from the data.
PRESETS = {"none": (None, None, None), PAPER: (1.0, 10.0, 1.0)}
# The beginning of the `-p` keys that are for the posterior.
POSTERIOR = "posterior."
# Every posterior gets these from the fit, so they are no options for the user.
_FROM_THE_FIT = ("prior-precision", "curvature", "noise-variance")


def prior_of(prior: str, class_names: str | None) -> str:
    """The prior that `auto` stands for: the pool's where classes have names, because names gain the most."""
    return (PLAIN if class_names is None else POOL) if prior == AUTO else prior


@dataclass(frozen=True)
class Recipe:
    """Names and numbers only, so that the recipe can be written to JSON.

    head: the kind of head; None takes softmax for classes and ridge for a regression.
    covariance: the form of the Laplace covariance, for `posterior` laplace alone. prior_precision: None chooses it
    from the data. options: `-p KEY=VALUE` of the head, as text; `posterior.KEY` is for the posterior.
    preset: "paper" takes a posterior of prior precision 1 and curvature 1, and updates with gamma 10, as Huseljic et
    al. 2025 publish them.
    prior: "pool" centres the prior of a softmax head where the unlabelled rows of the pool say; "plain" at zero.
    """

    head: str | None = None
    posterior: str = "laplace"
    covariance: str = "shared"
    prior_precision: float | None = None
    calibrate: str = "none"
    seed: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    preset: str = "none"
    prior: str = PLAIN

    def checked(self) -> Recipe:
        """Return this recipe after every name and value in it is checked. Raises UsageError with the nearest name."""
        posterior = self._posterior()
        self._posterior_options(posterior)
        if posterior is not None and not posterior.absorbs:
            for option, value, default in (
                ("--covariance", self.covariance, "shared"),
                ("--preset", self.preset, "none"),
            ):
                if value != default:
                    what = f"{option} {value} is for --posterior laplace, not for {self.posterior}"
                    raise UsageError(what, hint="leave one of them out")
        for head in [self.head] if self.head is not None else ["softmax", "ridge"]:
            self._head_options(head)
        if self.preset not in PRESETS:
            raise UsageError(f"no preset '{self.preset}'", hint=suggestion(self.preset, list(PRESETS)))
        if self.prior not in PRIORS:
            raise UsageError(f"no prior '{self.prior}'", hint=suggestion(self.prior, PRIORS))
        if self.prior == POOL and self.head not in (None, "softmax"):
            what = f"--prior pool, which --class-names stands for too, is for a softmax head, not for {self.head}"
            raise UsageError(what, hint="leave one of them out")
        if self.calibrate not in CALIBRATIONS:
            hint = suggestion(self.calibrate, CALIBRATIONS)
            raise UsageError(f"no calibration '{self.calibrate}'", hint=hint)
        if self.prior_precision is not None and not 0 < self.prior_precision < float("inf"):
            raise UsageError(f"the prior precision must be a positive number or auto, got {self.prior_precision}")
        return self

    def learns_from_pool(self, *, regression: bool) -> bool:
        """True where the head learns from unlabelled rows too. The labels of a regression have no classes to find."""
        return self.prior == POOL and not regression

    def spec(self, *, regression: bool) -> FitSpec:
        """Return the argument of `fit`: the same choices with their modules loaded."""
        name = self.head or ("ridge" if regression else "softmax")
        calibrate: Any = self.calibrate
        posterior = self._posterior()
        curvature, gamma, posterior_prior = PRESETS["none" if regression else self.preset]
        return FitSpec(
            _family(name),
            posterior,
            self.prior_precision,
            calibrate,
            self.seed,
            self._head_options(name),
            curvature=curvature,
            gamma=gamma,
            posterior_prior=posterior_prior,
            posterior_options=self._posterior_options(posterior),
        )

    def _head_options(self, name: str) -> dict[str, Any]:
        own = {key: value for key, value in self.options.items() if not key.startswith(POSTERIOR)}
        return parsing.parse_options(_family(name).fit, own, f"head '{name}'")

    def _posterior_options(self, posterior: type[Posterior] | None) -> dict[str, Any]:
        """Return the parsed options that belong to the posterior alone. Raises UsageError for an unknown one."""
        own = {k.removeprefix(POSTERIOR): value for k, value in self.options.items() if k.startswith(POSTERIOR)}
        known = [] if posterior is None else [k for k in parsing.options_of(posterior.fit) if k not in _FROM_THE_FIT]
        for key in own:
            if key.replace("_", "-") not in known:
                what = f"posterior '{self.posterior}' has no parameter '{POSTERIOR}{key}'"
                raise UsageError(what, hint=suggestion(POSTERIOR + key, [POSTERIOR + k for k in known]))
        return {} if posterior is None else parsing.parse_options(posterior.fit, own, f"posterior '{self.posterior}'")

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as the values that `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str) -> Recipe:
        """Return the recipe that the head file `where` holds. Raises DataError when its values are no recipe."""
        try:
            return cls(**values).checked()
        except (UsageError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{where}: its header holds no recipe for a refit ({printable(error)})") from None

    def _posterior(self) -> type[Posterior] | None:
        if self.posterior == "none":
            return None
        if self.posterior == "laplace":
            if self.covariance not in COVARIANCES:
                hint = suggestion(self.covariance, COVARIANCES)
                raise UsageError(f"no covariance '{self.covariance}'", hint=hint)
            return _load_posterior(f"laplace-{self.covariance}")
        return _load_posterior(self.posterior)


def check_names(recipe: Recipe, class_names: str | None) -> None:
    """Raise UsageError for names of classes that the recipe has no use for."""
    if class_names is not None and recipe.prior != POOL:
        raise UsageError("--class-names is for --prior pool", hint="give --prior pool, or leave the names out")


def _family(name: str) -> HeadFamily:
    return family_of(plugins.load("heads", name))


def _load_posterior(name: str) -> type[Posterior]:
    known = plugins.names("posteriors")
    if name not in known:
        kinds = sorted(["laplace", "none", *(n for n in known if not n.startswith("laplace-"))])
        raise UsageError(f"no posterior is named '{name}'", hint=suggestion(name, kinds))
    return posterior_of(plugins.load("posteriors", name))
