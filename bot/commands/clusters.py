"""``it0 cluster``."""

from typing import Any

import click

from bot.commands.terminal import Group, data_options, fail, note, of_tenant, run, show, table, words_of
from bot.texts.visible import listed, visible
from core.texts import say


@click.group(cls=Group)
def cluster() -> None:
    """Clusters: add, list, check, remove."""


@cluster.command("add")
@click.argument("name")
@click.option("--type", "kind", required=True, type=click.Choice(["bare_metal", "k8s", "docker_swarm"]))
@click.option(
    "--environment", type=click.Choice(["dev", "staging", "prod"]), default="dev", show_default=True
)
@click.option("--entry", default="", help="The server on which kubectl or docker is run for it.")
@click.option("--kubeconfig", default="", help="The credential with which its API is called instead.")
@click.option("--description", default="")
@data_options
def cluster_add(name: str, tenant: str, as_json: bool, **given: Any) -> None:
    """Add a cluster. Its servers, where it has some, name it with --cluster."""
    from agent.fleet.clusters import NewCluster
    from bot.admin import servers as admin

    run(lambda: admin.add_cluster(tenant, NewCluster(name, **given)))
    show(as_json, {"name": name}, say("cli.cluster_added", cluster=name))


@cluster.command("list")
@data_options
def cluster_list(tenant: str, as_json: bool) -> None:
    """List the clusters."""
    from bot.admin import servers as admin

    rows = run(lambda: admin.clusters(tenant))
    header = ("NAME", "TYPE", "ENVIRONMENT", "ENTRY", "KUBECONFIG", "SERVERS", "DESCRIPTION")
    shown = ("name", "type", "environment", "entry", "kubeconfig")
    lines = [(*(r[key] for key in shown), ", ".join(r["servers"]), r["description"]) for r in rows]
    show(as_json, rows, table(header, lines, say("cli.no_clusters", of=of_tenant(tenant))))


@cluster.command("check")
@click.argument("name")
@data_options
def cluster_check(name: str, tenant: str, as_json: bool) -> None:
    """Check its entry server, its API or each server: whether it0 gets in, and what it can do there."""
    from bot.admin import servers as admin

    checks = run(lambda: admin.check_cluster(tenant, name))
    if not checks:
        fail(say("cluster.no_servers", cluster=name))
    rows = [
        {"server": server, "ok": ok, "message": "\n".join(visible(words_of(line)) for line in words)}
        for server, ok, words in checks
    ]
    show(as_json, rows, "\n".join(row["message"] for row in rows))
    if failed := [server for server, ok, _ in checks if not ok]:
        fail(say("cli.cluster_unreachable", cluster=name, servers=listed(failed)))


@cluster.command("remove")
@click.argument("name")
@data_options
def cluster_remove(name: str, tenant: str, as_json: bool) -> None:
    """Remove a cluster; its servers stay."""
    from bot.admin import servers as admin

    left = run(lambda: admin.remove_cluster(tenant, name))
    show(as_json, {"name": name, "servers": list(left)}, say("cli.cluster_removed", cluster=name))
    if left:
        note(as_json, say("cli.cluster_left", servers=listed(left)))
