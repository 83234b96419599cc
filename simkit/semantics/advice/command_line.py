"""Words for the kernel command line put together: one `pci=` option of a name holds all its entries, for a later one replaces it."""

from __future__ import annotations

_LISTS = ("config_acs", "disable_acs_redir")


def merged(cmdline: str, words: tuple[str, ...], without: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """The words to add, merged, and the whole line that holds them; None where nothing changes.

    Entries come before those that the line has already, for the kernel takes the first that matches a device (`pci_dev_str_match`
    in a loop), and the last option of a name (`pci_setup`); an entry for a device
    that a new one names is left out. `pci=noats` in `without` takes just that option away.
    """
    if not words and not without:
        return (), None
    entries: dict[str, list[str]] = {name: [] for name in _LISTS}
    added: list[str] = []
    for word in words:
        option, _, entry = word.removeprefix("pci=").partition("=")
        if word.startswith("pci=") and option in entries:
            entries[option] += [one for one in entry.split(";") if one not in entries[option]]
        elif word not in added:
            added.append(word)
    kept: list[str] = []
    for word in cmdline.split():
        if word in without or word in added:
            continue
        if word.startswith("pci="):
            word = _options(word, entries, without)
        kept += [word] if word else []
    options = tuple(f"{name}={';'.join(entries[name])}" for name in _LISTS if entries[name])
    wanted = (*(f"pci={option}" for option in options), *added)
    return wanted, " ".join((*kept, *wanted))


def _options(word: str, entries: dict[str, list[str]], without: tuple[str, ...]) -> str:
    """What stays of a `pci=` word; entries of options that are to be written anew go behind the new ones."""
    left = []
    for option in word.removeprefix("pci=").split(","):
        name, _, value = option.partition("=")
        if entries.get(name):
            named = {entry.rpartition("@")[2] for entry in entries[name]}
            entries[name] += [entry for entry in value.split(";") if entry.rpartition("@")[2] not in named]
        elif f"pci={name}" not in without:
            left.append(option)
    return f"pci={','.join(left)}" if left else ""
