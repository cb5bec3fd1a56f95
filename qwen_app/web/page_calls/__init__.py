"""What a visitor may have open of Gradio's: sessions, streams and calls, each counted for its user and owned by him.

Imports ``http`` and the errors; neither the page nor the API.
Start at ``middleware.py``; ``ledger.py`` counts, ``call.py`` reads what a request is, ``gradio_tables.py`` looks into
Gradio's own tables.
"""
