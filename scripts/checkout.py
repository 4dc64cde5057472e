"""Lets the scripts find the package that lies beside them, whether it is installed or not."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
