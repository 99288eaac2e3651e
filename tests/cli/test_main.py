"""Help, version, errors and exit codes; what starts fast must import little."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pymongo.errors import AutoReconnect

import haloflow
from haloflow.cli.main import app, run

COMMANDS = (*("systems", "plan", "run", "status", "query", "show", "report", "analyze", "doctor"),)


def fresh(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_help_names_every_command_and_shows_the_tour(haloflow):
    result = haloflow("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command in result.stdout
    assert "haloflow run examples/quickstart.yaml" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(haloflow, command):
    result = haloflow(command, "-h")
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_no_arguments_show_the_help(haloflow):
    assert "Commands" in haloflow().output


def test_version(haloflow):
    assert haloflow("--version").stdout == f"haloflow {haloflow_version()}\n"


def haloflow_version():
    return haloflow.__version__


def test_help_is_there_within_a_second_and_without_heavy_packages():
    code = (
        "import sys, time\n"
        "from haloflow.cli.main import run\n"
        "try:\n    run(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pymatgen', 'jobflow', 'maggma', 'plotly', 'numpy', 'ase'}\n"
        "print('IMPORTED', sorted(heavy & set(sys.modules)), time.process_time())"
    )
    result = fresh(code)
    assert "IMPORTED []" in result.stdout
    assert float(result.stdout.split()[-1]) < 1.0


def test_a_core_install_without_torch_queries_and_reports(store_folder, tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'chgnet', 'mace', 'sevenn', 'dftd3'): sys.modules[name] = None\n"
        "from haloflow.cli.main import app\n"
        f"store = ['--store', {str(store_folder)!r}]\n"
        "for line in (['query'], ['status'], ['show', 'NaTaOCl4 glass'],\n"
        f"             ['report', '-o', {str(tmp_path / 'report.html')!r}]):\n"
        "    app([*line, *store], standalone_mode=False)\n"
        "app(['systems'], standalone_mode=False)\n"
    )
    result = fresh(code)
    assert result.returncode == 0, result.stderr
    assert "NaTaOCl4 glass" in result.stdout
    assert (tmp_path / "report.html").exists()


def test_wrong_input_gives_one_message_and_exit_code_2(haloflow):
    result = haloflow("systems", "namocl5")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "error: unknown family. Given: namocl5." in result.stderr
    assert "did you mean namocl4" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_other_errors_give_exit_code_1(haloflow, tmp_path):
    result = haloflow("query", "--store", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "there is no haloflow store here" in result.stderr
    assert "run a sweep first" in " ".join(result.stderr.split())


def test_debug_lets_the_error_through(haloflow):
    result = haloflow("--debug", "systems", "namocl5")
    assert type(result.exception).__name__ == "UnknownNameError"


def test_an_unforeseen_error_is_named_without_a_traceback(haloflow, monkeypatch):
    def broken(_family):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("haloflow.cli.systems.show_systems", broken)
    result = haloflow("systems")
    assert result.exit_code == 1
    assert "internal error: ZeroDivisionError: by zero" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_server_that_goes_away_meanwhile_is_no_fault_of_haloflow(haloflow, monkeypatch):
    def broken(_family):
        raise AutoReconnect("connection closed")

    monkeypatch.setattr("haloflow.cli.systems.show_systems", broken)
    result = haloflow("systems")
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert "error: the MongoDB server cannot be used: AutoReconnect. Given: the store" in said
    assert "internal" not in said


def test_an_unknown_option_is_the_parsers_own_error(haloflow):
    result = haloflow("query", "--nope")
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_run_takes_arguments(capsys):
    with pytest.raises(SystemExit) as stop:
        run(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("haloflow ")
    assert app.info.name == "haloflow"
