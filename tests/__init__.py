"""The tests. In them Triton's kernels run by its own interpreter: it has to be told before Triton is imported."""

import os

os.environ["TRITON_INTERPRET"] = "1"
