"""Numbers with one meaning have one source."""

from haloflow.analysis import electrochemistry, percolation
from haloflow.dashboard import theme
from haloflow.makers import hull, melt_quench
from haloflow.makers.melt_quench import MeltQuenchMaker
from haloflow.quantity import TWO_SIDED_95
from haloflow.stores.documents import LiteratureValue
from haloflow.stores.summary import MIN_DENSITY_RATIO
from haloflow.stores.trust import MIN_MOBILE_IONS
from haloflow.systems import electrodes
from haloflow.systems.declarations import LiteratureRow, PublishedValue
from haloflow.workflows.sweep import Size


def test_a_sweep_asks_by_default_for_the_ions_that_transport_needs():
    assert Size().glass_n_mobile == Size().crystal_n_mobile == MIN_MOBILE_IONS
    assert MeltQuenchMaker.n_mobile == MIN_MOBILE_IONS


def test_a_glass_is_called_too_light_at_one_ratio():
    assert melt_quench.MIN_DENSITY_RATIO is MIN_DENSITY_RATIO


def test_intervals_of_95_percent_have_one_factor():
    for module in (electrochemistry, percolation, theme, hull, electrodes):
        assert module.TWO_SIDED_95 is TWO_SIDED_95


def test_published_values_have_the_same_fields_in_families_and_in_stores():
    assert set(LiteratureValue.model_fields) == set(PublishedValue.model_fields)
    assert issubclass(LiteratureRow, PublishedValue)
