"""A MACE of a few hundred random weights for O, Na, Cl and Ta, saved to a file."""

from __future__ import annotations

import numpy as np

from haloflow.engines.potential_loaders import third_party_quiet

NUMBERS = [8, 11, 17, 73]


def write_tiny_mace(path, seed=0, heads=("Default",)):
    with third_party_quiet():
        import torch

        torch.serialization.add_safe_globals([slice])
        from e3nn import o3
        from mace import modules

        torch.manual_seed(seed)
        block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        scale, shift = ([one] * len(heads) if len(heads) > 1 else one for one in (0.1, 0.0))
        model = modules.ScaleShiftMACE(
            r_max=4.0, num_bessel=4, num_polynomial_cutoff=5, max_ell=1, interaction_cls=block,
            interaction_cls_first=block, num_interactions=2, num_elements=len(NUMBERS),
            hidden_irreps=o3.Irreps("4x0e"), MLP_irreps=o3.Irreps("4x0e"),
            gate=torch.nn.functional.silu,
            atomic_energies=np.array([[-1.0, -2.0, -3.0, -4.0]] * len(heads)).squeeze(),
            avg_num_neighbors=12.0, atomic_numbers=NUMBERS, correlation=2, radial_type="bessel",
            radial_MLP=[8], atomic_inter_scale=scale, atomic_inter_shift=shift, heads=list(heads),
        )  # fmt: skip
        torch.save(model, path)
    return path
