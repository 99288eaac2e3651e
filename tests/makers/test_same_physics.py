"""Equal physics has one identity, other physics another."""

from __future__ import annotations

import pytest

from haloflow.makers import melt_quench
from haloflow.makers.hull import HullMaker
from haloflow.makers.md import MDMaker
from haloflow.makers.melt_quench import MeltQuenchMaker, parents_of_mixture
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.makers.registries import RegistryMaker
from haloflow.makers.relax import RelaxMaker
from haloflow.systems import components
from haloflow.systems.mixture import Mixture
from haloflow.systems.phases import get_phase

SLOW = MeltQuenchProtocol(checkpoint_interval=900)
FINE = MeltQuenchProtocol(trajectory_interval=25)
CRYSTAL = "NaTaOCl4_Cm"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RelaxMaker(), RelaxMaker(checkpoint_interval=7, name="again")),
        (RegistryMaker(), RegistryMaker(checkpoint_interval=7)),
        (MDMaker(), MDMaker(checkpoint_interval=7)),
        (MDMaker(), MDMaker(tether_alpha_ev_a2=3.0)),
        (
            MDMaker(tether_species=("Ta", "O"), tether_alpha_ev_a2=3.0),
            MDMaker(tether_species=("O", "Ta", "O"), tether_alpha_ev_a2=3.0),
        ),
        (MeltQuenchMaker(), MeltQuenchMaker(protocol=SLOW)),
        (MeltQuenchMaker(n_atoms=40), MeltQuenchMaker(n_atoms=40, n_mobile=12)),
        (HullMaker(crystal_phase_ids=("a", "b")), HullMaker(crystal_phase_ids=("b", "a"))),
    ],
)
def test_what_does_not_touch_the_result_does_not_touch_the_identity(one, other):
    assert one.identity({"candidate": "s"}) == other.identity({"candidate": "s"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RelaxMaker(), RelaxMaker(max_steps=7)),
        (MDMaker(), MDMaker(tether_species=("Ta",), tether_alpha_ev_a2=3.0)),
        (
            MDMaker(tether_species=("Ta",), tether_alpha_ev_a2=3.0),
            MDMaker(tether_species=("Ta",), tether_alpha_ev_a2=4.0),
        ),
        (MeltQuenchMaker(), MeltQuenchMaker(protocol=FINE)),
        (MeltQuenchMaker(n_mobile=24), MeltQuenchMaker(n_mobile=12)),
        (MeltQuenchMaker(), MeltQuenchMaker(crystal_phase_id=CRYSTAL)),
        (HullMaker(), HullMaker(library_gap="competing phases may be missing")),
    ],
)
def test_what_touches_the_result_touches_the_identity(one, other):
    assert one.identity({"candidate": "s"}) != other.identity({"candidate": "s"})


@pytest.fixture
def fresh_version():
    """Forget the version that is looked up once in a process."""
    melt_quench._packmol_version.cache_clear()
    yield melt_quench._packmol_version.cache_clear
    melt_quench._packmol_version.cache_clear()


def test_the_packer_and_the_crystals_geometry_are_part_of_a_glass(monkeypatch, fresh_version):
    maker = MeltQuenchMaker(crystal_phase_id=CRYSTAL)
    before = maker.identity({})
    with monkeypatch.context() as patch:
        patch.setattr(melt_quench, "version", lambda _package: "0.0.1")
        fresh_version()
        assert maker.identity({}) != before
    fresh_version()
    phase = get_phase(CRYSTAL)
    wider = phase.model_copy(update={"lattice": phase.lattice.model_copy(update={"a": 99.0})})
    monkeypatch.setattr(melt_quench, "get_phase", lambda _phase_id: wider)
    assert maker.identity({}) != before


def test_the_volumes_of_components_are_part_of_a_glass(monkeypatch):
    mixture = Mixture({"NaCl": 1.0, "TaCl5": 1.0}).canonical()
    before = parents_of_mixture(mixture)
    assert parents_of_mixture(dict(reversed(mixture.items()))) == before

    def wider(phase_id):
        phase = get_phase(phase_id)
        return phase.model_copy(
            update={"lattice": phase.lattice.model_copy(update={"a": 1.01 * phase.lattice.a})}
        )

    monkeypatch.setattr(components, "get_phase", wider)
    assert parents_of_mixture(mixture) != before
