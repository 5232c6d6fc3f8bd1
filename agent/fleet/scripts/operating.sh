
# It also restarts, reloads, starts and stops single services, by sudo; whatever needs more is done by people.
operating() {
    key=${OPERATE_KEY:-'@OPERATE_KEY@'}
    [ -n "$key" ] || { echo "OPERATE_KEY='ssh-ed25519 …' sh harden.sh: the public key of @OPERATE_USER@" >&2; exit 1; }
    account '@OPERATE_USER@' "@OPERATE_OPTIONS@ $key"
    member '@OPERATE_USER@' adm systemd-journal
    command -v visudo >/dev/null 2>&1 || { echo "sudo is not installed: @OPERATE_USER@ only reads" >&2; return; }
    cat >"$scratch/sudoers" <<'SUDOERS'
# Written by harden.sh of it0. The pattern needs sudo 1.9.10; an older one allows nothing by it.
Defaults:@OPERATE_USER@ !requiretty
@OPERATE_USER@ ALL=(root) NOPASSWD: /usr/bin/systemctl ^(restart|reload|start|stop) [A-Za-z0-9_][A-Za-z0-9@._-]*$
@OPERATE_USER@ ALL=(root) NOPASSWD: /bin/systemctl ^(restart|reload|start|stop) [A-Za-z0-9_][A-Za-z0-9@._-]*$
SUDOERS
    visudo -cqf "$scratch/sudoers"
    install -o root -g root -m 0440 "$scratch/sudoers" /etc/sudoers.d/@OPERATE_USER@
}
