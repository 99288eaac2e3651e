"""The panel of the chain registries: energies above the lowest, and what they relaxed into."""

from __future__ import annotations

import sample_documents
from sample_candidates import unconverged_crystal, views

from haloflow.dashboard.figures_registries import registry_figure
from haloflow.dashboard.panels_candidate import candidate_panels
from haloflow.quantity import Quantity, Status
from haloflow.stores.registry_documents import RegistryDocument, RegistryEnergy
from haloflow.systems.phases import get_phase


def registry(label, above, status=Status.OK, into=None):
    energy = Quantity(None if above is None else -5.0 + above / 1000, status=status)
    return RegistryEnergy(
        label=label,
        shifts=[0.0, 0.5],
        polarities=[1, -1],
        multiplicity=2,
        structure=get_phase("NaTaOCl4_Cmc21").structure(),
        energy_ev_per_atom=energy,
        relative_energy_mev_per_atom=Quantity(above, status=status),
        relaxed_into=into,
        n_steps=10,
        max_force_ev_a=0.01,
    )


def document(*rows):
    return RegistryDocument(
        identity="a" * 64,
        provenance=sample_documents.provenance(),
        level="chgnet-r2scan",
        former="Ta",
        bridging="O",
        registries=list(rows),
    )


def test_bars_stand_above_the_lowest_and_the_broken_ones_are_left_out():
    rows = document(
        registry("0+ 0+", 0.0),
        registry("0+ 1/2-", 4.5, Status.UNCONVERGED),
        registry("0+ 0-", 0.1, into="0+ 0+"),
        registry("0+ 1/2+", None, Status.DIVERGED),
    )
    figure = registry_figure(rows)
    (bar,) = figure["data"]
    assert bar["x"] == ["0+ 0+", "0+ 1/2-", "0+ 0-"]
    assert bar["y"] == [0.0, 4.5, 0.1]
    assert bar["marker"]["color"][1].endswith("0.15)")
    assert "relaxed into 0+ 0+" in bar["hovertext"][2]
    assert registry_figure(document(registry("0", None, Status.FAILED))) is None


def test_the_panel_stands_with_the_stability_of_its_crystal():
    candidate, documents = unconverged_crystal()
    rows = document(registry("0+ 0+", 0.0), registry("0+ 1/2-", 4.5))
    (view,) = views([(candidate, documents | {"registries": rows})])
    panels = {panel.id: panel for panel in candidate_panels(view, "c")}
    panel = panels["c-registries"]
    assert panel.section == "stability"
    assert "chgnet-r2scan" in panel.caption
    assert panel.figure == registry_figure(rows)
