"""Texts as a character model reads them: files, codes, vocabularies, streams of ids."""
