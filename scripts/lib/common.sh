# Shared by the scripts beside this folder. Expects `root` to be the top of the checkout.

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    die "this needs root: run it as root, or install sudo"
  fi
}

# Installs those of the named Debian packages that are missing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  say "installing ${missing[*]}"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# Where the conformance kits lie, if they do.
conformance_kits() { printf '%s\n' "${CONCORDAT_KITS:-$root/../shared/conformance}"; }

build_packages=(
  build-essential g++ cmake ninja-build ccache ca-certificates
  libssl-dev libboost1.81-dev libsimdjson-dev libabsl-dev libspdlog-dev libfmt-dev libcli11-dev libmimalloc-dev libgtest-dev
  libutf8proc-dev zlib1g-dev libzstd-dev libgmock-dev librapidcheck-dev libbenchmark-dev cargo-web rustc-web protobuf-compiler)
test_packages=(clang-19 libclang-rt-19-dev lld-19 python3 python3-pytest python3-pytest-xdist python3-cryptography python3-cbor2 openssl)
lint_packages=(clang-19 clang-format-19 python3 python3-pytest)
demo_packages=(python3)
bench_packages=(postgresql-15 postgresql-client-15 python3 python3-cryptography)

# Lets the compiler cache serve every checkout on the machine.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

# configure PRESET [OPTION...]
configure() {
  local preset=$1
  shift
  cmake --preset "$preset" -S "$root" "$@" >"$root/build/$preset.configure.log" 2>&1 ||
    { cat "$root/build/$preset.configure.log" >&2; die "configuring failed"; }
}

# build PRESET TARGET...: configures when needed and builds.
build() {
  local preset=$1
  shift
  say "building ($preset)"
  configure "$preset"
  cmake --build "$root/build/$preset" --target "$@"
}
