# shellcheck shell=bash
# Sourced by ./demo, ./test, ./bench and .ci/run: installs the Debian packages that Tributary needs and this machine lacks.
# It guarantees that nothing else on the machine changes: no Postgres cluster is made, no service is started now or at a later boot, no port is opened.
repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What is missing, one line a package: its name, a tab, and what it is for.
missing_packages() {
  local postgres=(/usr/lib/postgresql/*/bin/postgres) sqlite=(/usr/lib/*/libsqlite3.a)
  [[ -x ${postgres[0]} || -n ${TRIBUTARY_POSTGRES_BIN:-} ]] || printf 'postgresql\tthe server that main and every branch run\n'
  in_path mkfs.btrfs || printf 'btrfs-progs\tthe copy-on-write pool that branches share pages in\n'
  in_path bwrap || printf 'bubblewrap\tthe sandbox around each running branch\n'
  in_path setpriv || printf 'util-linux\tprograms run as the postgres user, and end when Tributary ends\n'
  in_path losetup || printf 'mount\tthe pool is an image file on a loop device\n'
  in_path chattr || printf 'e2fsprogs\tdata files in the pool are written in place (chattr +C)\n'
  in_path clang || in_path gcc || printf 'gcc\tNativeAOT links the binary with it\n'
  [[ -e /usr/include/stdio.h ]] || printf 'libc6-dev\tthe binary is linked against it\n'
  [[ -e /usr/include/zlib.h ]] || printf 'zlib1g-dev\tthe binary is linked against it\n'
  [[ -e ${sqlite[0]} ]] || printf 'libsqlite3-dev\tthe catalog: SQLite is linked into the binary\n'
}

# The same for what only tests need: extensions of the server that a branch must hold in check, and the other file systems for the pool.
missing_test_packages() {
  local lib=/usr/lib/postgresql/15/lib
  [[ ! -d $lib || -e $lib/plperl.so ]] || printf 'postgresql-plperl-15\tan untrusted language that tries to leave the sandbox\n'
  [[ ! -d $lib || -e $lib/pg_cron.so ]] || printf 'postgresql-15-cron\tjobs that must not run in a branch\n'
  in_path mkfs.xfs || printf 'xfsprogs\tthe pool on an XFS\n'
  # Where ZFS itself is installed, the tests use that; the packages exclude each other.
  in_path zfs || printf 'zfs-fuse\tthe pool on ZFS, without a kernel module\n'
}

# Programs in the sbin folders count too: a plain user has no sbin on PATH, and Tributary runs them as root.
in_path() {
  command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]]
}

install_packages() {
  install_missing "$(missing_packages)"
}

install_test_packages() {
  local zfs_was_here=1
  in_path zfs || zfs_was_here=
  install_missing "$(missing_test_packages)"
  [[ -n $zfs_was_here ]] || keep_asleep zfs-fuse
}

# Debian has a service started at each boot from its installation on; the tests start what they need by themselves, and end it.
keep_asleep() {
  if command -v systemctl >/dev/null; then
    systemctl disable "$1" >/dev/null 2>&1 || true
  fi
  update-rc.d "$1" disable >/dev/null 2>&1 || true
}

install_missing() {
  local missing=$1 names
  [[ -n $missing ]] || return 0
  mapfile -t names < <(cut -f1 <<<"$missing")
  echo "Missing on this machine:"
  while IFS=$'\t' read -r name reason; do
    printf '  %-16s %s\n' "$name" "$reason"
  done <<<"$missing"
  if ! command -v apt-get >/dev/null; then
    echo "This is not Debian, so nothing was installed. Install the same programs by hand, then run this again." >&2
    return 1
  fi
  if ((EUID != 0)); then
    echo "Only root can install them. As root: apt-get install --no-install-recommends ${names[*]}" >&2
    return 1
  fi
  apt_install "${names[@]}"
}

# In a subshell, so that its clean-up runs however it ends and its trap stays its own.
apt_install() (
  local log=$repo_root/artifacts/install.log started=$SECONDS
  local cluster_folder=/etc/postgresql-common/createcluster.d policy=/usr/sbin/policy-rc.d
  local temporary=("$cluster_folder/tributary-install.conf")
  mkdir -p "${log%/*}"

  # Debian's package makes and starts a cluster on port 5432 unless told otherwise: https://manpages.debian.org/bookworm/postgresql-common/pg_createcluster.1
  # It also starts the clusters that exist and were stopped; 101 forbids that: https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
  [[ -e $policy ]] || temporary+=("$policy")
  trap 'rm -f "${temporary[@]}"; rmdir --ignore-fail-on-non-empty "$cluster_folder" 2>/dev/null || true' EXIT
  mkdir -p "$cluster_folder"
  echo "create_main_cluster = false" >"${temporary[0]}"
  if [[ -n ${temporary[1]:-} ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi

  export DEBIAN_FRONTEND=noninteractive
  echo "Installing $* …"
  # A machine that never ran "apt-get update", or did so long ago, asks for versions that the mirror no longer has.
  if ! apt_get install -y --no-install-recommends "$@" >"$log" 2>&1; then
    if ! { apt_get update && apt_get install -y --no-install-recommends "$@"; } >>"$log" 2>&1; then
      echo "The installation failed. The end of $log:" >&2
      tail -n 15 "$log" >&2
      return 1
    fi
  fi
  echo "Installed in $((SECONDS - started)) s."
)

apt_get() {
  apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 "$@" </dev/null
}
