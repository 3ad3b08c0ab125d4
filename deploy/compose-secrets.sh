#!/bin/sh
# Makes the secrets that compose.yaml needs, in deploy/secrets. Run again it makes what is missing and changes nothing
# that is there; to change a secret delete its file (or nats.env for all passwords), run this, and start anew.
#
#   sudo sh deploy/compose-secrets.sh
#
# Root is needed for one thing: the token has to belong to the user of the unpacker's container, and to nobody else.
# Where containers map users in their own way (Docker Desktop, rootless): sh deploy/compose-secrets.sh --no-chown
set -eu
umask 077

services='archiver av-gateway notifier policy spam unpacker'
container_uid=10001 # USER in deploy/docker/*.Dockerfile

say() { printf 'compose-secrets: %s\n' "$*" >&2; }

chown=yes
case "${1-}" in
--no-chown) chown=no ;;
'') ;;
*)
    say "unknown argument $1; there is only --no-chown"
    exit 64
    ;;
esac
if [ "$chown" = yes ] && [ "$(id -u)" -ne 0 ]; then
    say "run this as root: sudo sh $0 (the token has to belong to uid $container_uid), or with --no-chown"
    exit 77
fi

secrets=$(dirname "$0")/secrets
mkdir -p "$secrets"
trap 'rm -f "$secrets"/*.new' EXIT

# 256 bits, and a letter first: nats-server would take digits alone for a number.
random() { printf 'q%s' "$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"; }

variable() { printf '%s' "$1" | tr a-z- A-Z_; }

# Complete or not at all: what is interrupted leaves no half secret behind.
write() {
    cat >"$secrets/$1.new"
    mv "$secrets/$1.new" "$secrets/$1"
}

if [ ! -s "$secrets/nats.env" ]; then
    for service in $services; do
        printf 'NATS_PASSWORD_%s=%s\n' "$(variable "$service")" "$(random)"
    done | write nats.env
fi

# Each service gets its own password only.
for service in $services; do
    name=$(variable "$service")
    password=$(sed -n "s/^NATS_PASSWORD_$name=//p" "$secrets/nats.env")
    if [ -z "$password" ]; then
        password=$(random)
        { cat "$secrets/nats.env" && printf 'NATS_PASSWORD_%s=%s\n' "$name" "$password"; } | write nats.env
    fi
    printf 'QSCAN_%s_NATS_PASSWORD=%s\n' "$name" "$password" | write "$service.env"
done

[ -s "$secrets/token" ] || { random && printf '\n'; } | write token

if [ "$chown" = yes ]; then
    # `docker compose` reads the env files as whoever calls it; the container reads the token.
    chown -R "${SUDO_UID:-0}:${SUDO_GID:-0}" "$secrets"
    chown "$container_uid:$container_uid" "$secrets/token"
fi
say "in place: $secrets/*.env and $secrets/token (qscan-ingressd needs a copy of the token)"
