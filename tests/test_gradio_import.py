"""Gradio is imported without the stubs that it writes for editors."""

from __future__ import annotations

import gradio
from gradio import component_meta


def test_the_step_that_writes_stubs_is_still_there_and_is_left_out() -> None:
    assert "create_or_modify_pyi" in component_meta.ComponentMeta.__new__.__code__.co_names
    wrote = component_meta.create_or_modify_pyi
    assert wrote(gradio.Button, "Button", []) is None
    assert wrote.__module__ == "qwen_app"
