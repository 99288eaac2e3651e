"""The dynamics is right: conserved energies, ensembles, springs, ramps."""

import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import Calculator, all_changes

from haloflow.engines.dynamics import Integrator
from haloflow.engines.evaluator import Evaluator
from haloflow.engines.md import MDSettings, Tether, run_md
from haloflow.engines.md_start import starting_atoms

N_ATOMS = 32


class Free(Calculator):
    """No forces at all."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def simulate(md_cases, case, directory, **changes):
    changes = {"sync_interval": 50, "checkpoint_interval": 5000, "chunk_frames": 1000, **changes}
    calculator = md_cases.SkinLennardJones(np.float64)
    return md_cases.run(case, directory, calculator, **changes)


def block_mean(samples, n_blocks=10):
    """Return the mean and its standard error from block means."""
    length = len(samples) // n_blocks
    blocks = np.reshape(samples[: length * n_blocks], (n_blocks, length)).mean(axis=1)
    return blocks.mean(), blocks.std(ddof=1) / np.sqrt(n_blocks)


@pytest.mark.parametrize(
    "case", ["nve", "tether-nve", "nose-hoover", "tether-nose-hoover", "npt-isotropic", "npt-full"]
)
def test_conserved_energy_improves_with_the_square_of_the_timestep(case, md_cases, tmp_path):
    errors = []
    for timestep in (8.0, 4.0):
        result = simulate(
            md_cases,
            case,
            tmp_path / str(timestep),
            timestep_fs=timestep,
            n_steps=int(800 / timestep),
            trajectory_interval=1,
        )
        errors.append(result.thermo["conserved_energy_ev"].std())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.15)


def test_langevin_has_no_conserved_energy(md_cases, tmp_path):
    result = simulate(md_cases, "langevin", tmp_path)
    assert np.isnan(result.thermo["conserved_energy_ev"]).all()


@pytest.mark.parametrize(
    ("case", "n_steps", "n_free"),
    [
        ("langevin", 9000, 3 * N_ATOMS - 3),
        ("nose-hoover", 12000, 3 * N_ATOMS - 3),
        ("npt-isotropic", 8000, 3 * N_ATOMS - 3),
        ("tether-langevin", 9000, 3 * N_ATOMS),
    ],
)
def test_temperature_and_its_fluctuation(case, n_steps, n_free, md_cases, tmp_path):
    """A count of 3N instead of 3N - 3 would show as 3.2 % here."""
    target = 60.0
    result = simulate(
        md_cases,
        case,
        tmp_path,
        temperature_k=target,
        n_steps=n_steps,
        timestep_fs=8.0,
        friction_per_ps=3.0,
        trajectory_interval=5,
    )
    temperature = result.thermo["temperature_k"][200:]
    mean, error = block_mean(temperature)
    assert error < 0.011 * target
    assert mean == pytest.approx(target, abs=3.5 * error)
    assert temperature.std() == pytest.approx(target * np.sqrt(2 / n_free), rel=0.15)
    if case == "npt-isotropic":
        pressure, error = block_mean(result.thermo["pressure_gpa"][200:])
        assert pressure == pytest.approx(0.1, abs=max(4 * error, 0.001))


def test_momenta_of_a_thermostatted_run_are_normal(md_cases, tmp_path):
    result = simulate(
        md_cases, "langevin", tmp_path, n_steps=3000, timestep_fs=8.0, trajectory_interval=3000
    )
    settings = md_cases.settings_of("langevin", timestep_fs=8.0)
    atoms = result.atoms.copy()
    evaluator = Evaluator(md_cases.SkinLennardJones(np.float64), atoms)
    atoms.calc = evaluator
    integrator = Integrator(atoms, settings)
    samples = []
    for step in range(3000):
        integrator.step()
        if step % 30 == 0:
            samples.append(atoms.get_momenta() / np.sqrt(atoms.get_masses()[:, None]))
    scaled = np.ravel(samples) / np.sqrt(units.kB * settings.temperature_k)
    at_rest = 1 - 1 / N_ATOMS  # share that the resting centre of mass leaves
    assert scaled.var() == pytest.approx(at_rest, rel=0.06)
    assert (scaled**4).mean() == pytest.approx(3 * scaled.var() ** 2, rel=0.08)


def test_full_cell_shares_heat_among_the_six_moving_degrees(md_cases):
    """A symmetric cell momentum has 6 degrees of freedom, and so 6 kT of 2 E_kin."""
    settings = md_cases.settings_of(
        "npt-full",
        temperature_k=20.0,
        pressure_gpa=0.5,
        thermostat_time_fs=100.0,
        barostat_time_fs=400.0,
    )
    atoms = starting_atoms(md_cases.noble_gas(), settings)
    atoms.calc = Evaluator(md_cases.SkinLennardJones(np.float64), atoms, needs_stress=True)
    integrator = Integrator(atoms, settings)
    heat = []
    for _ in range(6000):
        integrator.step()
        state, _ = integrator.state()
        heat.append((state["_p_g"] ** 2).sum() / state["_barostat._W"] / state["_kT"])
    assert np.array_equal(state["_p_g"], state["_p_g"].T)
    assert np.mean(heat[1500:]) == pytest.approx(6.0, abs=1.2)


@pytest.mark.parametrize("case", ["nve", "langevin", "nose-hoover", "npt-isotropic", "npt-full"])
def test_centre_of_mass_stays_at_rest(case, md_cases, tmp_path):
    result = simulate(md_cases, case, tmp_path, n_steps=400)
    assert np.abs(result.atoms.get_momenta().sum(axis=0)).max() < 1e-10
    if case in {"nve", "langevin", "nose-hoover"}:
        start = md_cases.noble_gas().get_center_of_mass()
        assert np.allclose(result.atoms.get_center_of_mass(), start, atol=1e-9)


def test_positions_stay_unwrapped(md_cases, tmp_path):
    atoms = md_cases.noble_gas()
    atoms.positions[3] += 2 * atoms.cell.array[0]
    settings = md_cases.settings_of("nve", n_steps=20)
    calculator = md_cases.SkinLennardJones()
    result = run_md(atoms, calculator, settings, tmp_path, signature="unwrapped")
    moved = result.atoms.positions - atoms.positions
    assert 0 < np.abs(moved).max() < 1.0


def test_spring_swings_with_its_own_frequency(md_cases, tmp_path):
    """Free atoms on springs: r(t) = r0 + v0 sin(w t) / w with w^2 = alpha / m."""
    alpha, timestep = 0.5, 1.0
    atoms = md_cases.noble_gas()
    settings = MDSettings(
        "nve",
        300.0,
        n_steps=400,
        timestep_fs=timestep,
        tether=Tether("Ne", alpha),
        trajectory_interval=400,
    )
    velocities = starting_atoms(atoms, settings).get_velocities()
    result = run_md(atoms, Free(), settings, tmp_path, signature="springs")
    time = 400 * timestep * units.fs
    moved = result.atoms.positions - atoms.positions
    tied = atoms.symbols == "Ne"
    omega = np.sqrt(alpha / 39.9)
    assert np.allclose(moved[~tied], velocities[~tied] * time, rtol=1e-9)
    swung = velocities[tied] * np.sin(omega * time) / omega
    assert np.allclose(moved[tied], swung, atol=2e-4 * np.abs(swung).max())
    energy = 0.5 * alpha * (moved[tied] ** 2).sum()
    assert result.thermo["energy_ev"][-1] == pytest.approx(energy, rel=1e-6)
    assert result.atoms.get_potential_energy() == result.thermo["energy_ev"][-1]
    assert np.allclose(result.atoms.get_forces()[tied], -alpha * moved[tied])


def test_springs_hold_three_halves_kt_each(md_cases, tmp_path):
    alpha, target = 0.2, 300.0
    settings = MDSettings(
        "nvt-langevin",
        target,
        n_steps=6000,
        timestep_fs=10.0,
        friction_per_ps=8.0,
        tether=Tether(("Ne", "Ar"), alpha),
        trajectory_interval=10,
        checkpoint_interval=6000,
    )
    result = run_md(md_cases.noble_gas(), Free(), settings, tmp_path, signature="springs")
    energy, error = block_mean(result.thermo["energy_ev"][50:])
    expected = 1.5 * N_ATOMS * units.kB * target
    assert error < 0.02 * expected
    assert energy == pytest.approx(expected, abs=3.5 * error)


def test_ramp_reaches_its_end(md_cases, tmp_path):
    result = simulate(
        md_cases, "ramp-langevin", tmp_path, n_steps=4000, trajectory_interval=4, timestep_fs=8.0
    )
    target = result.thermo["target_temperature_k"]
    assert (target[0], target[-1]) == (40.0, 90.0)
    assert np.allclose(np.diff(target), 50.0 / 1000)
    late = slice(-250, None)
    assert result.thermo["temperature_k"][late].mean() == pytest.approx(
        target[late].mean(), rel=0.07
    )


@pytest.mark.parametrize("case", ["ramp-nose-hoover", "ramp-npt", "ramp-npt-full"])
def test_ramp_keeps_the_frequencies_of_chain_and_barostat(case, md_cases):
    settings = md_cases.settings_of(case)
    atoms = starting_atoms(md_cases.noble_gas(), settings)
    atoms.calc = Evaluator(md_cases.SkinLennardJones(), atoms, needs_stress="npt" in case)
    integrator = Integrator(atoms, settings)
    for _ in range(10):
        integrator.step()
    before, _ = integrator.state()
    integrator.set_target(20.0)
    after, _ = integrator.state()
    assert after["_thermostat._kT"] == pytest.approx(units.kB * 20.0, rel=1e-12)
    for part, mass, momentum in (("_thermostat", "_Q", "_p_eta"), ("_barostat", "_R", "_p_xi")):
        if f"{part}.{mass}" in before:
            assert np.allclose(after[f"{part}.{mass}"], before[f"{part}.{mass}"] / 2)
            speeds = [
                state[f"{part}.{momentum}"] / state[f"{part}.{mass}"] for state in (before, after)
            ]
            assert np.allclose(*speeds, rtol=1e-12)
            assert np.abs(speeds[0]).max() > 0
    fresh_settings = md_cases.settings_of(case, temperature_k=20.0)
    fresh, _ = Integrator(atoms, fresh_settings).state()
    for name in ("_thermostat._Q", "_barostat._R", "_barostat._W"):
        if name in fresh:
            assert np.allclose(after[name], fresh[name])


def test_start_momenta_follow_maxwell_and_boltzmann(md_cases):
    atoms = md_cases.noble_gas()
    temperatures = []
    for seed in range(200):
        settings = md_cases.settings_of("nve", seed=seed, temperature_k=300.0)
        started = starting_atoms(atoms, settings)
        assert np.abs(started.get_momenta().sum(axis=0)).max() < 1e-12
        degrees = settings.degrees_of_freedom(N_ATOMS)
        temperatures.append(2 * started.get_kinetic_energy() / (degrees * units.kB))
    spread = 300.0 * np.sqrt(2 / degrees)
    assert np.mean(temperatures) == pytest.approx(300.0, abs=3.5 * spread / np.sqrt(200))
    assert np.std(temperatures) == pytest.approx(spread, rel=0.2)
    assert not atoms.has("momenta")


def test_given_momenta_are_kept(md_cases):
    settings = md_cases.settings_of("nve")
    first = starting_atoms(md_cases.noble_gas(), settings)
    again = starting_atoms(first, md_cases.settings_of("nve", seed=99))
    assert np.array_equal(first.get_momenta(), again.get_momenta())
    drifting = first.copy()
    drifting.set_momenta(first.get_momenta() + 1.0)
    stopped = starting_atoms(drifting, settings)
    assert np.allclose(stopped.get_momenta(), first.get_momenta(), atol=1e-12)
    tethered = starting_atoms(drifting, md_cases.settings_of("tether-nve"))
    assert np.array_equal(tethered.get_momenta(), drifting.get_momenta())
