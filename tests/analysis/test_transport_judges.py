"""Transport against other libraries, with the known defects of each allowed for."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from haloflow.analysis.conductivity import path_conductivity
from haloflow.analysis.diffusion import path_diffusivity
from haloflow.analysis.msd import lag_grid, msd_fft
from haloflow.analysis.regimes import fit_regimes
from haloflow.quantity import Quantity

# 1/8 ps: kinisi truncates lag / step to whole frames, which loses a frame where 0.1 is not exact
N_IONS, FRAME_PS, BOX_A, D_A2_PS = 16, 0.125, 40.0, 0.1
K_EV = 8.617333262e-5


@pytest.fixture(scope="module")
def path():
    return paired_walk(2500)


def paired_walk(n_frames):
    """Return a walk of pairs of ions that share half of each step, with a vibration."""
    rng = np.random.default_rng(11)
    sd = np.sqrt(2.0 * D_A2_PS * FRAME_PS)
    common = np.repeat(rng.normal(0.0, sd, (n_frames, N_IONS // 2, 3)), 2, axis=1)
    own = rng.normal(0.0, sd, (n_frames, N_IONS, 3))
    walk = np.cumsum(np.sqrt(0.5) * (common + own), axis=0)
    return walk + rng.normal(0.0, 0.1, walk.shape)


def kinisi_parser(path, start_ps):
    """Return kinisi's parser on the wrapped walk and one atom at rest, for the lags of our fit."""
    sc = pytest.importorskip("scipp")
    parser = pytest.importorskip("kinisi.parser")
    lags = lag_grid((len(path) - 1) // 2)
    lags = lags[lags * FRAME_PS > start_ps - 1e-9]
    fractions = np.concatenate([path, np.zeros((len(path), 1, 3))], axis=1) / BOX_A % 1.0
    cells = np.broadcast_to(BOX_A * np.eye(3), (len(path), 3, 3)).copy()
    return parser.Parser(
        coords=sc.array(dims=["time", "particle", "dimension"], values=fractions),
        latt=sc.array(dims=["time", "row", "column"], values=cells, unit="angstrom"),
        time_step=FRAME_PS * sc.Unit("ps"),
        step_skip=sc.scalar(1),
        specie_indices=sc.array(dims=["particle"], values=np.arange(N_IONS)),
        drift_indices=sc.array(dims=["particle"], values=[N_IONS]),
        dt=sc.array(dims=["time interval"], values=FRAME_PS * lags, unit="ps"),
    )


def lags_of(data):
    return np.rint(data.coords["time interval"].values / FRAME_PS).astype(int)


def run_sd(samples, path, data):
    """Return the spread that kinisi would find if it knew that the run goes on after the lags."""
    return samples.std() * np.sqrt(lags_of(data)[-1] / (len(path) - 1))


def test_kinisi_agrees_on_the_tracer(path):
    import scipp as sc
    from kinisi.diffusion import Diffusion
    from kinisi.displacement import calculate_msd

    own = path_diffusivity(path, frame_ps=FRAME_PS)
    data = calculate_msd(kinisi_parser(path, own.window_ps[0]), progress=False)
    np.testing.assert_allclose(data["da"].values, own.msd_a2[lags_of(data["da"])], rtol=1e-8)
    fit = Diffusion(dg=data)
    fit._diffusion(
        start_dt=own.window_ps[0] * sc.Unit("ps"),
        n_samples=300,
        n_burn=500,
        progress=False,
        random_state=np.random.RandomState(1),
    )
    found = own.diffusivity_cm2_s
    assert found.value == pytest.approx(fit.D.values.mean(), rel=0.01)
    # kinisi takes all ions for independent, of which the pairs leave 4 / 5
    assert 0.95 < found.sd / run_sd(fit.D.values, path, data["da"]) < 1.35


def test_kinisi_agrees_on_the_conductivity():
    import scipp as sc
    from kinisi.diffusion import Diffusion
    from kinisi.displacement import calculate_mstd

    path = paired_walk(5000)
    charge = sc.scalar(1.0, unit="e").to(unit="coulomb")
    own = path_conductivity(path, frame_ps=FRAME_PS, temperature_k=600.0, volume_a3=BOX_A**3)
    parser = kinisi_parser(path, own.window_ps[0])
    data = calculate_mstd(parser, ionic_charge=charge, progress=False)
    ours = own.collective_msd_a2[lags_of(data["da"])] * 1.602176634e-19**2
    np.testing.assert_allclose(data["da"].values, ours, rtol=1e-7)
    fit = Diffusion(dg=data)
    fit._conductivity(
        own.window_ps[0] * sc.Unit("ps"),
        600.0 * sc.Unit("K"),
        parser._volume,
        N_IONS,
        n_samples=300,
        n_burn=500,
        progress=False,
        random_state=np.random.RandomState(1),
    )
    judged = fit.sigma.values
    tracer = own.tracer.diffusivity_cm2_s
    line = line_of_the_same_lags(own)
    slope = line.slope / FRAME_PS / 6.0 * 1e-4
    found = own.sigma_ne_ms_cm.value / own.haven_ratio.value * slope / tracer.value
    assert abs(found - judged.mean()) < judged.std()
    later_window = (tracer.sd / tracer.value) ** 2 - (line.slope_sd / line.slope) ** 2
    relative = np.sqrt((own.sigma_ms_cm.sd / own.sigma_ms_cm.value) ** 2 - later_window)
    assert 0.8 < found * relative / run_sd(judged, path, data["da"]) < 1.25
    assert own.sigma_ms_cm.lower < 0.1 * 1.5 * sigma_per_d() < own.sigma_ms_cm.upper


def line_of_the_same_lags(own):
    """Return the line of the tracer over the lags of the collective slope."""
    curve = own.tracer.curve
    start = int(np.searchsorted(curve.lags * FRAME_PS, own.window_ps[0] - 1e-9))
    return curve.from_lag(start).line()


def sigma_per_d():
    """Return n e^2 / (k T) in mS/cm for D = 1 A2/ps."""
    density = N_IONS / BOX_A**3 * 1e30
    return density * 1.602176634e-19**2 / (1.380649e-23 * 600.0) * 1e-8 * 10.0


def test_kinisi_counts_the_first_frame_of_a_trajectory_twice():
    """Its ASE parser repeats the first frame, which adds one displacement from there."""
    ase = pytest.importorskip("ase")
    sc = pytest.importorskip("scipp")
    from kinisi.ase import ASEParser
    from kinisi.displacement import calculate_msd

    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(0.0, 0.3, (60, 3, 3)), axis=0)
    positions = np.concatenate([walk, np.zeros((60, 2, 3))], axis=1)
    frames = [ase.Atoms("Na3Cl2", positions=p, cell=BOX_A * np.eye(3), pbc=True) for p in positions]
    parser = ASEParser(
        frames, "Na", time_step=1.0 * sc.Unit("ps"), step_skip=sc.scalar(1), progress=False
    )
    data = calculate_msd(parser, progress=False)["da"]
    lags = np.rint(data.coords["time interval"].values).astype(int)
    ours = msd_fft(walk).self_a2
    for lag, value in zip(lags[:30], data.values[:30], strict=True):
        first = np.square(walk[lag - 1] - walk[0]).sum(axis=1).mean()
        repeated = ((60 - lag) * ours[lag] + first) / (60 - lag + 1)
        assert value == pytest.approx(repeated, rel=1e-8)


def test_freud_agrees_on_the_msd(path):
    freud = pytest.importorskip("freud")
    found = freud.msd.MSD(mode="window").compute(path).msd
    np.testing.assert_allclose(msd_fft(path).self_a2, found, rtol=1e-4, atol=1e-4)


def test_pymatgen_agrees_on_both_displacements(path):
    analyzer = pytest.importorskip("pymatgen.analysis.diffusion.analyzer")
    from pymatgen.core import Lattice, Structure

    structure = Structure(Lattice.cubic(BOX_A), ["Na"] * N_IONS + ["Cl"], np.zeros((N_IONS + 1, 3)))
    moved = np.concatenate([path - path[0], np.zeros((len(path), 1, 3))], axis=1)
    judge = analyzer.DiffusionAnalyzer(
        structure, moved.swapaxes(0, 1), "Na", 600.0, time_step=1, step_skip=100, smoothed="max"
    )
    lags = np.rint(judge.dt / 100.0).astype(int)
    ours = msd_fft(path)
    np.testing.assert_allclose(judge.msd, ours.self_a2[lags], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(judge.mscd, ours.collective_a2[lags], rtol=1e-7, atol=1e-9)


def test_stacie_agrees_on_the_diffusivity():
    """Its spectral estimate needs increments without vibration, which it takes as velocities."""
    stacie = pytest.importorskip("stacie")
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.normal(0.0, np.sqrt(2 * D_A2_PS * FRAME_PS), (1500, 40, 3)), axis=0)
    velocities = np.diff(walk, axis=0).reshape(1499, -1).T / FRAME_PS
    spectrum = stacie.compute_spectrum(
        velocities, prefactors=1.0, timestep=FRAME_PS, include_zero_freq=False
    )
    judged = stacie.estimate_acint(spectrum, stacie.ExpPolyModel([0, 2]), verbose=False)
    own = path_diffusivity(walk, frame_ps=FRAME_PS).diffusivity_cm2_s
    spread = np.hypot(own.sd * 1e4, judged.acint_std)
    assert abs(own.value * 1e4 - judged.acint) < 3.0 * spread


def diffusivities(law, temperatures, relative_sd=0.05):
    noise = np.random.default_rng(4).normal(0.0, relative_sd, len(temperatures))
    return [Quantity(v, relative_sd * v) for v in np.exp(law(temperatures) + noise)]


def arrhenius_law(temperature_k):
    return np.log(1e-3) - 0.3 / (K_EV * temperature_k)


def vogel_law(temperature_k):
    return np.log(2e-4) - 0.08 / (K_EV * (temperature_k - 200.0))


@pytest.mark.parametrize(
    ("law", "name"), [(arrhenius_law, "arrhenius"), (vogel_law, "vogel-fulcher-tammann")]
)
def test_kinisi_agrees_on_the_law_over_temperature(law, name):
    sc = pytest.importorskip("scipp")
    from kinisi.arrhenius import Arrhenius, VogelFulcherTammann
    from scipy.stats import uniform

    temperatures = np.linspace(300.0, 700.0, 9)
    values = diffusivities(law, temperatures)
    own = fit_regimes(temperatures, values, extrapolate_to_k=270.0, times_temperature=False)
    assert own.name == name
    data = sc.DataArray(
        sc.array(
            dims=["temperature"],
            values=[q.value for q in values],
            variances=[q.sd**2 for q in values],
            unit="cm^2/s",
        ),
        coords={"temperature": sc.array(dims=["temperature"], values=temperatures, unit="K")},
    )
    np.random.seed(3)  # noqa: NPY002  (kinisi draws from the global state)
    if name == "arrhenius":
        kind, energy = Arrhenius, own.regimes[0].activation_energy_ev
        priors = [uniform(0.1, 0.5), uniform(1e-4, 5e-3)]
        start = (0.3 * sc.Unit("eV"), 1e-3 * sc.Unit("cm^2/s"))
    else:
        kind, energy = VogelFulcherTammann, own.pseudo_energy_ev
        priors = [uniform(0.01, 0.3), uniform(1e-5, 5e-3), uniform(50.0, 230.0)]
        start = (0.08 * sc.Unit("eV"), 2e-4 * sc.Unit("cm^2/s"), 200.0 * sc.Unit("K"))
    with warnings.catch_warnings():  # its first search steps out of the prior
        warnings.filterwarnings("ignore", "invalid value encountered in subtract")
        judge = kind(data, priors=priors)
    judge.mcmc(x0=start, n_samples=150, n_burn=100, n_walkers=16, n_thin=2)
    judged = judge.activation_energy.values
    assert abs(energy.value - judged.mean()) < judged.std()
    assert 0.6 < energy.sd / judged.std() < 1.7
    far = judge.extrapolate(270.0 * sc.Unit("K")).values
    lower, upper = np.quantile(np.log(far), [0.025, 0.975])
    width = np.log(own.extrapolated.upper / own.extrapolated.lower)
    assert abs(np.log(own.extrapolated.value) - np.median(np.log(far))) < 0.5 * (upper - lower)
    assert 0.6 < width / (upper - lower) < 1.8
