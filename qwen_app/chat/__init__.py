"""Conversations as prompts: the model's chat template, the turns that fit its context, the words that ask for JSON.

May import errors, messages and ``tools``. What to ask for and what to leave out is decided in ``qwen_app.prompting``.
Start at ``template.py``; ``window.py`` is pure arithmetic.
"""
