# shellcheck shell=bash
# Sourced by ./demo, ./test, ./bench and .ci/run: the two builds. One configuration serves all, so that the libraries compile once.
# shellcheck source=eng/install.sh
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
# shellcheck source=eng/postgres-versions.sh
source "$(dirname "${BASH_SOURCE[0]}")/postgres-versions.sh"

configuration=Release
binary=$repo_root/artifacts/publish/tributary

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

require_sdk() {
  command -v dotnet >/dev/null && return
  echo "The .NET 10 SDK is not on PATH. Install it: https://learn.microsoft.com/dotnet/core/install/linux-debian" >&2
  return 1
}

# Runs a command with its output in a log; a terminal sees the time pass, and a failure shows the log's end.
# Arguments: what is being done, the log's name, the command.
quietly() {
  local what=$1 log=$repo_root/artifacts/$2 started=$SECONDS ticker=
  shift 2
  mkdir -p "${log%/*}"
  if [[ -t 1 ]]; then
    (while sleep 1; do printf '\r%s … %d s' "$what" $((SECONDS - started)); done) &
    ticker=$!
  else
    echo "$what …"
  fi
  local status=0
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [[ -n $ticker ]]; then
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    printf '\r\033[K'
  fi
  if ((status != 0)); then
    echo "$what failed after $((SECONDS - started)) s. From $log:" >&2
    { grep -E '(error|warning) [A-Z]+[0-9]+' "$log" | sort -u || tail -n 30 "$log"; } | tail -n 30 >&2
    return "$status"
  fi
  echo "$what: done in $((SECONDS - started)) s."
}

# The platform is named so that the native build has folders of its own: without it, it writes its settings over those of the ordinary
# build, whose program then does not start.
platform() {
  case $(uname -m) in
    x86_64) echo linux-x64 ;;
    aarch64) echo linux-arm64 ;;
    *) echo "There is no NativeAOT compiler for $(uname -m)." >&2 && return 1 ;;
  esac
}

# The native binary. Nothing runs when no source is newer than it; folders count, so that a deleted file is noticed.
publish_binary() {
  require_sdk
  if [[ -x $binary && -z $(find "$repo_root"/src "$repo_root"/{Directory.Build.props,Directory.Packages.props,global.json} -newer "$binary" -print -quit) ]]; then
    return
  fi
  quietly "Building the native binary" publish.log \
    dotnet publish "$repo_root/src/Tributary.Cli" -c "$configuration" -r "$(platform)" -o "$repo_root/artifacts/publish"
  touch "$binary"
}

build_solution() {
  require_sdk
  quietly "Building" build.log dotnet build "$repo_root/Tributary.slnx" -c "$configuration"
}
