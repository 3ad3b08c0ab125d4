#!/bin/sh
# Installs Debian packages as root without starting or enabling anything on this host: install-packages.sh PACKAGE…
#
# qscan starts its own clamd and spamd, on its own sockets. Debian's packages would start theirs as well, and enable
# them for every boot, which is not ours to decide. A policy-rc.d keeps them from being started; the links that enable
# them are made all the same (deb-systemd-helper and update-rc.d do not ask it), so those that were not there before
# are taken away again. Debian's scripts take a missing link for the administrator's wish and never restore it.

set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8

policy=/usr/sbin/policy-rc.d
made_policy=no
before=$(mktemp)
after=$(mktemp)

enabled() {
    # What starts by itself: systemd's links, and System V's services by name, since update-rc.d renumbers the links of
    # services that were there before.
    {
        find /etc/systemd -type l || true # there is none on a host without systemd
        find /etc/rc[0-9S].d -type l -name 'S[0-9]*' | sed 's|.*/S[0-9]*|/etc/init.d/|'
    } 2>/dev/null | sort -u
}

restore() {
    status=$?
    trap - EXIT
    set +e # whatever fails here, the rest must still be put back
    [ "$made_policy" = no ] || rm -f "$policy"
    enabled >"$after"
    comm -13 "$before" "$after" | while read -r new; do
        echo "disabled again: $new"
        case $new in
        /etc/init.d/*) update-rc.d "${new##*/}" disable ;;
        *) rm -f "$new" ;;
        esac
    done
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
    rm -f "$before" "$after"
    exit "$status"
}

later() {
    signalled=$1
    # Standard output is the log; there need not be a terminal, and nothing may fail here.
    { echo 'setup: stopping; apt-get finishes first, so that no package stays half installed' >/dev/tty; } 2>/dev/null || :
}

apt() {
    # In a session of its own, where a Ctrl-C does not reach dpkg.
    setsid apt-get -o DPkg::Lock::Timeout=300 "$@" &
    while :; do
        status=0
        wait $! || status=$?
        kill -0 $! 2>/dev/null || break
    done
    [ -z "$signalled" ] || exit "$signalled"
    return "$status"
}

[ "$(id -u)" -eq 0 ] || {
    echo "install-packages.sh: run it as root" >&2
    exit 1
}
[ $# -gt 0 ] || {
    echo "install-packages.sh: name at least one package" >&2
    exit 1
}

enabled >"$before"
trap restore EXIT
signalled=
trap 'later 130' INT
trap 'later 143' TERM HUP

# A host that has its own policy keeps it. Ours speaks only to what this script installs (it tells by the environment),
# and removes itself at the first question after this script was killed without a chance to clean up.
export QSCAN_SETUP=$$
if ! [ -e "$policy" ] && ! [ -L "$policy" ]; then
    made_policy=yes
    cat >"$policy" <<POLICY
#!/bin/sh
# Made by qscan's set-up while it installs packages, so that they start nothing.
if [ "\${QSCAN_SETUP-}" = $$ ]; then exit 101; fi
kill -0 $$ 2>/dev/null || rm -f "\$0"
exit 0
POLICY
    chmod 755 "$policy"
fi

apt -q update
apt -q -y -o Dpkg::Options::=--force-confold --no-install-recommends --no-remove install "$@"
