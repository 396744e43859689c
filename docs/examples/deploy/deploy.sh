#!/bin/sh
# Replace the release that runs without losing a connection, or return to it: docs/how-to/zero-downtime.md.
# usage: deploy.sh /srv/chat/releases/RELEASE
set -eu

new=$1
root=${new%/releases/*}
old=$(readlink -f "$root/current")

# This changes nothing: it reads the configuration and imports the plugins, as a start does.
"$new/bin/reactorhost" check --quiet --config "$root/host.toml"

if "$new/bin/reactorhost" upgrade --name chat &&
    "$new/bin/reactorhost" health --name chat &&
    "$new/bin/python" "$root/verify.py"; then
    # A rename replaces the link at once. The next start uses it.
    ln -sfn "$new" "$root/next"
    mv -T "$root/next" "$root/current"
    exit
fi

echo "deploy: $new does not serve as it should, so $old continues" >&2
"$old/bin/reactorhost" upgrade --name chat
exit 1
