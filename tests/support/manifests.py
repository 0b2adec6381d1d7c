"""What deploy/ starts, read as processes: the Kubernetes base with the local overlay's secrets, and compose.yaml."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
COMPOSE = ROOT / "deploy" / "compose.yaml"
Doc = dict[str, Any]
# Of a list's items, what kustomize merges by.
_MERGE_KEYS = {"containers": "name", "env": "name", "volumes": "name"}


@dataclass(frozen=True)
class Process:
    """One process as deploy/ starts it. Paths in `environ` lead to real files, placed as its volumes place them."""

    name: str
    command: list[str]
    environ: dict[str, str]
    # The whole declaration: a pod's spec, or a service of compose.yaml.
    spec: Doc


def kubectl() -> str | None:
    """A kubectl that renders as we need it (kustomize 5), if this machine has one."""
    path = shutil.which("kubectl")
    if path is None:
        return None
    answer = subprocess.run([path, "version", "--client", "--output", "json"], capture_output=True, check=False)
    try:
        version = json.loads(answer.stdout)["kustomizeVersion"]
    except (ValueError, KeyError):
        return None
    return path if int(version.removeprefix("v").split(".")[0]) >= 5 else None


def render(folder: Path) -> list[Doc]:
    """The documents of a kustomization as kubectl makes them."""
    program = kubectl()
    assert program, "no kubectl with kustomize 5 here"
    made = subprocess.run([program, "kustomize", str(folder)], capture_output=True, check=False, text=True)
    assert made.returncode == 0, made.stderr
    return [doc for doc in yaml.safe_load_all(made.stdout) if doc]


def resolve(folder: Path) -> list[Doc]:
    """The same without kubectl, for the few means that our base uses. Raises AssertionError for any other."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = plan.keys() - {"apiVersion", "kind", "resources", "patches", "namePrefix", "labels"}
    assert not unknown, f"{folder}: {unknown}"
    docs: list[Doc] = []
    for name in plan["resources"]:
        path = (folder / name).resolve()
        docs += resolve(path) if path.is_dir() else [doc for doc in yaml.safe_load_all(path.read_text()) if doc]
    for entry in plan.get("patches", ()):
        patch = yaml.safe_load((folder / entry["path"]).read_text())
        target = entry.get("target", {"kind": patch["kind"], "name": patch["metadata"]["name"]})
        for doc in docs:
            if doc["kind"] == target["kind"] and target.get("name") in (None, doc["metadata"]["name"]):
                name = doc["metadata"]["name"]
                _merge(doc, patch)
                doc["metadata"]["name"] = name
    if prefix := plan.get("namePrefix"):
        for doc in docs:
            doc["metadata"]["name"] = prefix + doc["metadata"]["name"]
            if spec := pod_spec(doc):
                spec["serviceAccountName"] = prefix + spec["serviceAccountName"]
    for label in plan.get("labels", ()):
        for doc in docs:
            for labels in _label_places(doc):
                labels.update(label["pairs"])
    return docs


def _merge(into: Doc, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif key in _MERGE_KEYS and key in into:
            by = _MERGE_KEYS[key]
            known = {item[by]: item for item in into[key]}
            for item in value:
                if item[by] in known:
                    _merge(known[item[by]], item)
            into[key] = [deepcopy(item) for item in value if item[by] not in known] + into[key]
        else:
            into[key] = deepcopy(value)


def _label_places(doc: Doc) -> Iterator[dict[str, str]]:
    yield doc["metadata"].setdefault("labels", {})
    if doc["kind"] in ("Deployment", "PodDisruptionBudget"):
        yield doc["spec"]["selector"]["matchLabels"]
    if doc["kind"] == "Service":
        yield doc["spec"]["selector"]
    if "template" in doc.get("spec", {}):
        yield doc["spec"]["template"]["metadata"]["labels"]


def pod_spec(doc: Doc) -> Doc:
    """The pod that a workload makes; empty for everything else."""
    spec: Doc = doc.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def generated(overlay: Path, generator: str) -> dict[str, dict[str, Path]]:
    """The files that the secrets or config maps of an overlay are made of, by name and key."""
    plan = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    made = {}
    for entry in plan[generator]:
        parts = [file.rpartition("=") for file in entry["files"]]
        made[entry["name"]] = {key or Path(path).name: overlay / path for key, _, path in parts}
    return made


def kubernetes_processes(docs: list[Doc], overlay: Path, place: Path) -> list[Process]:
    """The processes of `docs`, with secrets and config maps that `overlay` makes, their files placed below `place`."""
    secrets, maps = generated(overlay, "secretGenerator"), generated(overlay, "configMapGenerator")
    plain = {doc["metadata"]["name"]: doc["data"] for doc in docs if doc["kind"] == "ConfigMap"}
    found = []
    for doc in docs:
        spec = pod_spec(doc)
        if not spec:
            continue
        name, (container,) = doc["metadata"]["name"], spec["containers"]
        environ: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            environ |= plain[source["configMapRef"]["name"]]
        for variable in container.get("env", ()):
            if "value" in variable:
                environ[variable["name"]] = variable["value"]
            else:
                reference = variable["valueFrom"]["secretKeyRef"]
                environ[variable["name"]] = secrets[reference["name"]][reference["key"]].read_text()
        mounts = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", ())}
        for volume in spec.get("volumes", ()):
            secret = volume.get("secret")
            files = secrets[secret["secretName"]] if secret else maps[volume["configMap"]["name"]]
            items = (secret or {}).get("items") or [{"key": key, "path": key} for key in files]
            for item in items:
                _place(files[item["key"]], place / name / mounts[volume["name"]].lstrip("/") / item["path"])
        command = [*container.get("command", ()), *container.get("args", ())]
        found.append(Process(name, command, _led(environ, place / name), spec))
    return found


def compose_processes(folder: Path, place: Path) -> list[Process]:
    """Our processes of the compose.yaml in `folder`, beside which the secrets lie."""
    found = []
    for name, spec in yaml.safe_load((folder / "compose.yaml").read_text())["services"].items():
        if not spec["image"].startswith("powerhouse"):
            continue
        environ = dict(spec.get("environment", {}))
        for file in spec.get("env_file", ()):
            environ |= dict(line.split("=", 1) for line in (folder / file).read_text().splitlines())
        for volume in spec.get("volumes", ()):
            source, target, _ = volume.split(":")
            for file in (folder / source).iterdir():
                _place(file, place / name / target.lstrip("/") / file.name)
        found.append(Process(name, spec["command"], _led(environ, place / name), spec))
    return found


def _place(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def _led(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    return {name: f"{root}{value}" if value.startswith("/run/") else value for name, value in environ.items()}
