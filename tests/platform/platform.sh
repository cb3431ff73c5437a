#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The product on a bare Debian: platform.sh bookworm|trixie [-- COMMAND...]
# Without a command: from a fresh clone of HEAD, the README's two commands, and both again.
set -euo pipefail
tree=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)

die() {
        printf 'run: %s\n' "$*" >&2
        exit 1
}

say() {
        printf '==> %s\n' "$*" >&2
}

suite=${1:-}
case $suite in
bookworm | trixie) shift ;;
*) die "platform: bookworm or trixie, not '$suite'" ;;
esac
only=0
if [ "${1:-}" = -- ]; then
        only=1
        shift
        [ $# != 0 ] || die "platform: no command after --"
elif [ $# != 0 ]; then
        die "platform: unknown argument '$1'"
fi
[ "$(id -u)" = 0 ] || die "platform needs root for its chroot: sudo ./run platform $suite"

base=${SP_PLATFORM_DIR:-${TMPDIR:-/var/tmp}}
root=$base/sugarperf-platform-$suite
tarball=$root.tar
mirror=${SP_PLATFORM_MIRROR:-$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
        head -n 1 | tr -d ' ' || true)}
mounted=()

cleanup() {
        local i
        for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do
                umount "${mounted[i]}" 2>/dev/null || umount -l "${mounted[i]}" || true
        done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# attach SOURCE TARGET OPTION...
attach() {
        local source=$1 target=$root$2
        shift 2
        mkdir -p "$target"
        mount "$@" "$source" "$target"
        mounted+=("$target")
}

# The bare system, made once and kept as a tarball.
make_base() {
        [ -e "$tarball" ] && return
        command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap; } >&2
        say "making a bare $suite in $root (once)"
        rm -rf "$root.new"
        debootstrap --variant=minbase "$suite" "$root.new" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
                die "debootstrap failed: see $root.log"
        rm -rf "$root.new"/var/cache/apt/archives/*.deb
        tar -C "$root.new" -cf "$tarball.new" .
        rm -rf --one-file-system "$root.new"
        mv "$tarball.new" "$tarball"
}

unpack() {
        grep -q " $root/" /proc/mounts && die "another run uses $root"
        rm -rf --one-file-system "$root"
        mkdir -p "$root"
        tar -C "$root" -xf "$tarball"
}

# The machine's way to the package registries: names, certificates, and the clients' own configuration.
host_ways() {
        local file
        cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
        for file in /etc/hosts /etc/pip.conf /etc/npmrc /root/.npmrc /root/.config/pip/pip.conf /etc/apt/apt.conf.d/*proxy*; do
                [ -f "$file" ] || continue
                mkdir -p "$root${file%/*}"
                cp -L "$file" "$root$file"
        done
        # Node headers lie elsewhere in the chroot; and its ca-certificates package makes its bundle anew from these.
        [ ! -f "$root/root/.npmrc" ] || sed -i '/^nodedir=/d' "$root/root/.npmrc"
        mkdir -p "$root/usr/local/share/ca-certificates" "$root/etc/ssl/certs"
        cp -L /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
        [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/host-ca.crt"
}

# Passed on when set: registries' configuration, with the host's bundle in place of its own paths.
inside() {
        local pass=(HOME=/root "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8 "TERM=${TERM:-dumb}") name
        for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS \
                PIP_DEFAULT_TIMEOUT npm_config_registry; do
                [ -z "${!name:-}" ] || pass+=("$name=${!name}")
        done
        if [ -e "$root/etc/ssl/certs/host-ca.crt" ]; then
                for name in PIP_CERT NODE_EXTRA_CA_CERTS SSL_CERT_FILE npm_config_cafile; do
                        pass+=("$name=/etc/ssl/certs/host-ca.crt")
                done
        fi
        chroot "$root" /usr/bin/env -i "${pass[@]}" "$@"
}

enter() {
        attach proc /proc -t proc
        attach sysfs /sys -t sysfs -o ro
        attach /dev /dev --bind
        attach devpts /dev/pts -t devpts -o newinstance,ptmxmode=0666
        attach tmpfs /dev/shm -t tmpfs -o mode=1777
        attach tmpfs /run -t tmpfs -o mode=755
}

clone() {
        rm -rf "$root/root/sugarperf" "$root/root/sugarperf.bundle"
        # A mirror of the objects; the work tree is checked out inside by git of the platform or, before it has one, from here.
        git -c safe.directory="$tree" clone -q --no-hardlinks "file://$tree" "$root/root/sugarperf"
        chown -R 0:0 "$root/root/sugarperf"
}

step() {
        local name=$1 start=$SECONDS status=0
        shift
        say "$suite: $name"
        inside sh -c 'cd /root/sugarperf && exec "$@"' sh "$@" </dev/null >"$root.step.log" 2>&1 || status=$?
        tail -n 1 "$root.step.log" | sed 's/^/    /' >&2
        cat "$root.step.log" >>"$root.run.log"
        if [ $status = 0 ]; then
                table+=("PASS  $suite  $name  $((SECONDS - start)) s")
        else
                table+=("FAIL  $suite  $name  $((SECONDS - start)) s  status $status")
                tail -n 40 "$root.step.log" >&2
                bad=1
        fi
}

make_base
if [ $only = 1 ]; then
        [ -e "$root/etc/debian_version" ] && [ -d "$root/root/sugarperf" ] || { unpack; host_ways; clone; }
        enter
        status=0
        inside sh -c 'cd /root/sugarperf && exec "$@"' sh "$@" || status=$?
        exit $status
fi
table=()
bad=0
unpack
host_ways
clone
enter
: >"$root.run.log"
for round in first second; do
        step "$round ./run demo --quick" ./run demo --quick
        step "$round ./run test" ./run test
done
printf '%s\n' "${table[@]}"
echo "the whole output: $root.run.log"
exit $bad
