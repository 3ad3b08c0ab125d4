"""Files that stand encoded in the middle of a text: uuencode, yEnc, BinHex and data: URLs.

None of these is part of MIME, so nothing in a header announces them; mail clients and other readers of mail look for
them in any text. `finding.wrapped_files` is the one way in.
"""
