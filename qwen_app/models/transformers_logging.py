"""transformers talks a lot while it loads; its bars are for people at a terminal and its advice is not for ours."""

from __future__ import annotations

import sys


def quiet_transformers() -> None:
    """Errors only, and progress bars only on a terminal."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
