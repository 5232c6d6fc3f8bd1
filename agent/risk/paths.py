"""Which files may be read: secrets are L2, configuration is L1, the rest is free (SECURITY 2, point 4)."""

import re
from collections.abc import Sequence

from agent.risk.rules import Finding, listed
from core.texts import say
from core.work import Risk

_SECRET_NAME = re.compile(
    r"""\.env.*|.*\.env|g?shadow([-._].*)?|.*[-._]shadow|opasswd|\.?htpasswd|sudoers(\.d)?|environ|authorized_keys2?
    |k?mem|kcore|.*\.(key|pem|p12|pfx|jks|keystore|kdbx|ppk|gpg|asc|keytab|tfstate|tfvars|ovpn|sql|dump|rdb|dmp)
      (\.(bak|old|orig|backup|gz|\d+))?
    |.*_history|id_(rsa|dsa|ecdsa|ed25519)(_sk)?(?!\.pub$)([-._].*)?|.*_key
    |(.*[-._])?(api|private|secret|access|signing|ssh)[-_]?keys?([-._].*)?|.*credentials?([-._].*)?|.*secrets?([-._].*)?
    |.*passwords?([-._].*)?|.*tokens?([-._].*)?|\.?pgpass(\.conf)?|\.?netrc|\.?my\.cnf\.root|kubeconfig|admin\.conf
    |wp-config\.php|database\.yml|master\.key|vault[-._].*|swapfile
    |core\.\d.*|.*\.(core|hprof|aof|der|tdb|jceks|kubeconfig|nmconnection|keyring|priv|private)
    |(.*[-_])?key\.json|.*[-._]passwd([-._].*)?|passwd\.\w+|debian\.cnf|service[-_]?account.*\.json
    |auth\.json|tomcat-users\.xml|krb5cc_.*|(user|instance)-data([-._].*)?|.*cookies?([-._].*)?|\.?boto|anaconda-ks\.cfg""",
    re.IGNORECASE | re.VERBOSE,
)
_SECRET_FOLDER = listed("paths", "secret_folders")
_SECRET_TREE = re.compile(
    r"""/(etc/(ssl/private|pki/(tls/)?private|letsencrypt/(live|archive|keys|accounts)|wireguard|ipsec\.d|ppp
    |openvpn|sudoers\.d|security/opasswd|kubernetes|rancher|pve/priv|NetworkManager/system-connections|krb5kdc)
    |(var/)?run/(secrets|user|credentials)|var/lib/(vault|private|sss)
    |root/\.|home/[^/]+/\.)(/|$|[^/]*)""",
    re.VERBOSE,
)
_PRIVATE_TREE = re.compile(
    r"""/(root|run/cloud-init|var/(crash|mail|spool/(mail|at)|backups|lib/(cloud|waagent|postgresql|pgsql|mysql|mariadb
    |mongo(db)?|redis|valkey|cassandra|influxdb|grafana|rabbitmq|NetworkManager|AccountsService|samba|systemd|libvirt
    |lightdm|gitlab|elasticsearch|opensearch|ldap|openldap|krb5kdc|sudo|machines|lxc|lxd|incus|docker|containerd
    |containers|kubelet|etcd|rancher|jenkins)))(/|$)""",
    re.VERBOSE,
)
"""Where services keep what they were entrusted with: it may be listed and measured, not shown."""
_RAW_TREE = re.compile(r"/(dev|inet[46]?|sys/kernel/(debug|tracing|security)|sys/fs/pstore)(/|$)")
"""Devices, gawk's connections to other hosts, and where reading takes something away."""
_PROC = re.compile(
    r"""/proc/((self|\d+|\*|\[[\d-]+\]\*?)/(task/(\d+|\*)/)?(status|stat|statm|limits|io|comm|cmdline|cgroup|mountinfo
    |mounts|mountstats|sched|schedstat|autogroup|oom_\w+|wchan|stack|smaps_rollup|loginuid|sessionid|attr/current|cpuset|[ug]id_map
    |net/[\w/]+)
    |meminfo|cpuinfo|loadavg|uptime|version(_signature)?|stat|vmstat|diskstats|mounts|partitions|swaps|interrupts|softirqs
    |mdstat|filesystems|modules|devices|buddyinfo|pagetypeinfo|slabinfo|zoneinfo|vmallocinfo|cmdline|cgroups|consoles|crypto
    |dma|fb|iomem|ioports|locks|misc|mtrr|schedstat|sysvipc/\w+|irq/\d+/\w+|scsi/scsi|driver/\w+|net/[\w/]+|sys/[\w./-]+
    |pressure/\w+|fs/(xfs|ext4|jbd2|nfs\w*|lockd)/[\w./-]+|spl/kstat/[\w./-]+)""",
    re.VERBOSE,
)
_SYS_GLOB = re.compile(
    r"/sys/(block|class|devices|bus|module|power|firmware/(acpi|dmi)|fs/(cgroup|xfs|ext4|btrfs)|kernel/mm)/"
)
"""Trees of the kernel's own state, which holds no secrets however widely it is read."""
_PLAIN_ETC = frozenset(f"/etc/{name}" for name in listed("paths", "plain_etc"))
_CONFIG_NAME = re.compile(
    r""".*\.(conf|cnf|cfg|ini|toml|ya?ml|properties|service|timer|socket|rules|config|tf|hcl)(\.\w+)?
    |(config|settings?|application|appsettings)(\.[\w.-]+)?|crontabs?|cron|docker-compose.*""",
    re.IGNORECASE | re.VERBOSE,
)
_LOGS = "/var/log"
_LOG_NAMES = re.compile(r"[\w.*?-]*\.(log|out|err)(\.[\d*?-]+)?(\.(gz|xz|bz2|zst))?", re.ASCII)
_GUARDED_TREE = re.compile(r"/(proc|sys|dev|root|home|run)/|/etc/(ss[hl]|pki|letsencrypt|security)(/|$)")
_BROAD = listed("paths", "broad_folders")


def judge_path(
    text: str, *, glob: bool = False, reads: bool = True, recursive: bool = False
) -> Finding | None:
    """Return what speaks against using the path ``text``, None when nothing does.

    glob: the shell expands it; reads: the file's content is shown, not only its name or attributes;
    recursive: everything below it is read.
    """
    names = [name for name in text.split("/") if name not in ("", ".")]
    if ".." in names or text.startswith("~"):
        return Finding(Risk.L2, say("risk.path_climbs", path=text))
    path = "/" * text.startswith("/") + "/".join(names)
    if _secret(names, path, reads=reads or glob) or (reads and _PRIVATE_TREE.match(path)):
        return Finding(Risk.L2, say("risk.reads_secret", path=text))
    if not reads:
        return None
    if recursive:
        return _tree(path)
    if glob and not (_below(path, _LOGS) or _PROC.fullmatch(path) or _SYS_GLOB.match(path)):
        return _widely(path)
    return _file(names, path)


def _secret(names: Sequence[str], path: str, *, reads: bool) -> bool:
    """Return whether the path leads to a secret; to list it, only where it lies counts."""
    if _SECRET_TREE.match(path) or any(name in _SECRET_FOLDER for name in names):
        return True
    return reads and (
        names[-1:] == ["core"] or any(name.startswith(".") or _SECRET_NAME.fullmatch(name) for name in names)
    )


def _below(path: str, root: str) -> bool:
    """Return whether ``path`` is ``root`` or below it."""
    return path == root or path.startswith(root + "/")


def _widely(path: str) -> Finding | None:
    """Return what speaks against showing all files that a glob stands for."""
    folder, _, name = path.rpartition("/")
    if path in _PLAIN_ETC:
        return None
    if any(sign in folder for sign in "*?[") or not folder:
        return Finding(Risk.L2, say("risk.reads_widely", path=path))
    return None if _LOG_NAMES.fullmatch(name) and not _GUARDED_TREE.match(path) else _tree(folder)


def _tree(path: str) -> Finding | None:
    """Return what speaks against reading everything below ``path``."""
    if _below(path, _LOGS):
        return None
    if path in _BROAD or not path.startswith("/") or _GUARDED_TREE.match(path):
        return Finding(Risk.L2, say("risk.reads_widely", path=path))
    return Finding(Risk.L1, say("risk.reads_configuration", path=path))


def _file(names: Sequence[str], path: str) -> Finding | None:
    """Return what speaks against showing one file."""
    if _RAW_TREE.match(path) and path != "/dev/null":
        return Finding(Risk.L2, say("risk.reads_raw", path=path))
    if _below(path, "/proc") and not _PROC.fullmatch(path):
        return Finding(Risk.L2, say("risk.reads_secret", path=path))
    if path in _PLAIN_ETC or _below(path, "/proc") or _below(path, "/sys"):
        return None
    # A relative path may follow "cd /", so a folder "etc" counts anywhere.
    if "etc" in names or (names and _CONFIG_NAME.fullmatch(names[-1])) or "cron" in names:
        return Finding(Risk.L1, say("risk.reads_configuration", path=path))
    return None
