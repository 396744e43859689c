"""`reactorhost completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  reactorhost completion bash > ~/.local/share/bash-completion/completions/reactorhost
    zsh:   reactorhost completion zsh > "${fpath[1]}/_reactorhost"
    fish:  reactorhost completion fish > ~/.config/fish/completions/reactorhost.fish
    """  # noqa: D301  click reads the character \b
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "reactorhost", "_REACTORHOST_COMPLETE")
    # Not source(): for bash it runs bash to find its version, and bash may be missing on the machine that generates.
    click.echo(script.source_template % script.source_vars())  # noqa: TID251  a program, with tabs
