from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, select, text

from qwen_app.errors import NotFound, RequestError, TooManyRequests
from qwen_app.knowledge import file_store, search
from qwen_app.knowledge.file_store import FileStore
from qwen_app.knowledge.knowledge_base import FILE, MIGRATIONS
from qwen_app.knowledge.passages import Passage
from qwen_app.knowledge.query_terms import terms_of
from qwen_app.knowledge.search import PassageSearch, fused
from qwen_app.knowledge.tables import metadata, searched
from qwen_app.saved_chats.database import migrated, sqlite_file
from qwen_app.searched_text.compounds import searchable

ENGLISH = "The contract ends after a notice of ninety days. A late payment costs two per cent a month."
CHINESE = "本合同的违约金为合同总额的百分之五，逾期付款按月计息。仓库位于上海。"


def keep(store: FileStore, name: str, *texts: str, owner: str = "ada", collection: str = "work") -> list[int]:
    pieces = [Passage(f"[page {n}]", name, one) for n, one in enumerate(texts, 1)]
    return store.add(owner, store.create(owner, collection), name, pieces)[1]


@pytest.fixture
def store(engine: Engine) -> FileStore:
    made = FileStore(engine)
    keep(made, "contract.txt", ENGLISH, "Nothing else matters here.")
    keep(made, "合同.txt", CHINESE)
    return made


def found(store: FileStore, question: str, owner: str = "ada", collection: str = "work") -> list[str]:
    collection_id = store.create(owner, collection)
    return [one.file for one in PassageSearch(store.engine).find(owner, collection_id, question, 5)]


def make_of_revision(connection: Connection, revision: str) -> None:
    """The tables as they were then, with a collection and a file of Ada's."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    connection.execute(text("INSERT INTO collections VALUES ('1', 'ada', 'work', 0)"))
    connection.execute(text("INSERT INTO files VALUES ('2', '1', 'a.txt', 9, 0)"))


def test_the_migrations_make_the_tables_that_the_code_speaks_of(engine: Engine) -> None:
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [one for one in differences if "words" not in str(one)] == []


@pytest.mark.parametrize(
    ("question", "file"),
    [
        ("What is the notice period of the contract?", "contract.txt"),
        ("LATE PAYMENT", "contract.txt"),
        ("违约金是多少？", "合同.txt"),
        ("仓库", "合同.txt"),
        ("上海", "合同.txt"),
    ],
)
def test_it_is_found_in_either_language_and_in_two_characters(store: FileStore, question: str, file: str) -> None:
    assert found(store, question)[0] == file


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("The XR-2000-B needs oil.", "xr2000b"),
        ("The XR2000B needs oil.", "XR-2000-B"),
        ("电话０２１－６６６６", "0216666"),
    ],
)
def test_it_is_found_in_parts_and_in_one(store: FileStore, text: str, question: str) -> None:
    keep(store, "part.txt", text)
    assert found(store, question) == ["part.txt"]


@pytest.mark.parametrize(
    "question", ["", "  ", "?", "the of and", "zebra migration in Kenya", "量子计算机", '"', "NEAR(", "*"]
)
def test_nothing_is_found_where_nothing_matches(store: FileStore, question: str) -> None:
    assert found(store, question) == []


def test_nobody_finds_what_is_anothers(store: FileStore) -> None:
    assert found(store, "contract", owner="bob") == []
    assert found(store, "contract", collection="home") == []
    work = store.create("ada", "work")
    assert PassageSearch(store.engine).find("bob", work, "contract", 5) == []
    assert store.files("bob", work) == []
    assert store.remove("bob", [one.id for one in store.files("ada", work)]) == 0
    assert not store.rename("bob", work, "mine")
    assert not store.drop("bob", work)
    with pytest.raises(NotFound):
        store.add("bob", work, "contract.txt", ())
    assert found(store, "contract notice")[0] == "contract.txt"


def test_a_file_is_replaced_and_removed_and_the_index_follows(store: FileStore) -> None:
    keep(store, "contract.txt", "The lease ends in spring.")
    work = store.create("ada", "work")
    assert found(store, "notice ninety days") == []
    assert found(store, "lease spring") == ["contract.txt"]
    assert [one.name for one in store.files("ada", work)] == ["contract.txt", "合同.txt"]
    assert store.remove("ada", [store.files("ada", work)[0].id, "none"]) == 1
    assert found(store, "lease spring") == []
    assert store.drop("ada", work)
    assert store.described("ada") == []
    assert found(store, "违约金") == []


def test_a_collection_is_the_same_by_another_name_and_gone_for_good(store: FileStore) -> None:
    work = store.create("ada", "work")
    assert store.rename("ada", work, "home")
    store.add("ada", work, "lease.txt", [Passage("[page 1]", "lease.txt", "The lease ends in spring.")])
    assert found(store, "lease", collection="home") == ["lease.txt"]
    assert store.drop("ada", work)
    with pytest.raises(NotFound, match="not any more"):
        store.add("ada", work, "lease.txt", ())
    assert store.described("ada") == []


def test_without_the_index_words_are_looked_for_one_by_one(store: FileStore) -> None:
    with store.engine.begin() as connection:
        for trigger in ("searched_added", "searched_removed"):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text("DROP TABLE words"))
    assert found(store, "notice of the contract")[0] == "contract.txt"
    assert found(store, "违约金是多少") == ["合同.txt"]


GERMAN = "Die Hauptstraße ist gesperrt, denn im Café am Markt läuft Fußball."


@pytest.mark.parametrize("question", ["Wo ist die Hauptstraße?", "HAUPTSTRASSE ODER FUßBALL", "Fußball", "straße"])
def test_words_with_a_sharp_s_are_found(store: FileStore, question: str) -> None:
    keep(store, "stadt.txt", GERMAN)
    assert found(store, question) == ["stadt.txt"]


@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize("kept", ["NFC", "NFD"])
def test_an_accent_is_found_however_it_is_encoded(
    store: FileStore, asked: Literal["NFC", "NFD"], kept: Literal["NFC", "NFD"]
) -> None:
    keep(store, "stadt.txt", unicodedata.normalize(kept, GERMAN))
    assert found(store, unicodedata.normalize(asked, "Café")) == ["stadt.txt"]


@pytest.mark.parametrize("question", ["рф", "РФ", "Рф"])
def test_short_words_are_found_in_capitals_of_every_language(store: FileStore, question: str) -> None:
    keep(store, "law.txt", "Закон РФ о школах")
    assert found(store, question) == ["law.txt"]


def test_a_rare_short_term_is_found_beside_a_frequent_one(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LOOKED_THROUGH", 20)
    keep(store, "报告.txt", *["本公司每年发布报告。"] * 30, "本店出售猫粮。")
    (first, *_) = PassageSearch(store.engine).find("ada", store.create("ada", "work"), "公司 猫粮", 5)
    assert first.place == "[page 31]"


def test_vectors_find_what_words_do_not(store: FileStore) -> None:
    (number,) = keep(store, "zoo.txt", "Stripes help it to hide from lions.")
    vector = np.array([0.6, 0.8], dtype=np.float32)
    store.keep_vectors("small", {number: vector.tobytes(), 9999: vector.tobytes()})
    search, work = PassageSearch(store.engine), store.create("ada", "work")
    assert [one.file for one in search.find("ada", work, "zebra", 5, vector, "small")] == ["zoo.txt"]
    assert search.find("ada", work, "zebra", 5, -vector, "small") == []
    assert search.find("ada", work, "zebra", 5, vector, "another model") == []
    assert search.find("ada", work, "zebra", 5, np.ones(3, dtype=np.float32), "small") == []


def test_bounds(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError):
        keep(store, "a", "text", collection=" \n")
    monkeypatch.setattr(file_store, "LIMIT_FILES", 2)
    with pytest.raises(TooManyRequests):
        keep(store, "a", "text")
    monkeypatch.setattr(file_store, "LIMIT_COLLECTIONS", 1)
    with pytest.raises(TooManyRequests):
        keep(store, "a", "text", collection="home")
    monkeypatch.setattr(file_store, "LIMIT_CHARACTERS", 10)
    with pytest.raises(TooManyRequests):
        keep(store, "合同.txt", "more than ten characters")
    assert found(store, "违约金") == ["合同.txt"]  # a refused file leaves the one before it


@given(st.text())
def test_any_question_makes_terms_that_are_in_it(question: str) -> None:
    terms = terms_of(question)
    assert all(term in searchable(question) for term in (*terms.indexed, *terms.short, *terms.telling))
    assert all(len(term) >= 3 for term in terms.indexed)


@given(st.lists(st.lists(st.integers(0, 9), unique=True), max_size=3))
def test_a_fused_ranking_has_everything_once(rankings: list[list[int]]) -> None:
    ranked = fused(rankings)
    assert sorted(ranked) == sorted({number for ranking in rankings for number in ranking})


def test_what_several_rankings_put_first_comes_first() -> None:
    assert fused([[1, 2, 3], [2, 3, 1]])[0] == 2


def test_a_short_number_is_a_word_of_its_own(store: FileStore) -> None:
    keep(store, "rooms.txt", *(f"Room {number} holds {number * 11} chairs." for number in range(1, 101)))
    (first, *_) = PassageSearch(store.engine).find(
        "ada", store.create("ada", "work"), "How many chairs does room 42 hold?", 5
    )
    assert first.place == "[page 42]"


@pytest.mark.parametrize(
    ("kept", "question"),
    [
        ("２０２４年ＧＰＵ的销量为３００台。", "2024年有多少GPU"),
        ("２０２４年ＧＰＵ的销量为３００台。", "GPU"),
        ("2024年GPU的销量为300台。", "ＧＰＵ"),
        ("2024年GPU的销量为300台。", "２０２４"),
        ("本合同自今日起生效，违\n约金为一万元。", "违约"),
        ("本合同自今日起生效，违 \r\n  约金为一万元。", "生效违约金"),
        ("the ﬁle of the ﬂat", "file"),
        ("the file of the flat", "ﬁle"),
        ("ﾊﾝｶｸｶﾅのテスト", "ハンカクカナ"),
        ("a sub\u00adcontract", "subcontract"),
        ("Herr Müller wohnt in Zürich.", "Where does Muller live?"),
        ("Herr Muller wohnt in Zurich.", "Müller"),
        ("our café", "the cafe"),
        ("Άλλα ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_a_word_is_found_however_it_is_written_or_broken(store: FileStore, kept: str, question: str) -> None:
    keep(store, "page.txt", kept)
    passages = PassageSearch(store.engine).find("ada", store.create("ada", "work"), question, 5)
    assert unicodedata.normalize("NFC", kept) in [one.text for one in passages]  # it is cited as it is


def test_texts_that_were_kept_before_they_were_folded_are_found(tmp_path: Path) -> None:
    engine = sqlite_file(tmp_path, FILE)
    with engine.begin() as connection:
        make_of_revision(connection, "0001")
        for number, kept in ((1, "'ＧＰＵ的销量'"), (2, "CAST(x'ff477075ff' AS TEXT)")):  # one of damaged bytes
            connection.execute(text(f"INSERT INTO passages VALUES ({number}, '2', '[lines 1]', 'a.txt', {kept})"))
    found = PassageSearch(migrated(engine, MIGRATIONS)).find("ada", "1", "GPU", 5)
    engine.dispose()
    assert {one.number for one in found} == {1, 2}


def test_texts_that_were_folded_with_their_accents_are_found_without(tmp_path: Path) -> None:
    engine = sqlite_file(tmp_path, FILE)
    with engine.begin() as connection:
        make_of_revision(connection, "0002")
        connection.execute(text("INSERT INTO passages VALUES (1, '2', '[lines 1]', 'a.txt', 'Müller')"))
        connection.execute(text("UPDATE searched SET text = 'müller'"))
        connection.execute(text("INSERT INTO words(words) VALUES ('rebuild')"))
    search = PassageSearch(migrated(engine, MIGRATIONS))
    found = [search.find("ada", "1", question, 5) for question in ("Muller", "Müller")]
    engine.dispose()
    assert [[one.text for one in passages] for passages in found] == [["Müller"], ["Müller"]]


def test_texts_of_before_are_found_by_what_they_write_in_parts(tmp_path: Path) -> None:
    engine = sqlite_file(tmp_path, FILE)
    with engine.begin() as connection:
        make_of_revision(connection, "0003")
        connection.execute(text("INSERT INTO passages VALUES (1, '2', '[lines 1]', 'a.txt', 'The XR-2000-B')"))
    found = PassageSearch(migrated(engine, MIGRATIONS)).find("ada", "1", "XR2000B", 5)
    engine.dispose()
    assert [one.text for one in found] == ["The XR-2000-B"]


def test_a_character_that_stands_for_many_fills_no_database(store: FileStore) -> None:
    keep(store, "long.txt", "\ufdfa" * 1_000)
    with store.engine.connect() as connection:
        longest = connection.execute(select(func.max(func.length(searched.c.text)))).scalar_one()
    assert longest == 4_000
