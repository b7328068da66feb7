"""Shards and cells in the workers of a Ray cluster: a head without processors, and two nodes of one processor each.

What is lost is made again: a worker and a node, by their processes. Each test starts what it breaks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alcli.engine.named import engine
from alcli.engine.on_ray import cluster as clusters
from alcli.engine.on_ray import nodes
from alcli.errors import DataError, MismatchError, UnavailableError
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity.balls import ball_cover
from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.design_shards import choose, design_team, pool_information
from alcli.numerics.gradients.fisher import with_prior
from alcli.numerics.rows import Rows, feature_rows, stored_unit_rows
from alcli.numerics.teams import Blueprint, using
from alcli.simulation.parallel import run_cells
from alcli.workflows.embed.request import EmbedOptions
from alcli.workflows.embed.run import embed
from tests.engine.problems import Mortal, N, clustered, in_file
from tests.simulation.test_parallel import shared, timeless

pytest.importorskip("ray", reason="Ray is not installed")

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
D = 12
POOL, LABELS = (str(ROOT / "sample_data" / f"digits-{name}") for name in ("features.parquet", "labels.csv"))
QUERY = ["query", POOL, "-l", LABELS, "-s", "coreset", "-n", "5"]


@contextmanager
def started(n_nodes: int = 2) -> Iterator[Any]:
    """A cluster as several machines would form it; `add_node` and `list_all_nodes` are Ray's."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(n_nodes):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster that stays whole."""
    with started() as cluster:
        yield cluster.address


def process_of(node: Any, name: str) -> int:
    return node.all_processes[name][0].process.pid


def centres(X: BlockArray) -> Any:
    return k_center(feature_rows(X, X[:5])[0], 40, feature_rows(X, X[:5])[1])


def seeds(X: BlockArray) -> Any:
    rng = np.random.default_rng(1)
    return k_means_pp(Rows(Factor(X), Factor(X[0:N][:, :3], offset=1.0)), 60, None, rng, from_zero=True)


def covers(X: BlockArray) -> Any:
    U = stored_unit_rows(X)
    return max_herding(U, 15, U[np.arange(0, N, 40)], U[0:3], bandwidth=0.8)


def balls(X: BlockArray) -> Any:
    U = stored_unit_rows(X)
    found = ball_cover(U, 15, U[np.arange(0, N, 40)], U[0:3], 0.4)
    return found.picks, found.counts


def information(X: BlockArray) -> Any:
    # Roots that are large enough for Ray to keep them in its own memory, where nobody may write.
    R = np.random.default_rng(2).random((N, 1, 1))
    with design_team(X, R) as team:
        F = pool_information(team) / N + 1e-3 * np.eye(X.shape[1] + 1)
        return choose(team, with_prior(np.zeros_like(F), np.full(len(F), 0.5), F), F, 6, 12)


@pytest.mark.parametrize("choice", [centres, seeds, covers, balls, information])
def test_a_cluster_finds_the_same(choice: Callable[[BlockArray], Any], address: str, tmp_path: Path) -> None:
    X = clustered("copies", D)
    file = in_file(tmp_path, X)
    expected = [np.asarray(part).tobytes() for part in choice(X)]
    with engine("ray", address=address, folder=str(tmp_path)) as found, using(found):
        assert [np.asarray(part).tobytes() for part in choice(file)] == expected


def test_embed_on_a_cluster_writes_the_pool_of_one_process(address: str, folder: Path) -> None:
    Path("texts.csv").write_text("id,text\n" + "".join(f"t{i},number {i}\n" for i in range(2500)))
    embed(EmbedOptions(Path("texts.csv"), "hashing:16", Path("one.parquet")))
    with engine("ray", address=address, folder=str(folder)) as found, using(found):
        embed(EmbedOptions(Path("texts.csv"), "hashing:16", Path("many.parquet")))
    assert Path("many.parquet").read_bytes() == Path("one.parquet").read_bytes()


def test_a_grid_on_a_cluster_gives_what_one_process_gives(address: str, tmp_path: Path) -> None:
    task = shared(tmp_path)
    cells = list(task.plan.cells())
    alone = {r.cell: timeless(r) for r in run_cells(task, cells, 1)}
    with engine("ray", address=address) as found, using(found):
        assert {r.cell: timeless(r) for r in run_cells(task, cells, 1)} == alone
        broken = shared(tmp_path, y_N=np.zeros(60, np.int64))
        with pytest.raises(DataError, match="2 classes"):
            list(run_cells(broken, cells, 1))


class Placed(Mortal):
    """Tells where it is, and takes arrays."""

    def node(self) -> tuple[str, int]:
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def large(self, numbers: np.ndarray) -> int:
        self.total += int(numbers.sum())
        return self.total


def part_of(file: Path) -> Callable[[int, int], Blueprint]:
    return lambda first, last: Blueprint(Placed, (first, str(file)))


def test_a_killed_worker_is_made_again_and_told_what_it_was_told(address: str, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    file.touch()
    large = np.ones(1 << 15, np.int64)
    with engine("ray", address=address) as found, found.team(2 * BLOCK_ROWS, part_of(file)) as team:
        answers = [team.tell("add", number) for number in range(2)]
        assert team.tell("large", large) == [large.sum() + 1] * 2
        answers += [team.tell("add", number) for number in range(2, 5)]
        assert len({node for node, _ in team.ask("node")}) == 2
    assert not file.exists()
    sums = [total + (large.sum() if number > 1 else 0) for number, total in enumerate((0, 1, 3, 6, 10))]
    assert answers == [[total, total + BLOCK_ROWS] for total in sums]


def test_a_lost_node_leaves_its_shard_to_the_other(tmp_path: Path) -> None:
    with (
        started() as cluster,
        engine("ray", address=cluster.address) as found,
        found.team(2 * BLOCK_ROWS, part_of(tmp_path / "none")) as team,
    ):
        assert team.tell("add", 1) == [1, 1 + BLOCK_ROWS]
        (doomed, worker), (kept, _) = team.ask("node")
        node = next(one for one in cluster.list_all_nodes() if one.node_id == doomed)
        for process in (process_of(node, "raylet"), worker):
            os.kill(process, signal.SIGKILL)
        assert team.tell("add", 2) == [3, 3 + BLOCK_ROWS]
        assert [node for node, _ in team.ask("node")] == [kept, kept]
        assert team.tell("add", 3) == [6, 6 + BLOCK_ROWS]


def test_a_lost_head_ends_the_command(tmp_path: Path) -> None:
    """In a process of its own: Ray may end a process minutes after the head that it was connected to is gone."""
    code = "import os, sys; from tests.engine.test_ray import lose_the_head; lose_the_head(sys.argv[1]); os._exit(0)"
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=180)
    assert (done.returncode, done.stdout.split("\n")[-2]) == (0, "lost"), done.stderr


def lose_the_head(folder: str) -> None:
    """Kill the head of a cluster that is at work; print "lost" where the refusal is the right one."""
    clusters.GRACE = 1.0
    with started(1) as cluster, engine("ray", address=cluster.address) as found:
        parts = part_of(Path(folder) / "none")
        with found.team(BLOCK_ROWS, parts) as team:
            assert team.tell("add", 1) == [1]
            os.kill(process_of(cluster.head_node, "gcs_server"), signal.SIGKILL)
            with pytest.raises(UnavailableError, match="the head of the Ray cluster is lost; run again") as caught:
                found.team(BLOCK_ROWS, parts).__enter__()
    assert caught.value.exit_code == 69
    print("lost", flush=True)


def run(*arguments: str) -> subprocess.Popen[str]:
    """alcli with its output in pipes."""
    command = [sys.executable, "-m", "alcli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def test_the_pipe_holds_ids_alone_where_a_worker_is_killed(address: str, tmp_path: Path) -> None:
    """Ray writes `(raylet) A worker died` to standard output, wherever that leads."""
    expected, _ = run(*QUERY).communicate(timeout=120)
    assert len(expected.splitlines()) == 5
    script = tmp_path / "killing.py"
    script.write_text(f"""
import os, signal, sys, time
from alcli.engine.on_ray import actors

original = actors._Actor.receive
killed = []

def receive(self):
    answer = original(self)
    if not killed:
        killed.append(self._cluster.ray.get(self._actor.__ray_call__.remote(lambda servant: os.getpid())))
        os.kill(killed[0], signal.SIGKILL)
        time.sleep(3)
        os.write(1, b"noise on the descriptor of stdout")
    return answer

actors._Actor.receive = receive
from alcli.__main__ import main
sys.argv = ["alcli", *{QUERY!r}, "--engine", "ray", "--ray-address", {address!r}]
sys.exit(main())
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
    assert "noise" in done.stderr


def test_a_command_that_is_told_to_end_ends(address: str, tmp_path: Path) -> None:
    """Ray has a handler of SIGTERM too."""
    out = tmp_path / "out"
    long = ["simulate", POOL, "-l", LABELS, "-s", "margin", "-n", "5", "--rounds", "4", "--seeds", "50", "-o", str(out)]
    with run(*long, "--engine", "ray", "--ray-address", address) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob("runs/*.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.terminate()
        said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "stopped by a signal" in said[1]


def test_nodes_with_other_versions_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = nodes.versions()
    monkeypatch.setattr(clusters.nodes, "versions", lambda: own | {"numpy": "1.0"})
    what = rf"the node \S+ of the Ray cluster has numpy {own['numpy']}, this command numpy 1.0; install the same"
    with pytest.raises(MismatchError, match=what) as caught, engine("ray", address=address):
        pass
    assert caught.value.exit_code == 78


def test_nodes_that_do_not_see_the_files_are_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = clusters._probe

    @contextmanager
    def moved(folder: str | None) -> Iterator[Any]:
        with original(folder) as probe:
            assert probe is not None
            os.rename(probe.path, probe.path + ".elsewhere")
            yield probe

    monkeypatch.setattr(clusters, "_probe", moved)
    what = "does not see the files of this command; --cache-dir DIR names"
    with pytest.raises(MismatchError, match=what), engine("ray", address=address, folder=str(tmp_path)):
        pass


def test_a_cluster_of_its_own_is_started_and_ended() -> None:
    done = run(*QUERY, "--json", "--engine", "ray", "--ray-address", "local", "--workers", "2")
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    here, _ = run(*QUERY, "--json").communicate(timeout=120)
    assert json.loads(out) == json.loads(here)
