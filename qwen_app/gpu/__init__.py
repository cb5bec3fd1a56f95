"""The NVIDIA cards under the model: how busy, full and warm they are, read through NVML.

Imports nothing of ours; the service holds the meter, and status, presenter and metrics read it.
Start with ``gpu_meter.py``.
"""
