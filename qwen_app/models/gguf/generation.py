"""What a GGUF file says of sampling and of the end of an answer, which transformers leaves unread but for one end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gguf import GGUFReader, Keys

if TYPE_CHECKING:
    from transformers import GenerationConfig

log = logging.getLogger(__name__)

ENDS = (Keys.Tokenizer.EOS_ID, Keys.Tokenizer.EOT_ID, Keys.Tokenizer.EOM_ID)
SAMPLING = {
    Keys.General.SAMPLING_TEMP: "temperature",
    Keys.General.SAMPLING_TOP_K: "top_k",
    Keys.General.SAMPLING_TOP_P: "top_p",
    Keys.General.SAMPLING_MIN_P: "min_p",
    Keys.General.SAMPLING_PENALTY_REPEAT: "repetition_penalty",
}
KEYS = "general.sampling."


def generate_as_written(config: GenerationConfig, reader: GGUFReader) -> None:
    """Add to ``config`` what the file of ``reader`` says, as it says it."""
    told = {key: reader.fields[key].contents() for key in (*ENDS, *SAMPLING) if key in reader.fields}
    known = config.eos_token_id
    ends = [*(known if isinstance(known, list) else [known]), *(told.get(key) for key in ENDS)]
    config.eos_token_id = list(dict.fromkeys(token_id for token_id in ends if isinstance(token_id, int))) or None
    for key, name in SAMPLING.items():
        if key in told:
            setattr(config, name, told[key])
    if unread := sorted(key for key in reader.fields if key.startswith(KEYS) and key not in SAMPLING):
        log.warning("Sampling is not done as the file asks by %s.", ", ".join(unread))
