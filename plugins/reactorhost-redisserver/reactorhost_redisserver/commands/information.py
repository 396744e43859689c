"""The sections of INFO."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from reactorhost import __version__
from reactorhost_redisserver.commands.connection import REDIS_VERSION
from reactorhost_redisserver.server import Server

Facts = Mapping[str, object]


def _server(server: Server) -> Facts:
    seconds = int(server.keyspace.now / 1000 - server.started_at)
    return {
        "redis_version": REDIS_VERSION,
        "redis_mode": "standalone",
        "reactorhost_version": __version__,
        "arch_bits": 64,
        "process_id": os.getpid(),
        "uptime_in_seconds": seconds,
        "uptime_in_days": seconds // 86400,
    }


def _clients(server: Server) -> Facts:
    listening = sum(bool(each.channels or each.patterns) for each in server.clients.values())
    waiting = sum(each.wait is not None for each in server.clients.values())
    return {"connected_clients": len(server.clients), "blocked_clients": waiting, "pubsub_clients": listening}


def _memory(server: Server) -> Facts:
    return {
        "used_memory": server.keyspace.used,
        "used_memory_dataset": server.keyspace.used,
        "maxmemory": server.max_memory,
        "maxmemory_policy": "noeviction",
    }


def _persistence(server: Server) -> Facts:
    saver = server.saver
    if saver is None:
        return {"loading": 0}
    return {
        "loading": 0,
        "rdb_changes_since_last_save": saver.unsaved,
        "rdb_bgsave_in_progress": int(saver.running),
        "rdb_last_save_time": int(saver.saved_at),
        "rdb_last_bgsave_status": "err" if saver.failed else "ok",
        "aof_enabled": 0,
    }


def _stats(server: Server) -> Facts:
    keyspace = server.keyspace
    return {
        "total_connections_received": server.connected,
        "total_commands_processed": server.commands_run,
        "expired_keys": keyspace.expired,
        "evicted_keys": 0,
        "keyspace_hits": keyspace.hits,
        "keyspace_misses": keyspace.misses,
        "pubsub_channels": len(server.topics.channels),
        "pubsub_patterns": len(server.topics.patterns),
    }


def _replication(server: Server) -> Facts:
    del server
    return {"role": "master", "connected_slaves": 0}


def _keyspace(server: Server) -> Facts:
    return {
        f"db{each.index}": f"keys={len(each.values)},expires={len(each.expires)},avg_ttl=0"
        for each in server.keyspace.databases
        if each.values
    }


INFO_SECTIONS: Mapping[str, Callable[[Server], Facts]] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "Keyspace": _keyspace,
}
