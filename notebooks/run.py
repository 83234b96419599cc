"""Execute every notebook of this folder, and keep the results in build/notebooks."""

import sys
from pathlib import Path

import jupytext
import nbclient
import nbformat

HERE = Path(__file__).parent


def main() -> int:
    """Run all; the exit status says whether any failed."""
    out = HERE.parent / "build" / "notebooks"
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for source in sorted(HERE.glob("[0-9]*.py")):
        notebook = jupytext.read(source)
        notebook.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3"})
        try:
            nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}).execute()
            print(f"{source.name}: {len(notebook.cells)} cells ok")
        except nbclient.exceptions.CellExecutionError as error:
            failed += 1
            print(f"{source.name}: FAILED\n{error}")
        nbformat.write(notebook, out / f"{source.stem}.ipynb")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
