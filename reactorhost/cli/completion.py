"""`reactorhost completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from reactorhost.cli.app import reactorhost


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  reactorhost completion bash > ~/.local/share/bash-completion/completions/reactorhost
    zsh:   reactorhost completion zsh > "${fpath[1]}/_reactorhost"
    fish:  reactorhost completion fish > ~/.config/fish/completions/reactorhost.fish
    """  # noqa: D301  click reads the character \b
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(reactorhost, {}, "reactorhost", "_REACTORHOST_COMPLETE")
    # Not source(): for bash it runs bash to look at its version, which the one who asks may not have here.
    click.echo(script.source_template % script.source_vars())
