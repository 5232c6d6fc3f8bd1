
# It reads: logs and the journal by its groups, nothing by sudo.
read_only() {
    key=${READ_KEY:-'@READ_KEY@'}
    [ -n "$key" ] || { echo "READ_KEY='ssh-ed25519 …' sh harden.sh: the public key of @READ_USER@" >&2; exit 1; }
    account '@READ_USER@' "@READ_OPTIONS@ $key"
    member '@READ_USER@' adm systemd-journal
    rm -f /etc/sudoers.d/@READ_USER@
}
