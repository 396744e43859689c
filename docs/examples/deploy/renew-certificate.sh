#!/bin/sh
# Let a host serve a certificate that was renewed, and check that it does: docs/how-to/tls-renewal.md.
# In /etc/letsencrypt/renewal-hooks/deploy/ certbot calls this after each renewal.
set -eu

: "${RENEWED_LINEAGE:?the folder of the renewed files, set by certbot}"
name=${HOST_NAME:-chat}
address=${ADDRESS:-localhost:9000}

reactorhost reload --quiet --name "$name"

fingerprint() {
    openssl x509 -noout -fingerprint -sha256
}

renewed=$(fingerprint <"$RENEWED_LINEAGE/fullchain.pem")
served=$(openssl s_client -connect "$address" -servername "${address%:*}" </dev/null 2>/dev/null | fingerprint)
if [ "$served" != "$renewed" ]; then
    echo "$address does not serve $RENEWED_LINEAGE/fullchain.pem, but $served" >&2
    exit 1
fi
