"""How fast the analyses are: one synthetic trajectory, ours and the libraries' in one run.

1000 atoms (200 Na, 100 Ta, 100 O, 600 Cl) in a box of 25 A, 20 000 frames of 0.1 ps: Na walks
with D = 1e-5 cm2/s on top of a cage rattle, pairs of Na share half of each step (Haven ratio
2/3), the whole cell drifts. All times are CPU seconds of one thread, the better of two runs.
Exit code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPECIES = np.repeat(["Na", "Ta", "O", "Cl"], [200, 100, 100, 600])
N_MOBILE, BOX_A, FRAME_PS, TEMPERATURE_K = 200, 25.0, 0.1, 600.0
D_A2_PS, RATTLE_A, HAVEN_RATIO = 0.1, 0.2, 2.0 / 3.0
BLOCK, BYTES_PER_FRAME = 1000, 1000 * 3 * 4
MEMORY_LIMIT_MB = 1000.0


@dataclass(frozen=True)
class Claim:
    """A measured ratio and its limit."""

    what: str
    ours_s: float
    other: str
    other_s: float
    limit: float
    at_most: bool = True

    @property
    def ratio(self) -> float:
        """Ours over theirs, or theirs over ours where we claim to be faster."""
        return self.ours_s / self.other_s if self.at_most else self.other_s / self.ours_s

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        return self.ratio <= self.limit if self.at_most else self.ratio >= self.limit


def frames(n_frames: int, seed: int = 1) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Yield blocks of wrapped positions, (n, 1000, 3) in A."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0.0, BOX_A, (len(SPECIES), 3))
    sd = np.sqrt(2.0 * D_A2_PS * FRAME_PS)
    drift = np.zeros(3)
    for start in range(0, n_frames, BLOCK):
        n = min(BLOCK, n_frames - start)
        own = rng.normal(0.0, sd, (n, N_MOBILE, 3))
        # partners share half of the variance: D_sigma = 1.5 D
        shared = rng.normal(0.0, sd, (n, N_MOBILE // 2, 3)).repeat(2, axis=1)
        walk = np.cumsum(np.sqrt(0.5) * own + np.sqrt(0.5) * shared, axis=0)
        cell_drift = drift + np.cumsum(rng.normal(0.0, 0.01, (n, 1, 3)), axis=0)
        block = np.repeat(place[None], n, axis=0)
        block[:, :N_MOBILE] += walk
        place[:N_MOBILE] += walk[-1]
        drift = cell_drift[-1, 0]
        block += cell_drift + rng.normal(0.0, RATTLE_A, block.shape)
        yield (block % BOX_A).astype(np.float32)


def write_trajectory(path: Path, n_frames: int) -> None:
    """Write the frames as raw float32."""
    with path.open("wb") as file:
        for block in frames(n_frames):
            block.tofile(file)


def read_blocks(path: Path, n_frames: int) -> Iterator[tuple[Any, Any]]:
    """Read positions and cells block by block."""
    cells = np.broadcast_to(BOX_A * np.eye(3), (BLOCK, 3, 3))
    with path.open("rb") as file:
        for start in range(0, n_frames, BLOCK):
            n = min(BLOCK, n_frames - start)
            block = np.fromfile(file, dtype=np.float32, count=n * 3000).reshape(n, 1000, 3)
            yield block, cells[:n]


def cpu_seconds(work: Callable[[], object], repeats: int = 2) -> float:
    """Return the CPU time of the faster of some runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def plain_fft(path: np.ndarray[Any, np.dtype[np.float64]]) -> object:
    """One pass of scipy's transforms over all signals and one back: the least an MSD can cost."""
    n_frames = len(path)
    length = fft.next_fast_len(2 * n_frames, real=True)
    signals = np.ascontiguousarray(path.reshape(n_frames, -1).T)
    power = np.zeros(length // 2 + 1)
    for start in range(0, len(signals), 12):
        spectra = fft.rfft(signals[start : start + 12], length, axis=1)
        power += (spectra.real**2 + spectra.imag**2).sum(axis=0)
    return fft.irfft(power, length)


def displacement_claims(file: Path, n_frames: int) -> Iterator[Claim]:
    """MSD of Na over all lags against one pass of transforms and against the libraries."""
    from haloflow.analysis.msd import msd_fft
    from haloflow.analysis.passage import read_passage

    def load() -> Any:  # noqa: ANN401  (timed and returned)
        return read_passage(read_blocks(file, n_frames), SPECIES.tolist(), "Na")

    path = load().path_a
    msd_fft(path[:100])
    ours = cpu_seconds(lambda: msd_fft(path))
    found = msd_fft(path).self_a2
    expected = 6.0 * D_A2_PS * FRAME_PS * 10 + 6.0 * RATTLE_A**2
    print(f"MSD(10 frames) = {found[10]:.4f} A2, {expected:.4f} expected")
    yield Claim(
        "MSD, all lags", ours, "one scipy FFT pass", cpu_seconds(lambda: plain_fft(path)), 1.2
    )
    for name, run in library_msds(path, file, n_frames):
        yield Claim("MSD, all lags", ours, name, cpu_seconds(run, 1), 1.0)
    whole = cpu_seconds(lambda: msd_fft(load().path_a))
    yield Claim("load + drift + MSD", whole, "our MSD alone", ours, 3.0)


def library_msds(
    path: np.ndarray[Any, np.dtype[np.float64]], file: Path, n_frames: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the libraries' MSD over all lags of the same paths, ready to run."""
    import freud
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    box = freud.box.Box.cube(BOX_A)
    single = path.astype(np.float32)
    yield "freud", lambda: freud.msd.MSD(box, "window").compute(single, reset=True).msd

    structure = Structure(BOX_A * np.eye(3), SPECIES, np.zeros((len(SPECIES), 3)))
    displacements = np.zeros((len(SPECIES), n_frames, 3))
    displacements[:N_MOBILE] = path.transpose(1, 0, 2)
    settings: dict[str, Any] = {"time_step": FRAME_PS * 1e3, "step_skip": 1, "smoothed": "max"}
    yield (
        "pymatgen, ~200 lags",
        lambda: DiffusionAnalyzer(structure, displacements, "Na", TEMPERATURE_K, **settings),
    )

    yield (
        "GEMDAT",
        lambda: gemdat_trajectory(file, n_frames).filter("Na").mean_squared_displacement(),
    )


def gemdat_trajectory(file: Path, n_frames: int) -> Any:  # noqa: ANN401  (untyped library)
    """Return GEMDAT's trajectory of the same frames."""
    from gemdat import Trajectory
    from pymatgen.core import Element

    positions = np.concatenate([block for block, _ in read_blocks(file, n_frames)])
    return Trajectory(
        species=[Element(name) for name in SPECIES],
        coords=positions / BOX_A,
        lattice=BOX_A * np.eye(3),
        time_step=FRAME_PS * 1e-12,
        metadata={"temperature": TEMPERATURE_K},
    )


def rdf_claims(sample: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[Claim]:
    """All ten partial g(r) against one of MDTraj."""
    import mdtraj

    from haloflow.analysis.rdf import pair_distributions

    cell = BOX_A * np.eye(3)
    pair_distributions(sample[:2], cell, SPECIES.tolist())
    ours = cpu_seconds(lambda: pair_distributions(sample, cell, SPECIES.tolist(), r_max_a=10.0))
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for name in SPECIES:
        element = mdtraj.element.get_by_symbol(str(name))
        topology.add_atom(str(name), element, topology.add_residue(str(name), chain))
    trajectory = mdtraj.Trajectory(sample / 10.0, topology)
    trajectory.unitcell_vectors = np.broadcast_to(cell / 10.0, (len(sample), 3, 3)).copy()
    pairs = topology.select_pairs("element Na", "element Cl")
    theirs = cpu_seconds(
        lambda: mdtraj.compute_rdf(trajectory, pairs, r_range=(0.0, 1.0), n_bins=200)
    )
    yield Claim("ten partial g(r)", ours, "MDTraj, Na-Cl alone", theirs, 2.0)


def speciation_claims(sample: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[Claim]:
    """Polyhedra, sharing and chains against polyhedral-analysis (polyhedra and neighbours)."""
    from polyhedral_analysis.configuration import Configuration
    from polyhedral_analysis.polyhedra_recipe import PolyhedraRecipe
    from pymatgen.core import Structure

    from haloflow.analysis.speciation import speciation

    cell = BOX_A * np.eye(3)
    options: dict[str, Any] = {"centres": ["Ta"], "ligands": ["O", "Cl"], "cutoffs_a": 3.2}
    speciation(sample[:2], cell, SPECIES.tolist(), **options)
    ours = cpu_seconds(lambda: speciation(sample, cell, SPECIES.tolist(), **options)) / len(sample)
    recipe = PolyhedraRecipe(
        method="distance cutoff",
        coordination_cutoff=3.2,
        central_atoms="Ta",
        vertex_atoms=["O", "Cl"],
    )
    few = sample[:10]

    def theirs() -> None:
        for frame in few:
            structure = Structure(cell, SPECIES, frame, coords_are_cartesian=True)
            configuration = Configuration(structure=structure, recipes=[recipe])
            for polyhedron in configuration.polyhedra:
                polyhedron.corner_sharing_neighbour_list()

    each = cpu_seconds(theirs, 1) / len(few)
    yield Claim("speciation, per frame", ours, "polyhedral-analysis", each, 8.0, at_most=False)


def density_claims(file: Path, n_frames: int) -> Iterator[Claim]:
    """Density of Na on a grid of 0.2 A against GEMDAT."""
    from gemdat.volume import trajectory_to_volume

    from haloflow.analysis.density import density_grid
    from haloflow.analysis.host_paths import host_paths

    positions = np.concatenate([block for block, _ in read_blocks(file, n_frames)])
    paths = host_paths(positions, BOX_A * np.eye(3), SPECIES == "Na")
    del positions
    density_grid(paths, spacing_a=2.0)
    ours = cpu_seconds(lambda: density_grid(paths, spacing_a=0.2))
    mobile = gemdat_trajectory(file, n_frames).filter("Na")
    theirs = cpu_seconds(lambda: trajectory_to_volume(mobile, resolution=0.2), 1)
    yield Claim("density, 125^3 voxels", ours, "GEMDAT", theirs, 10.0, at_most=False)


def peak_memory_mb(file: Path, n_frames: int) -> float:
    """Return the peak memory of all analyses of a trajectory, in a process of their own."""
    command = [sys.executable, __file__, "--only-memory", str(file), "--frames", str(n_frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def only_memory(file: Path, n_frames: int) -> None:
    """Run all analyses from blocks and print the peak memory in MB."""
    from haloflow.workflows.analyze import Request, analyze_trajectory
    from haloflow.workflows.trajectories import Trajectory

    trajectory = Trajectory(
        path=file,
        species=SPECIES,
        unwrapped=False,
        n_frames=n_frames,
        frame_ps=FRAME_PS,
        temperature_k=TEMPERATURE_K,
        blocks=lambda: read_blocks(file, n_frames),
    )
    analyze_trajectory(trajectory, Request(file, lags=(1, 10)))
    # not getrusage: its peak is inherited from the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024.0)


def main() -> int:
    """Measure, print the table and return 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000, help="frames for the speeds")
    parser.add_argument("--memory-frames", type=int, default=100_000, help="frames for memory")
    parser.add_argument("--only-memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_memory is not None:
        only_memory(options.only_memory, options.frames)
        return 0
    warnings.filterwarnings("ignore", module="gemdat|MDAnalysis|mdtraj|polyhedral_analysis|Bio")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trajectory.f32"
        write_trajectory(file, max(options.frames, options.memory_frames))
        sample = np.concatenate([b for b, _ in read_blocks(file, 2000)])[::20].astype(np.float64)
        claims = [
            *displacement_claims(file, options.frames),
            *rdf_claims(sample),
            *speciation_claims(sample),
            *density_claims(file, options.frames),
        ]
        memory = peak_memory_mb(file, options.memory_frames)
    print(f"{'what':24}{'ours (s)':>10}  {'against':26}{'(s)':>9}{'ratio':>8}  limit")
    for claim in claims:
        sign = "<=" if claim.at_most else ">="
        verdict = "" if claim.holds else "  MISSED"
        print(
            f"{claim.what:24}{claim.ours_s:10.4f}  {claim.other:26}{claim.other_s:9.4f}"
            f"{claim.ratio:8.2f}  {sign} {claim.limit:g}{verdict}"
        )
    verdict = "" if memory <= MEMORY_LIMIT_MB else "  MISSED"
    print(
        f"memory, {len(SPECIES)} atoms x {options.memory_frames} frames in blocks: "
        f"{memory:.0f} MB  <= {MEMORY_LIMIT_MB:g}{verdict}"
    )
    return 0 if all(c.holds for c in claims) and memory <= MEMORY_LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
