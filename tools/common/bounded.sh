# Steps that end in time; sourced by the scripts of tools/. The script sets `limit_seconds`.

script_name=$(basename "$0")

# What a script says at its end, on standard error, where it did not end well.
report() {
    case "$1" in
        0) ;;
        124) echo "$script_name: out of time ($limit_seconds s)" >&2 ;;
        *) echo "$script_name: ended with $1 after $SECONDS s" >&2 ;;
    esac
}

finish() { report $?; }

stop() {
    local job
    for job in $(jobs -p); do kill -TERM "$job" 2>/dev/null || true; done
    exit "$1"
}

# `timeout` leads a process group of its own, so that it ends all that a step has started; the
# terminal's Ctrl-C doesn't reach that group, hence the traps.
bounded() {
    local left_seconds=$((limit_seconds - SECONDS))
    ((left_seconds > 0)) || exit 124
    timeout --kill-after=30 "$left_seconds" "$@" &
    wait $!
}

trap finish EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
