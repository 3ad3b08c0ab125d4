"""Disposable, limited processes in which hostile containers are opened (DESIGN §1 rule 4)."""
