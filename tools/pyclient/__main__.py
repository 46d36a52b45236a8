"""Runs the package from its folder: python3 tools/pyclient COMMAND ..."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# A fleet runs hundreds of commands: what is compiled is kept, where all that is built is.
sys.dont_write_bytecode, sys.pycache_prefix = False, str(ROOT / ".build" / "pycache")
if __package__ in (None, ""):
    sys.path[0] = str(ROOT / "tools")

from pyclient.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
