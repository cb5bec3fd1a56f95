"""Linear layers, in every format a model's weights come in: each is a module that takes and gives float tensors.

May import kernels alone: nothing here knows of models, files on disk or the engine.
Start with ``join`` (layers that become one), then ``few_rows``.
"""
