"""What deploy/ declares, read once for all tests of it."""

import shutil
from pathlib import Path

import pytest

from deploy import local_secrets
from tests.support.manifests import K8S, ROOT, Doc, Process, compose_processes, kubernetes_processes, resolve


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of deploy/ with the keys of a try-out where compose.yaml and the local overlay look for them."""
    folder = tmp_path_factory.mktemp("stage") / "deploy"
    shutil.copytree(ROOT / "deploy", folder, ignore=shutil.ignore_patterns("secrets", "__pycache__"))
    for place in (folder, folder / "k8s" / "overlays" / "local"):
        local_secrets.make(place / "secrets", "re_try", "whsec_try")
    return folder


@pytest.fixture(scope="session")
def manifests() -> list[Doc]:
    return resolve(K8S / "base")


@pytest.fixture(scope="session")
def processes(stage: Path, manifests: list[Doc]) -> list[Process]:
    place = stage.parent / "files"
    overlay = stage / "k8s" / "overlays" / "local"
    return [*kubernetes_processes(manifests, overlay, place / "k8s"), *compose_processes(stage, place / "compose")]
