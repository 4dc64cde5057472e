# Sourced by the walks: `step COMMAND` shows a command and runs it, in the folder that the walk is started in.
walks="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

step() {
  printf '\n$ %s\n' "$1"
  eval "$1"
}
