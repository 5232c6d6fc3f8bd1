"""Which servers a text means: names, tags, environments, roles, all, and mixes of them, in both languages."""

from collections.abc import Sequence

import pytest
from fakes.tools import server
from hypothesis import given
from hypothesis import strategies as st

from agent.engines.direct import read
from agent.engines.targets import Intent, Suggestion, Targets, select
from agent.risk import classify
from core.work import ENVIRONMENTS, SERVER_ROLES, Risk

FLEET = [
    server("web-1", "dev", "web", tags={"team": "shop"}),
    server("web-2", "prod", "web", tags={"team": "pay"}),
    server("db-1", "prod", "db", tags={"mail": "a@b"}),
    server("cache-1", "staging", "cache", tags={"team": "shop", "k8s": "yes"}),
]
EVERY = [each.name for each in FLEET]

MEANT: list[tuple[str, Sequence[str]]] = [
    ("/run web-1 uptime", ["web-1"]),
    ("/run WEB-1,db-1 uptime", ["web-1", "db-1"]),
    ("/run all uptime", EVERY),
    ("/run @prod uptime", ["web-2", "db-1"]),
    ("/run @PROD uptime", ["web-2", "db-1"]),
    ("/run @web uptime", ["web-1", "web-2"]),
    ("/run #team uptime", ["web-1", "web-2", "cache-1"]),
    ("/run #team=shop uptime", ["web-1", "cache-1"]),
    ("/run #mail=a@b uptime", ["db-1"]),
    ("/run @prod@web uptime", ["web-2"]),
    ("/run @staging#team=shop uptime", ["cache-1"]),
    ("/run #team=shop#k8s uptime", ["cache-1"]),
    ("/run @prod@web,@staging uptime", ["web-2", "cache-1"]),
    ("/run db-1、@dev uptime", ["db-1", "web-1"]),
    ("/run web-2,@prod uptime", ["web-2", "db-1"]),
    ("check load on all prod web servers", ["web-2"]),
    ("所有生产环境的数据库服务器的负载", ["db-1"]),
    ("检查所有生产环境数据库服务器的负载", ["db-1"]),
    ("生产环境的 web 服务器的负载", ["web-2"]),
    ("load on the production database servers", ["db-1"]),
    ("load on #team=shop", ["web-1", "cache-1"]),
    ("load of all servers tagged team=shop", ["web-1", "cache-1"]),
    ("load on all prod servers with the tag team=pay", ["web-2"]),
    ("标签为 team=shop 的服务器的负载", ["web-1", "cache-1"]),
    ("#k8s 的负载", ["cache-1"]),
    ("load on staging #team=shop", ["cache-1"]),
    ("load on web-1 and all db servers", ["web-1", "db-1"]),
    ("load on staging and web-1", ["web-1", "cache-1"]),
    ("web-1 和数据库服务器的负载", ["web-1", "db-1"]),
]

NEAR = [
    ("/run @prd uptime", "/run @prod uptime"),
    ("/run @wbe uptime", "/run @web uptime"),
    ("/run #taem=shop uptime", "/run #team=shop uptime"),
    ("/run web-1,#shop uptime", "/run web-1,#team=shop uptime"),
    ("load on prd", "load on prod"),
    ("load on all prod databse servers", "load on all prod database servers"),
    ("load on #team=shp", "load on #team=shop"),
    ("所有生成环境的服务器的负载", "所有生产环境的服务器的负载"),
    ("load on web-11", "load on web-1"),
]


@pytest.mark.parametrize(("text", "names"), MEANT)
def test_text_means_these_servers(text: str, names: Sequence[str]) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Intent), reading
    assert (reading.arguments["command"], reading.arguments["servers"]) == ("uptime", list(names))


@pytest.mark.parametrize(("text", "ready"), NEAR)
def test_near_miss_runs_nothing_and_the_corrected_text_is_ready(text: str, ready: str) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Suggestion)
    assert reading.parts[0].params["ready"] == ready
    assert isinstance(read(ready, FLEET), Intent)


@pytest.mark.parametrize(
    "text",
    [
        "/run @prod@staging uptime",
        "/run @ uptime",
        "/run # uptime",
        "/run #none uptime",
        "/run @gateway uptime",
        "load on all gateway servers",
        "load on prod and web servers",
        "load on web-1 db servers",
        "load on #none",
    ],
)
def test_what_means_no_server_or_two_things_runs_nothing(text: str) -> None:
    assert isinstance(read(text, FLEET), Suggestion)


@given(
    environment=st.sampled_from(ENVIRONMENTS),
    role=st.sampled_from(SERVER_ROLES),
    names=st.lists(st.sampled_from(EVERY), max_size=3),
)
def test_filters_beside_each_other_narrow_and_commas_add(
    environment: str, role: str, names: list[str]
) -> None:
    both = {s.name for s in FLEET if s.environment == environment and s.role == role}
    found = select(",".join([f"@{environment}@{role}", *names]), FLEET)
    assert ({*found.names} if isinstance(found, Targets) else set()) == both | {*names}


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("restart nginx on web-1", Risk.L1),
        ("restart nginx on #team=shop", Risk.L1),
        ("restart nginx on all prod web servers", Risk.L2),
        ("restart nginx on #team", Risk.L2),
        ("重启所有服务器的 nginx", Risk.L2),
    ],
)
def test_environment_and_breadth_of_what_is_meant_raise_a_change(text: str, level: Risk) -> None:
    reading = read(text, FLEET)
    assert isinstance(reading, Intent)
    meant = [s for s in FLEET if s.name in reading.arguments["servers"]]
    strictest = max((s.environment for s in meant), key=ENVIRONMENTS.index)
    assert classify(reading.arguments["command"], strictest, len(meant)).level == level
