"""The wheel, built and installed into an empty environment, has the shipped library and tells the story."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_alone_tells_the_story(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT), cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("simkit_pcie-*.whl")
    members = set(zipfile.ZipFile(wheel).namelist())
    for file in (*(ROOT / "models").rglob("*.yaml"), *(ROOT / "models" / "evidence").iterdir()):
        assert f"simkit/library/{file.relative_to(ROOT / 'models')}" in members
    assert "simkit/py.typed" in members
    assert "simkit/formats/schemas/host.json" in members
    venv.create(tmp_path / "empty", with_pip=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", str(ROOT / "requirements" / "runtime.lock"), cwd=tmp_path)
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", str(wheel), cwd=tmp_path)
    simkit, desk = str(tmp_path / "empty" / "bin" / "simkit"), tmp_path / "desk"
    desk.mkdir()
    assert "Usage: simkit" in run(simkit, "--help", cwd=desk)
    assert "hgx-h100" in run(simkit, "show", cwd=desk)
    assert "byte for byte: no difference" in run(simkit, "demo", cwd=desk)
    assert (desk / "simkit-demo" / "plan.json").exists()
