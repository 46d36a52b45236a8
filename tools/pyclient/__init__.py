"""A client of the Karvan protocol, format 1, written from the text of Protocol/ alone."""
import sys
from pathlib import Path

PROTOCOL = Path(__file__).resolve().parents[2] / "Protocol"
if str(PROTOCOL) not in sys.path:
    sys.path.insert(0, str(PROTOCOL))
