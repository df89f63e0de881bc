import pytest

from jaxseg import main
from jaxseg.core import cluster, errors, hosts

HERE = "localhost:1234"


def test_without_flags_a_process_works_alone():
    cluster.join(None, None, None)
    cluster.join(HERE, 0, 1)
    assert (hosts.place(), hosts.count(), hosts.leads()) == (0, 1, True)
    assert hosts.shard() == (0, 1)


@pytest.mark.parametrize(
    "flags, text",
    [
        ((HERE, None, None), "without --process and --processes"),
        ((HERE, 0, None), "--process=0: without --processes; allowed: --coordinator"),
        ((None, 1, 2), "without --coordinator;.* Fix: add --coordinator"),
        (("localhost", 0, 2), "--coordinator: found 'localhost'"),
        ((HERE, 2, 2), "--process=2 --processes=2: allowed are N of 1 or more, and I"),
        ((HERE, -1, 2), "--process=-1"),
        ((HERE, 0, 0), "--processes=0"),
        (("auto", 0, 2), "--coordinator=auto: found --process=0 --processes=2"),
    ],
)
def test_flags_that_do_not_belong_together_are_refused(flags, text):
    with pytest.raises(errors.UserError, match=text):
        cluster.join(*flags)


def test_auto_finds_no_cluster_here(monkeypatch, capsys):
    for name in ("SLURM_JOB_ID", "OMPI_MCA_orte_hnp_uri", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    code = main.main(["--config=configs/single.py", "--coordinator=auto", "--print"])
    assert code == 2
    said = capsys.readouterr().err
    assert "--coordinator=auto: the processes do not find each other" in said
    assert "Fix: give --coordinator=HOST:PORT --process=I --processes=N" in said


def test_main_names_the_missing_flags(capsys):
    command = ["--config=configs/single.py", "--print", "--process=1"]
    assert main.main(command) == 2
    said = capsys.readouterr()
    assert "without --coordinator and --processes" in said.err and not said.out
