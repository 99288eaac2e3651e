"""A pair potential that fails on wide cells, as networks do on atoms without neighbours."""

from __future__ import annotations

from pair_potential import Pair


class WideFails(Pair):
    """Raises where an atom has more room than `largest_a3`."""

    def __init__(self, largest_a3: float) -> None:
        super().__init__()
        self.largest_a3 = largest_a3

    def calculate(self, atoms=None, *arguments, **keywords):
        if atoms.get_volume() / len(atoms) > self.largest_a3:
            raise ValueError("an atom has no neighbour")
        super().calculate(atoms, *arguments, **keywords)
