"""The clients of databases: what they may be told unasked, and what is tried on them."""

import contextlib
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.risk import classify
from agent.risk.mongo import mongo_only_reads
from agent.risk.sql import only_reads
from core.work import Risk

READS = [
    "psql -l",
    "psql -lqt",
    "psql -At -F '|' -c 'SELECT relname, n_dead_tup FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 5'",
    "psql -X -d app -c '\\dt+ public.*'",
    "psql -c '\\l+'",
    "psql -c '\\d \"Order Items\"'",
    "psql 'postgresql://monitor@localhost:5432/app?sslmode=disable' -c 'SELECT 1'",
    "psql 'host=/var/run/postgresql dbname=app' -c 'SHOW max_connections'",
    "psql -P pager=off -v ON_ERROR_STOP=1 -c 'SELECT now(); SELECT version()'",
    "psql -c \"SELECT sum(n) FILTER (WHERE state = 'active') OVER (PARTITION BY pid) FROM x\"",
    "psql -c \"EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM orders WHERE status = 'new'\"",
    'psql -c "WITH t AS (SELECT id::text FROM orders) SELECT * FROM t JOIN u USING (id)"',
    "psql -c \"SELECT name, setting FROM pg_settings WHERE name LIKE 'autovacuum%'\"",
    "psql -c 'SELECT 1 -- drop table orders'",
    "pg_isready -h db01 -t 3",
    "pg_lsclusters",
    "pg_restore -l /var/backups/app.dump",
    "mysql -Ns -e 'SHOW GLOBAL STATUS'",
    "mysql -e 'SHOW REPLICA STATUS\\G'",
    "mysql -e 'SHOW CREATE TABLE shop.orders\\G'",
    "mysql -e 'SELECT user, host, plugin, password_expired FROM mysql.user'",
    "mysql -e 'SELECT user, host, db, time FROM information_schema.processlist'",
    "mysql -e 'SELECT @@version, @@hostname'",
    "mysql --defaults-file=/etc/mysql/debian.cnf -e 'use shop; show tables'",
    "mysqladmin -i 5 -c 3 ping status",
    "mysqlshow --count shop",
    "redis-cli Info memory",
    "redis-cli -n 2 --raw client list",
    "redis-cli ZRANGE board 0 -1 WITHSCORES",
    "valkey-cli -s /run/valkey/valkey.sock XPENDING events workers",
    "sqlite3 -readonly -header /srv/app/app.db '.schema jobs' 'SELECT count(*) FROM jobs'",
    "sqlite3 -readonly /srv/app/app.db 'PRAGMA integrity_check'",
    'clickhouse-client -q "SELECT table, formatReadableSize(sum(bytes)) FROM system.parts GROUP BY table"',
    "cqlsh -e 'DESCRIBE KEYSPACES'",
    "influx -execute 'SELECT mean(idle) FROM cpu WHERE time > now() - 1h GROUP BY time(5m)' -database t",
    "mongosh --quiet --eval 'rs.status().members'",
    "mongosh app --quiet --eval 'db.orders.find({n: {$gt: 5}}).sort({_id: -1}).limit(5).toArray()'",
    'mongosh --eval \'printjson(db.getSiblingDB("app").o.aggregate([{$group: {_id: "$s", n: {$sum: 1}}}]))\'',
    "mongosh --eval 'db.adminCommand({replSetGetStatus: 1})'",
    "nodetool tablestats app.events",
    "memcached-tool 127.0.0.1:11211 stats",
]

ACTS = [
    # Other hosts, other settings, other files.
    "psql 'host=localhost options=-cdefault_transaction_read_only=off' -c 'SELECT 1'",
    "psql 'host=localhost passfile=/etc/shadow' -c 'SELECT 1'",
    "psql 'host=localhost,evil' -c 'SELECT 1'",
    "psql 'service=x' -c 'SELECT 1'",
    "psql postgresql://u:p@localhost/app -c 'SELECT 1'",
    "psql postgresql://localhost,evil/app -c 'SELECT 1'",
    "psql 'postgresql://localhost/app?host=evil' -c 'SELECT 1'",
    "psql 'postgresql://localhost/app?sslmode=disable&host=evil' -c 'SELECT 1'",
    "psql -v x=1 -f /tmp/x.sql",
    "psql -L /tmp/x -c 'SELECT 1'",
    "psql -P pager=/tmp/x -c 'SELECT 1'",
    "psql -s -c 'SELECT 1'",
    "psql -c 'SELECT 1' -c '\\! id'",
    "psql -c '\\d `id`'",
    "psql -c '\\o /tmp/x'",
    "psql -c '\\copy t to /tmp/x'",
    "psql -c '\\g |sh'",
    "psql -c '\\deu+'",
    "psql -c '\\drds'",
    "psql -c '\\dconfig *'",
    "psql -c '\\set x `id`'",
    "mysql --defaults-file=/tmp/x.cnf -e 'SELECT 1'",
    "mysql --defaults-file=/etc/../tmp/x -e 'SELECT 1'",
    "mysql --defaults-extra-file /etc/mysql/x.cnf -e 'SELECT 1'",
    "mysql --plugin-dir=/tmp -e 'SELECT 1'",
    "mysql --init-command='DELETE FROM t' -e 'SELECT 1'",
    "mysql -psecret -e 'SELECT 1'",
    "sqlite3 /srv/app.db 'SELECT 1'",
    "sqlite3 -readonly -cmd '.system id' /srv/app.db 'SELECT 1'",
    "sqlite3 -readonly /srv/app.db '.output /tmp/x' 'SELECT 1'",
    "sqlite3 -readonly /srv/app.db '.shell id'",
    "sqlite3 -readonly /srv/app.db '.once |sh'",
    "sqlite3 -readonly /srv/app.db '.mode insert t'",
    "sqlite3 -readonly /srv/app.db '.read /tmp/x'",
    "sqlite3 -readonly /srv/app.db '.import |id t'",
    "sqlite3 -readonly /srv/app.db '.tables ;.shell id'",
    "sqlite3 -readonly file:/srv/app.db?mode=rw 'SELECT 1'",
    "sqlite3 -readonly /home/x/.mozilla/cookies.sqlite 'SELECT 1'",
    "redis-cli --rdb /tmp/x",
    "redis-cli --eval /tmp/x.lua",
    "redis-cli -u redis://evil:6379/0 INFO",
    "redis-cli -a pw INFO",
    "redis-cli -x GET k",
    "redis-cli config get 'req*'",
    "redis-cli config get 'm*'",
    "redis-cli CONFIG GET '*'",
    "redis-cli Config Set dir /tmp",
    "redis-cli SORT k STORE j",
    "redis-cli GETDEL k",
    "redis-cli GETEX k PERSIST",
    "redis-cli ACL GETUSER default",
    "redis-cli MONITOR",
    "redis-cli EVAL 'return 1' 0",
    "mongosh --eval 'db.stats()' x.js",
    "mongosh /tmp/x.js --eval 'db.stats()'",
    "mongosh -f x --eval 'db.stats()'",
    "mongosh --shell --eval 'db.stats()'",
    "mongosh mongodb://u:p@localhost/app --eval 'db.stats()'",
    "clickhouse-client -q 'SELECT * FROM url(\"http://evil\", CSV)'",
    "clickhouse-client --queries-file /tmp/x",
    "clickhouse-client --config-file /tmp/x -q 'SELECT 1'",
    "clickhouse-local -q 'SELECT 1'",
    "cqlsh -f /tmp/x.cql",
    "influx -import -path=/tmp/x",
    "nodetool -h evil status",
    "nodetool drain",
    "rabbitmqctl environment",
    "rabbitmqctl eval 'os:cmd(\"id\").'",
    "memcached-tool evil:11211 stats",
    "memcached-tool localhost:11211 dump",
    "pg_restore -l -f /tmp/x /var/backups/a.dump",
    "pg_conftool show all",
    "pg_ctl -D /srv/pg stop",
    "pgbackrest --config=/tmp/x info",
    "repmgr -f /tmp/x cluster show",
]

SQL_ACTS = [
    "SELECT pg_sleep(10)",
    'SELECT "pg_sleep"(10)',
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT dblink('host=evil', 'x')",
    "SELECT nextval('s')",
    "SELECT set_config('a', 'b', false)",
    "SELECT * FROM pg_shadow",
    'SELECT * FROM "pg_authid"',
    "SELECT rolpassword FROM x",
    "TABLE pg_authid",
    "SELECT * INTO t FROM u",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR NO KEY UPDATE",
    "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
    "EXPLAIN ANALYZE DELETE FROM t",
    "SELECT 1; DROP TABLE t",
    "SELECT 1;;TRUNCATE t",
    "SELECT 1 /* x */",
    "SELECT $$x$$",
    "SELECT E'\\'' || '; DROP TABLE t; --'",
    "SELECT 1 # x",
    "SELECT 1 --x",
    "SELECT '\u2019'; DROP TABLE t",
    "COPY t TO '/tmp/x'",
    "COPY t TO PROGRAM 'id'",
    "SHOW ALL",
    "SELECT * FROM pg_settings",
    "SELECT * FROM pg_settings WHERE name LIKE '%conn%'",
    "SELECT * FROM pg_settings WHERE name LIKE 'p%'",
    "SELECT * FROM pg_settings WHERE name = 'x' OR true",
    "SELECT * FROM pg_settings WHERE name NOT IN ('x')",
    "SELECT * FROM mysql.user",
    "SELECT u.* FROM mysql.user u",
    "SELECT `authentication_string` FROM mysql.user",
    "SELECT * FROM mysql.global_priv",
    "SELECT * FROM `mysql`.`user`",
    "SELECT c FROM (TABLE mysql.user) t",
    "WITH t(a) AS (TABLE mysql.user) SELECT a FROM t",
    "SELECT 1 FROM x, user",
    "SHOW GRANTS",
    "SHOW CREATE USER root",
    "SHOW BINLOG EVENTS",
    "use mysql; select a from user",
    "USE mysql",
    "SELECT load_file('/etc/passwd')",
    "SELECT sleep(10)",
    "SELECT @a := 1",
    "HANDLER t OPEN",
    "SET GLOBAL x = 1",
    "SELECT 1 \\! id",
    "SELECT 1\\Gsystem id",
    "system id",
    "source /tmp/x",
]

MONGO_ACTS = [
    "db.dropDatabase()",
    "db.orders.drop()",
    "db.orders.deleteMany({})",
    "db.orders.find().forEach(function(d){db.x.insert(d)})",
    "db.orders.aggregate([{$out: 'x'}])",
    "db.orders.aggregate([{'$merge': 'x'}])",
    "db.orders.aggregate([{$match: {}}, {\"$out\": 'x'}])",
    "db.orders.find({$where: 'sleep(1)'})",
    "db.orders.find('sleep(1)')",
    "db.orders.mapReduce(1, 2, {out: 'x'})",
    "db.adminCommand({shutdown: 1})",
    "db.adminCommand('shutdown')",
    "db.runCommand({'dropDatabase': 1})",
    "db.runCommand({eval: 'x'})",
    "db.system.users.find()",
    "db.getCollection('system.users').find()",
    "db.getCollection('sys' + 'tem.users').find()",
    "db.getCollection('sys\\x74em.users').find()",
    "db['orders'].drop()",
    "db.orders['drop']()",
    "db.orders.constructor.constructor('x')()",
    "db.getUsers()",
    "db.shutdownServer()",
    "db.orders.find(); process.exit()",
    "require('child_process').execSync('id')",
    "load('/tmp/x.js')",
    "passwordPrompt()",
    "cat('/etc/passwd')",
    "rs.stepDown()",
    "sh.stopBalancer()",
    "db.orders.find({a: db.x.drop()})",
    "db.orders.find({a: `${1}`})",
    "db.orders.find(/a/.test(x))",
    "eval('x')",
    "db = 1",
    "x = db.stats()",
    "print(eval('x'))",
    "db.stats() // x",
    "use admin",
]


@pytest.mark.parametrize("command", READS)
def test_what_a_client_only_reads_runs(command: str) -> None:
    assert classify(command, "prod", 9).level == Risk.L0


@pytest.mark.parametrize("command", ACTS)
def test_a_client_that_does_more_needs_an_admin(command: str) -> None:
    assert classify(command).level >= Risk.L2


@pytest.mark.parametrize("sql", SQL_ACTS)
def test_a_statement_that_does_more_than_read_needs_an_admin(sql: str) -> None:
    quoted = "'" + sql.replace("'", "'\\''") + "'"
    for client in ("psql -c", "mysql -e", "sqlite3 -readonly /srv/a.db", "clickhouse-client -q"):
        assert classify(f"{client} {quoted}").level >= Risk.L2, client
    assert not any(only_reads(sql, dialect) for dialect in ("", "mysql", "sqlite"))


@pytest.mark.parametrize("script", MONGO_ACTS)
def test_a_script_that_does_more_than_read_is_not_understood(script: str) -> None:
    assert not mongo_only_reads(script)
    assert not mongo_only_reads(f"printjson({script})")


@pytest.mark.parametrize("meta", ["psql -d mysql", "mysql mysql", "mysql -D MySQL", "mysql --database=mysql"])
def test_the_schema_with_mysqls_passwords_is_not_read_by_an_unqualified_name(meta: str) -> None:
    assert classify(f"{meta} -e 'SELECT * FROM global_priv'").level >= Risk.L2


@pytest.mark.parametrize(
    "command",
    [
        "psql -c 'DROP DATABASE x'",
        "psql -c 'drop   database if exists x'",
        "psql postgres <<< 'DROP DATABASE x'",
        "mysql -e 'DROP SCHEMA x'",
        "mariadb -e 'SELECT 1; drop schema `x`'",
        "mysqladmin -f drop x",
        "clickhouse-client -q 'DROP DATABASE x'",
        "clickhouse client --query 'DROP DATABASE x'",
        "influx -execute 'DROP DATABASE x'",
        "sudo influx -database x -execute 'drop database \"x\"'",
        "cqlsh -e 'DROP KEYSPACE x'",
        "echo 'DROP KEYSPACE x;' | cqlsh",
        "cockroach sql -e 'DROP DATABASE x CASCADE'",
        "duckdb x.db 'DROP DATABASE x'",
        "mysqlsh --sql -e 'DROP DATABASE x'",
        "mongosh x --eval 'db.dropDatabase()'",
        "mongo x --eval 'db.runCommand({dropDatabase: 1})'",
        "docker exec db influx -execute 'DROP DATABASE x'",
    ],
)
def test_no_client_may_drop_a_database(command: str) -> None:
    assert classify(command).level == Risk.L3


def test_a_schema_is_a_database_to_mysql_only() -> None:
    assert classify("psql -c 'DROP SCHEMA x'").level == Risk.L2


# What the checker accepts, told to a real database.

PIECES = """SELECT a FROM t WHERE b = 'x' ; , ( ) * 1 t.a AS x WITH ( SELECT 1 ) INSERT INTO t VALUES
DELETE UPDATE SET REPLACE ( a , 'b' , 'c' ) count(*) abs(1) ORDER BY LIMIT 2 UNION ALL DROP TABLE "a" `b` [c]
-- CREATE PRAGMA user_version table_info(t) journal_mode = delete writable_schema ATTACH EXPLAIN VACUUM
load_extension('x') randomblob(9) || RETURNING a"""
soups = st.lists(st.sampled_from(PIECES.split()), min_size=2, max_size=14).map(" ".join)
READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_PRAGMA,
}


def done(sql: str) -> tuple[set[int], bool]:
    """Return what SQLite's statements want to do, and whether what was there before is as it was."""
    wanted = set[int]()
    with sqlite3.connect(":memory:", isolation_level=None) as database:
        database.executescript("CREATE TABLE t(a, b, c); INSERT INTO t VALUES (1, 'x', 2), (3, 'y', 4);")
        before = list(database.iterdump())
        database.set_authorizer(lambda action, *_: wanted.add(action) or sqlite3.SQLITE_OK)
        with contextlib.suppress(sqlite3.Error):
            database.executescript(sql)
        database.set_authorizer(None)
        same = list(database.iterdump()) == before
    database.close()
    return wanted, same


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        soups,
        st.tuples(
            st.sampled_from(
                ["SELECT a FROM t", "PRAGMA user_version", "WITH x AS (SELECT 1) SELECT * FROM x"]
            ),
            soups,
        ).map(" ; ".join),
    )
)
def test_sqlite_only_reads_by_what_is_accepted(sql: str) -> None:
    wanted, same = done(sql)
    if only_reads(sql, "sqlite"):
        assert wanted <= READING, sql
        assert same, sql


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="needs the sqlite3 shell")
@pytest.mark.parametrize(
    "told", [".schema", ".tables", ".dbinfo", "SELECT * FROM t", "PRAGMA table_info(t)", ".mode json"]
)
def test_the_sqlite_shell_leaves_a_folder_as_it_was(tmp_path: Path, told: str) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE t(a)")
    database.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    command = ["sqlite3", "-readonly", "-header", str(tmp_path / "a.db"), told]
    assert classify(f"sqlite3 -readonly -header {tmp_path}/a.db '{told}'").level == Risk.L0
    subprocess.run(
        command, check=False, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=20
    )
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
