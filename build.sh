#!/usr/bin/env bash
# Builds ./mnist, and sets up, starts and tests nndbg around it. `./build.sh help` lists the commands.
#
# stdout belongs to the program that is started; everything said here goes to stderr.
set -euo pipefail

root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
python=${PYTHON:-python3}
stamp=.venv/nndbg-set-up        # written last: a .venv without it was never finished
cd "$root"

usage() {
    cat <<'USAGE'
usage: ./build.sh               assemble and link ./mnist
       ./build.sh run [ARGS]    set everything up and start: `nndbg run ARGS` on a terminal,
                                `nndbg check ARGS` where there is none
       ./build.sh setup         the same, and start nothing
       ./build.sh test [ARGS]   set everything up and run every check and test;
                                with ARGS, only `pytest ARGS`
       ./build.sh clean         remove ./mnist, build/, .venv/ and the caches
       ./build.sh clean --all   and the data set too
       ./build.sh help          this text

Paths in ARGS are relative to this script's directory. Missing Debian packages are installed where
that is allowed (root, or sudo without a password) and named where it is not.

NNDBG_MNIST_DIR   a directory with the MNIST files, instead of ../shared/mnist or a download
PYTHON            the Python to use, instead of python3; 3.11 or later
USAGE
}

say() { printf 'build: %s\n' "$*" >&2; }

fail() {
    local code=$1
    shift
    say "$@"
    exit "$code"
}

# Runs a talkative command in silence; what it said is shown only if it fails.
quietly() {
    local log=build/log
    "$@" >"$log" 2>&1 </dev/null && return
    cat "$log" >&2
    return 1
}

# --- tools: whatever is missing, through apt ---

lacks() {
    case $1 in
        libc6-dev) [[ ! -e $(gcc -print-file-name=libc.a 2>/dev/null) ]] ;;
        qemu-user) ! command -v qemu-aarch64 >/dev/null ;;
        binutils-aarch64-linux-gnu) ! command -v aarch64-linux-gnu-as >/dev/null ;;
        python3) ! command -v "$python" >/dev/null ;;
        python3-venv) ! "$python" -c 'import ensurepip, venv' 2>/dev/null ;;
        *) ! command -v "$1" >/dev/null ;;
    esac
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null && as_root true 2>/dev/null
}

need_packages() {
    local package missing=()
    for package in "$@"; do
        if lacks "$package"; then missing+=("$package"); fi
    done
    if ((${#missing[@]} == 0)); then return; fi

    if ! may_install; then
        say "this machine lacks ${missing[*]}, and only root may install. As root, type:"
        printf '\n    apt-get update && apt-get install -y %s\n\n' "${missing[*]}" >&2
        exit 2
    fi
    install_packages "${missing[@]}"
    for package in "${missing[@]}"; do
        if lacks "$package"; then fail 2 "$package was installed and still cannot be used"; fi
    done
}

# For the tests of other machines, which are skipped without them.
want_packages() {
    local package missing=()
    for package in "$@"; do
        if lacks "$package"; then missing+=("$package"); fi
    done
    if ((${#missing[@]} == 0)); then return; fi

    if may_install; then
        (install_packages "${missing[@]}") && return
    fi
    say "without ${missing[*]}: the tests that need them are skipped"
}

install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
    say "apt-get install $*"
    quietly as_root "${apt[@]}" update || say "apt-get update failed; going on with the lists there are"
    quietly as_root "${apt[@]}" install -y --no-install-recommends "$@" ||
        fail 2 "apt-get could not install $*; its own words are above"
}

# --- the program: asm/*.asm -> build/*.o -> ./mnist ---

is_newer_than_all() {
    local made=$1 source
    shift
    for source in "$@"; do
        if [[ ! $made -nt $source ]]; then return 1; fi
    done
}

assemble() {
    local source=$1 object=$2
    say "$source"
    nasm -f elf64 -g -F dwarf -I asm/include/ -o "$object.new" "$source"
    mv "$object.new" "$object"
}

link_program() {
    say "./mnist"
    gcc -static -no-pie -o build/mnist.new "$@" -lm
    mv build/mnist.new mnist
}

# ./mnist goes before the first of its objects does: while it is there, it is made of those.
build_program() {
    local source object job failed=0 objects=() jobs=() shared=(build.sh asm/mnist.toml asm/include/*)

    for object in build/*.o; do
        source=${object/#build/asm}
        if [[ ! -e ${source%.o}.asm ]]; then rm -f mnist "$object"; fi
    done

    for source in asm/*.asm; do
        object=${source/#asm/build}
        object=${object%.asm}.o
        objects+=("$object")
        if is_newer_than_all "$object" "$source" "${shared[@]}"; then continue; fi
        rm -f mnist "$object"
        assemble "$source" "$object" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job" || failed=$((failed + 1))
    done
    if ((failed)); then fail 1 "no ./mnist: $failed of ${#objects[@]} files could not be assembled"; fi

    if [[ ! -e mnist ]]; then link_program "${objects[@]}"; fi
}

# --- the virtual environment: nndbg itself, editable, and what it needs ---

# Where a .venv belongs: one that was moved, or whose Python was replaced, is no use.
venv_home() { printf '%s %s' "$root" "$(readlink -f .venv/bin/python)"; }

# What was asked of it: its extras, and all that pyproject.toml says.
venv_contents() { printf '%s %s' "$1" "$(sha256sum <pyproject.toml)"; }

venv_is_usable() {
    local home
    [[ -x .venv/bin/python && -f $stamp ]] && read -r home <"$stamp" && [[ $home == "$(venv_home)" ]]
}

venv_is_ready() {
    local contents
    venv_is_usable || return 1
    contents=$(tail -n 1 "$stamp")
    [[ $contents == "$(venv_contents "$1")" || $contents == "$(venv_contents dev)" ]]
}

make_venv() {
    local extras=$1 what=.
    if [[ $extras == dev ]]; then what='.[dev]'; fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail 2 "$("$python" --version) is too old: 3.11 or later is needed. PYTHON=... names another"
    say ".venv (pip install -e '$what', about a minute)"
    if ! venv_is_usable; then
        quietly "$python" -m venv --clear .venv || fail 1 "the virtual environment could not be made"
    fi
    rm -f "$stamp"
    quietly .venv/bin/python -m pip install --disable-pip-version-check -e "$what" ||
        fail 1 "pip could not install the packages; its own words are above"
    # Saves the first start, and with PYTHONDONTWRITEBYTECODE every one, a quarter of a second.
    .venv/bin/python -m compileall -q nndbg || true
    printf '%s\n' "$(venv_home)" "$(venv_contents "$extras")" >"$stamp"
}

# --- the data set ---

# Both spellings are in circulation: train-images-idx3-ubyte and train-images.idx3-ubyte.
data_is_there() {
    local part
    for part in {train,t10k}-{images-idx3,labels-idx1}-ubyte; do
        if [[ ! -s dataset/$part && ! -s dataset/${part/-idx/.idx} ]]; then return 1; fi
    done
}

get_data() {
    local from=${NNDBG_MNIST_DIR:-}
    if [[ -z $from && -d ../shared/mnist ]]; then from=../shared/mnist; fi
    say "dataset/"
    .venv/bin/nndbg data ${from:+--from "$from"} >&2
}

# --- the commands ---

build() {
    [[ $HOSTTYPE == x86_64 ]] || fail 2 "the trainer is x86-64 assembly, and this machine is $HOSTTYPE"
    need_packages nasm gcc libc6-dev
    build_program
}

set_up() {
    local extras=$1 packages=(gdb nasm gcc libc6-dev)
    if ! venv_is_ready "$extras"; then packages+=(python3 python3-venv); fi
    need_packages "${packages[@]}"
    build
    if ! venv_is_ready "$extras"; then make_venv "$extras"; fi
    if ! data_is_there; then get_data; fi
}

# One at a time: two builds in one directory would take each other's files away.
alone() {
    local lock
    mkdir -p build
    exec {lock}<build
    if ! flock --nonblock "$lock"; then
        say "waiting for another build of this directory"
        flock "$lock"
    fi
    "$@"
    exec {lock}<&-
}

start() {
    if [[ -t 0 && -t 1 ]]; then exec .venv/bin/nndbg run "$@"; fi
    exec .venv/bin/nndbg check "$@"
}

run_stage() {
    say "$@"
    ".venv/bin/$1" "${@:2}"
}

run_tests() {
    if (($#)); then exec .venv/bin/pytest "$@"; fi
    run_stage ruff check .
    run_stage ruff format --check .
    run_stage mypy
    run_stage lint-imports
    run_stage pytest -n auto
}

clean() {
    case ${1-} in
        '') ;;
        --all) rm -rf dataset ;;
        *) misused "clean $1" ;;
    esac
    rm -rf build mnist .venv nndbg.egg-info
    rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
    find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
}

misused() {
    say "no such command: $*"
    usage >&2
    exit 2
}

main() {
    local command=${1-build}
    if (($#)); then shift; fi
    shopt -s nullglob
    case $command in
        build) alone build ;;
        run)
            alone set_up run
            start "$@"
            ;;
        setup) alone set_up run ;;
        test)
            alone set_up dev
            want_packages gdbserver qemu-user gdb-multiarch binutils-aarch64-linux-gnu
            run_tests "$@"
            ;;
        clean) clean "$@" ;;
        help | -h | --help) usage ;;
        *) misused "$command" ;;
    esac
}

main "$@"
