"""Runs a command whose files may not grow beyond so many bytes.

  limit_files.py BYTES COMMAND...
"""

import os
import resource
import sys

limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execvp(sys.argv[2], sys.argv[2:])
