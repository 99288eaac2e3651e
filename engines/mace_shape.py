"""What a small MACE with random weights looks like, checked before the training begins."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class MaceShape:
    """A small MACE with random weights.

    Attributes
    ----------
    cutoff_a
        Reach of one layer.
    channels, max_l
        Features of an atom: so many of each order up to `max_l`.
    n_layers
        Rounds of messages.
    max_ell, correlation
        Highest order of spherical harmonics; bodies of a message, less one.
    n_bessel, radial_neurons
        Of the radial part.
    seed
        Of the weights.
    """

    cutoff_a: float = 5.0
    channels: int = 32
    max_l: int = 0
    n_layers: int = 2
    max_ell: int = 2
    correlation: int = 2
    n_bessel: int = 8
    radial_neurons: int = 32
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least, most in (
            ("cutoff_a", 2.0, 12.0), ("channels", 1, 512), ("max_l", 0, 3), ("n_layers", 1, 4),
            ("max_ell", 0, 4), ("correlation", 1, 4), ("n_bessel", 1, 64),
            ("radial_neurons", 1, 512), ("seed", 0, 2**31 - 2),
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(
                    f"{name} of a MACE student is out of range",
                    given=value,
                    allowed=f"{least:g} to {most:g}",
                    remedy=f"correct {name}",
                )


def mace_shape(values: Mapping[str, Any]) -> MaceShape:
    """Return a shape from plain `values`, e.g. of a file.

    Raises
    ------
    InputError
        If a name is not known or a value out of range.
    """
    known = [field.name for field in fields(MaceShape)]
    if unknown := sorted(values.keys() - set(known)):
        raise InputError(
            "unknown settings of a MACE student",
            given=unknown,
            allowed=known,
            remedy="correct or remove them",
        )
    return MaceShape(**values)
