"""What touches the outside: the rule file."""
