
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# account NAME AUTHORIZED_KEYS_LINE: a login by this key only. The home is root's, so that the account cannot
# loosen its own key; it0 needs no more of it than ~/.it0.
account() {
    name=$1
    id "$name" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$name"
    if [ "$(id -u "$name")" -eq 0 ]; then
        echo "$name is root: name another account for it0" >&2
        exit 1
    fi
    usermod --shell /bin/sh --password '*' "$name"
    group=$(id -gn "$name")
    home=$(getent passwd "$name" | cut -d: -f6)
    if [ -L "$home/.ssh" ] || [ -L "$home/.it0" ]; then
        echo "$home: .ssh or .it0 is a link; look into it first" >&2
        exit 1
    fi
    chown "root:$group" "$home"
    chmod 0750 "$home"
    install -d -o root -g "$group" -m 0750 "$home/.ssh"
    install -d -o "$name" -g "$group" -m 0700 "$home/.it0"
    printf '%s\n' "$2" >"$scratch/authorized_keys"
    install -o root -g "$group" -m 0640 "$scratch/authorized_keys" "$home/.ssh/authorized_keys"
    if command -v restorecon >/dev/null 2>&1; then restorecon -R "$home/.ssh"; fi
}

# member NAME GROUP…: in those of the groups that exist here.
member() {
    name=$1
    shift
    for each in "$@"; do
        if getent group "$each" >/dev/null; then usermod --append --groups "$each" "$name"; fi
    done
}
