"""What deploy/ names exists in the code, and what the code needs deploy/ provides."""

import re
import sys
import urllib.request
import warnings
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from embedded.programs import SERVICES
from gateway import __main__ as gateway_main
from gateway.settings import Settings as GatewaySettings
from services.chassis import config, main, serve, telemetry
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.db.urls import service_url
from services.chassis.jobs import timing
from services.chassis.probes import serve_probes
from services.identity.signing import open_signer
from tests.support.manifests import (
    COMPOSE,
    K8S,
    ROOT,
    Doc,
    Process,
    kubectl,
    pod_spec,
    render,
)

# The oldest Kubernetes on which every field of ours does something (preStop.sleep).
KUBERNETES = "1.31"
NO_KUBECTL = "no kubectl with kustomize 5 here: the base is read by our own resolver, the overlay is NOT rendered"
GATEWAY = ("gateway", "")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# Seconds that a process takes at most from the signal to its end.
DRAIN = {
    "serve": serve.DRAIN_NOTICE + serve.DRAIN_GRACE + telemetry._FLUSH_MS / 1000,
    "work": timing.DEFAULT.drain + telemetry._FLUSH_MS / 1000,
    "": gateway_main.DRAIN_GRACE + telemetry._FLUSH_MS / 1000,
}


def _told(process: Process) -> tuple[str, str]:
    """Service and command of a process: ("booking", "work"), or GATEWAY."""
    python, flag, module, *arguments = process.command
    assert (python, flag) == ("python", "-m"), process.command
    name = module.removeprefix("services.")
    return name, " ".join(arguments)


def _settings(name: str) -> Any:
    return GatewaySettings if name == "gateway" else import_module(f"services.{name}.service").SERVICE.settings


def _commands(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[str]:
    monkeypatch.setattr(sys, "argv", ["service", "--help"])
    with pytest.raises(SystemExit):
        main.main(import_module(f"services.{name}.service").SERVICE)
    found = re.search(r"\{([a-z,]+)\}", capsys.readouterr().out)
    assert found
    # A person runs replay by hand, in the pod of `work`.
    return set(found[1].split(",")) - {"replay"}


def _database_variables(name: str, kind: str) -> set[str]:
    with pytest.raises(config.ConfigurationError) as refusal:
        service_url(name, kind, {})
    return set(re.findall(r"\w+_DATABASE_URL", str(refusal.value)))


def _known_variables(name: str, command: str) -> set[str]:
    """What a process may be told. The administrator's URL is for `migrate` alone."""
    if command == "migrate":
        source = (ROOT / "services" / "chassis" / "migrate.py").read_text()
        return _database_variables(name, "owner") | set(re.findall(r'read\("(\w+)"\)', source))
    variables = {field.metadata["env"] for field in fields(_settings(name))}
    known = variables | {f"{variable}_FILE" for variable in variables}
    if name == "gateway":
        return known
    targets = {f"POWERHOUSE_{callee.upper()}_TARGET" for callee in SERVICES}
    return known | targets | _database_variables(name, "app") - {"POWERHOUSE_DATABASE_URL"}


def test_every_process_is_started_and_nothing_else(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {(name, command) for name in SERVICES for command in _commands(name, monkeypatch, capsys)} | {GATEWAY}
    assert len(processes) == 2 * len(expected)
    assert sorted(_told(process) for process in processes) == sorted([*expected, *expected])


def test_every_variable_is_read_by_the_process_that_gets_it(processes: list[Process]) -> None:
    for process in processes:
        assert set(process.environ) - _known_variables(*_told(process)) == set(), process.name


def test_every_process_gets_what_it_requires(processes: list[Process]) -> None:
    for process in processes:
        name, command = _told(process)
        if command == "migrate":
            assert service_url(name, "owner", process.environ).startswith("postgresql://"), process.name
            assert process.environ["POWERHOUSE_BROKER_URL"].startswith("amqp://"), process.name
            continue
        settings = config.load(_settings(name), process.environ)
        assert settings.production, process.name
        assert settings.bind_host == "0.0.0.0", process.name  # noqa: S104 - inside its container
        certificate = x509.load_pem_x509_certificate((settings.tls_dir / "cert.pem").read_bytes())
        (common_name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == name
        assert (settings.tls_dir / "ca.pem").exists(), process.name
        assert (settings.tls_dir / "key.pem").exists(), process.name
        if name == "gateway":
            continue
        # Only `work` talks to the broker, so only it knows the password.
        assert settings.broker_url.startswith("amqp://") == (command == "work"), process.name
        assert TokenVerifier(settings.token_jwks_file, name)._keys, process.name
        if name == "identity":
            open_signer(settings.token_private_key, settings.token_jwks_file)
        assert service_url(name, "app", process.environ).endswith(f"/powerhouse_{name}"), process.name


def test_ports_are_those_the_process_listens_on(processes: list[Process], manifests: list[Doc]) -> None:
    for process in processes:
        name, command = _told(process)
        if command == "migrate":
            continue
        settings = config.load(_settings(name), process.environ)
        listens = {"metrics": settings.metrics_port}
        if name == "gateway":
            listens["http"] = settings.port
        elif command == "serve":
            listens |= {"mesh": settings.grpc_port, "public": settings.public_grpc_port}
        assert all(listens.values()), process.name
        if "containers" in process.spec:
            declared = {port["name"]: port["containerPort"] for port in process.spec["containers"][0]["ports"]}
            assert declared == listens, process.name
        else:
            assert f":{settings.metrics_port}/readyz" in process.spec["healthcheck"]["test"][-1], process.name
            for published in process.spec.get("ports", ()):
                host, _, target = published.rpartition(":")
                assert host.startswith("127.0.0.1:"), process.name
                assert int(target) in listens.values(), process.name
    pods = [(doc["spec"]["template"]["metadata"]["labels"], pod_spec(doc)) for doc in manifests if pod_spec(doc)]
    for doc in manifests:
        if doc["kind"] != "Service":
            continue
        chosen = [spec for labels, spec in pods if doc["spec"]["selector"].items() <= labels.items()]
        assert len(chosen) == 1, doc["metadata"]["name"]
        named = {port["name"]: port["containerPort"] for port in chosen[0]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in doc["spec"]["ports"]} <= named.keys()
        if doc["spec"].get("clusterIP") == "None":  # nobody translates ports there
            assert all(port["port"] == named[port["targetPort"]] for port in doc["spec"]["ports"])


def test_targets_lead_to_the_mesh_ports(processes: list[Process], manifests: list[Doc]) -> None:
    in_cluster, in_compose = {}, {}
    for doc in manifests:
        if doc["kind"] == "Service" and doc["spec"].get("clusterIP") == "None":
            (port,) = (port["port"] for port in doc["spec"]["ports"] if port["name"] == "mesh")
            in_cluster[f"dns:///{doc['metadata']['name']}:{port}"] = doc["spec"]["selector"]["app.kubernetes.io/name"]
    for process in processes:
        if _told(process)[1] == "serve" and "containers" not in process.spec:
            in_compose[f"dns:///{process.name}:{process.environ['POWERHOUSE_GRPC_PORT']}"] = _told(process)[0]
    for process in processes:
        doors = in_cluster if "containers" in process.spec else in_compose
        for callee, target in config.targets(process.environ).items():
            assert doors.get(target) == callee, f"{process.name}: {target}"


def test_probes_ask_what_every_process_answers(processes: list[Process]) -> None:
    server = serve_probes(0, lambda: True, "127.0.0.1")
    asked = set()
    for process in processes:
        if "containers" not in process.spec:
            asked |= set(re.findall(r"http://127\.0\.0\.1:\d+(/\w+)", str(process.spec["healthcheck"])))
        elif _told(process)[1] != "migrate":
            for probe in PROBES:
                question = process.spec["containers"][0][probe]["httpGet"]
                assert question["port"] == "metrics", process.name
                asked.add(question["path"])
    try:
        for path in asked:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}") as answer:
                assert answer.status == 200
    finally:
        server.shutdown()
    assert asked == {"/healthz", "/readyz"}


def test_processes_have_time_to_drain(processes: list[Process]) -> None:
    for process in processes:
        command = _told(process)[1]
        if command == "migrate":
            continue
        if "containers" in process.spec:
            before = process.spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {})
            patience = process.spec["terminationGracePeriodSeconds"] - before.get("seconds", 0)
            assert bool(before) == (command != "work"), f"{process.name}: who is called says goodbye first"
        else:
            patience = int(process.spec["stop_grace_period"].removesuffix("s"))
        # Half as long again: the last seconds of a busy node are slow ones.
        assert patience > 1.5 * DRAIN[command], process.name


def test_pods_have_no_rights_they_do_not_need(manifests: list[Doc]) -> None:
    accounts = {doc["metadata"]["name"] for doc in manifests if doc["kind"] == "ServiceAccount"}
    image_user = re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for doc in manifests:
        spec = pod_spec(doc)
        if not spec:
            continue
        name, (container,) = doc["metadata"]["name"], spec["containers"]
        assert spec["serviceAccountName"] in accounts, name
        assert spec["automountServiceAccountToken"] is False, name
        pod, inside = spec["securityContext"], container["securityContext"]
        assert pod["runAsNonRoot"] is True, name
        assert [str(pod["runAsUser"])] == image_user, name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert inside["readOnlyRootFilesystem"] is True, name
        assert inside["allowPrivilegeEscalation"] is False, name
        assert inside["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}, name
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert all(mount["readOnly"] for mount in container.get("volumeMounts", ())), name
        assert container["image"] == "powerhouse", name


def test_every_deployment_survives_a_drained_node(manifests: list[Doc]) -> None:
    budgets = [doc["spec"]["selector"]["matchLabels"] for doc in manifests if doc["kind"] == "PodDisruptionBudget"]
    for doc in manifests:
        if doc["kind"] == "Deployment":
            assert doc["spec"]["replicas"] >= 2, doc["metadata"]["name"]
            assert doc["spec"]["selector"]["matchLabels"] in budgets, doc["metadata"]["name"]


def test_documents_are_valid_kubernetes(manifests: list[Doc], stage: Path) -> None:
    overlay = stage / "k8s" / "overlays" / "local"
    docs = [*manifests, *(render(overlay) if kubectl() else ())]
    for doc in docs:
        kubernetes_validate.validate(doc, KUBERNETES, strict=True)
    if not kubectl():
        warnings.warn(NO_KUBECTL, stacklevel=1)


@pytest.mark.skipif(kubectl() is None, reason=NO_KUBECTL)
def test_kubectl_renders_the_base_as_we_read_it(manifests: list[Doc]) -> None:
    def ordered(docs: list[Doc]) -> list[Doc]:
        return sorted(docs, key=lambda doc: (doc["kind"], doc["metadata"]["name"]))

    assert ordered(render(K8S / "base")) == ordered(manifests)


@pytest.mark.skipif(kubectl() is None, reason=NO_KUBECTL)
def test_the_local_overlay_lacks_nothing(stage: Path) -> None:
    docs = render(stage / "k8s" / "overlays" / "local")
    text = yaml.safe_dump_all(docs)
    made = {doc["metadata"]["name"] for doc in docs if doc["kind"] in ("Secret", "ConfigMap")}
    used = set(re.findall(r"secretName: (\S+)", text))
    for doc in docs:
        for container in pod_spec(doc).get("containers", ()):
            references = re.findall(r"'(?:secretKeyRef|configMapRef)': \{[^}]*'name': '([\w-]+)'", str(container))
            used |= set(references)
        used |= {volume["configMap"]["name"] for volume in pod_spec(doc).get("volumes", ()) if "configMap" in volume}
    assert used == made
    services = {doc["metadata"]["name"] for doc in docs if doc["kind"] == "Service"}
    assert {"postgres", "rabbitmq"} <= services
    assert {doc["metadata"]["namespace"] for doc in docs if doc["kind"] != "Namespace"} == {"powerhouse"}


def test_compose_is_whole() -> None:
    plan = yaml.safe_load(COMPOSE.read_text())
    anchors = {key for key in plan if key.startswith("x-")}
    assert plan.keys() - anchors == {"name", "services", "secrets", "volumes"}
    allowed = {"image", "pull_policy", "read_only", "cap_drop", "security_opt", "restart", "stop_grace_period"}
    allowed |= {"healthcheck", "depends_on", "command", "environment", "env_file", "volumes", "ports", "secrets"}
    services = plan["services"]
    for name, spec in services.items():
        assert spec.keys() <= allowed | {"hostname"}, name
        ready = spec["healthcheck"]
        assert ready.keys() <= {"disable", "test", "interval", "timeout", "retries", "start_period"}, name
        for other, wait in spec.get("depends_on", {}).items():
            ends = services[other].get("command", [""])[-1] == "migrate"
            assert wait == {"condition": "service_completed_successfully" if ends else "service_healthy"}, name
        for volume in spec.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith("./secrets/") or source in plan["volumes"], name
        assert set(spec.get("secrets", ())) <= plan["secrets"].keys(), name
        if spec["image"].startswith("powerhouse"):
            assert spec["read_only"] is True, name
            assert spec["cap_drop"] == ["ALL"], name
            waits = {f"{service}-migrate" for service in SERVICES}
            assert spec["depends_on"].keys() == ({"postgres", "rabbitmq"} if name in waits else waits), name


def test_the_manual_names_every_secret(manifests: list[Doc]) -> None:
    manual = (ROOT / "deploy" / "README.md").read_text()
    wanted = {("token-keys", "jwks.json")}
    for doc in manifests:
        name = doc["metadata"].get("labels", {}).get("app.kubernetes.io/name", "")
        spec = pod_spec(doc)
        for volume in spec.get("volumes", ()):
            if secret := volume.get("secret"):
                wanted |= {(secret["secretName"], item["key"]) for item in secret.get("items", ())}
                wanted.add((secret["secretName"], "secret" if secret["secretName"].endswith("-secrets") else "tls.key"))
        for variable in spec["containers"][0].get("env", ()) if spec else ():
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                wanted.add((reference["name"], reference["key"]))
            if variable["name"].endswith("_FILE") and "/secrets/" in variable.get("value", ""):
                wanted.add((f"{name}-secrets", Path(variable["value"]).name))
    for secret, key in wanted:
        general = re.sub(r"^(identity|scheduling|booking|notify|payments|gateway)-", "<name>-", secret)
        assert f"`{secret}`" in manual or f"`{general}`" in manual, secret
        assert f"`{key}`" in manual, f"{secret}: {key}"
