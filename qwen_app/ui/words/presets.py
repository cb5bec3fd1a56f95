"""Presets, and the tasks that the empty chat offers."""

from __future__ import annotations

PRESETS: dict[str, tuple[str, str]] = {
    "preset": ("Preset", "预设"),
    "preset_info": (
        "Choose one, or type a name to save these settings under",
        "选择一个，或输入名称以保存当前设置",
    ),
    "preset_save": ("Save", "保存"),
    "preset_delete": ("Delete", "删除"),
    "preset_import": ("Import", "导入"),
    "preset_export": ("Export", "导出"),
    "preset_back": ("My own settings again", "恢复我自己的设置"),
    "preset_saved": ("Saved as “{name}”.", "已保存为“{name}”。"),
    "preset_deleted": ("“{name}” is deleted.", "已删除“{name}”。"),
    "preset_imported": ("Presets imported: {count}.", "已导入 {count} 个预设。"),
    "preset_none_chosen": ("Choose a preset of your own first.", "请先选择一个自己的预设。"),
    "preset_none_saved": (
        "You have no presets yet. Type a name and save one first.",
        "还没有自己的预设。请先输入名称并保存一个。",
    ),
    "preset_no_name": ("Type a name for the preset first.", "请先输入预设名称。"),
    "preset_is_ours": (
        "“{name}” is the name of a preset that comes with the page. Type another.",
        "“{name}”是自带预设的名称，请换一个。",
    ),
    "preset_too_many": (
        "At most {limit} {limit:preset is|presets are} kept. Delete some first.",
        "最多保存 {limit} 个预设，请先删除一些。",
    ),
    "preset_file_large": (
        "This file is too large for presets: at most {limit} {limit:character|characters}.",
        "该文件过大：预设文件最多 {limit} 个字符。",
    ),
    "preset_no_json": ("This file is no JSON.", "该文件不是 JSON。"),
    "preset_no_file": (
        "This file holds no presets that were exported here: it needs “format”, “version” and “presets”.",
        "该文件不是从这里导出的预设：需要 “format”、“version” 和 “presets”。",
    ),
    "preset_twice": ("Two presets in this file are called “{name}”.", "该文件中有两个名为“{name}”的预设。"),
    "preset_wrong": ("{place} must be {rule}.", "{place} 必须是{rule}。"),
    "preset_label_name": ("The name of a preset", "预设的名称"),
    "preset_rule_name": ("a text of 1 to 60 characters", "1 到 60 个字符的文本"),
    "preset_rule_system": ("a text of at most 20,000 characters", "最多 20,000 个字符的文本"),
    "preset_rule_temperature": ("a number from 0 to 2", "0 到 2 之间的数"),
    "preset_rule_top_p": ("a number from 0.01 to 1", "0.01 到 1 之间的数"),
    "preset_rule_max_tokens": ("a whole number of at least 1", "不小于 1 的整数"),
    "preset_rule_json_mode": ("true or false", "true 或 false"),
    "preset_rule_presets": ("a list of 1 to 50 presets", "包含 1 到 50 个预设的列表"),
    "preset_rule_none": ("left out: presets have no such field", "去掉的字段：预设没有此字段"),
    "tasks": ("Start from a task", "从任务开始"),
    "task_json": ("Extract JSON", "提取 JSON"),
    "task_tools": ("Use a tool", "使用工具"),
    "task_compare": ("Compare two settings", "比较两组设置"),
}
