#!/usr/bin/env bash
# Install the system parts that tests drive for real: Chromium, which opens the pages, and Slurm,
# which queues jobs. Where that is not allowed (no root, no sudo, no apt), those tests skip with
# their reason; under CI=true they fail.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
for program in munged slurmctld slurmd sbatch; do
  command -v "$program" >/dev/null || { missing+=(slurm-wlm munge); break; }
done
if [ ${#missing[@]} = 0 ]; then exit 0; fi
without() {
  echo "$1: tests of ${missing[*]} will be skipped"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 0
}
command -v apt-get >/dev/null || without "no apt-get"
if [ "$(id -u)" = 0 ]; then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo -n); else
  without "neither root nor sudo"
fi
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
  --no-install-recommends "${missing[@]}" >/dev/null
