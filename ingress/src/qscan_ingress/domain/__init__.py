"""The rules of the ingress: pure functions over bytes and answers, no I/O and no clock."""
