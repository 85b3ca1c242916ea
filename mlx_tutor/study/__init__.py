"""Asking the course: search, answers with sources, chat, exam, quiz and the web page."""
