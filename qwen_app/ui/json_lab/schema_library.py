"""The library of the JSON lab: schemas to start from, each with a prompt to try it with."""

from __future__ import annotations

import json
from dataclasses import dataclass

from qwen_app.structured.schema_check import Schema
from qwen_app.ui.shared.strings import LANGUAGES, Language


@dataclass(frozen=True, slots=True)
class SchemaExample:
    """A schema with its title and a sample prompt, both in the order of ``LANGUAGES``."""

    key: str
    title: tuple[str, str]
    prompt: tuple[str, str]
    schema: Schema

    def title_in(self, language: Language) -> str:
        return self.title[LANGUAGES.index(language)]

    def prompt_in(self, language: Language) -> str:
        return self.prompt[LANGUAGES.index(language)]

    def schema_text(self) -> str:
        return json.dumps(self.schema, ensure_ascii=False, indent=2)


def _object(**properties: Schema) -> Schema:
    """An object with just these properties, all required, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(description: str, **keywords: object) -> Schema:
    return {"type": "string", "description": description, **keywords}


def _list(items: Schema, limit: int) -> Schema:
    return {"type": "array", "items": items, "maxItems": limit}


CONTACT = SchemaExample(
    "contact",
    ("Extract a contact", "提取联系人"),
    (
        "Extract the contact: “Hi, this is Maria Lopez from Acme Tools. Mail me at maria.lopez@acme.example "
        "or call +34 600 123 456.”",
        "提取联系人信息：“您好，我是星河科技的李雷，邮箱 lilei@xinghe.example，电话 138 0013 8000。”",
    ),
    _object(
        name=_text("full name"),
        company={"type": ["string", "null"], "description": "null when not mentioned"},
        email={"type": ["string", "null"], "format": "email"},
        phone={"type": ["string", "null"], "description": "digits as written"},
    ),
)

SENTIMENT = SchemaExample(
    "sentiment",
    ("Classify sentiment", "情感分类"),
    (
        "Classify this review: “Delivery took three weeks, but the lamp is gorgeous and the light is warm.”",
        "请分析这条评价：“快递等了三个星期，不过台灯很漂亮，光线也很温暖。”",
    ),
    _object(
        summary=_text("one sentence", maxLength=200),
        keywords=_list({"type": "string", "maxLength": 30}, 5),
        sentiment={"enum": ["positive", "neutral", "negative", "mixed"]},
        confidence={"type": "number", "minimum": 0, "maximum": 1},
    ),
)

PRODUCT = SchemaExample(
    "product",
    ("Product data", "商品数据"),
    (
        "Turn this into product data: “Trail backpack Nomad 28, 28 litres, 890 g, green or grey, "
        "79.90 euros, in stock.”",
        "整理成商品数据：“行者28升登山背包，重890克，有绿色和灰色，售价599元，现货。”",
    ),
    _object(
        name=_text("product name"),
        price={"type": "number", "minimum": 0},
        currency={"enum": ["CNY", "EUR", "GBP", "JPY", "USD"]},
        in_stock={"type": "boolean"},
        attributes=_list(_object(name=_text("attribute"), value=_text("its value")), 8),
    ),
)

MINUTES = SchemaExample(
    "minutes",
    ("Meeting minutes", "会议纪要"),
    (
        "Write minutes: “Anna and Bo met on 3 March 2026. The launch moves to May. Bo orders the servers by 10 March; "
        "Anna informs the customers.”",
        "写会议纪要：“2026年3月3日，小安和小波开会，决定发布推迟到五月。小波3月10日前订购服务器，小安通知客户。”",
    ),
    _object(
        title=_text("what the meeting was about"),
        date={"type": ["string", "null"], "format": "date"},
        attendees=_list({"type": "string"}, 20),
        decisions=_list({"type": "string"}, 10),
        actions=_list(
            _object(owner=_text("who"), task=_text("what"), due={"type": ["string", "null"], "format": "date"}), 10
        ),
    ),
)

SQL = SchemaExample(
    "sql",
    ("SQL query", "SQL 查询"),
    (
        "Table orders(id, customer, total, created_at). Write a query for the five customers who spent most in 2025.",
        "表 orders(id, customer, total, created_at)。写一条查询：2025 年消费最多的五位客户。",
    ),
    _object(
        explanation=_text("how the query works, briefly", maxLength=300),
        tables=_list({"type": "string"}, 10),
        query=_text("one SQL statement that only reads", pattern="^(SELECT|WITH) [\\s\\S]+$"),
    ),
)

FREE = SchemaExample(
    "free",
    ("Any object", "任意对象"),
    (
        "Describe the planet Mars as a JSON object.",
        "用一个 JSON 对象描述火星。",
    ),
    {"type": "object"},
)

EXAMPLES = (CONTACT, SENTIMENT, PRODUCT, MINUTES, SQL, FREE)


def example_named(key: str) -> SchemaExample:
    """The example with this key, or the first."""
    return next((example for example in EXAMPLES if example.key == key), EXAMPLES[0])


def titles(language: Language) -> list[tuple[str, str]]:
    """All examples as choices of a menu."""
    return [(example.title_in(language), example.key) for example in EXAMPLES]
