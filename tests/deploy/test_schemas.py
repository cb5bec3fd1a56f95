"""The deployment examples are what the programs that read them take: by their own schemas, and by hadolint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


class ComposeLoader(yaml.SafeLoader):
    """Knows compose's own tag for what replaces a list."""


ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


@pytest.mark.parametrize("name", ["compose.yaml", "compose.replicas.yaml"])
def test_compose_takes_its_files(name: str) -> None:
    written = yaml.load((DEPLOY / name).read_text(encoding="utf-8"), ComposeLoader)
    schema = jsonschema_rs.validator_for(get_builtin_schema("vendor.compose-spec"))
    assert [error.message for error in schema.iter_errors(written)] == []
    assert not schema.is_valid({**written, "service": {}})  # it does find faults


def test_kubernetes_takes_its_objects() -> None:
    written = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
    assert len(written) >= 5
    for document in written:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**written[0], "specs": {}}, kubernetes_validate.latest_version(), strict=True)


def test_hadolint_finds_no_fault_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
