"""What is wrong with a schema or with tools, found by the English. What is in braces is kept, or one of these."""

from __future__ import annotations

SCHEMAS: dict[str, tuple[str, str]] = {
    # the text
    "wrong_schema_json": (
        "The schema is not valid JSON: {problem}: line {line}, column {column}.",
        "结构不是有效的 JSON：第 {line} 行第 {column} 列，{problem}。",
    ),
    "wrong_tools_json": (
        "The tools are not valid JSON: {problem}: line {line}, column {column}.",
        "工具定义不是有效的 JSON：第 {line} 行第 {column} 列，{problem}。",
    ),
    "wrong_json_value": ("Expecting value", "此处应有一个值"),
    "wrong_json_key": ("Expecting property name enclosed in double quotes", "此处应有带双引号的键名"),
    "wrong_json_sign": ("Expecting '{sign}' delimiter", "此处应有 {sign}"),
    "wrong_json_comma": ("Illegal trailing comma before end of {kind}", "{kind}结尾处多了一个逗号"),
    "wrong_json_open": ("Unterminated string starting at", "字符串没有结束引号"),
    "wrong_json_control": ("Invalid control character at", "字符串中有换行等控制字符"),
    "wrong_json_escape": ("Invalid \\escape", "无效的转义"),
    "wrong_json_unicode": ("Invalid \\uXXXX escape", "无效的 \\u 转义"),
    "wrong_json_extra": ("Extra data", "后面还有多余的内容"),
    "wrong_json_mark": ("Unexpected UTF-8 BOM (decode using utf-8-sig)", "开头有 BOM 标记"),
    "wrong_schema_digits": (
        "The schema is not used: a number in it has too many digits.",
        "结构中有一个数字位数过多。",
    ),
    "wrong_tools_digits": (
        "The tools are not used: a number in it has too many digits.",
        "工具定义中有一个数字位数过多。",
    ),
    # bounds
    "wrong_schema_deep": (
        "The schema is nested deeper than {limit} levels. Flatten it or use $defs.",
        "结构嵌套超过 {limit} 层。请减少层数，或使用 $defs。",
    ),
    "wrong_tools_deep": (
        "The tools are nested deeper than {limit} levels. Flatten it or use $defs.",
        "工具定义嵌套超过 {limit} 层。请减少层数，或使用 $defs。",
    ),
    "wrong_schema_large": (
        "The schema is larger than {limit} KB. Split it or leave out descriptions.",
        "结构超过 {limit} KB。请拆分，或去掉说明文字。",
    ),
    "wrong_tools_large": (
        "The tools are larger than {limit} KB. Leave some out.",
        "工具定义超过 {limit} KB。请减少一些。",
    ),
    "wrong_schema_values": (
        "The schema has more than {limit} values. Split it or leave parts out.",
        "结构中的值超过 {limit} 个。请拆分，或去掉一部分。",
    ),
    "wrong_schema_many": (
        "The schema has {count} {what} at {place}; at most {limit} are taken.",
        "结构在 {place} 处有 {count} {what}，最多允许 {limit}。",
    ),
    "wrong_many_text": ("characters of a text", "个字符的文本"),
    "wrong_many_key": ("characters of a key", "个字符的键名"),
    "wrong_many_keys": ("keys in one object", "个键的对象"),
    "wrong_many_fixed": ("characters of a fixed value", "个字符的固定值"),
    "wrong_many_pattern": ("characters of a pattern", "个字符的正则表达式"),
    "wrong_many_entries": ("entries of {keyword}", "项 {keyword}"),
    "wrong_schema_count": (
        "{place} asks for {count}; at most {limit} are taken.",
        "{place} 要求 {count}，最多允许 {limit}。",
    ),
    "wrong_pattern_size": (
        "The pattern at {place} has more than {limit} characters once its repeats are written out. Repeat less, or use "
        "maxLength.",
        "{place} 处的正则表达式展开后超过 {limit} 个字符。请减少重复次数，或使用 maxLength。",
    ),
    "wrong_schema_leaves": (
        "{keyword} at {place} leaves the schema ({target}). Only references within it (#/...) are followed: copy the "
        "other schema into $defs.",
        "{place} 处的 {keyword} 指向结构之外（{target}）。只支持内部引用（#/...）：请把另一个结构复制到 $defs 中。",
    ),
    "wrong_schema_integer": (
        "{keyword} at {place} holds {number}. Integers beyond 2^53 cannot be enforced exactly: use a string.",
        "{place} 处的 {keyword} 含有 {number}。超过 2^53 的整数无法精确约束，请改用字符串。",
    ),
    "wrong_schema_fraction": (
        "{keyword} at {place} holds {number}. A fraction of so many digits cannot be enforced exactly: round it, or use"
        " a string.",
        "{place} 处的 {keyword} 含有 {number}。位数过多的小数无法精确约束，请四舍五入或改用字符串。",
    ),
    "wrong_schema_step": (
        "{keyword} at {place} holds {number}. Multiples of so odd a number cannot be enforced: use a rounder one.",
        "{place} 处的 {keyword} 含有 {number}。无法强制遵循这样零碎的步长，请改用更整的数。",
    ),
    "wrong_nan": (
        "JSON has no NaN, which stands at {place}. Write a number.",
        "{place} 处是 NaN，它不是 JSON。请写一个数字。",
    ),
    "wrong_infinite": (
        "The number at {place} is infinite, or too large (1e308 is about the most). Write a smaller one.",
        "{place} 处的数字是无穷大或过大（上限约为 1e308）。请写小一些。",
    ),
    "wrong_half": (
        "The text at {place} holds half a character ({code}). Write both halves, or none.",
        "{place} 处的文本含有半个字符（{code}）。请写完整，或删去。",
    ),
    # the kind
    "wrong_schema_kind": ("A schema must be a JSON object, not {kind}.", "结构必须是 JSON 对象，而不是{kind}。"),
    "wrong_kind_array": ("an array", "数组"),
    "wrong_kind_string": ("a string", "字符串"),
    "wrong_kind_number": ("a number", "数字"),
    "wrong_kind_null": ("null", " null"),
    "wrong_schema_false": ("The schema false allows no answer at all.", "结构 false 不允许任何回答。"),
    # what cannot be enforced
    "wrong_keyword": (
        "The schema keyword {keyword} at {place} cannot be enforced. Remove it, or ask with strict false to have the "
        "finished answer checked instead.",
        "无法强制遵循 {place} 处的关键字 {keyword}。请去掉它，或关闭“严格”，改为在回答完成后检查。",
    ),
    "wrong_enforced": (
        "The schema cannot be enforced at {place}: {problem}.",
        "无法强制遵循 {place} 处的结构：{problem}。",
    ),
    "wrong_twice": (
        "minProperties {least} at {place} cannot be enforced: keys that are not in required might be written twice. "
        "List them there, or ask with strict false to have the finished answer checked.",
        "无法强制遵循 {place} 处的 minProperties {least}：不在 required 中的键可能重复出现。请把它们列入 required，"
        "或关闭“严格”，改为在回答完成后检查。",
    ),
    "wrong_endless": (
        "The schema requires itself without end at {place}: no answer could be finished. Let it be null there, or "
        "leave it out of required.",
        "结构在 {place} 处无止境地要求自身，任何回答都无法结束。请在那里允许 null，或把它移出 required。",
    ),
    "wrong_at_draft": ("The schema is wrong at {place}: {problem}", "结构在 {place} 处有误：{problem}"),
    "wrong_unchecked": ("The schema cannot be checked: {problem}", "无法检查这个结构：{problem}"),
    "wrong_crowded": (
        "Too much is allowed at one place of the answer, such as more than about 500 optional properties of one "
        "object. Make some of them required, or put them into objects of their own.",
        "回答中某一处允许的内容过多，例如一个对象有约 500 个以上的可选属性。请把一部分设为必填，或放进单独的对象。",
    ),
    "wrong_no_answer": (
        "No answer that satisfies this grammar was found. Use a simpler one.",
        "没有找到符合这个结构的回答。请用更简单的结构。",
    ),
    "wrong_type": ("Invalid type: {type}", "没有 {type} 这种类型"),
    "wrong_format": ("Unknown format: {format}", "没有 {format} 这种格式"),
    "wrong_pointer": ("Pointer '{target}' does not exist", "{target} 不存在"),
    "wrong_anchor": ("Anchor '{target}' does not exist", "锚点 {target} 不存在"),
    "wrong_address": ("Invalid URI reference '{address}': {problem}", "地址 {address} 无效（{problem}）"),
    "wrong_address_sign": ("unexpected character at index {index}", "位置 {index} 处的字符不能使用"),
    "wrong_resource": (
        "Resource '{address}' is not present in a registry and retrieving it failed: Default retriever does not fetch "
        "resources",
        "外部结构 {address} 不会被读取",
    ),
    "wrong_dialect": (
        "Unknown meta-schema: '{address}'. Custom meta-schemas must be registered in the registry before use",
        "没有 {address} 这种结构规范",
    ),
    "wrong_unsatisfiable": ("Unsatisfiable schema: {problem}", "没有任何值能符合（{problem}）"),
    "wrong_greater": ("{low} ({least}) is greater than {high} ({most})", "{low}（{least}）大于 {high}（{most}）"),
    "wrong_greater_names": ("{low} > {high}", "{low} 大于 {high}"),
    "wrong_empty": ("{keyword} is empty", "{keyword} 是空的"),
    "wrong_types": ("incompatible types", "类型互相冲突"),
    "wrong_wanted": ("Expected {kind} for '{keyword}', got {value}", "{keyword} 应为{kind}，而不是 {value}"),
    "wrong_wanted_items": (
        "Expected {kind} for '{keyword}' item, got {value}",
        "{keyword} 的每一项应为{kind}，而不是 {value}",
    ),
    "wrong_wanted_array": ("array", "数组"),
    "wrong_wanted_object": ("object", "对象"),
    "wrong_wanted_string": ("string", "字符串"),
    "wrong_wanted_number": ("number", "数字"),
    "wrong_wanted_positive": ("positive integer", "非负整数"),
    "wrong_must_array": ("{keyword} must be an array", "{keyword} 必须是数组"),
    "wrong_must_string": ("{keyword} must be a string, got {value}", "{keyword} 必须是字符串，而不是 {value}"),
    "wrong_must_object": ("{keyword} must be an object", "{keyword} 必须是对象"),
    "wrong_must_type": ("type must be a string or array of strings", "type 必须是字符串或字符串数组"),
    "wrong_must_schema": ("schema must be an object or boolean", "结构必须是对象或布尔值"),
    "wrong_multiple": ("invalid multiple of", "multipleOf 无效"),
    "wrong_one_of": (
        "oneOf constraints are not supported. Enable 'coerce_one_of' option to approximate oneOf with anyOf",
        "不支持 oneOf，请改用 anyOf",
    ),
    "wrong_group": ("unclosed group", "正则表达式的括号没有闭合"),
    "wrong_class": ("unclosed character class", "正则表达式的方括号没有闭合"),
    "wrong_look": (
        "look-around, including look-ahead and look-behind, is not supported",
        "不支持正则表达式的环视（look-around）",
    ),
    "wrong_boundary": (
        "word boundaries and look-around are not supported in patterns",
        "不支持正则表达式的单词边界和环视",
    ),
    "wrong_back": ("backreferences are not supported", "不支持正则表达式的反向引用"),
    "wrong_backslash": ("unrecognized escape sequence", "正则表达式中有无法识别的转义"),
    "wrong_property": ("Unicode property not found", "没有这个 Unicode 属性"),
    "wrong_repeats": (
        "invalid repetition count range, the start must be <= the end",
        "正则表达式的重复次数，起始大于结束",
    ),
    "wrong_class_range": (
        "invalid character class range, the start must be <= the end",
        "正则表达式的字符范围，起始大于结束",
    ),
    "wrong_nothing": ("repetition operator missing expression", "正则表达式的重复符号前没有内容"),
    "wrong_draft_type": ("{value} is not of type {type}", "{value} 的类型不是 {type}"),
    "wrong_draft_types": ("{value} is not of types {types}", "{value} 的类型不是 {types}"),
    "wrong_draft_any": (
        "{value} is not valid under any of the schemas listed in the 'anyOf' keyword",
        "{value} 不是允许的值",
    ),
    "wrong_draft_one": ("{value} is not one of {values}", "{value} 不是 {values} 之一"),
    "wrong_draft_form": ('{value} is not a "{form}"', "{value} 不符合 {form} 格式"),
    "wrong_draft_above": ("{value} is less than or equal to the minimum of {least}", "{value} 应大于 {least}"),
    "wrong_draft_least": ("{value} is less than the minimum of {least}", "{value} 小于最小值 {least}"),
    "wrong_draft_items": ("{value} has less than {least} {least:item|items}", "{value} 不足 {least} 项"),
    "wrong_draft_keys": ("{value} has less than {least} {least:property|properties}", "{value} 不足 {least} 个属性"),
    "wrong_draft_short": (
        "{value} is shorter than {least} {least:character|characters}",
        "{value} 不足 {least} 个字符",
    ),
    "wrong_draft_unique": ("{value} has non-unique elements", "{value} 有重复的项"),
    # tools
    "wrong_tools_list": (
        "The tools must be a JSON list: {example}.",
        "工具定义必须是 JSON 列表：{example}。",
    ),
    "wrong_tools_many": (
        "At most {limit} tools can be offered; there are {count}.",
        "最多可提供 {limit} 个工具，这里有 {count} 个。",
    ),
    "wrong_tools_given": (
        "At most {limit} tools can be offered; {count} were given.",
        "最多可提供 {limit} 个工具，这里有 {count} 个。",
    ),
    "wrong_tool": ("A tool must look like {example}.", "工具应写成 {example}。"),
    "wrong_tool_name": (
        "A tool needs a name of 1 to 64 letters, digits, _ and -.",
        "工具需要一个名称：1 到 64 个字母、数字、_ 或 -。",
    ),
    "wrong_tool_description": ("A tool's description must be text.", "工具的说明必须是文本。"),
    "wrong_tool_parameters": (
        'The parameters must be a JSON Schema of type "object".',
        '参数必须是类型为 "object" 的 JSON Schema。',
    ),
    "wrong_tool_deep": ("The parameters are nested too deep.", "参数嵌套过深。"),
    "wrong_tool_twice": ("Two tools are called {name}. Rename one of them.", "有两个工具名为 {name}，请改掉其中一个。"),
    "wrong_tool_arguments": (
        "A tool's arguments are an object, not of type {type}.",
        "工具的参数是对象，而不是 {type} 类型。",
    ),
    # where: last, for it begins with one of the others
    "wrong_at": ("{sentence} (at {place})", "{sentence}（位于 {place}）"),
}
