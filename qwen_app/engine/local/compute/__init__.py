"""What runs on the device: KV cache, prefix cache, attention, model runner, sampler, and how much to read in a step.

May import messages alone: it knows tokens and slots, no prompts, users or events.
Start with ``parts``, which fits it all together, then ``model_runner``.
"""
