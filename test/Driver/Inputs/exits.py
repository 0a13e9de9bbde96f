"""Runs a command and fails unless it ends with the given exit code.

  exits.py CODE COMMAND ARGUMENTS...
"""

import subprocess
import sys

code = subprocess.run(sys.argv[2:]).returncode
if code != int(sys.argv[1]):
    sys.exit(f"exits.py: exit code {code}, expected {sys.argv[1]}")
