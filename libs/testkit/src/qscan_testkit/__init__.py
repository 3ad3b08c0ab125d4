"""Fakes that pass the same exam as the real thing, and message builders."""
