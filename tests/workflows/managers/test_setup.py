"""Configuration of the managers: their own classes read it, and make our submit files of it."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pytest
import yaml

from haloflow.cli.main import run
from haloflow.errors import InputError, MissingDependencyError, StoreError, UnknownNameError
from haloflow.settings import get_settings
from haloflow.workflows.managers import setup, worker_names
from haloflow.workflows.managers.queue_words import options_of, step_options, step_words
from haloflow.workflows.managers.resources import Resources
from haloflow.workflows.managers.site import Site, parse_walltime

pytest.importorskip("fireworks")
pytest.importorskip("jobflow_remote")
GOLDEN = Path(__file__).parent / "golden"
LARGE = Resources(cores=4, gpus=1, memory_gb=16, walltime_s=7200)
STEPS = {
    "analysis": Resources(cores=2, gpus=0, memory_gb=None, walltime_s=3600),
    "md": Resources(cores=8, gpus=2, memory_gb=30, walltime_s=95_430),
}


@pytest.fixture
def site(tmp_path, mongod_uri):
    return Site(
        store=f"{mongod_uri}/setup",
        files_dir=Path("/shared/haloflow-files"),
        manager="fireworks",
        scheduler="slurm",
        folder=tmp_path / "configuration",
        job=LARGE,
        name="haloflow",
        queue="long",
        account="na-conductors",
        modules=("gcc/13", "cuda/12"),
        environment=Path("/opt/haloflow"),
        work_dir=Path("/scratch/haloflow"),
    )


def made(site):
    return {path.name: text for path, text in setup.configuration(site).items()}


def submit_file(site, step=None):
    """Let the manager write the script that it would submit, for a step that asks for `step`."""
    if site.manager == "fireworks":
        from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

        setup.write_configuration(setup.configuration(site), force=True)
        adapter = CommonAdapter.from_file(str(site.folder / "my_qadapter.yaml"))
        if step is not None:
            adapter.update(step_words(adapter.to_dict(), step))  # as qlaunch does
        return adapter.get_script_str("/scratch/haloflow/launcher")
    from jobflow_remote.config.base import Project
    from qtoolkit.manager import QueueManager

    from haloflow.workflows.managers.jobflow_remote import _queue_resources

    project = Project.model_validate(yaml.safe_load(made(site)["haloflow.yaml"]))
    worker = project.workers["haloflow"]
    return QueueManager(worker.get_scheduler_io()).get_submission_script(
        commands=["jf -fe execution run /scratch/haloflow/job"],
        options=worker.resources if step is None else _queue_resources(worker, step),
        work_dir="/scratch/haloflow/job",
        pre_run=worker.pre_run,
    )


each_scheduler = pytest.mark.parametrize(
    ("manager", "scheduler"),
    [
        *(("fireworks", scheduler) for scheduler in ("slurm", "pbs", "sge", "lsf")),
        *(("jobflow-remote", scheduler) for scheduler in ("slurm", "pbs", "sge")),
    ],
)


@each_scheduler
def test_submit_files_are_those_of_the_managers(site, manager, scheduler):
    site = replace(site, manager=manager, scheduler=scheduler)
    script = submit_file(site).replace(str(site.folder), "CONFIGURATION")
    golden = GOLDEN / f"{manager}-{scheduler}.sh"
    assert script.strip() == golden.read_text().strip()


@each_scheduler
@pytest.mark.parametrize("step", ["analysis", "md"])
def test_a_step_asks_for_its_own(site, manager, scheduler, step):
    """Only what concerns resources differs from the submit file of the machine."""
    site = replace(site, manager=manager, scheduler=scheduler)
    ours = submit_file(site, STEPS[step]).splitlines()
    usual = submit_file(site).splitlines()
    lost = [line for line in usual if line not in ours]
    new = [line for line in ours if line not in usual]
    golden = (GOLDEN / "steps.txt").read_text().split("== ")
    (expected,) = (
        part.splitlines()[1:]
        for part in golden
        if part.startswith(f"{manager} {scheduler} {step}\n")
    )
    assert [*(f"- {line}" for line in lost), *(f"+ {line}" for line in new)] == expected


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("PBS", {"nnodes": 1, "ppnode": 2, "walltime": "01:00:00"}),
        ("SGE", {}),
        ("LoadSharingFacility", {"ntasks": 2, "walltime": "01:00"}),
    ],
)
def test_an_adapter_written_by_hand_is_told_what_it_understands(kind, told):
    assert step_words({"_fw_q_type": kind}, STEPS["analysis"]) == told


def test_memory_is_as_asked_or_as_the_worker_gives_or_as_estimated():
    estimated = Resources(cores=2, gpus=0, memory_gb=None, walltime_s=60, estimated_gb=5)
    bare, rich = {"_fw_q_type": "SLURM"}, {"_fw_q_type": "SLURM", "mem": "9000M"}
    assert step_words(bare, estimated)["mem"] == "5000M"
    assert "mem" not in step_words(rich, estimated)
    assert step_words(rich, replace(estimated, memory_gb=1))["mem"] == "1000M"
    assert step_options("slurm", {}, estimated)["mem"] == "5000M"
    assert step_options("slurm", {"mem": "9000M"}, estimated)["mem"] == "9000M"
    select = step_options("pbs", {"select": "select=1:ncpus=1:mem=9000mb"}, estimated)["select"]
    assert select == "select=1:ncpus=2:mem=9000mb"


def test_a_bare_site_asks_for_nothing_that_was_not_said(site):
    small = Resources(cores=1, gpus=0, memory_gb=None, walltime_s=600)
    bare = replace(site, queue=None, account=None, modules=(), job=small)
    for manager in ("fireworks", "jobflow-remote"):
        lines = submit_file(replace(bare, manager=manager)).splitlines()
        asked = {line.split("=")[0] for line in lines if line.startswith("#SBATCH")}
        asked -= {"#SBATCH --job-name", "#SBATCH --output", "#SBATCH --error"}
        expected = {"--nodes", "--ntasks", "--cpus-per-task", "--time"}
        assert asked == {f"#SBATCH {word}" for word in expected}


def test_fireworks_finds_all_its_files_by_one_setting(site, tmp_path):
    setup.write_configuration(setup.configuration(site))
    from fireworks import FWorker, LaunchPad
    from jobflow.settings import JobflowSettings

    pad = LaunchPad.from_file(str(site.folder / "my_launchpad.yaml"))
    assert pad.db.name == "setup"
    pad.connection.close()
    assert FWorker.from_file(str(site.folder / "my_fworker.yaml")).name == "haloflow"
    settings = yaml.safe_load((site.folder / "FW_config.yaml").read_text())
    assert settings["CONFIG_FILE_DIR"] == str(site.folder)
    found = JobflowSettings(CONFIG_FILE=str(site.folder / "jobflow.yaml")).JOB_STORE
    assert found.docs_store.files_dir == "/shared/haloflow-files"
    assert found.docs_store.database == "setup"


@pytest.mark.parametrize(
    ("changes", "n_at_once"), [({"packed": True}, 1), ({"side_by_side": 3}, 3)]
)
def test_one_job_of_the_queue_may_run_many_steps(site, changes, n_at_once):
    script = submit_file(replace(site, **changes))
    lines = script.splitlines()
    assert lines[-3].startswith("exec /opt/haloflow/bin/python -m haloflow.workflows.managers.")
    assert find_spec(lines[-3].split()[-1]) is not None
    assert "export HALOFLOW_WALLTIME_S=7080" in lines
    assert f"#SBATCH --cpus-per-task={4 * n_at_once}" in lines
    assert "export OMP_NUM_THREADS=4" in lines
    assert ("export HALOFLOW_SIDE_BY_SIDE=3" in lines) is (n_at_once > 1)


@pytest.mark.parametrize("manager", ["fireworks", "jobflow-remote"])
def test_replicas_share_a_gpu(site, manager):
    script = submit_file(replace(site, manager=manager, side_by_side=4))
    golden = GOLDEN / f"{manager}-slurm-shared-gpu.sh"
    assert script.replace(str(site.folder), "CONFIGURATION").strip() == golden.read_text().strip()


def test_a_packed_worker_of_jobflow_remote_is_a_batch_worker(site):
    packed = replace(site, manager="jobflow-remote", side_by_side=2)
    worker = yaml.safe_load(made(packed)["haloflow.yaml"])["workers"]["haloflow"]
    assert worker["batch"]["parallel_jobs"] == 2
    assert worker["max_jobs"] == 10  # without it, jobflow-remote submits no batch
    # a step that starts last still ends, with a checkpoint, within the allocation
    assert worker["batch"]["max_time"] + packed.step_s <= packed.job.walltime_s
    assert f"export HALOFLOW_WALLTIME_S={packed.step_s:.0f}" in worker["pre_run"]


def test_a_deep_folder_gets_a_short_socket(site, tmp_path):
    deep = tmp_path / ("d" * 90)
    project = yaml.safe_load(
        made(replace(site, manager="jobflow-remote", folder=deep))["haloflow.yaml"]
    )
    assert len(project["daemon_dir"]) < 90


def at(monkeypatch, user, host):
    """Let this be another machine."""
    monkeypatch.setattr(worker_names.getpass, "getuser", lambda: user)
    monkeypatch.setattr(worker_names.socket, "gethostname", lambda: host)


def test_workers_of_each_user_and_cluster_have_names_of_their_own(site, tmp_path, monkeypatch):
    names = set()
    for user, host in (("ann", "login1.a"), ("bob", "login1.a"), ("ann", "login1.b")):
        at(monkeypatch, user, host)
        folder = tmp_path / f"{user}-{host}"
        own = replace(site, name="", folder=folder, store=f"{site.store}-names")
        setup.write_configuration(setup.configuration(own))
        worker = yaml.safe_load((folder / "my_fworker.yaml").read_text())
        assert worker["env"] == {"haloflow_of": f"{user}@{host}"}
        adapter = yaml.safe_load((folder / "my_qadapter.yaml").read_text())
        assert adapter["job_name"] == f"haloflow-{user}-lo"
        names.add(worker["name"])
    assert names == {"haloflow-ann-login1.a", "haloflow-bob-login1.a", "haloflow-ann-login1.b"}
    assert replace(site, name="", manager="jobflow-remote").name == "haloflow"


def test_from_another_login_node_a_worker_stays_what_it_is(site, monkeypatch):
    at(monkeypatch, "ann", "login1")
    own = replace(site, name="", store=f"{site.store}-login")
    first = setup.configuration(own)
    setup.write_configuration(first)
    at(monkeypatch, "ann", "login2")
    again = replace(own, name="")
    assert setup.configuration(again) == first


@pytest.mark.parametrize(("user", "host"), [("ann", "b"), ("bob", "a")])
def test_a_name_that_a_worker_elsewhere_has_is_refused(site, tmp_path, monkeypatch, user, host):
    at(monkeypatch, "ann", "a")
    own = replace(site, name="long", store=f"{site.store}-{user}{host}")
    setup.configuration(own)
    setup.configuration(own)
    at(monkeypatch, user, host)
    with pytest.raises(InputError) as caught:
        setup.configuration(replace(own, folder=tmp_path / "other"))
    assert str(caught.value) == (
        "there is a worker of this name elsewhere, whose jobs would be taken for lost here. "
        "Given: long, of ann@a. What to do: pass another --name."
    )


def test_nothing_is_overwritten_unless_forced(site):
    files = setup.configuration(site)
    assert sorted(setup.write_configuration(files)) == sorted(files)
    assert setup.write_configuration(files) == []
    pad = site.folder / "my_launchpad.yaml"
    assert pad.stat().st_mode & 0o077 == 0
    pad.write_text(pad.read_text().replace("setup", "another"))
    (diff,) = setup.differences(files).values()
    assert "-name: another" in diff
    assert "+name: setup" in diff
    with pytest.raises(InputError, match="there is another configuration already") as caught:
        setup.write_configuration(files)
    assert str(pad) in str(caught.value)
    assert "--force" in str(caught.value)
    assert "another" in pad.read_text()
    assert setup.write_configuration(files, force=True) == [pad]
    assert setup.differences(files) == {}


def test_the_scratch_folder_is_for_the_user_alone(site, tmp_path):
    local = replace(site, manager="jobflow-remote", work_dir=tmp_path / "scratch")
    for _ in range(2):
        setup.make_scratch(local)
        assert local.work_dir.stat().st_mode & 0o077 == 0
    elsewhere = replace(local, host="cluster", work_dir=tmp_path / "there")
    setup.make_scratch(elsewhere)
    assert not elsewhere.work_dir.exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="the scratch folder cannot be made"):
        setup.make_scratch(replace(local, work_dir=tmp_path / "file" / "below"))


def test_an_embedded_store_is_refused(site, tmp_path):
    with pytest.raises(StoreError, match="workers of a queue cannot share an embedded store"):
        setup.configuration(replace(site, store=str(tmp_path / "store")))


def test_a_manager_that_is_not_installed_is_named(site, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fireworks", None)
    with pytest.raises(MissingDependencyError, match="the package fireworks is needed for setup"):
        setup.configuration(site)


def test_settings_that_fireworks_does_not_know_are_refused():
    with pytest.raises(InputError, match="this FireWorks does not know these settings") as caught:
        setup._require_known({"PING": 1}, {"PING_TIME_SECS": 1})
    assert "PING" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"manager": "fireowrks"}, UnknownNameError, "did you mean fireworks"),
        ({"scheduler": "slrum"}, UnknownNameError, "did you mean slurm"),
        ({"manager": "jobflow-remote", "scheduler": "lsf"}, InputError, "take --to fireworks"),
        ({"host": "cluster"}, InputError, "FireWorks submits from the machine it runs on"),
        ({"name": "my worker"}, InputError, "this cannot be the name of a worker"),
        ({"files_dir": Path("files")}, InputError, "the folder of files must be the same"),
        ({"work_dir": Path("scratch")}, InputError, "the folder of scratch must be the same"),
    ],
)
def test_what_no_manager_could_use_is_refused(site, changes, error, message):
    with pytest.raises(error) as caught:
        replace(site, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("01:30:00", 5400), ("1:30", 5400), ("2-00:00:10", 172810), ("100:00:00", 360000)],
)
def test_walltimes_are_read_as_schedulers_write_them(text, seconds):
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize("text", ["90", "1:75", "one hour", "00:00:00", ""])
def test_what_is_no_walltime_is_refused(text):
    with pytest.raises(InputError, match="this is not a walltime"):
        parse_walltime(text)


def test_a_shell_takes_no_options():
    assert options_of("shell", LARGE) == {}


class Somebody(StringIO):
    """A terminal with a person who answers."""

    def isatty(self):
        return True


@pytest.fixture
def command(tmp_path, mongod_uri, monkeypatch, capsys):
    """Return the command as a user types it; gives the exit code and all that is printed."""
    monkeypatch.setenv("HALOFLOW_STORE", "haloflow-store")
    get_settings.cache_clear()
    there = ["--to", "fireworks", "--no-preflight", "--folder", str(tmp_path / "own")]

    def call(*options):
        with pytest.raises(SystemExit) as ended:
            run(["setup", *there, *options])
        said = capsys.readouterr()
        return ended.value.code, " ".join((said.out + said.err).split())

    yield call
    get_settings.cache_clear()


def test_what_is_not_given_is_asked_for(command, mongod_uri, tmp_path, monkeypatch):
    answers = f"{mongod_uri}/setup\nshell\n{tmp_path}/files\n"
    monkeypatch.setattr("sys.stdin", Somebody(answers))
    code, said = command()
    assert code == 0, said
    assert "Scheduler (slurm, pbs, sge, lsf, shell)" in said
    assert f"exportFW_CONFIG_FILE={tmp_path}/own/FW_config.yaml" in "".join(said.split())


def test_without_anybody_to_ask_the_option_is_named(command, mongod_uri):
    code, said = command("--store", f"{mongod_uri}/setup")
    assert (code, "setup needs to know more. Given: no --scheduler" in said) == (2, True)


def test_a_difference_is_shown_and_nothing_replaced(command, mongod_uri, tmp_path):
    options = ["--store", f"{mongod_uri}/setup", "--files-dir", str(tmp_path / "files")]
    assert command("--scheduler", "slurm", *options)[0] == 0
    code, said = command("--scheduler", "slurm", "--queue", "long", *options)
    assert code == 2
    assert "+queue: long" in said
    assert "there is another configuration already" in said
    assert command("--scheduler", "slurm", "--queue", "long", "--force", *options)[0] == 0
    assert "queue: long" in (tmp_path / "own" / "my_qadapter.yaml").read_text()
