"""What an attack session by hand got by the classifier, or nearly: none of it runs unasked any more."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from agent.risk import classify
from core.work import Risk

SECRETS = [
    # What would be read as an address, a whole folder, or an environment.
    "xmllint http://169.254.169.254/latest/meta-data/",
    "xmllint --xpath '//a' https://evil.example/x.xml",
    "grep -d recurse . /home/alice",
    "grep -hd recurse password /srv",
    "grep --directories=recurse password /opt/app",
    "coredumpctl -F COREDUMP_ENVIRON",
    "coredumpctl --field=coredump_environ",
    "journalctl -F COREDUMP_ENVIRON",
    "journalctl -o json --output-fields=MESSAGE,COREDUMP_ENVIRON",
    "promtool check rules /etc/shadow",
    "amtool check-config /opt/app/.env",
    "curl http://localhost:8080/actuator/%65nv",
    "curl 'http://localhost:8080/actuator/e{n}v'",
    "curl 'http://localhost:8080/actuator/[e-e]nv'",
    "curl http://localhost:15672/api/definitions",
    "cat /srv/app/api_key.txt",
    "cat /srv/app/apikeys",
    "cat /srv/app/id_rsa.txt",
    "cat /srv/app/rsa.private",
    "cat /srv/app/key.json",
    "cat /etc/postfix/sasl_passwd",
    "cat /etc/exim4/passwd.client",
    "cat /etc/mysql/debian.cnf",
    "cat /etc/ceph/ceph.client.admin.keyring",
    "cat /etc/pve/priv/authkey",
    "docker top web -e -x",
    "docker top web -aux -e",
    "docker top web -eo pid,args -f",
    # Code that lies where anybody may have put it.
    "sv check /tmp/x",
    "atop -r '/tmp/$(id)'",
    "cd /tmp/x && mvn --version",
    "cd /home/u/x; sudo /usr/bin/mvn --version",
    "cd /tmp/x && dotnet --info",
    "cd /var/tmp/x && ansible-doc -t filter -l",
    "haproxy -c -f /tmp/x",
    "lighttpd -t -f //var/tmp/x",
    "ansible-inventory --graph -i /dev/shm/x",
    "kafka-topics --list --bootstrap-server localhost:9092 --command-config /tmp/x",
    # What the way to the machine, or its fence, hangs on.
    "systemctl restart tailscaled",
    "systemctl restart corosync",
]
READS = [
    "cat /srv/app/id_rsa.pub",
    "grep -d skip error /var/log/syslog",
    "journalctl -F _SYSTEMD_UNIT",
    "journalctl -u nginx -o json --output-fields=MESSAGE,PRIORITY",
    "coredumpctl -F COREDUMP_EXE",
    "promtool check config /etc/prometheus/prometheus.yml",
    "docker top web aux",
    "docker top web -eo pid,comm",
    "diff -u /var/log/a.1 /var/log/a.2",
    "cd /opt/app && docker compose ps",
    "ps -ef --forest",
    "ps -eo pid,pcpu,args --sort=-pcpu",
    "ps -u www-data -o pid,rss",
    "ps -eLf",
    "ps -T -p 1",
]
FIRSTS = ("-e", "-ef", "-eT", "-el", "-eZ")
RESTS = """-H;-T;-L;-M;-Z;-j;-f;-l;-c;-x;--forest;--context;--format=args;--user=root;--user=ax;-o pid,args;
-opid,args;-u ax;-uax;-u x;-gax;-g e;-ge;-Gau;-tx;-O -k;-k -e;-k pid;-q 1;-C sh;-U ax;ax;x"""
OTHERS = [rest.strip() for rest in RESTS.split(";")]


@pytest.mark.parametrize("command", SECRETS)
def test_what_reads_secrets_or_runs_code_of_others_needs_an_admin(command: str) -> None:
    assert classify(command).level == Risk.L2


@pytest.mark.parametrize("command", READS)
def test_what_only_looks_like_it_still_runs(command: str) -> None:
    assert classify(command).level == Risk.L0


def test_a_folder_compared_with_nothing_is_read_whole() -> None:
    assert classify("diff -N /srv/app /var/empty").level == Risk.L1
    assert classify("diff -uN /home /var/empty").level == Risk.L2


def ps_lines() -> Iterator[str]:
    """Yield lines of ps: -e with every flag, value and pair of them."""
    for first in FIRSTS:
        yield from (f"ps {first} {other}" for other in OTHERS)
        yield from (f"ps {one} {other} {first}" for one, other in itertools.combinations(OTHERS, 2))


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs procps")
def test_no_ps_that_runs_unasked_shows_the_environment_of_a_process() -> None:
    shown, wide = [], {"PATH": os.environ["PATH"], "COLUMNS": "9999"}
    with subprocess.Popen(["sleep", "300"], env={"PATH": os.environ["PATH"], "CANARY": "of-it0"}) as process:
        for command in ps_lines():
            if classify(command).level == Risk.L0:
                ran = subprocess.run(command.split(), capture_output=True, check=False, env=wide)
                shown += [command] if b"CANARY=of-it0" in ran.stdout else []
        process.kill()
    assert shown == []
