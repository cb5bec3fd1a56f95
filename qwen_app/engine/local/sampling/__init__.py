"""The next token of every row, drawn on the device.

May import messages and ``attention``, for its transfers: it knows logits and the settings of rows, no sequences.
Start with ``sampler.Sampler``; ``sampling_batch`` has the settings of a batch as columns.
"""
