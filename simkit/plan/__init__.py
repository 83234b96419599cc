"""From a decision to an ordered list of changes that can be checked and undone; nothing here touches a node."""
