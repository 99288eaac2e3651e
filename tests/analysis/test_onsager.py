from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.cross_displacements import barycentric, mean_cross_displacements
from haloflow.analysis.msd import msd_fft
from haloflow.analysis.onsager import onsager_matrix
from haloflow.errors import AnalysisError

COUNTS = {"Na": 20, "Ta": 10, "Cl": 40}
MASSES = {"Na": 22.99, "Ta": 180.95, "Cl": 35.45}
CHARGES = {"Na": 1.0, "Ta": 2.0, "Cl": -1.0}
# covariance of the summed steps of Na, Ta, Cl in the laboratory, A2 per frame and axis
STEPS = np.array([[2.0, 0.4, -0.6], [0.4, 0.5, 0.3], [-0.6, 0.3, 1.5]])
VOLUME, TEMPERATURE, FRAME_PS = 2000.0, 600.0, 0.1


def walking_sums(seed, n_frames, rattle_a=0.5):
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_frames, 3, 3)) @ np.linalg.cholesky(STEPS).T
    sums = np.cumsum(steps, axis=0) + rng.normal(0.0, rattle_a, steps.shape)
    return {name: sums[:, :, index] for index, name in enumerate(COUNTS)}


def true_matrix():
    """L = P C P^T / (2 t V k T) for the projection P onto the barycentric frame."""
    number, mass = (np.array(list(d.values())) for d in (COUNTS, MASSES))
    project = np.eye(3) - np.outer(number, mass) / (number @ mass)
    slope = project @ STEPS @ project.T / FRAME_PS
    return slope * 1e-8 / (2 * VOLUME * 1e-30 * 1.380649e-23 * TEMPERATURE)


def onsager(sums, **options):
    settings_ = {
        "frame_ps": FRAME_PS,
        "temperature_k": TEMPERATURE,
        "volume_a3": VOLUME,
        "from_ps": 0.5,
        "masses_da": MASSES,
    } | options
    return onsager_matrix(sums, COUNTS, **settings_)


def test_intervals_cover_the_coefficients_of_a_correlated_walk():
    truth = true_matrix()
    found = [onsager(walking_sums(seed, 3000)) for seed in range(60)]
    value = np.array([f.per_j_m_s for f in found])
    half = np.array([f.quantile * f.sd_per_j_m_s for f in found])
    covered = (np.abs(value - truth) <= half).mean(axis=0)
    scale = np.sqrt(np.outer(np.diag(truth), np.diag(truth)))
    assert (np.abs(value.mean(axis=0) - truth) < 0.03 * scale).all()
    assert (covered >= 0.85).all()
    assert 0.88 <= covered.mean() <= 1.0
    assert found[0].window_ps[0] == pytest.approx(0.5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_symmetry_sum_rule_and_frame(seed):
    sums = walking_sums(seed, 400)
    rng = np.random.default_rng(seed)
    matrix = onsager(sums).per_j_m_s
    scale = np.abs(matrix).max()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9 * scale)
    mass = np.array(list(MASSES.values()))
    np.testing.assert_allclose(matrix @ mass, 0.0, atol=1e-7 * scale * mass.max())
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    wander = np.cumsum(rng.normal(size=(400, 3)), axis=0)
    moved = {name: sums[name] @ rotation + COUNTS[name] * wander + 7.0 for name in sums}
    backwards = dict(reversed(moved.items()))
    again = onsager(backwards).per_j_m_s
    np.testing.assert_allclose(again[::-1, ::-1], matrix, atol=1e-7 * scale)


def test_the_contributions_add_up_to_the_conductivity_of_the_charge():
    """z L z e^2 is what the summed charge gives with the same weights."""
    sums = walking_sums(1, 2000)
    charge = np.sum([CHARGES[name] * sums[name] for name in sums], axis=0)
    parts = onsager(sums).conductivity_ms_cm(CHARGES)
    alone = onsager_matrix(
        {"P": charge, "rest": np.zeros_like(charge)},
        {"P": 0, "rest": 1},
        masses_da={"P": 1.0, "rest": 1e12},
        frame_ps=FRAME_PS,
        temperature_k=TEMPERATURE,
        volume_a3=VOLUME,
        from_ps=0.5,
    )
    expected = alone.conductivity_ms_cm({"P": 1.0, "rest": 0.0})[0, 0]
    assert parts.sum() == pytest.approx(expected, rel=1e-6)
    with pytest.raises(AnalysisError, match=r"a species has no charge\. Given: Ta"):
        onsager(sums).conductivity_ms_cm({"Na": 1.0, "Cl": -1.0})


def atoms(seed, n_frames):
    rng = np.random.default_rng(seed)
    return {
        name: np.cumsum(rng.normal(size=(n_frames, number, 3)), axis=0)
        for name, number in {"Na": 3, "Cl": 4}.items()
    }


def test_cross_displacements_agree_with_the_sum_over_pairs_of_atoms():
    paths = atoms(0, 30)
    counts = {name: path.shape[1] for name, path in paths.items()}
    masses = {"Na": 22.99, "Cl": 35.45}
    found = mean_cross_displacements(
        {name: path.sum(axis=1) for name, path in paths.items()},
        counts,
        frame_ps=0.5,
        masses_da=masses,
        n_blocks=3,
    )
    weight = sum(masses[name] * counts[name] for name in counts)
    centre = sum(masses[name] * paths[name].sum(axis=1) for name in counts) / weight
    inside = {name: path - centre[:, None] for name, path in paths.items()}
    for lag in (1, 7, 29):
        for a, first in enumerate(found.species):
            for b, second in enumerate(found.species):
                moved_a, moved_b = (inside[s][lag:] - inside[s][:-lag] for s in (first, second))
                pairs = np.einsum("fic,fjc->fij", moved_a, moved_b).sum(axis=(1, 2)).mean()
                assert found.total_a2[lag, a, b] == pytest.approx(pairs, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(found.lag_ps, 0.5 * np.arange(30))
    assert np.isfinite(found.sd_a2[:10]).all()
    assert np.isnan(found.sd_a2[10:]).all()
    own = msd_fft(inside["Na"]).self_a2
    distinct, _ = found.pair("Na", "Na", self_msd_a2=own)
    moved = inside["Na"][5:] - inside["Na"][:-5]
    products = np.einsum("fic,fjc->fij", moved, moved).mean(axis=0)
    assert distinct[5] == pytest.approx(products.sum() - np.trace(products), rel=1e-9)
    per_atom, per_atom_sd = found.pair("Na", "Cl", per=12.0)
    np.testing.assert_allclose(12.0 * per_atom, found.total_a2[:, 0, 1])
    np.testing.assert_allclose(12.0 * per_atom_sd[:10], found.sd_a2[:10, 0, 1])
    with pytest.raises(AnalysisError, match=r"does not occur in the structure\. Given: Ta"):
        found.pair("Ta", "Na")


def test_block_errors_of_cross_displacements_are_those_of_replicas():
    found = [
        mean_cross_displacements(walking_sums(seed, 2000), COUNTS, frame_ps=1.0, masses_da=MASSES)
        for seed in range(40)
    ]
    spread = np.std([f.total_a2[10] for f in found], axis=0)
    quoted = np.mean([f.sd_a2[10] for f in found], axis=0)
    assert (quoted > 0.7 * spread).all()
    assert (quoted < 1.4 * spread).all()


def test_masses_are_the_standard_ones_unless_given():
    sums = walking_sums(0, 20)
    standard = barycentric(sums, COUNTS)
    total = sum(m * standard[name] for name, m in MASSES.items())
    assert np.abs(total).max() < 1e-2 * np.abs(sums["Na"]).max()


def test_what_does_not_fit_is_refused():
    sums = walking_sums(0, 40)
    with pytest.raises(
        AnalysisError, match=r"of different species\. Given: \['Cl', 'Na', 'Ta'\], "
    ):
        barycentric(sums, {"Na": 1})
    with pytest.raises(AnalysisError, match=r"temperature_k must be positive\. Given: -1"):
        onsager(sums, temperature_k=-1)
    with pytest.raises(AnalysisError, match=r"volume_a3 must be positive\. Given: 0"):
        onsager(sums, volume_a3=0)
    with pytest.raises(AnalysisError, match=r"frame_ps must be positive\. Given: 0"):
        onsager(sums, frame_ps=0)
    with pytest.raises(
        AnalysisError, match=r"too few frames for the blocks.*Given: 40 frames in 30"
    ):
        onsager(sums, n_blocks=30)
    with pytest.raises(AnalysisError, match=r"too few frames for the blocks.*in 1 blocks"):
        mean_cross_displacements(sums, COUNTS, frame_ps=1.0, n_blocks=1)
    with pytest.raises(AnalysisError, match=r"too short for the slope\. Given: 10 blocks of 4 fr"):
        onsager(sums)
