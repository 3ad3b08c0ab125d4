"""Where hostile containers are opened: disposable, confined processes, one per message that needs one.

::

    service ── Sandbox (sandbox.py) ──control──▶ forkserver (forkserver.py): fresh Python, the openers loaded
       │                                              │ forks
       └─ Session (session.py) ──leash──▶ forkserver  ▼
                 └────────── frames (wire.py) ◀──▶ child (child.py): confined (confinement.py), runs one opener

The service imports neither the openers nor what they stand on. ADR 0009 says why it is built this way.
"""
