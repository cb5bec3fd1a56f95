"""Conversations: prompt text, the window that fits, saved chats."""
