from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from api_server import Server


@pytest.fixture
def server() -> Server:
    return Server()
