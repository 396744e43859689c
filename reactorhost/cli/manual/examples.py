"""The examples of each command, which `--help` and the manual page show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[tuple[str, str]]] = {
    "start": (
        ("reactorhost start echo", "Serve the plugin echo on 127.0.0.1:9000, in the foreground."),
        (
            "reactorhost start accesslog echo --listen tcp://0.0.0.0:7000 --workers 4 -d",
            "Serve it on port 7000 of all addresses, with a log of its clients and 4 workers, in the background.",
        ),
        (
            "reactorhost start ./greet.py --reload",
            "Serve a plugin from a file, and load it again whenever it changes.",
        ),
        (
            "reactorhost start --config /etc/chat.toml --name chat -d",
            "Start what a file describes, as one of several hosts of this machine.",
        ),
        (
            "reactorhost start echo --listen tls://:7443 --certificate chain.pem --key key.pem",
            "Serve clients with TLS.",
        ),
    ),
    "stop": (
        (
            "reactorhost stop",
            "Let connections end, close the rest after stop_timeout, and wait until the host has ended.",
        ),
        ("reactorhost stop --name chat --now", "Close everything at once."),
    ),
    "restart": (("reactorhost restart", "Check the settings, stop the host, and start it with the same arguments."),),
    "reload": (("reactorhost reload", "Bring new code of plugins, and lose no connection."),),
    "upgrade": (
        ("reactorhost upgrade", "After `pip install --upgrade`: bring the new version, and lose no connection."),
        ("/srv/venv-2/bin/reactorhost upgrade", "Continue the host in another environment."),
    ),
    "scale": (
        ("reactorhost scale 8", "Run 8 workers from now on."),
        ("reactorhost scale 2-8", "Let the number follow the load, between 2 and 8."),
        ("reactorhost scale auto", "Return to the range of the settings."),
    ),
    "ls": (
        ("reactorhost ls", "List the hosts of this user."),
        ("sudo reactorhost ls --json", "List those of all users, for a program."),
    ),
    "logs": (
        ("reactorhost logs -f", "Print the last 50 events, then each new one."),
        ("reactorhost logs --level warning --since 2h -n all", "Print all warnings and errors of the last two hours."),
        ("reactorhost logs --plugin chat --slot 0", "Print what plugin chat logged in the workers of slot 0."),
    ),
    "status": (
        ("reactorhost status", "Show master and workers once."),
        ("reactorhost status -v", "Show plugins, listeners and the last events too."),
        ("reactorhost status --json | jq .totals.connections", "Print one figure."),
    ),
    "health": (
        ("reactorhost health", "Exit with 0 if the host is ready for clients, else print why not and exit with 1."),
        ("reactorhost health --live -q", "Find out only whether its master answers, and print nothing."),
    ),
    "top": (
        ("reactorhost top", "Watch the default host; ? lists the keys, q quits."),
        ("reactorhost top --name chat --sort cpu", "Watch another one, its busiest workers first."),
        ("reactorhost top --once", "Print everything once."),
        ("reactorhost top --record night.jsonl -b", "Record what happens, and print a line of totals per second."),
        ("reactorhost top --replay night.jsonl --speed 60", "Show the recording, a minute in a second."),
    ),
    "connections": (
        ("reactorhost connections", "List the clients of all workers."),
        ("reactorhost connections --sort rate_in --limit 20", "List the 20 that send most."),
        ("reactorhost connections --peer 10.0.0.0/8 --sort idle", "List those of a network, the most idle first."),
        ("reactorhost connections --group peer --limit 10", "Show which addresses have the most connections."),
        ("reactorhost connections --limit 0 --json | jq .matched", "Count them."),
    ),
    "disconnect": (("reactorhost disconnect 4243 17", "Close connection 17 of the worker with process id 4243."),),
    "plugins": (
        ("reactorhost plugins", "List the installed plugins, and which of them the host uses."),
        ("reactorhost plugins accesslog", "Describe one: its options, its commands, and a sample of its table."),
    ),
    "new": (
        ("reactorhost new my-game", "Make the folder reactorhost-my-game; then install, test and serve the plugin."),
        ("reactorhost new ticker --framing lines --async", "Handle lines, in an async hook."),
    ),
    "check": (
        ("reactorhost check --config /etc/chat.toml", "Find the mistakes in a file before it is used."),
        ("reactorhost check -q ./greet.py && reactorhost reload", "Reload only code that loads."),
    ),
    "config show": (
        ("reactorhost config show --config /etc/chat.toml", "Show what a start with this file would use."),
        ("reactorhost config show --running", "Show what the running host uses, and what has changed since."),
    ),
    "reopen": (("reactorhost reopen", "Continue in a new file after a rotation has renamed the log."),),
    "systemd-unit": (
        (
            "reactorhost systemd-unit --name chat --config /etc/chat.toml > /etc/systemd/system/chat.service",
            "Write a unit for a host with these arguments; then `systemctl enable --now chat`.",
        ),
        (
            "reactorhost systemd-unit echo --listen tcp://:7000 --socket",
            "Print the unit with which systemd binds the address.",
        ),
    ),
    "completion": (
        (
            "reactorhost completion bash > ~/.local/share/bash-completion/completions/reactorhost",
            "Complete commands, options and names in bash.",
        ),
        ('reactorhost completion zsh > "${fpath[1]}/_reactorhost"', "The same in zsh."),
        ("reactorhost completion fish > ~/.config/fish/completions/reactorhost.fish", "The same in fish."),
    ),
    "version": (("reactorhost version", "Print the version, and those of Python and of the installed plugins."),),
    "help": (
        ("reactorhost help start", "Print the help of a command."),
        ("reactorhost help --man | man -l -", "Read all of it as a manual page."),
        ("reactorhost help --schema status", "Print the JSON Schema of the status document."),
    ),
}
