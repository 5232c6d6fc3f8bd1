#!/bin/sh
# Installs what the tests need from Debian: an OpenSSH server, shellcheck, sudo, Chromium and kubectl.
# Says loudly what it could not do.
missing=""
[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
[ -x /usr/bin/shellcheck ] || missing="$missing shellcheck"
[ -x /usr/sbin/visudo ] || missing="$missing sudo"
[ -x /usr/bin/chromium ] || missing="$missing chromium"
[ -x /usr/bin/kubectl ] || missing="$missing kubernetes-client"
fc-list 2>/dev/null | grep -qi "noto.*cjk" || missing="$missing fontconfig fonts-noto-cjk"
[ -z "$missing" ] && exit 0
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing for the tests:$missing"
    apt-get update -qq >/dev/null 2>&1
    # shellcheck disable=SC2086
    install $missing && exit 0
    # One that cannot be had takes none of the others with it.
    left=""
    for each in $missing; do
        install "$each" || left="$left $each"
    done
    [ -z "$left" ] && exit 0
    missing=$left
fi
echo "*** NOT INSTALLED:$missing. The tests that need it are SKIPPED." >&2
echo "*** Install it, or run make test as root on Debian." >&2
exit 0
