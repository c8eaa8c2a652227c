"""How long does it take to read manifests, beside PyYAML's C loader on the same text?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import cpu, row
from simulator.manifests.load import load
from simulator.scenario.file import VolumeGenerator
from simulator.scenario.generators import generate_volumes

VOLUMES = 2_000


def rows() -> list[dict[str, Any]]:
    """Checked and typed objects from YAML."""
    generator = VolumeGenerator(per_node=VOLUMES // 10, storage_class_name="local")
    documents = list(generate_volumes([generator], [f"node{i}" for i in range(10)]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volumes.yaml"
        path.write_text(yaml.dump_all(documents))
        ours = cpu(lambda: load([str(path)]), 3)
        text = path.read_text()
        theirs = cpu(lambda: list(yaml.load_all(text, Loader=yaml.CSafeLoader)), 3)
    return [row(f"{VOLUMES} volumes from YAML, checked", ours / VOLUMES * 1e6, "µs each", "CSafeLoader", ours / theirs,
                theirs / VOLUMES * 1e6)]
