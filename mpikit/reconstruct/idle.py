"""Options that do something only together with another one: alone they are refused, not ignored."""

from __future__ import annotations

from pydantic import BaseModel

# option: the values of other options, one of which it needs
NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "seed": {"row_order": ("random",), "uncertainty": ("auto", "bootstrap", "drawn")},
    "dictionary_size": {"background": ("dictionary",)},
    "dictionary_lambda": {"background": ("dictionary",)},
    "wavelet": {"prior": ("wavelet",)},
    "isotropic": {"prior": ("tv",)},
    "boundary": {"lost": ("patch", "line")},
    "noise_to_signal": {"deconvolution": ("wiener",)},
    "deconvolution_iterations": {"deconvolution": ("richardson-lucy",)},
}


def idle_options(options: BaseModel) -> list[str]:
    """Return the names of the options that do nothing beside the others, whoever gave them."""
    fields = type(options).model_fields
    return [
        name
        for name, needed in NEEDS.items()
        if name in fields
        and not any(getattr(options, other, None) in values for other, values in needed.items())
    ]


def refuse_idle(options: BaseModel) -> None:
    """Refuse an option that was given and does nothing.

    Raises
    ------
    ValueError
    """
    for name in idle_options(options):
        if name in options.model_fields_set:
            needed = [
                f"{_shown(other)}={' or '.join(values)}"
                for other, values in NEEDS[name].items()
                if other in type(options).model_fields
            ]
            raise ValueError(f"{_shown(name)} does nothing without {' or '.join(needed)}")


def _shown(name: str) -> str:
    return name.replace("_", "-")
