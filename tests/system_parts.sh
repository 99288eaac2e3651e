#!/usr/bin/env bash
# Install the system parts that tests drive for real: Chromium, which opens the pages, and Slurm,
# which runs sweeps. Where that is not allowed (no root, no sudo, no apt), those tests skip with
# their reason.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
PATH=$PATH:/usr/sbin:/sbin
{ command -v slurmctld && command -v slurmd && command -v munged; } >/dev/null || missing+=(slurm-wlm munge)
if [ ${#missing[@]} = 0 ]; then exit 0; fi
command -v apt-get >/dev/null || { echo "no apt-get: tests of ${missing[*]} will be skipped"; exit 0; }
if [ "$(id -u)" = 0 ]; then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo -n); else
  echo "neither root nor sudo: tests of ${missing[*]} will be skipped"; exit 0
fi
"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
  --no-install-recommends "${missing[@]}" >/dev/null
