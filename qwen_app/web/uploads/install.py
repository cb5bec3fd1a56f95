"""The routes of all uploads, put on the app in one place."""

from __future__ import annotations

from fastapi import FastAPI

from qwen_app.documents.document_store import DocumentStore
from qwen_app.documents.extraction import extraction
from qwen_app.sandbox.checks import checks
from qwen_app.uploads.table_store import TableStore
from qwen_app.web.uploads.document_upload import build_document_upload
from qwen_app.web.uploads.table_upload import build_table_upload


def install_uploads(app: FastAPI, tables: TableStore, documents: DocumentStore) -> None:
    """Let visitors upload into these stores; what they send is read in the process's own child processes."""
    app.include_router(build_table_upload(tables, checks()))
    app.include_router(build_document_upload(documents, extraction()))
