"""What operators type each day runs unasked; the same programs' other uses do not."""

import pytest

from agent.risk import classify
from core.work import Risk

READS = (
    "echo ---",
    "echo '--- disk ---'; df -h",
    "echo rm -rf /tmp/x",
    "docker inspect -f '{{json .State.Health}}' web | jq",
    "crictl -r unix:///run/containerd/containerd.sock ps",
    "openssl x509 -noout -enddate -in /etc/letsencrypt/live/example.com/fullchain.pem",
    "openssl x509 -noout -modulus -in cert.pem | openssl md5",
    "nginx -t -c /etc/nginx/nginx.conf",
    "ps -t pts/0",
    "apt search --names-only '^nginx$'",
    "supervisorctl status 'app:*'",
    "lxc list -c ns4",
    "df -h # disk",
    "df -h; # 'all of them' | sort",
    "docker ps --format={{.Names}}",
    "docker ps --format {{.Names}},{{.Status}}",
    "ps aux --sort=-%mem,+pid",
    "ETCDCTL_API=3 etcdctl endpoint health",
    "TERM=dumb COLUMNS=200 top -bn1",
    "env LC_TIME=C LC_NUMERIC=C free -m",
    "sudo TZ=Europe/Berlin timedatectl",
)

NEVER_SET = (
    *("PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "PS4", "POSIXLY_CORRECT", "HOME", "TERMINFO", "TERMCAP"),
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GCONV_PATH", "LOCPATH", "NLSPATH", "EDITOR", "VISUAL"),
    *("LESSOPEN", "LESS", "KUBECONFIG", "DOCKER_HOST", "PGOPTIONS", "PGHOST", "http_proxy", "CURL_HOME"),
    *("GIT_SSH_COMMAND", "GIT_DIR", "PYTHONSTARTUP", "PERL5OPT", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "X"),
)

DOES_MORE = (
    "echo rm -rf /tmp/x | sh",
    "echo --- > /etc/motd",
    "printf -v PATH x",
    "printf -- -v",
    "crictl -r tcp://10.0.0.9:2375 ps",
    "crictl --runtime-endpoint unix:///tmp/x.sock ps",
    "openssl x509 -in /etc/letsencrypt/live/example.com/privkey.pem -noout",
    "openssl x509 -in /etc/letsencrypt/live/../x/cert.pem -noout",
    "openssl x509 -text -out /etc/x.pem -in cert.pem",
    "openssl crl2pkcs7 -nocrl -certfile a.pem -out b",
    "nginx -t -c /tmp/nginx.conf",
    "nginx -c /etc/nginx/nginx.conf",
    "ps -te",
    "supervisorctl -c /tmp/supervisord.conf status",
    "supervisorctl -s http://10.0.0.9:9001 status",
    "lxc list -c environment.TOKEN",
    "lxc list -f json",
    "lxc info",
    "runc list -f json",
    "runc exec abc sh",
    "rpm -E '%(id)'",
    "rpm -E '%{lua:os.execute()}'",
    "rpm -K http://10.0.0.9/a.rpm",
    "npm root -g --script-shell=/tmp/x",
    "zkCli.sh -server localhost:2181 get /secret",
    "zkCli.sh -server localhost:2181 delete /brokers",
    "kafka-run-class.sh kafka.tools.ConsoleConsumer --topic x",
    "kafka-reassign-partitions.sh --bootstrap-server localhost:9092 --execute --list",
    "conda env remove -n x",
    "pipx run x",
    "snap saved --config=/tmp/x",
    "gem specification x --config-file=/tmp/x",
    "df # disk\ntouch x",
    "docker ps # x\ndocker inspect web\njq .Name",
    "docker inspect -f {{.Config.Env}} web",
    "docker ps --format={{.Names,.Ports}}",
    "ETCDCTL_API=2 etcdctl get x",
    "TERM=/tmp/x top -bn1",
    "TERM=../x ls",
    "LC_TIME=/tmp/x date",
    "PAGER=less df",
    "GIT_PAGER='sh -c id' git log",
    "'COLUMNS=80' df",
    "COLUMNS=$(id) ps",
    "NO_COLOR+=1 ls",
    *(f"{name}=1 df" for name in NEVER_SET),
    *(f"env {name}=1 df" for name in NEVER_SET),
)


@pytest.mark.parametrize("command", READS)
def test_what_is_typed_each_day_runs_unasked(command: str) -> None:
    assert classify(command).level == Risk.L0


@pytest.mark.parametrize("command", DOES_MORE)
def test_what_does_more_than_read_is_asked_about(command: str) -> None:
    assert classify(command).level >= Risk.L1
