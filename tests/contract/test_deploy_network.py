"""The network policies let through what the house is made of, and nothing else."""

import re
from ipaddress import ip_network
from itertools import product
from typing import Any

import pytest

from embedded.programs import SERVICES
from services.chassis import config
from tests.contract.test_policies import EDGES
from tests.support.contracts import methods
from tests.support.manifests import ROOT, Doc, Process, pod_spec

MESH, PUBLIC, METRICS, HTTP = 50051, 50052, 9090, 8080
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
HERE = "powerhouse"
# Others in the cluster: namespace labels and pod labels of those that some policy means, and of a stranger.
OTHERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "postgres": ({}, {NAME: "postgresql"}),
    "rabbitmq": ({}, {NAME: "rabbitmq"}),
    "dns": ({"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "kube-dns"}),
    "proxy": ({"powerhouse/ingress": "allowed"}, {}),
    "program": ({"powerhouse/programs": "allowed"}, {}),
    "prometheus": ({"powerhouse/monitoring": "allowed"}, {}),
    "stranger": ({}, {NAME: "gateway", COMPONENT: "gateway"}),
}
PORTS = (MESH, PUBLIC, METRICS, HTTP, 53, 443, 5432, 5671, 5672)
# Calls that a request waits for: made by `serve`, all others by `work`; and those that both make.
IN_REQUESTS = {("scheduling", "booking"), ("notify", "booking"), ("payments", "booking")}
IN_BOTH = {("notify", "booking"), ("payments", "booking")}
Edge = tuple[str, str, int]


class Network:
    """Asks policies as a cluster does: both the sender's and the receiver's must let a connection through."""

    def __init__(self, docs: list[Doc]) -> None:
        self.policies = [doc["spec"] for doc in docs if doc["kind"] == "NetworkPolicy"]
        self.pods = {
            doc["metadata"]["name"]: doc["spec"]["template"]["metadata"]["labels"] for doc in docs if pod_spec(doc)
        }
        # Whatever else somebody starts in our namespace; no policy knows it, so nothing may reach it.
        self.pods["bystander"] = {}

    def edges(self) -> set[Edge]:
        """Every connection that is possible between our pods, and between them and the others."""
        ours, everybody = self.pods.keys(), [*self.pods, *OTHERS]
        return {
            (sender, receiver, port)
            for sender, receiver, port in product(everybody, everybody, PORTS)
            if (sender in ours or receiver in ours) and sender != receiver and self._passes(sender, receiver, port)
        }

    def _passes(self, sender: str, receiver: str, port: int) -> bool:
        return self._lets("Egress", sender, receiver, port) and self._lets("Ingress", receiver, sender, port)

    def _lets(self, way: str, pod: str, peer: str, port: int) -> bool:
        if pod not in self.pods:  # not ours to say
            return True
        chosen = [
            policy
            for policy in self.policies
            if way in policy["policyTypes"] and _matches(policy["podSelector"], self.pods[pod])
        ]
        if not chosen:
            return True
        side = "to" if way == "Egress" else "from"
        return any(
            port in [entry["port"] for entry in rule["ports"]] and any(self._is(one, peer) for one in rule[side])
            for policy in chosen
            for rule in policy.get(way.lower(), ())
        )

    def _is(self, selector: Doc, peer: str) -> bool:
        if "ipBlock" in selector:  # pods have private addresses
            return False
        namespace, labels = OTHERS[peer] if peer in OTHERS else (None, self.pods[peer])
        if "namespaceSelector" not in selector:
            return namespace is None and _matches(selector["podSelector"], labels)
        return _matches(selector["namespaceSelector"], namespace or {}) and _matches(
            selector.get("podSelector", {}), labels
        )


def _matches(selector: Doc, labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", ())
    )


def _holds(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    assert expression["operator"] == "In"
    return labels.get(expression["key"]) in expression["values"]


@pytest.fixture(scope="module")
def calls() -> set[tuple[str, str]]:
    """Who calls whom: the edges of the contracts' test and, in the background, the feeds of those listened to."""
    from importlib import import_module

    feeds = {
        (name, source)
        for name in SERVICES
        for source in import_module(f"services.{name}.service").SERVICE.consumers.sources()
    }
    return EDGES | feeds


def test_calls_between_services_come_from_work_alone_but_for_those_named() -> None:
    """What the policies build on. Where a servicer begins to call another service, `serve` needs a way of its own."""
    callers = {caller for caller, _ in IN_REQUESTS}
    for path in (ROOT / "services").glob("[a-z]*/rpc/*.py"):
        if path.parts[-3] not in {"chassis", *callers}:
            assert not re.search(r"\bstubs\b", path.read_text()), path


def test_contracts_and_architecture_know_the_same_calls(calls: set[tuple[str, str]]) -> None:
    from powerhouse.policy.v1 import policy_pb2

    allowed = {
        (caller, method.containing_service.full_name.split(".")[1])
        for method in methods()
        for caller in method.GetOptions().Extensions[policy_pb2.method].callers
        if method.containing_service.full_name != "powerhouse.events.v1.EventFeed"
    }
    assert allowed <= EDGES
    told = set()
    for row in re.findall(r"^\| (\w+) \|(.+)\|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE):
        if row[0] in SERVICES:
            _owns, requests, background = row[1].split("|")
            told |= {(row[0], name) for name in SERVICES if name in requests + background}
    assert told == calls


def test_policies_are_the_edges_of_the_house(manifests: list[Doc], calls: set[tuple[str, str]]) -> None:
    expected: set[Edge] = {(f"{caller}-serve", f"{callee}-serve", MESH) for caller, callee in IN_REQUESTS}
    expected |= {(f"{caller}-work", f"{callee}-serve", MESH) for caller, callee in calls - IN_REQUESTS | IN_BOTH}
    for name in SERVICES:
        serve, work, migrate = (f"{name}-{command}" for command in ("serve", "work", "migrate"))
        expected |= {("gateway", serve, MESH), ("program", serve, PUBLIC)}
        expected |= {(pod, "postgres", 5432) for pod in (serve, work, migrate)}
        expected |= {(pod, "rabbitmq", 5672) for pod in (work, migrate)}
    pods = Network(manifests).pods.keys() - {"bystander"}
    expected |= {("proxy", "gateway", HTTP)}
    expected |= {("prometheus", pod, METRICS) for pod in pods} | {(pod, "dns", 53) for pod in pods}
    assert Network(manifests).edges() == expected


def test_only_mail_and_payments_leave_the_cluster(manifests: list[Doc]) -> None:
    leaving = [
        (policy["podSelector"]["matchLabels"][NAME], rule)
        for policy in Network(manifests).policies
        for rule in policy.get("egress", ())
        if any("ipBlock" in peer for peer in rule["to"])
    ]
    assert [sender for sender, _ in leaving] == ["notify", "payments"]
    for _, rule in leaving:
        assert rule["ports"] == [{"port": 443}]
        for peer in rule["to"]:
            private = [ip_network(block) for block in peer["ipBlock"]["except"]]
            for inside in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"):
                block = ip_network(inside)
                assert block in private or block.version != ip_network(peer["ipBlock"]["cidr"]).version, inside


def test_processes_are_told_of_those_they_may_call(
    processes: list[Process],
    calls: set[tuple[str, str]],
) -> None:
    for process in processes:
        name, command = process.command[2].removeprefix("services."), process.command[3:]
        made = {"serve": IN_REQUESTS, "work": calls - IN_REQUESTS | IN_BOTH}.get(*command, set()) if command else set()
        expected = {callee for caller, callee in made if caller == name}
        if name == "gateway":
            expected = set(SERVICES)
        assert config.targets(process.environ).keys() == expected, process.name
