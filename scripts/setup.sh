#!/usr/bin/env bash
# Makes sure that a GPU driver is present, and says what it does. Safe to run again.
#
# Where a Vulkan, Metal or DirectX 12 driver is present it does nothing. On Debian and Ubuntu
# without one it installs Mesa's software Vulkan adapter (lavapipe).
#
# With --mpi it first makes sure of what the cargo feature `mpi` is built and run with: an MPI
# library with its headers, mpirun, ssh, and libclang. On Debian and Ubuntu it installs Open MPI.
set -euo pipefail

say() { printf 'setup: %s\n' "$*"; }

mpi=
case "$*" in
'') ;;
--mpi) mpi=1 ;;
*) say "unknown: $*; there is --mpi"; exit 2 ;;
esac

# Without the rights to install, it ends with what to run as root: the packages named.
as_root=()
may_install() {
    [ "$(id -u)" -eq 0 ] && return
    if ! command -v sudo >/dev/null; then
        say "as root, run: apt-get install $*"
        exit 1
    fi
    as_root=(sudo)
}
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"; }

have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    compgen -G '/usr/lib*/llvm-*/lib/libclang*.so*' >/dev/null && return 0
    compgen -G '/usr/lib*/libclang*.so*' >/dev/null && return 0
    compgen -G '/usr/lib/*/libclang*.so*' >/dev/null
}
if [ -n "$mpi" ]; then
    # Open MPI's mpirun looks for ssh, even where it starts nothing by it.
    packages=(libopenmpi-dev openmpi-bin libclang-dev openssh-client)
    if command -v mpicc >/dev/null && command -v mpirun >/dev/null &&
        command -v ssh >/dev/null && { [ "$(uname -s)" != Linux ] || have_libclang; }; then
        say "an MPI library and libclang are present: $(mpirun --version 2>/dev/null | head -n 1)"
    elif command -v apt-get >/dev/null; then
        may_install "${packages[@]}"
        say "installing ${packages[*]}"
        apt update
        apt install -y --no-install-recommends "${packages[@]}" >/dev/null
        say "done: $(mpirun --version | head -n 1)"
    else
        say "no mpicc, mpirun or libclang here, and no apt-get; install an MPI library and libclang:"
        say "  Fedora: openmpi-devel clang-devel     Arch: openmpi clang"
        say "  openSUSE: openmpi4-devel clang-devel  Alpine: openmpi-dev clang-dev"
        say "  macOS: brew install open-mpi llvm     clusters: module load openmpi llvm, or the like"
        exit 1
    fi
fi

case "$(uname -s)" in
Darwin) say "macOS has Metal; nothing to do"; exit 0 ;;
MINGW* | MSYS* | CYGWIN*) say "Windows has DirectX 12; nothing to do"; exit 0 ;;
Linux) ;;
*) say "unknown system $(uname -s); install a Vulkan driver by hand"; exit 1 ;;
esac

# The loader, and at least one driver manifest where the loader looks for them.
have_loader() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q 'libvulkan\.so\.1'; }
have_driver() {
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
    local dir
    for dir in /etc /usr/share /usr/local/share /usr/local/nvidia/share; do
        compgen -G "$dir/vulkan/icd.d/*.json" >/dev/null && return 0
    done
    return 1
}

if have_loader && have_driver; then
    say "a Vulkan loader and driver are present; nothing to do"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    say "no Vulkan driver here and no apt-get; install your distribution's software Vulkan:"
    say "  Fedora: mesa-vulkan-drivers vulkan-loader   Arch: vulkan-swrast vulkan-icd-loader"
    say "  Alpine: mesa-vulkan-swrast vulkan-loader    openSUSE: libvulkan_lvp libvulkan1"
    exit 1
fi

packages=(mesa-vulkan-drivers libvulkan1)
have_driver && packages=(libvulkan1)
may_install "${packages[@]}"

say "reading package lists"
apt update
from=()
candidate=$(apt-cache policy mesa-vulkan-drivers | awk '/Candidate:/ {print $2}')
# Mesa before 24 runs our matmul kernels several times slower on the same CPU.
if ! have_driver && dpkg --compare-versions "$candidate" lt 24; then
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    # The site that this machine already reads its release from: its own mirror.
    site=$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' |
        awk -v c="$codename" '$1 == c && !found {print $2; found = 1}')
    backports="$codename-backports"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$key" ] || key=
    if ! apt-cache policy | grep -q "n=$backports" && [ -n "$site" ]; then
        say "Mesa here is $candidate; adding $backports from this machine's own mirror, for a newer one"
        list=/etc/apt/sources.list.d/secateur-backports.list
        printf 'deb %s%s %s main\n' "${key:+[signed-by=$key] }" "$site" "$backports" |
            "${as_root[@]}" tee "$list" >/dev/null
        if ! apt update; then
            say "$backports cannot be read; going on with Mesa $candidate"
            "${as_root[@]}" rm -f "$list"
        fi
    fi
    newer=$(apt-cache madison mesa-vulkan-drivers |
        awk -v b="$backports/" 'index($0, b) && !found {print $3; found = 1}')
    if [ -n "$newer" ] && dpkg --compare-versions "$newer" gt "$candidate"; then
        candidate=$newer
        from=(-t "$backports")
    fi
fi

say "installing ${packages[*]} (Mesa $candidate)"
apt install -y --no-install-recommends "${from[@]}" "${packages[@]}" >/dev/null
have_loader && have_driver || { say "installed, but no Vulkan driver shows up"; exit 1; }
say "done: software Vulkan is ready"
