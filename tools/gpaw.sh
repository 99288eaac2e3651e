#!/usr/bin/env bash
# Install GPAW into a virtual environment: bash tools/gpaw.sh [VENV], as `make gpaw` does.
# Needs a C compiler (Debian: apt-get install gcc libc6-dev python3-dev) and pip's index; no MPI,
# no FFTW, no BLAS of the system. GPAW is compiled against
# - libxc 7, out of the wheel of PySCF: it can leave out the Fermi hole curvature condition, with
#   which r2SCAN does not converge; the libxc of Debian 12 cannot;
# - OpenBLAS, out of the wheel scipy-openblas32, whose symbols have a prefix.
# The PAW datasets come as the package gpaw-data.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(realpath "${1:-.venv}")
python=$venv/bin/python
compiler=${CC:-gcc}
pip() { "$python" -m pip --disable-pip-version-check "$@" -q; }
export PIP_CONSTRAINT=$PWD/constraints.txt PIP_BUILD_CONSTRAINT=$PWD/constraints.txt
export PIP_ROOT_USER_ACTION=ignore

check() { "$python" -c 'from haloflow.engines.gpaw_check import require_numbers; require_numbers()'; }

if check 2>/dev/null; then exit 0; fi
command -v "$compiler" >/dev/null || {
  echo "GPAW needs a C compiler, and there is no $compiler: apt-get install gcc libc6-dev python3-dev" >&2
  exit 1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

pip download --no-deps --only-binary :all: -d "$scratch" pyscf
libxc=$venv/lib/libxc-of-pyscf
mkdir -p "$libxc"
"$python" - "$scratch"/pyscf-*.whl "$libxc" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

wheel, target = sys.argv[1:]
root = "pyscf/lib/deps/"
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith((f"{root}include/xc", f"{root}lib/libxc.")):
            place = Path(target, name.removeprefix(root))
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(archive.read(name))
PYTHON

pip install scipy-openblas32
openblas=$("$python" -c 'import scipy_openblas32 as blas; print(blas.get_lib_dir())')
cat >"$scratch/siteconfig.py" <<SITECONFIG
compiler = '$compiler'
mpi = fftw = scalapack = noblas = False
libraries = ['xc', 'scipy_openblas']
include_dirs += ['$libxc/include']
library_dirs += ['$libxc/lib', '$openblas']
runtime_library_dirs += ['$libxc/lib', '$openblas']
define_macros += [
    (f'{name}_', f'scipy_{name}_')
    for name in ('dgemm', 'zgemm', 'dsyrk', 'zherk', 'dsyr2k', 'zher2k')
]
SITECONFIG
export GPAW_CONFIG=$scratch/siteconfig.py
pip install --force-reinstall --no-deps --no-cache-dir --no-binary gpaw gpaw
pip install gpaw # what it needs
check
echo "GPAW is ready: haloflow doctor says which"
