def true_type(head: bytes | memoryview, size: int) -> str:
    return ""
