"""What the engine needs done on nodes, put together from the packages that it does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from im.config import Settings
from im.events import Emit
from im.plan.model import Cluster, Node
from im.topology.model import Topology


class Workshop:
    """What the engine needs done on nodes: SSH probes, Ansible on the front-end, the preflight."""

    def __init__(self, settings: Settings) -> None:
        from im.ssh.verified import Tunnels

        self.settings = settings
        self._preparing: dict[str, Future[None]] = {}
        self._tunnels = Tunnels()

    def reach(self, cluster: Cluster, node: Node) -> None:
        """Log in to the node, which then has a host key of its own. Raises ``SshError``."""
        from im.ssh.contact import reach

        reach(cluster, node, tunnels=self._tunnels)

    def prepare(self, cluster: Cluster, emit: Emit) -> None:
        """Begin to bring Ansible to the front-end; ``configure`` begins its own work and then waits for this."""
        from im.contextualize.configure import prepare_front_end

        self._preparing[cluster.infrastructure] = begin(partial(prepare_front_end, cluster, self.settings, emit))

    def configure(self, cluster: Cluster, topology: Topology, emit: Emit) -> None:
        """Run the recipes and the template's own operations. Raises ``ContextualizationError``."""
        from im.contextualize.configure import configure

        self._tunnels.close()
        folder = self.settings.infrastructure_folder(cluster.infrastructure) / "logs"
        preparing = self._preparing.pop(cluster.infrastructure, None)
        prepared = preparing.result if preparing else None
        configure(cluster, topology, folder=folder, settings=self.settings, emit=emit, prepared=prepared)

    def preflight(self, cluster: Cluster, topology: Topology, emit: Emit) -> None:
        """Prove that the nodes work as one cluster. Raises ``PreflightError``."""
        from im.jobs.preflight import preflight

        preflight(cluster, topology, emit=emit)

    def digest(self, cluster: Cluster, topology: Topology) -> str:
        """What the contextualization depends on, as one word."""
        from im.contextualize.configure import digest

        return digest(cluster, topology)


def begin(work: Callable[[], None]) -> Future[None]:
    """Do something in a thread that the end of the process does not wait for: an interrupted client shall be gone."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)

    threading.Thread(target=run, name="im-prepare", daemon=True).start()
    return future
