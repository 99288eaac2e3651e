"""What of a store of GPAW energies goes into the package: one GPAW, one energy of each phase."""

from __future__ import annotations

from importlib import util

import pytest
import yaml
from page_blocks import ROOT
from sample_documents import relaxed
from small_candidates import candidate, output

from haloflow.engines.gpaw_levels import GPAW_LEVELS
from haloflow.engines.potentials import PotentialIdentity
from haloflow.errors import InputError
from haloflow.stores.connection import open_store
from haloflow.stores.documents import PotentialRecord
from haloflow.stores.records import candidate_record
from haloflow.systems.dft_energies import ComputedLevel
from haloflow.systems.phases import get_phase

LEVEL, HERE = "gpaw-r2scan", "5e7" * 20


def parts(elements, gpaw="26.7.0"):
    return {"gpaw": gpaw} | {f"PAW {symbol}": f"{symbol}.PBE" for symbol in sorted(set(elements))}


@pytest.fixture
def tool(monkeypatch):
    """The tool, on a machine of certain versions."""
    spec = util.spec_from_file_location("ship_gpaw", ROOT / "tools" / "ship_gpaw.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = PotentialIdentity(LEVEL, LEVEL, "", "gpaw", "26.7.0", HERE, None)
    monkeypatch.setattr(module, "identify", lambda _level: known)
    monkeypatch.setattr(module, "parts", parts)
    return module


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as found:
        yield found


def put(store, phase, identity, weights, *, gpaw="26.7.0", sweep=""):
    """Write a relaxation as a sweep at `LEVEL` leaves it."""
    cell = get_phase(phase).structure().get_primitive_structure()
    made = relaxed(cell, identity, LEVEL, energy=-3.123456789)
    record = PotentialRecord(
        name=LEVEL, level=LEVEL, package="gpaw", package_version=gpaw, weights_sha256=weights
    )
    symbols = [element.symbol for element in cell.elements]
    packages = parts(symbols, gpaw) | {"ase": "3.29.0"}
    own = made.provenance.model_copy(update={"potential": record, "packages": packages})
    document = made.model_copy(update={"provenance": own, "max_stress_gpa": 0.01})
    of_phase = {"phase_id": phase, "steps": {"relax": identity}}
    store.candidates.update(
        candidate_record(candidate(f"{phase} {sweep}", []).model_copy(update=of_phase))
    )
    store.outputs.update(output(identity, "", document), key=["uuid", "index"])


def test_energies_of_the_settings_here_are_shipped_in_the_order_of_the_library(tool, store):
    put(store, "NaCl_B1", "a" * 64, HERE)
    put(store, "Na_bcc", "b" * 64, tool.EARLIER[LEVEL])
    put(store, "NaCl_B1", "a" * 64, HERE, sweep="of another name, the same step")
    shipped = yaml.safe_load(yaml.safe_dump(tool.computed(store, LEVEL)))
    level = ComputedLevel.model_validate(shipped)
    assert [phase.phase_id for phase in level.phases] == ["Na_bcc", "NaCl_B1"]
    assert [phase.identity for phase in level.phases] == ["b" * 64, "a" * 64]
    assert level.phases[1].energy_ev_per_atom == -3.123457
    assert level.weights_sha256 == HERE
    assert level.made_with == parts(["Na", "Cl"])
    assert tool.computed(store, "gpaw-pbe") is None


def test_a_metal_with_the_mesh_that_it_had_before_is_left_out(tool, store, capsys):
    put(store, "TaS2_1T", "a" * 64, tool.EARLIER[LEVEL])
    put(store, "O2_alpha", "b" * 64, tool.EARLIER[LEVEL])
    put(store, "NbO_Pm-3m", "c" * 64, HERE)
    assert set(tool.found_relaxations(store, LEVEL)) == {"O2_alpha", "NbO_Pm-3m"}
    assert capsys.readouterr().out == "TaS2_1T is left out: it has the mesh of an insulator\n"


@pytest.mark.parametrize(
    ("other", "given"),
    [
        ({"gpaw": "26.8.0", "weights": HERE}, "aaaaaaaaaaaa: gpaw 26.8.0. Allowed: gpaw 26.7.0."),
        ({"weights": "f" * 64}, "aaaaaaaaaaaa: settings. Allowed: settings."),
    ],
)
def test_another_gpaw_is_refused(other, given, tool, store):
    put(store, "NaCl_B1", "a" * 64, **other)
    with pytest.raises(InputError, match="a phase was computed by another GPAW") as caught:
        tool.computed(store, LEVEL)
    assert given in str(caught.value)


def test_a_phase_that_was_computed_in_two_ways_is_refused(tool, store):
    put(store, "NaCl_B1", "a" * 64, HERE)
    put(store, "NaCl_B1", "b" * 64, HERE, sweep="to smaller forces")
    with pytest.raises(InputError, match="a phase was computed twice, in different ways") as caught:
        tool.computed(store, LEVEL)
    assert "Given: NaCl_B1: " in str(caught.value)


def test_what_was_computed_before_has_one_key_for_each_level(tool):
    assert set(tool.EARLIER) == set(GPAW_LEVELS)
