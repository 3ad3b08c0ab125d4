"""Wire types, subjects and the vocabulary that all members of qscan share.

This distribution does nothing and imports nothing of ours. Every struct is frozen; unknown fields are ignored when
a message is decoded, so that a newer sender may say more. Adding a field with a default is fine; anything else is a
new version of the subject (DESIGN §6).
"""
