"""Structure over several glasses: the scatter between them, not the patience of one run."""

from __future__ import annotations

import numpy as np
import pytest
import sample_documents

from haloflow.quantity import Quantity, Status
from haloflow.stores.analyses import (
    ChainAnalysis,
    CoordinationAnalysis,
    EnvironmentAnalysis,
    PopulationAnalysis,
    SpeciationAnalysis,
    StructureAnalysis,
    StructureDocument,
    StructurePoint,
)
from haloflow.stores.structure_means import structure_means


def share(value, sd=0.001):
    return PopulationAnalysis(value=value, sd=sd, at_shorter=value, at_longer=value)


def point(temperature_k, shares, n=2.0, prismatic=0.4):
    chains = ChainAnalysis(rule="", lengths={}, endless=share(1.0), mean_length=None)
    return StructurePoint(
        temperature_k=temperature_k,
        structure=StructureAnalysis(
            n_frames=9,
            cell_lengths_a=[],
            cell_angles_deg=[],
            rdf={},
            coordination={
                pair: CoordinationAnalysis(n=n, sd=0.001, cutoff_a=2.7)
                for pair in ("Ta-O", "O-Ta", "O-O", "Ta-Ta")
            },
        ),
        speciation=SpeciationAnalysis(
            cutoffs_a={},
            cutoff_shift_a=0.1,
            n_frames=9,
            populations={name: share(value) for name, value in shares.items()},
            coordination={},
            roles={},
            sharing={},
            links={},
            chains_by_distance=chains,
            chains_by_bridges=chains,
            retention={},
            retention_distance_a=3.0,
            anion_bonds={},
        ),
        environment=EnvironmentAnalysis(
            octahedral=Quantity(1 - prismatic, 0.01),
            prismatic=Quantity(prismatic, 0.01),
            other=Quantity(0.0),
            shape_limit=3.0,
            coordination={},
        ),
    )


def glass(*points, status=Status.OK):
    return StructureDocument(
        identity=f"id-{id(points)}",
        provenance=sample_documents.provenance(),
        level="l",
        mobile="Na",
        status=status,
        points=list(points),
        left_out={},
    )


def test_the_interval_holds_the_next_glass_where_that_of_a_box_does_not():
    rng = np.random.default_rng(0)
    held = {"mean": 0, "box": 0}
    for _ in range(200):
        *made, following = rng.normal(0.5, 0.05, 4)
        documents = [glass(point(500.0, {"TaO2Cl4": x, "TaOCl5": 1 - x})) for x in made]
        found = structure_means(documents, n_expected=3).populations["TaO2Cl4"]
        held["mean"] += found.lower <= following <= found.upper
        held["box"] += abs(following - made[0]) < 1.96 * 0.001
    assert held["mean"] / 200 == pytest.approx(0.95, abs=0.04)
    assert held["box"] / 200 < 0.1


def test_means_are_those_of_the_coldest_shared_temperature():
    documents = [
        glass(point(400.0, {"TaO2Cl4": 0.1}), point(500.0, {"TaO2Cl4": 0.6, "TaCl6": 0.4}, n=2.2)),
        glass(point(500.0, {"TaO2Cl4": 1.0}, n=1.8, prismatic=0.2), point(600.0, {})),
    ]
    found = structure_means(documents, n_expected=2)
    assert (found.temperature_k, found.n_samples) == (500.0, 2)
    assert list(found.populations) == ["TaO2Cl4", "TaCl6"]
    assert found.populations["TaO2Cl4"].value == pytest.approx(0.8)
    assert found.populations["TaCl6"].value == pytest.approx(0.2)
    assert found.populations["TaCl6"].lower == 0.0
    assert found.populations["TaO2Cl4"].upper == 1.0
    assert list(found.coordination) == ["Ta-O"]
    assert found.coordination["Ta-O"].value == pytest.approx(2.0)
    assert found.surroundings["prismatic"].value == pytest.approx(0.3)
    assert "between samples" in found.surroundings["prismatic"].note


def test_lost_and_broken_glasses_lower_the_status():
    pair = [glass(point(500.0, {"TaO2Cl4": x})) for x in (0.4, 0.5)]
    found = structure_means(pair, n_expected=3).populations["TaO2Cl4"]
    assert found.status is Status.UNCONVERGED
    assert "2 of 3 samples computed" in found.note
    broken = [pair[0], glass(point(500.0, {"TaO2Cl4": 0.5}), status=Status.DECOMPOSED)]
    found = structure_means(broken, n_expected=2)
    assert found.coordination["Ta-O"].status is Status.DECOMPOSED


def test_one_glass_or_none_at_a_shared_temperature_has_no_mean():
    documents = [glass(point(500.0, {})), glass(point(600.0, {}))]
    assert structure_means(documents, n_expected=2) is None
    assert structure_means(documents[:1], n_expected=1) is None
    assert structure_means([], n_expected=2) is None
