"""Chat with Qwen2.5 on your own GPU: a page, an OpenAI-compatible API and the engine behind both."""

__version__ = "0.1.0"
