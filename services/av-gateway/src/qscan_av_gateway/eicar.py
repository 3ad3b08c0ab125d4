"""The EICAR test file (eicar.org): harmless, and every anti-virus engine reports it.

In pieces, so that no engine reports this source file.
"""

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-" + b"TEST-FILE!" + b"$H+H*"
