"""A salt-forming reaction between two components: how far it pays to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .competition import (
    CompetingPhases,
    HullEntry,
    Product,
    composition_of,
    lowest_reference,
    symbols_of,
)
from .reactions import HomogeneousPoint, homogeneous_energy_ev

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Composition


@dataclass(frozen=True, slots=True)
class ExchangeStep:
    """``host + donor -> rest + n x salt + (1 - x) donor`` at one extent x.

    Attributes
    ----------
    extent
        x, formula units of donor used up per formula unit of host.
    rest
        What the host has become.
    equilibrium_ev
        Energy of the reaction per formula unit of host, the rest as phases of the hull.
    homogeneous_ev
        The same with a rest that stays homogeneous, interpolated between samples; None where
        it does not lie between them.
    products
        Phases of the rest in equilibrium, formula units per formula unit of host.
    """

    extent: float
    rest: str
    equilibrium_ev: float
    homogeneous_ev: float | None
    products: tuple[Product, ...]


def salt_exchange(
    host: str,
    donor: str,
    entries: Sequence[HullEntry],
    *,
    level: str,
    salt: str = "NaCl",
    mobile: str = "Na",
    homogeneous: Sequence[HomogeneousPoint] = (),
    extents: Sequence[float] | None = None,
) -> tuple[ExchangeStep, ...]:
    """Follow a donor such as Na2O that gives its anion to the host and takes chlorine as salt.

    All mobile ions of the donor leave as salt: Na2O + NaTaCl6 -> NaTaO(x)Cl(6-2x) + 2x NaCl +
    (1-x) Na2O. Host, donor and salt have the energies of their lowest reference phases.

    Parameters
    ----------
    host, donor, salt
        Formulas.
    entries
        Phases at `level`.
    level
        Level of theory.
    mobile
        Ion that leaves the donor.
    homogeneous
        Samples, e.g. crystals or glasses of the host and of more oxidised compositions.
    extents
        Values of x, 0 to what the host's chlorine allows; default: eleven up to 1 or that.

    Raises
    ------
    AnalysisError
        If a compound has no reference phase, the donor cannot make the salt, or an extent is
        out of range.
    """
    hosts, donors, salts = (composition_of(f) for f in (host, donor, salt))
    per_donor = float(donors[mobile] / salts[mobile]) if salts[mobile] else 0.0
    used = {el.symbol: n * per_donor - donors[el] for el, n in salts.items()}
    available = [float(hosts[symbol] / n) for symbol, n in used.items() if n > 0]
    if per_donor <= 0 or not available or min(available) <= 0:
        raise AnalysisError(
            f"{donor} and {host} cannot make {salt}",
            given=f"{donor} + {host} -> {salt}",
            allowed=f"a donor with {mobile} and a host with the rest of {salt}",
            remedy="name donor, host and salt of the sweep",
        )
    most = min(available)
    xs = np.linspace(0.0, min(1.0, most), 11).tolist() if extents is None else list(extents)
    if not xs or min(xs) < 0 or max(xs) > most:
        raise AnalysisError(
            "an extent of the exchange is out of range",
            given=xs,
            allowed=f"0 to {most:g} {donor} per {host}",
            remedy="stay within what the host can take",
        )
    hull = CompetingPhases(entries, symbols_of(hosts + donors), level=level)
    lowest = {f: lowest_reference(f, entries).energy_ev_per_atom for f in (host, donor, salt)}

    def energy_of(formula: str, made_of: Composition) -> float:
        return lowest[formula] * float(made_of.num_atoms)

    steps = []
    for x in xs:
        rest = hosts + donors * x - salts * (per_donor * x)
        others = per_donor * x * energy_of(salt, salts) - x * energy_of(donor, donors)
        others -= energy_of(host, hosts)
        mixed = homogeneous_energy_ev(rest, homogeneous)
        steps.append(
            ExchangeStep(
                extent=x,
                rest=rest.formula,
                equilibrium_ev=hull.energy_ev_per_atom(rest) * float(rest.num_atoms) + others,
                homogeneous_ev=None if mixed is None else mixed + others,
                products=hull.products(rest),
            )
        )
    return tuple(steps)
