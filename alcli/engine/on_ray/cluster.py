"""A Ray cluster: found or started, its nodes asked before the work, and watched during the work.

An address is always given to Ray, which would else meet or start a cluster by its own rules. Ray waits for minutes for
a head that is not there, and ends the process where the head is lost. So this page looks whether the head answers.
Source: the documentation of Ray 2.60, "Configuring Ray" and "Fault tolerance".
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import alcli
from alcli.engine.kernels import ONE_THREAD, pinned
from alcli.engine.on_ray import AUTO, LOCAL, nodes
from alcli.engine.on_ray.nodes import Node, Probe
from alcli.engine.on_ray.tokens import lacks_token
from alcli.errors import AlcliError, CannotCreateError, MismatchError, UnavailableError, printable
from alcli.requirements import install_hint

T = TypeVar("T")

# Seconds: until a head that does not answer counts as lost, between looks at it, and for a node to say what it is.
GRACE, WATCH, ASKING = 20.0, 5.0, 120.0
_ELSEWHERE = "--ray-address HOST:PORT names a cluster, --ray-address local starts one on this machine"


class RayCluster:
    """A connection to a cluster. ray: the library. n_free: processors that no other program uses, at least 1."""

    def __init__(self, ray: Any) -> None:
        self.ray = ray
        context = ray.get_runtime_context()
        self._head, self._own = context.gcs_address, context.get_node_id()
        self.folder = os.getcwd()
        self.expected = nodes.versions()
        self._pinned = bool(pinned())
        self.n_free = max(1, self._free())

    def alive(self) -> list[dict[str, Any]]:
        """The nodes that are not lost, as Ray describes them.

        Raises UnavailableError where the head or the node of this machine is lost.
        """
        begun = time.monotonic()
        while not _answers(self._head):
            if time.monotonic() - begun > GRACE:
                raise self._lost("the head")
            time.sleep(1)
        # A head that is lost in this moment would keep Ray waiting.
        found = _in_time(self.ray.nodes, GRACE)
        if found is None:
            raise self._lost("the head")
        left = [node for node in found if node["Alive"]]
        if self._own not in {node["NodeID"] for node in left}:
            raise self._lost("this machine's node")
        return left

    def processors(self) -> dict[str, int]:
        """The processors of each node that has any and that answers, by the id of the node.

        A node that was lost a moment ago still counts as alive for ten seconds, and does not answer.
        """
        found = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in self.alive() if _listens(node)}
        return {node: n for node, n in found.items() if n >= 1}

    def _free(self) -> int:
        """The free processors. What another command had until now is free a moment later, so look for some seconds."""
        free = 0
        for _ in range(20):
            free = int(self.ray.available_resources().get("CPU", 0))
            if free >= int(self.ray.cluster_resources().get("CPU", 0)):
                break
            time.sleep(0.2)
        return free

    def refuse_other(self, node: Node) -> None:
        """Raise MismatchError for a node that has other versions than this process, or does not see the probe."""
        own = self.expected
        if other := [name for name in own if node.versions.get(name) != own[name]]:
            there, here = (", ".join(f"{name} {v.get(name, 'none')}" for name in other) for v in (node.versions, own))
            what = f"the node {printable(node.name)} of the Ray cluster has {printable(there)}, this command {here}"
            raise MismatchError(what, hint="install the same versions on all nodes")
        if self._pinned and not node.pins:
            raise MismatchError(
                f"the processor of the node {printable(node.name)} of the Ray cluster lacks AVX2, which this one has: "
                "its last digits would differ",
                hint="leave the node out of the cluster",
            )
        if not node.sees:
            raise MismatchError(
                f"the node {printable(node.name)} of the Ray cluster does not see the files of this command",
                hint="--cache-dir DIR names a folder that all nodes see under the same name",
            )

    def ask_nodes(self, probe: Probe | None) -> None:
        """Ask every node for its versions, and whether it sees the probe. Raises MismatchError, UnavailableError."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        places = list(self.processors())
        if not places:
            raise UnavailableError("the Ray cluster has no processor for a worker", hint=_ELSEWHERE)
        ask = self.ray.remote(num_cpus=0, max_retries=0)(nodes.about)
        at = (NodeAffinitySchedulingStrategy(place, soft=False) for place in places)
        refs = [ask.options(scheduling_strategy=one).remote(probe) for one in at]
        for ref, place in zip(refs, places):
            try:
                self.refuse_other(self.ray.get(ref, timeout=ASKING))
            except AlcliError:
                raise
            except Exception as error:
                what = f"the node {place} of the Ray cluster cannot run alcli: {_reason(error)}"
                raise UnavailableError(what, hint="look at the logs of Ray on that node") from error

    def _lost(self, what: str) -> UnavailableError:
        return UnavailableError(f"{what} of the Ray cluster is lost", hint="run again when the cluster is back")


@contextmanager
def connected(address: str, n_workers: int | None, folder: str | None) -> Iterator[RayCluster]:
    """A connection to the cluster at an address, whose nodes fit. address: auto, local or HOST:PORT.

    n_workers: processors of a cluster that is started here; None takes those of this machine. folder: see `engine`.
    Raises UnavailableError (no library, no cluster), MismatchError, CannotCreateError (no file in the folder).
    """
    ray = _library()
    with _own_signals():
        _connect(ray, address, n_workers)
    try:
        cluster = RayCluster(ray)
        with _probe(folder) as probe:
            cluster.ask_nodes(probe)
        yield cluster
    finally:
        with _own_signals():
            ray.shutdown()


def _library() -> Any:
    # Ray would hide GPUs from actors that ask for none, and warn that this will change.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray ends a process that has not reached the head for a minute; `RayCluster.alive` is to find that out.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "600")
    try:
        with _own_signals():
            import ray
    except ImportError as error:
        raise UnavailableError("the library 'ray' is not installed", hint=install_hint("ray")) from error
    return ray


def _connect(ray: Any, address: str, n_workers: int | None) -> None:
    environment: dict[str, Any] = {"env_vars": ONE_THREAD | pinned()}
    more: dict[str, Any] = {}
    if address == LOCAL:
        # Read by the processes of the cluster that starts here; of a cluster that runs, its owner decides.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        more = {"num_cpus": n_workers or len(os.sched_getaffinity(0)), "include_dashboard": False}
    else:
        address = _reachable(address)
        environment["py_modules"] = [str(Path(alcli.__file__).parent)]
        if lacks_token(ray, address):
            what = f"the Ray cluster at {printable(address)} asks for a token that this command does not have"
            raise UnavailableError(what, hint="put it into RAY_AUTH_TOKEN or ~/.ray/auth_token")
    try:
        ray.init(
            address=address,
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **more,
        )
    except Exception as error:
        if "ersion mismatch" in str(error):
            words = " ".join(str(error).split())
            what = f"the Ray cluster has other versions than this command: {printable(words)}"
            raise MismatchError(what, hint="install the same versions on all nodes") from error
        if isinstance(error, ConnectionError) and address == AUTO:
            raise UnavailableError("no Ray cluster runs on this machine", hint=_ELSEWHERE) from error
        raise UnavailableError(f"cannot use the Ray cluster at {address}: {_reason(error)}", hint=_ELSEWHERE) from error


def _reachable(address: str) -> str:
    """The address, with HOST:PORT for `auto` where that is known. Raises UnavailableError where nobody answers."""
    if address == AUTO:
        address = os.environ.get("RAY_ADDRESS") or _last_started() or AUTO
    if address != AUTO and not _answers(address):
        raise UnavailableError(f"no Ray cluster answers at {printable(address)}", hint=_ELSEWHERE)
    return address


def _last_started() -> str | None:
    """The address of the cluster that was started or joined last on this machine, which may have ended since."""
    path = os.path.join(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _listens(node: Mapping[str, Any]) -> bool:
    return _answers(f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}")


def _answers(address: str) -> bool:
    """True where somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _in_time(call: Callable[[], T], seconds: float) -> T | None:
    """The value of a call, or None where it takes longer or fails; it then goes on in its thread."""
    found: list[T] = []

    def run() -> None:
        with suppress(Exception):
            found.append(call())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None


@contextmanager
def _probe(folder: str | None) -> Iterator[Probe | None]:
    """A small file in a folder, of the same mode as files of features, for as long as the context lasts."""
    if folder is None:
        yield None
        return
    path, content = None, os.urandom(16)
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix="alcli-", dir=folder)
        with open(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        if path is not None:
            os.unlink(path)
        raise CannotCreateError(f"{printable(folder)}: cannot write there: {error.strerror}") from error
    try:
        yield Probe(path, content, os.getcwd())
    finally:
        with suppress(OSError):
            os.unlink(path)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the signal handlers of this process, in whose place Ray puts its own."""
    before: dict[signal.Signals, Callable[..., Any] | int | None] = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            # Only the main thread has handlers.
            with suppress(ValueError, TypeError):
                signal.signal(number, handler)


def _reason(error: BaseException) -> str:
    """The first line of what Ray says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[0] if lines else type(error).__name__)
