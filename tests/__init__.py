"""The tests. In them Triton's kernels run by its own interpreter: it has to be told before Triton is imported.

Elsewhere they are compiled: the benchmarks, too, take a vocabulary from here.
"""

import os
import sys

if "pytest" in sys.modules:
    os.environ["TRITON_INTERPRET"] = "1"
