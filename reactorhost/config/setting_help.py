"""What `--help` says of each setting, by its name in the table of settings.

Not in the rows of the table: with a sentence each, a row would take six lines, and kinds and defaults could not be
compared at a glance.
"""

from __future__ import annotations

from collections.abc import Mapping

_TIME = "seconds, or 500ms, 2m."
_LONG_TIME = "seconds, or 500ms, 2m, 1h."
_TIME_OR_NEVER = "seconds, or 500ms, 2m, 1h; 0 for never."
HELP: Mapping[str, str] = {
    "plugins": (
        "Plugin to load: an installed name, module:object or ./file.py. May be repeated; the first is called first."
    ),
    "listen": (
        "Address to listen on: tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:///PATH, unix://@NAME, or "
        "fd://NAME for sockets of systemd. May be repeated."
    ),
    "framing": "How bytes are split into messages: lines, or a kind that a plugin brings; in the file also a table.",
    "certificate": (
        "PEM file of a TLS certificate and its chain. May be repeated; the client's server name selects one."
    ),
    "key": "PEM file of a certificate's private key; one for each certificate, in the same order.",
    "client_ca": "PEM file of the authorities that sign client certificates.",
    "client_certificates": "Whether clients must present a certificate.",
    "alpn": "Protocol offered by ALPN. May be repeated; the first is preferred.",
    "starttls": "Let clients of tcp:// and unix:// begin without TLS; a plugin begins it when they request it.",
    "proxy_from": "Network of proxies that send a PROXY header; other clients are then refused. May be repeated.",
    "handshake_timeout": f"Time limit for PROXY header and handshakes: {_TIME}",
    "max_datagram": "Size of the largest datagram that plugins receive; larger ones are dropped: bytes, or 1KiB.",
    "unix_mode": "Mode of unix socket files, octal.",
    "unix_owner": "Owner of unix socket files: USER, USER:GROUP or :GROUP; - for the user that starts the host.",
    "service_workers": "Number of workers that accept the clients of the service; a plugin may require fewer.",
    "allow": "Network of clients that are served, such as 10.0.0.0/8; all others are refused. May be repeated.",
    "deny": "Network of clients that are refused, also if --allow has them. May be repeated.",
    "max_connections_per_address": "Open connections of one client address; further ones are closed at once.",
    "accept_rate": "Connections that all workers together accept in a second; further clients wait.",
    "config": "TOML file with settings, services and plugin tables.",
    "set": "Option of a plugin, as in its [plugin.NAME] table. May be repeated.",
    "workers": "Number of worker processes; MIN-MAX: as the load requires; auto: one for each usable CPU.",
    "name": "Name of this instance, to run several on one machine.",
    "daemon": "Run in the background: return once the workers are ready.",
    "run_dir": "Directory for lock file, pid files and control socket.",
    "pid_file": "File for the process id of the master.",
    "log_file": "File to log to; - for standard error.",
    "log_format": "Format of log lines; auto is for people on a terminal, with priorities in the journal, else text.",
    "log_level": "Lowest level that is logged.",
    "user": "User that the workers run as, by name or number; - for the user that starts the host.",
    "group": "Group that the workers run as, by name or number; - for the primary group of that user.",
    "backlog": "Connections that may wait in the accept queue of each listening socket; the kernel may allow fewer.",
    "max_connections": "Maximum number of open connections for each worker.",
    "when_full": "What happens to new clients when all workers have max_connections: they wait, or are closed at once.",
    "max_send_buffer": "Unsent bytes of one connection above which it is closed: bytes, or 64KiB, 16MiB.",
    "stop_timeout": f"Time within which a stop ends: {_LONG_TIME}",
    "boot_timeout": f"Time within which a worker must become ready: {_LONG_TIME}",
    "drain_timeout": f"Time after a reload or a scaling for which an old worker serves its connections: {_LONG_TIME}",
    "retire_delay": f"Time for which the sockets of a removed worker are still served, for late handshakes: {_TIME}",
    "idle_timeout": f"Time without data after which a connection is closed: {_TIME_OR_NEVER}",
    "stall_timeout": f"Time after which a worker whose event loop is blocked is replaced: {_TIME_OR_NEVER}",
    "event_loop": "Event loop of workers with async hooks or asyncio protocols; uvloop must be installed.",
    "poller": "How master and workers wait for sockets; selectors: Python's module of that name, for debugging.",
    "peer_timeout": (
        "Time without a reply from a client's machine until it is disconnected: seconds; 0 for the kernel default."
    ),
    "close_timeout": f"Time without progress after which a closing connection is ended: {_TIME}",
    "threads": "Threads of each worker for blocking calls of plugins; started when needed.",
    "thread_queue": "Calls that may wait for a thread, for each worker; further calls are refused.",
    "slow_hook": f"Time for which a hook may block the event loop before it is logged: {_TIME_OR_NEVER}",
    "message_timeout": f"Time from the first byte of a message to its last, with a framing: {_TIME_OR_NEVER}",
    "max_age": f"Time after which a worker is replaced, without loss of connections: {_TIME_OR_NEVER}",
    "max_rss": "Resident memory at which a worker is replaced: bytes, or 512MiB, 2GiB.",
    "max_connections_per_worker": "Number of accepted connections after which a worker is replaced.",
    "max_messages_per_worker": "Number of received messages after which a worker is replaced.",
    "admin": "Address of the HTTP endpoint for probes and metrics: tcp://HOST:PORT or unix:///PATH.",
    "ready_min": "Number of ready workers below which /readyz and `health` report that the host is not ready.",
    "drain_delay": f"Time for which a stop is announced by /readyz before it begins: {_TIME}",
    "reload_on_change": "Reload when a plugin or a module that it imports changes on disk.",
    "debug": "Prepare for a debugger: one worker, and no alarms about code that takes long.",
    "bus_url": "URL of the server that connects the buses of several machines, such as redis://HOST:6379.",
    "bus_max_message": "Size of the largest message on the bus; a larger one is refused: bytes, or 64KiB, 1MiB.",
    "bus_max_queue": "Bytes that may wait for one other worker; further messages to it are dropped: bytes, or 16MiB.",
    "bus_down_period": f"Silence after which the members of a worker count as gone: {_TIME}",
}
"""The help of each setting: one line with the unit and the meaning of special values, without the default."""
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Plugins and configuration": ("plugins", "set", "config"),
    "Host": ("name", "run_dir", "pid_file", "daemon", "workers", "user", "group"),
    "Listening": (
        "listen",
        "framing",
        "max_datagram",
        "backlog",
        "unix_mode",
        "unix_owner",
        "proxy_from",
        "handshake_timeout",
        "service_workers",
    ),
    "TLS": ("certificate", "key", "client_ca", "client_certificates", "alpn", "starttls"),
    "Limits for clients": (
        "allow",
        "deny",
        "accept_rate",
        "max_connections",
        "max_connections_per_address",
        "when_full",
        "max_send_buffer",
        "message_timeout",
        "idle_timeout",
        "peer_timeout",
        "close_timeout",
    ),
    "Start, reload and stop": ("boot_timeout", "drain_timeout", "retire_delay", "drain_delay", "stop_timeout"),
    "Replacement of workers": (
        "stall_timeout",
        "max_age",
        "max_rss",
        "max_connections_per_worker",
        "max_messages_per_worker",
    ),
    "Code of plugins": ("event_loop", "threads", "thread_queue", "slow_hook", "poller"),
    "Logging": ("log_file", "log_format", "log_level"),
    "Probes and metrics": ("admin", "ready_min"),
    "Bus": ("bus_url", "bus_max_message", "bus_max_queue", "bus_down_period"),
    "Development": ("reload_on_change", "debug"),
}
"""The settings as `--help` lists them."""
