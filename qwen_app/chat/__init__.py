"""Conversations: prompt text and the window that fits."""
