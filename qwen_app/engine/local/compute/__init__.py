"""What runs on the device: model runner, CUDA graphs, prefix cache, and how much to read in a step.

May import errors, switches, kernels, linear, models (what a device and its memory are), ``attention`` and ``sampling``:
it knows tokens and slots, no prompts, users or events.
Start with ``parts``, which fits it all together, then ``model_runner``.
"""
