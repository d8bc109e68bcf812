"""A Valkey that speaks the cluster protocol, as ElastiCache Serverless does."""

import redis

from local.processes import free_port, wait_until
from local.servers import Valkey


class ValkeyCluster(Valkey):
    """A cluster with one node."""

    def command(self) -> list[str]:
        bus = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        return [*super().command(), *bus]

    def start(self, seconds: float = 30) -> None:
        super().start(seconds)
        with redis.Redis(port=self.port, decode_responses=True) as node:
            if node.cluster("info")["cluster_slots_assigned"] == "0":
                node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            assert wait_until(lambda: node.cluster("info")["cluster_state"] == "ok", 10)
