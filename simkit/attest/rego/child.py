"""The child process that evaluates a policy: a request on standard input, an answer on what was standard output. It imports nothing of simkit.

A policy is somebody else's program. Rego always ends, but not soon: memory and processor time are limited before the policy is read, nothing can be
written to a file, the environment is empty (`opa.runtime()` prints it), and what the engine prints goes nowhere. The engine's allocator (snmalloc)
reserves 256 GiB of addresses, so that RLIMIT_AS says nothing: a thread looks at what is resident instead, 50 times a second.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from typing import Any

TOO_MUCH_MEMORY = 71
_LARGEST_TEXT, _MOST_ENTRIES = 200, 64


def main() -> None:
    """Read the request, set its limits, evaluate, answer."""
    answer = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    request = json.loads(sys.stdin.buffer.read())
    threading.Thread(target=_watch, args=(request["memory_bytes"],), daemon=True).start()
    _limit(resource.RLIMIT_CPU, request["cpu_s"], then=1)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    with os.fdopen(answer, "wb") as stream:
        stream.write(json.dumps(_evaluate(request)).encode())


def _watch(most_bytes: int) -> None:
    """End the process where it holds more than that; ctypes lets go of the interpreter's lock while the engine works."""
    while True:
        with open("/proc/self/statm", "rb") as stream:  # noqa: PTH123 (pathlib would be imported for this alone)
            if int(stream.read().split()[1]) * resource.getpagesize() > most_bytes:
                os._exit(TOO_MUCH_MEMORY)
        time.sleep(0.02)


def _limit(which: int, value: int, *, then: int = 0) -> None:
    """Where the hard limit is `then` above, the kernel says why it ends the process (SIGXCPU) before it kills it."""
    _, hard = resource.getrlimit(which)
    most = value + then if hard == resource.RLIM_INFINITY else min(value + then, hard)
    resource.setrlimit(which, (min(value, most), most))


def _evaluate(request: dict[str, Any]) -> dict[str, Any]:
    import regopy

    engines: dict[str, Any] = {}
    results = []
    for world in request["worlds"]:
        key = json.dumps(world["data"], sort_keys=True)
        if key not in engines:
            engines.clear()
            made = _loaded(regopy, request["modules"], world["data"])
            if isinstance(made, dict):
                return {"refused": made["refused"], "module": made["module"]}
            engines[key] = made
        results.append(_ask(engines[key], request["rule"], world["input"]))
    return {"engine": f"rego-cpp {regopy.__version__}", "results": results}


def _loaded(regopy: Any, modules: list[list[str]], data: dict[str, Any]) -> Any:
    """An engine with the modules and the data, or which module it refused and why."""
    engine = regopy.Interpreter()
    for name, text in modules:
        try:
            engine.add_module(name, text)
        except regopy.RegoError as error:
            return {"refused": str(error)[:4000], "module": name}
    engine.add_data_json(json.dumps(data, ensure_ascii=False))
    return engine


def _ask(engine: Any, rule: str, value: dict[str, Any]) -> dict[str, Any]:
    """A bare rule that is false would be no result at all, so its value is bound to a variable.

    The engine compares texts as they are escaped in JSON: so inputs go in as JSON, as little escaped as it can be.
    """
    try:
        engine.set_input_term(json.dumps(value, ensure_ascii=False))
        output = engine.query(f"answer = {rule}")
        if not output.ok():
            return {"error": str(output)[:400]}
        bound = [result.bindings["answer"] for result in output.results if "answer" in result.bindings]
    except json.JSONDecodeError:
        return {"error": "the engine has no answer; a rule that needs itself has none"}
    except Exception as error:  # noqa: BLE001 (whatever the engine raises is the policy's answer: none)
        return {"error": (str(error) or type(error).__name__)[:400]}
    return {"value": _small(bound[0])} if bound else {"undefined": True}


def _small(value: Any) -> Any:
    """The value where it is of a size that a rule can have that is asked for; otherwise its type's name in a list."""
    if value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _LARGEST_TEXT):
        return value
    if isinstance(value, dict) and len(value) <= _MOST_ENTRIES and all(_is_claim(key, each) for key, each in value.items()):
        return value
    return [type(value).__name__]


def _is_claim(name: str, value: Any) -> bool:
    return len(name) <= _LARGEST_TEXT and isinstance(value, (bool, int, float))


if __name__ == "__main__":
    main()
