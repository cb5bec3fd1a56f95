"""One step of the running sequences: what each of them computes, and what becomes of the tokens that were drawn.

May import errors, messages, tools' search for stop strings, structured's grammars and closing, and ``attention``,
``compute`` and ``sampling`` below it; it knows sequences and their texts, no requests, prompts or threads.
Start with ``step_executor``, then ``sequence``: ``chunk_scheduler`` says what a step computes, ``acceptance`` what
becomes of its tokens. ``spelling`` knows the bytes of tokens, ``overlap`` launches a step before the last is read.
"""
