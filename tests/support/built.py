"""What `make build` has left: the folders that each function of the built template runs with."""

from pathlib import Path

import yaml

from local.paths import ARTIFACTS


def artifacts_of_functions() -> dict[str, tuple[Path, ...]]:
    """Return the artifacts by the function's logical id: its own first, then those of its layers built here."""
    resources = yaml.safe_load((ARTIFACTS / "template.yaml").read_text())["Resources"]
    return {
        name: (
            ARTIFACTS / resource["Properties"]["CodeUri"],
            *(ARTIFACTS / resources[layer["Ref"]]["Properties"]["ContentUri"] for layer in _layers(resource)),
        )
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def _layers(function: dict[str, dict[str, list[dict[str, str]]]]) -> list[dict[str, str]]:
    """Return the references to layers of this template; the others are ARNs of AWS."""
    return [layer for layer in function["Properties"].get("Layers", []) if "Ref" in layer]
