"""A TypeScript program whose types are made from `/openapi.json` compiles, and books a class.

Packages come from the npm registry as the lock file pins them; nothing of them is part of the product.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.product import Product

PROGRAM = Path(__file__).parent / "typed_client"
FILES = ("package.json", "package-lock.json", ".npmrc", "tsconfig.json", "book.ts")


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"{' '.join(command[:3])}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="NODE IS MISSING: the typed client is not tested")
def test_a_typed_client_compiles_and_books(running: Product, tmp_path: Path) -> None:
    for file in FILES:
        shutil.copy(PROGRAM / file, tmp_path)
    _run(tmp_path, "npm", "ci", "--no-audit", "--no-fund")
    _run(tmp_path, "npx", "--no-install", "openapi-typescript", f"{running.url}/openapi.json", "-o", "schema.d.ts")
    # Its @ts-expect-error lines are the negative control: what the contract refuses must not compile.
    _run(tmp_path, "npx", "--no-install", "tsc")
    login = next(login for login in running.demo["logins"] if login["role"].lower() == "client")
    studio = login["studio_name"].split("/")[1]
    output = _run(tmp_path, "node", "build/book.js", running.url, login["email"], running.demo["password"], studio)
    booking = json.loads(output)
    assert booking["state"] == "CONFIRMED"
    assert running.sign_in("client").get(f"/v1/{booking['name']}")["etag"] == booking["etag"]


def test_the_lock_names_no_registry() -> None:
    assert '"resolved"' not in (PROGRAM / "package-lock.json").read_text()
