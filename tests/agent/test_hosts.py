"""Hosts that a command names: found by the classifier, held against the inventory by the gate."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import Bench, key_of, make_bench
from support.store import Store

from agent.fleet.clusters import NewCluster
from agent.fleet.forms import NewServer
from agent.gate.judging.hosts import with_outside
from agent.risk import check_policy, classify
from agent.risk.policy import NONE, policy_of
from core.work import Risk

NAMED = [
    ("ssh -p 22 ops@db9.example.com uptime", "db9.example.com"),
    ("ssh -J bastion,ops@jump2:22 db9 id", "bastion jump2 db9"),
    ("ssh -o HostName=evil.example web-1", "evil.example web-1"),
    ("ssh -oProxyJump=evil.example web-1", "evil.example web-1"),
    ("ssh ssh://ops@db9:2222 id", "db9"),
    ("ssh web-1 'psql -h db9'", "web-1 db9"),
    ("scp -r /tmp/x a@h1:/y", "h1"),
    ("scp /tmp/a /tmp/b", ""),
    ("scp 'user@[2001:db8::7]:/x' /tmp/", "2001:db8::7"),
    ("sftp ops@h1", "h1"),
    ("rsync -av -e 'ssh -p 2' /x web-2:/y", "web-2"),
    ("rsync -a rsync://h1/mod /y", "h1"),
    ("rsync -av --exclude a:b /x /y", ""),
    ("psql -h db9 -U x -c 'select 1'", "db9"),
    ("psql -hdb9 shop", "db9"),
    ("psql --host=db9 shop", "db9"),
    ("psql postgresql://u:p@h1:5432,h2/db?host=h3", "h1 h2 h3"),
    ("psql 'host=h4 dbname=x'", "h4"),
    ("psql -h /var/run/postgresql -l", ""),
    ("psql shop ops", ""),
    ("PGHOST=h3 psql", "h3"),
    ("pg_dump -h h1 -t t shop", "h1"),
    ("mysql -u root -h 10.0.0.1 -e 'show tables'", "10.0.0.1"),
    ("mysql --host h1 shop", "h1"),
    ("mysqldump -hh1 shop", "h1"),
    ("redis-cli -h r1 -p 3 get -h", "r1"),
    ("redis-cli get x", ""),
    ("redis-cli -u redis://:pw@r2:6379/0 ping", "r2"),
    ("mongosh mongodb+srv://u:p@cl.example.net/db", "cl.example.net"),
    ("mongosh h1:27017/shop", "h1"),
    ("mongosh shop", ""),
    ("kubectl --context=blue get pods", "blue"),
    ("kubectl get pods -n shop", ""),
    ("kubectl --server https://k9:6443 get nodes", "k9"),
    ("helm ls --kube-context blue", "blue"),
    ("docker -H tcp://h6:2375 ps", "h6"),
    ("docker --host=ssh://ops@h6 ps", "h6"),
    ("docker run -h name image", ""),
    ("docker -H unix:///var/run/docker.sock ps", ""),
    ("curl -sS https://x.example.com:8443/a?u=http://z/", "x.example.com"),
    ("curl -X POST -d @/tmp/a x.example.com", "x.example.com"),
    ("curl http://u:p@x.example.com/", "x.example.com"),
    ("curl -x proxy:3128 localhost:8080/", "proxy localhost"),
    ("curl --resolve a.example:443:6.6.6.6 https://a.example/", "6.6.6.6 a.example"),
    ("curl '[::1]:80/'", "::1"),
    ("wget -qO - http://y.example/", "y.example"),
    ("nc h7 80", "h7"),
    ("nc -zv h7 80", ""),
    ("socat - TCP:h8:80", "h8"),
    ("openssl s_client -connect h9:443", "h9"),
    ("cat < /dev/tcp/1.2.3.4/80", "1.2.3.4"),
    ("git clone git@git.example.com:a/b", "git.example.com"),
    ("ping -c 1 h1", ""),
    ("dig h1", ""),
    ("traceroute h1", ""),
    ("sudo -u postgres psql -h h1", "h1"),
    ("timeout 5 ssh h1 id", "h1"),
    ("bash -c 'ssh h1 id'", "h1"),
    ("uptime; ssh H1. id | cat", "h1"),
    ("'ss'h h1 id", "h1"),
    ("grep ssh /var/log/auth.log", ""),
]


@pytest.mark.parametrize(("command", "hosts"), NAMED)
def test_host_is_found_where_the_command_names_it(command: str, hosts: str) -> None:
    assert sorted(classify(command).hosts) == sorted(hosts.split())


def test_host_of_a_program_of_the_tenants_own_is_found_by_its_kind() -> None:
    own = {"level": 0, "reason": "x", "args": "name host", "flags": "--via=url"}
    its = policy_of(1, check_policy({"program": {"acmectl": own}}))
    assert set(classify("acmectl copy db9 --via=http://h2/x", policy=its).hosts) == {"db9", "h2"}


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("web-1", True),
        ("WEB-1.", True),
        ("10.0.0.7", True),
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),
        ("[::1]", True),
        ("10.0.0.8", False),
        ("web-1.evil.example", False),
        ("0x7f000001", False),
        ("localhost.evil.example", False),
    ],
)
def test_own_servers_and_the_target_itself_are_inside(host: str, inside: bool) -> None:
    known, command = frozenset({"web-1", "10.0.0.7"}), f"curl http://{host}/health"
    raw = classify(command)
    verdict = with_outside(raw, command, known, NONE)
    outside = [each for each in verdict.reasons if each.key == "gate.outside_host"]
    assert (not outside) is inside
    assert inside or verdict.level >= Risk.L2


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([command for command, _ in NAMED]), st.sets(st.sampled_from(["h1", "h2", "db9", "r1"]))
)
def test_inventory_lowers_nothing(command: str, known: set[str]) -> None:
    verdict = classify(command)
    assert with_outside(verdict, command, frozenset(known), NONE).level >= verdict.level


ODD = [
    "ssh",
    "curl",
    "-h",
    "-J",
    "-o",
    "a@b:c",
    "[::1",
    "http://",
    "@",
    ":",
    ",",
    "=",
    "$(",
    "'",
    "\\",
    ";",
    "|",
    "/dev/tcp/",
    "\x00",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ODD)))
def test_no_text_is_too_odd_to_be_looked_at(words: list[str]) -> None:
    for glue in ("", " "):
        assert all(host == host.lower() and "@" not in host for host in classify(glue.join(words)).hosts)


@pytest.fixture
async def bench(store: Store) -> Bench:
    """Return a bench with a server, and another beside it."""
    made = await make_bench(store)
    tenant, user = made.work.tenant, made.work.user
    for name, host in (("web", "10.0.0.7"), ("db9", "db9.example.com")):
        await made.fleet.add_server(tenant, user, NewServer(name, host, connection="local"))
    await made.fleet.clusters.add(tenant, user, NewCluster("blue", "bare_metal"))
    return made


OUTSIDE = "redis-cli -h cache.elsewhere.example ping"


async def test_host_outside_stands_on_the_card_and_needs_an_admin(bench: Bench) -> None:
    answer = await bench("run_command", command=OUTSIDE, servers=["web"])
    approval = await bench.asked(answer)
    assert approval.level == Risk.L2
    told = [reason for reason in approval.reasons if reason["say"] == "gate.outside_host"]
    assert [reason["params"]["host"] for reason in told] == ["cache.elsewhere.example"]


@pytest.mark.parametrize("host", ["db9", "db9.example.com", "10.0.0.7", "localhost", "web", "blue"])
async def test_host_of_the_inventory_is_no_reason(bench: Bench, host: str) -> None:
    verdict = await bench.gate.judging.judge(
        bench.work.tenant, f"redis-cli -h {host} ping", [await bench.fleet.server(bench.work.tenant, "web")]
    )
    assert "gate.outside_host" not in [reason.key for reason in verdict.reasons]


READS = (
    "redis-cli -h {} PING",
    "psql -h {} -c 'select 1'",
    "psql -Ath {} -c 'select 1'",
    "psql -t -h {} shop -c 'select 1'",
    "psql 'host={} dbname=shop' -c 'select 1'",
    "mysql -h{} -e 'show processlist'",
    "mysqladmin -h {} status",
    "clickhouse-client --host {} -q 'SELECT 1'",
    "influx -host {} -execute 'SHOW DATABASES'",
    "mongosh --quiet --host {} --eval 'db.stats()'",
    "mongosh {}/shop --quiet --eval 'db.stats()'",
    "psql postgres://{}/shop -c 'select 1'",
    "psql -d postgresql://{}:5432/shop -c 'select 1'",
    "psql -d 'host={}' -c 'select 1'",
    "mysql -u app -h {} -e 'select 1'",
    "mongosh mongodb://{}/shop --eval 'db.stats()'",
    "cqlsh {} -e 'DESCRIBE KEYSPACES'",
    "sudo -u postgres psql -h {} -c 'select 1'",
    "kubectl --context={} get pods",
    "kubectl get pods --context {}",
    "helm list --kube-context {}",
    "docker --context {} ps",
)


@pytest.mark.parametrize("command", READS)
async def test_what_only_reads_elsewhere_runs_on_ones_own_and_needs_an_admin_outside(
    bench: Bench, command: str
) -> None:
    web = [await bench.fleet.server(bench.work.tenant, "web")]
    for host, level in (("db9", Risk.L0), ("blue", Risk.L0), ("evil", Risk.L2)):
        verdict = await bench.gate.judging.judge(bench.work.tenant, command.format(host), web)
        assert (host, verdict.level) == (host, level), verdict.reasons


@pytest.mark.parametrize("name", ["shop", "10.0.0.9"])
async def test_what_changes_something_elsewhere_is_judged_by_the_environment_there(
    bench: Bench, name: str
) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    new = NewServer("shop", "10.0.0.9", connection="local", environment="prod")
    await bench.fleet.add_server(tenant, user, new)
    web = [await bench.fleet.server(tenant, "web")]
    command = f"docker --context {name} restart web"
    found = await bench.gate.judging.judge(tenant, command, web)
    assert found.level == Risk.L2
    assert "risk.raised_prod" in [reason.key for reason in found.reasons]


async def test_server_that_is_removed_meanwhile_makes_the_host_an_outside_one(bench: Bench) -> None:
    tenant, user = bench.work.tenant, bench.work.user
    await bench.fleet.remove_server(tenant, user, await bench.fleet.server(tenant, "db9"))
    answer = await bench("run_command", command="curl http://db9.example.com/health", servers=["web"])
    approval = await bench.asked(answer)
    assert "gate.outside_host" in [reason["say"] for reason in approval.reasons]
    assert key_of(answer) == "gate.waiting"
