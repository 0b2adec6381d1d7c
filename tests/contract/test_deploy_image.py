"""The image holds what the code imports, and none of what only development needs."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from services.chassis.settings import ServiceSettings
from tests.support.manifests import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
SHIPPED = ("services", "gateway", "gen")
OURS = {"services", "gateway", "powerhouse", "buf"}


def _locked(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def _sources() -> set[str]:
    """What the image is made of: the sources of COPY that come from the checkout."""
    copies = re.findall(r"^COPY ((?!--from).+)$", DOCKERFILE, re.MULTILINE)
    return {source for copy in copies for source in copy.split()[:-1]}


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, check=False, text=True)
    assert (said.returncode, said.stdout) == (0, "")


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    sent = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)) - {"Dockerfile"}
    assert _sources() == sent
    assert all((ROOT / source).exists() for source in sent)
    assert sent.isdisjoint({"embedded", "tests", "deploy"})


def test_the_finished_image_is_made_of_code_and_locked_packages() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^COPY (\S+) ", last, re.MULTILINE) == ["--from=packages", "--from=code"]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    installs = re.findall(r"pip .*install (.+)", DOCKERFILE)
    assert len(installs) == 2
    assert all("--require-hashes" in install for install in installs)
    assert installs[1].endswith("--requirement requirements.lock")


def test_the_image_speaks_to_python_and_leaves_settings_to_manifests() -> None:
    for line in re.findall(r"^ENV (.+)$", DOCKERFILE, re.MULTILINE):
        for name in re.findall(r"(\w+)=", line):
            assert name == "PATH" or name.startswith(("PYTHON", "PIP_")), name
    assert ServiceSettings.__dataclass_fields__["profile"].default == "embedded"  # so the manifests must say production


def test_production_installs_no_tools() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    tools = {re.match(r"[\w-]+", requirement)[0].lower() for extra in extras.values() for requirement in extra}  # type: ignore[index]  # each names a package
    assert _locked("requirements.lock") & tools == set()
    assert tools <= _locked("requirements-dev.lock")
    assert _locked("requirements.lock") <= _locked("requirements-dev.lock")


def test_production_installs_all_that_is_imported() -> None:
    locked, providers = _locked("requirements.lock"), packages_distributions()
    imported = set()
    for folder in SHIPPED:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.partition(".")[0])
    missing = {
        module
        for module in imported - OURS - sys.stdlib_module_names
        if not {re.sub(r"[._]", "-", name).lower() for name in providers.get(module, ())} & locked
    }
    assert missing == set()
