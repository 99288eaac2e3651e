from __future__ import annotations

import numpy as np
import pytest

from haloflow.analysis.diffusion import path_diffusivity
from haloflow.analysis.directional import diffusion_tensor, diffusivity_along
from haloflow.errors import AnalysisError
from haloflow.quantity import Status

TRUTH = np.array([0.05, 0.1, 0.3])


def anisotropic(seed, n_ions=20, n_frames=2000, d_a2_ps=TRUTH):
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_frames, n_ions, 3)) * np.sqrt(2.0 * np.asarray(d_a2_ps))
    return np.cumsum(steps, axis=0) + rng.normal(0.0, 0.1, steps.shape)


def test_intervals_along_the_axes_cover_the_truth():
    covered = []
    for seed in range(20):
        along = diffusivity_along(anisotropic(seed), 7.0 * np.eye(3), frame_ps=1.0)
        quantities = [estimate.diffusivity_cm2_s for estimate in along]
        covered.append(
            [
                q.lower <= truth * 1e-4 <= q.upper
                for q, truth in zip(quantities, TRUTH, strict=True)
                if q.status is Status.OK
            ]
        )
    flat = np.concatenate(covered)
    assert len(flat) >= 54
    assert 0.88 <= flat.mean() <= 1.0


def test_principal_axes_of_a_turned_walk_are_found():
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    path = anisotropic(1, n_ions=120, n_frames=4000) @ rotation
    found = diffusion_tensor(path, frame_ps=1.0)
    overlap = np.abs(np.einsum("ai,ai->a", found.axes, rotation))
    assert (overlap > 0.99).all()
    values = [estimate.diffusivity_cm2_s.value for estimate in found.along]
    np.testing.assert_allclose(values, TRUTH * 1e-4, rtol=0.15)
    whole = path_diffusivity(path, frame_ps=1.0)
    np.testing.assert_allclose(
        np.einsum("fii->f", found.msd_tensor_a2), whole.msd_a2, rtol=1e-9, atol=1e-9
    )
    assert np.mean(values) == pytest.approx(whole.diffusivity_cm2_s.value, rel=0.05)
    np.testing.assert_allclose(found.lag_ps[:3], [0.0, 1.0, 2.0])


def test_a_direction_without_diffusion_gets_a_bound():
    path = anisotropic(5, n_ions=8, n_frames=1000, d_a2_ps=(0.3, 0.0, 0.0))
    free, caged, _ = diffusivity_along(path, np.eye(3), frame_ps=1.0)
    assert abs(free.diffusivity_cm2_s.value - 0.3e-4) < 3.0 * free.diffusivity_cm2_s.sd
    assert caged.diffusivity_cm2_s.status is Status.UNCONVERGED
    assert caged.diffusivity_cm2_s.upper >= 3.7**2 * 100 / (2 * 999 * 8) * 1e-4


def test_one_dimension_of_an_isotropic_walk_is_the_whole():
    path = anisotropic(2, n_ions=100, d_a2_ps=(0.1, 0.1, 0.1))
    (along,) = diffusivity_along(path, [[1.0, 2.0, -1.0]], frame_ps=1.0)
    whole = path_diffusivity(path, frame_ps=1.0).diffusivity_cm2_s
    assert abs(along.diffusivity_cm2_s.value - whole.value) < 4 * along.diffusivity_cm2_s.sd


def test_what_is_no_direction_is_refused():
    path = anisotropic(0, n_frames=50)
    with pytest.raises(AnalysisError, match=r"directions are no vectors\. Given: shape \(3,\)"):
        diffusivity_along(path, [1.0, 0.0, 0.0], frame_ps=1.0)
    with pytest.raises(AnalysisError, match=r"no length or is not finite\. Given: \[0\.0, 0\.0"):
        diffusivity_along(path, [[0.0, 0.0, 0.0]], frame_ps=1.0)
    with pytest.raises(AnalysisError, match=r"too few frames for a diffusion tensor\. Given: 4 fr"):
        diffusion_tensor(path[:4], frame_ps=1.0)
