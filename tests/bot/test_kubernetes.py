"""The manifests, judged by the API's published schemas and built by kubectl's own kustomize."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
BASE = sorted(path for path in (KUBERNETES / "base").glob("*.yaml") if path.stem != "kustomization")
VALIDATE = Path(sys.executable).parent / "kubernetes-validate"
needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="NO kubectl HERE: the overlay is not built"
)


def validated(*paths: Path) -> None:
    """Fail unless the API of several releases takes all documents as they are."""
    for version in ("1.31", "1.37"):
        command = [str(VALIDATE), "--strict", "-k", version, *map(str, paths)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


def documents() -> list[dict[str, Any]]:
    """Return everything of the base."""
    return [each for path in BASE for each in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """Return the pods' specs by name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in documents()
        if each["kind"] in ("Deployment", "Job")
    }


def test_every_document_keeps_the_published_schemas() -> None:
    validated(*BASE)


@needs_kubectl
def test_overlay_is_built_and_its_documents_keep_the_schemas(tmp_path: Path) -> None:
    built = tmp_path / "built.yaml"
    command = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / "production")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    built.write_text(found.stdout)
    validated(built)
    everything = list(yaml.safe_load_all(found.stdout))
    assert len(everything) == len(documents()) + 1
    assert "image: it0\n" not in found.stdout
    assert "example.com\n" not in found.stdout


def test_a_wrong_document_would_be_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((KUBERNETES / "base" / "bot.yaml").read_text().replace("replicas: 2", "replicas: two"))
    with pytest.raises(AssertionError):
        validated(wrong)


@pytest.mark.parametrize("name", ["it0-bot", "it0-worker", "it0-migrate"])
def test_pods_run_as_nobody_in_particular_and_write_nothing_but_their_volumes(name: str) -> None:
    pod = pods()[name]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(container["resources"])
    assert {each["mountPath"] for each in container["volumeMounts"]} == {"/var/lib/it0", "/tmp"}
    assert "env" not in container  # no secret stands here; they come by reference


@pytest.mark.parametrize("name", ["it0-bot", "it0-worker"])
def test_what_serves_is_probed_and_has_time_to_drain(name: str) -> None:
    pod = pods()[name]
    [container] = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    [settings] = [each["data"] for each in documents() if each["kind"] == "ConfigMap"]
    assert pod["terminationGracePeriodSeconds"] >= int(settings["STOP_GRACE_S"]) + 20
    assert {key.lower() for key in settings} <= set(Settings.model_fields)


def test_pages_stay_connected_for_an_hour_and_the_owners_url_is_the_migrations_alone() -> None:
    [ingress] = [each for each in documents() if each["kind"] == "Ingress"]
    timeouts = [v for k, v in ingress["metadata"]["annotations"].items() if "timeout" in k]
    assert timeouts == ["3600", "3600"]
    owners = [name for name, pod in pods().items() if "it0-owner" in str(pod["containers"][0].get("envFrom"))]
    assert owners == ["it0-migrate"]
