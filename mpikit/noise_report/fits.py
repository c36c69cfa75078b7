"""The noise models that can be fitted, fitted to one scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from mdf import MdfError
from mpikit.errors import MpikitError, PluginError, UsageError
from mpikit.events import Event, Warned, silent
from mpikit.options import options_as_text, parse_options
from mpikit.plugins import Offer, registry
from mpikit.records import NoiseModel
from mpikit.scan import Scan


@dataclass(frozen=True)
class Fitted:
    """A noise model fitted to a scan.

    Parameters
    ----------
    name : str
    options : pydantic.BaseModel or None
        None when the fit failed.
    spec : str
        What ``--noise`` takes to draw such noise.
    error : str
        Why the fit failed.
    """

    name: str
    options: BaseModel | None = None
    spec: str = ""
    error: str = ""


def chosen_models(names: Sequence[str]) -> list[str]:
    """Return the names of the noise models to fit: those given, or all that can be.

    Raises
    ------
    PluginError
        When no model, or more than one, has a name that is given.
    UsageError
        When such a model cannot be fitted.
    """
    offers = registry().noise_models
    able = sorted(name for name, found in offers.items() if any(offer.record.fit for offer in found))
    for name in names:
        if registry().noise_model(name).record.fit is None:
            raise UsageError(
                f"the noise model {name!r} cannot be fitted to a scan",
                hint=f"models that can: {', '.join(able) or 'none'}",
            )
    return list(dict.fromkeys(names)) or able


def fit_models(
    scan: Scan, names: Sequence[str], tell: Callable[[Event], None] = silent
) -> tuple[Fitted, ...]:
    """Fit noise models to the background frames of a scan; one that fails is told and the others go on.

    Parameters
    ----------
    scan : Scan
    names : sequence of str
        From `chosen_models`.
    tell : callable
    """
    fitted = []
    for name in names:
        try:
            offer = registry().noise_model(name)
            options = _fit(offer, scan)
            fitted.append(Fitted(name, options, noise_spec(offer.record, options)))
        except (MpikitError, MdfError) as error:
            tell(Warned(f"the noise model {name!r} was not fitted: {error}"))
            fitted.append(Fitted(name, error=str(error)))
    return tuple(fitted)


def _fit(offer: Offer[NoiseModel], scan: Scan) -> BaseModel:
    with offer.blamed():
        assert offer.record.fit is not None  # noqa: S101 - chosen_models has seen to it
        options = offer.record.fit(scan)
    if not isinstance(options, offer.record.options):
        raise PluginError(
            f"its fit gave a {type(options).__name__}, expected {offer.record.options.__name__}",
            hint="the authors of the plugin will want to see it",
        )
    return options


def noise_spec(model: NoiseModel, options: BaseModel) -> str:
    """Write a noise model with its options as ``--noise`` takes it, without those that go without saying.

    Examples
    --------
    >>> from mpikit.plugins import registry
    >>> gaussian = registry().noise_model("gaussian").record
    >>> noise_spec(gaussian, gaussian.options(sigma=0.5))
    'gaussian:sigma=0.5'
    """
    pairs = options_as_text(options)
    for pair in list(pairs):
        rest = [other for other in pairs if other != pair]
        if _read_as(model, rest) == options:
            pairs = rest
    return ":".join(filter(None, [model.name, ",".join(pairs)]))


def _read_as(model: NoiseModel, pairs: Sequence[str]) -> BaseModel | None:
    try:
        return parse_options(model, pairs)
    except UsageError:
        return None
