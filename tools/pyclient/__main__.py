"""Runs the package from its folder: python3 tools/pyclient COMMAND ..."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pyclient.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
