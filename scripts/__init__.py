"""Tools for those who work on the project. May import anything; nothing imports them but tests. Start reading where
scripts/import-graph or scripts/pictures starts: import_graph.py, pictures.py."""
