# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
#
# What the scripts share. To be sourced:
#
#   . "$(dirname "$0")/lib.sh"
#
# Everything that is made lies below $WORK (by default .work/ next to the
# series), so deleting that folder undoes all. The environment is pinned: the
# same input gives the same output, whoever runs it and whatever their git,
# make or locale settings are.

set -Eeuo pipefail
trap unexpected ERR
exec </dev/null

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROG=${0##*/}

WORK=${WORK:-$ROOT/.work}
case $WORK in
/*) ;;
*) WORK=$PWD/$WORK ;;
esac
export WORK

# Where the tree and its builds lie; use_tree() moves both for a named tree.
LINUX=$WORK/linux
BUILD=$WORK/build
SOURCE=
export LINUX BUILD SOURCE

unset CDPATH GREP_OPTIONS GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_EDITOR
unset ARCH CROSS_COMPILE KBUILD_OUTPUT KCFLAGS KCPPFLAGS KAFLAGS MAKEFLAGS
unset QUILT_PATCHES QUILT_SERIES QUILT_PC M O V W C
export LC_ALL=C TZ=UTC
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=$WORK/gitconfig
export GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_PAGER=cat
export PYTHONDONTWRITEBYTECODE=1
export TMPDIR=$WORK/tmp
export CCACHE_DIR=$WORK/ccache CCACHE_BASEDIR=$WORK CCACHE_NOHASHDIR=1
export CCACHE_MAXSIZE=4G CCACHE_SLOPPINESS=time_macros
export KBUILD_BUILD_TIMESTAMP='1 January 2025' KBUILD_BUILD_USER=series
export KBUILD_BUILD_HOST=series KBUILD_BUILD_VERSION=1

# The distribution's tools first, so that a package that is installed here is the
# one that is used. Debian's ccache offers the compilers under their own names:
# every command line is the one that somebody without ccache would type.
PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

say()
{
	printf '%s: %s\n' "$PROG" "$*" >&2
}

# The exit status 4 says that the reason was told already.
die()
{
	say "$*"
	exit 4
}

# A command failed that nobody expected to: never end without a word.
unexpected()
{
	local status=$?

	case $status in
	4 | 130 | 143) ;;
	*) say "ended by line ${BASH_LINENO[0]} with status $status: $BASH_COMMAND" ;;
	esac
}

# usage TEXT: print the comment block at the top of the script
usage()
{
	sed -n '/^# Usage:/,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$0"
}

bad_usage()
{
	say "$* (see $PROG --help)"
	exit 2
}

# --- the working folder -----------------------------------------------------

# Make $WORK, and wait for another run that uses it.
enter_work()
{
	if ! mkdir -p "$WORK/tmp" "$CCACHE_DIR" 2>/dev/null || [ ! -w "$WORK" ]; then
		die "cannot write to $WORK; name another folder with WORK=DIR"
	fi
	write_gitconfig
	[ -z "${SERIES_LOCKED:-}" ] || return 0
	exec 9>"$WORK/lock"
	if ! flock -n 9; then
		say "another run works in $WORK, waiting for it"
		flock 9
	fi
	export SERIES_LOCKED=1
}

# A git configuration of our own: no hooks, signatures, filters or colours of
# the user's, and no refusal of folders that belong to another user.
write_gitconfig()
{
	local new
	new=$(
		printf '[user]\n\tname = series\n\temail = series@localhost\n'
		printf '[init]\n\tdefaultBranch = series\n'
		printf '[advice]\n\tdetachedHead = false\n'
		printf '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n'
		printf '[core]\n\thooksPath = /dev/null\n\tabbrev = 12\n'
		printf '\tquotePath = false\n'
		printf '[commit]\n\tgpgSign = false\n'
		printf '[safe]\n\tdirectory = *\n'
	)
	[ -f "$GIT_CONFIG_GLOBAL" ] && [ "$new" = "$(cat "$GIT_CONFIG_GLOBAL")" ] ||
		printf '%s\n' "$new" >"$GIT_CONFIG_GLOBAL"
}

# need_space GIB WHAT: refuse to begin what cannot end
need_space()
{
	local free

	free=$(df -Pk "$WORK" | awk 'NR == 2 { print int($4 / 1048576) }')
	[ "$free" -ge "$1" ] ||
		die "$2 needs about $1 GiB in $WORK, and $free GiB are free"
}

# use_tree DIR|TARBALL: work on a copy of the user's tree instead of the
# default one. The builds and the copy get a folder of their own.
use_tree()
{
	local path

	[ -e "$1" ] || die "$1: no such folder or tarball"
	path=$(realpath "$1")
	SOURCE=$path
	path=${path##*/}-$(printf '%s' "$path" | cksum | cut -d' ' -f1)
	LINUX=$WORK/trees/$path/linux
	BUILD=$WORK/trees/$path/build
}

# --- packages ---------------------------------------------------------------

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

can_install()
{
	command -v apt-get >/dev/null || return 1
	[ "$(id -u)" = 0 ] && return 0
	command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

# Two of our scripts may want something at the same time.
locked()
{
	(flock 8; "$@") 8>"$WORK/apt.lock"
}

apt_update()
{
	say 'fetching the package lists'
	as_root apt-get -q update >"$WORK/apt.log" 2>&1 ||
		{ tail -n 5 "$WORK/apt.log" >&2; return 1; }
}

apt_install()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy \
		-o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" \
		>"$WORK/apt.log" 2>&1
}

install_packages()
{
	apt_install "$@" || { apt_update && apt_install "$@"; } ||
		{ tail -n 5 "$WORK/apt.log" >&2; return 1; }
}

# have TOOL: a program in PATH, a header below /usr/include, a library, py:MODULE
have()
{
	case $1 in
	py:*) python3 -c "import ${1#py:}" 2>/dev/null ;;
	lib*.so) [ -n "$(find /usr/lib -name "$1" -print -quit 2>/dev/null)" ] ;;
	*.h) [ -n "$(find /usr/include -path "*/$1" -print -quit 2>/dev/null)" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

package_of()
{
	case $1 in
	aarch64-linux-gnu-gcc) echo gcc-aarch64-linux-gnu ;;
	bc | bison | ccache | codespell | cpio | flex | gcc | git) echo "$1" ;;
	make | patch | perl | python3 | quilt | shellcheck | sparse) echo "$1" ;;
	cmp) echo diffutils ;;
	gelf.h) echo libelf-dev ;;
	ld) echo binutils ;;
	libpython3.*.so) echo libpython3-dev ;;
	openssl/ssl.h) echo libssl-dev ;;
	py:*) echo "python3-${1#py:}" ;;
	qemu-system-x86_64) echo qemu-system-x86 ;;
	ocamlopt) echo ocaml ;;
	spatch) echo coccinelle ;;
	stdio.h) echo libc6-dev ;;
	xz) echo xz-utils ;;
	zlib.h) echo zlib1g-dev ;;
	*) echo "$1" ;;
	esac
}

# need TOOL...: install what is missing, or name it and stop
need()
{
	local tool missing='' packages=''

	for tool; do
		have "$tool" && continue
		missing="$missing $tool"
		packages="$packages $(package_of "$tool")"
	done
	[ -n "$missing" ] || return 0
	can_install ||
		die "missing:$missing; as root: apt-get install$packages"
	say "installing$packages"
	# shellcheck disable=SC2086
	locked install_packages $packages || die "cannot install$packages"
	hash -r
	for tool in $missing; do
		have "$tool" || die "$tool is still missing after installing$packages"
	done
}

# want TOOL...: as need(), but a failure is only reported by the return value
want()
{
	(need "$@") 2>/dev/null
}

need_git_tools()
{
	need git xz tar perl
}

need_build_tools()
{
	need git make gcc ld flex bison bc perl python3 xz stdio.h gelf.h \
		openssl/ssl.h cmp cpio ccache
}

# --- running things ---------------------------------------------------------

CHILD=
stop_child()
{
	trap - INT TERM HUP
	if [ -n "$CHILD" ]; then
		kill -TERM -- "-$CHILD" 2>/dev/null || kill -TERM "$CHILD" 2>/dev/null || :
		wait "$CHILD" 2>/dev/null || :
	fi
	say 'interrupted; run it again to go on'
	exit 130
}

# run_long LABEL LOG DIR COMMAND...: run COMMAND with its output in LOG, and
# say every half minute that it is alive, with the number of objects in DIR
run_long()
{
	local label=$1 log=$2 dir=$3 start=$SECONDS next status objects

	shift 3
	mkdir -p "$(dirname "$log")"
	trap stop_child INT TERM HUP
	setsid "$@" >"$log" 2>&1 7>&- 9>&- &
	CHILD=$!
	next=$((SECONDS + 20))
	while kill -0 "$CHILD" 2>/dev/null; do
		sleep 0.2
		[ "$SECONDS" -ge "$next" ] || continue
		next=$((SECONDS + 30))
		objects=
		[ -d "$dir" ] &&
			objects=", $(find "$dir" -name '*.o' 2>/dev/null | wc -l) objects"
		say "$label: $((SECONDS - start)) s$objects"
	done
	status=0
	wait "$CHILD" || status=$?
	CHILD=
	trap - INT TERM HUP
	return "$status"
}

# use_build DIR: wait for another script that builds there, until this one ends
use_build()
{
	mkdir -p "$1"
	exec 7>"$1/lock"
	flock 7
}

# call COMMAND...: run a script of ours so that a signal reaches it at once
call()
{
	local status=0

	trap stop_child INT TERM HUP
	"$@" &
	CHILD=$!
	wait "$CHILD" || status=$?
	CHILD=
	trap - INT TERM HUP
	[ "$status" != 130 ] || exit 130
	return "$status"
}

# show_errors LOG: what a failed make has to say
show_errors()
{
	sed -nE '/[Ee]rror|ERROR|No rule|not found|No space left/p' "$1" | tail -n 20 | sed 's/^/    /'
}

jobs_count()
{
	nproc 2>/dev/null || echo 2
}

# --- results ----------------------------------------------------------------

# Every check ends in one of these three lines. Where $RESULTS names a file,
# they are collected there too, for scripts/test to count.
PASSED=0
FAILED=0
SKIPPED=0

record()
{
	printf '%s\n' "$*"
	if [ -n "${RESULTS:-}" ]; then
		printf '%s\n' "$*" >>"$RESULTS"
	fi
}

ok()
{
	PASSED=$((PASSED + 1))
	record "ok $1"
}

fail()
{
	FAILED=$((FAILED + 1))
	record "FAIL $1: $2"
}

skip()
{
	SKIPPED=$((SKIPPED + 1))
	record "skip $1: $2"
}

# The closing line, and the end with the exit status that goes with it.
summary()
{
	local text="$PASSED passed, $FAILED failed"

	[ "$SKIPPED" = 0 ] || text="$text, $SKIPPED skipped"
	echo "$text"
	if [ "$FAILED" != 0 ] || [ "$((PASSED + SKIPPED))" = 0 ]; then
		exit 1
	fi
}

# --- the series -------------------------------------------------------------

# The version that the series is made for, as 6.12.117.
series_base()
{
	sed -n '1s/^# BASE v//p' "$ROOT/series"
}

# The patch files in order.
series_patches()
{
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$ROOT/series"
}

# check_version NAME < Makefile: print 6.12.N, or refuse
check_version()
{
	local version

	version=$(awk -F'[ \t]*=[ \t]*' '
		$1 == "VERSION" && !v { v = $2 }
		$1 == "PATCHLEVEL" && !p { p = $2 }
		$1 == "SUBLEVEL" && !s { s = $2 }
		END { if (v != "") print v "." p "." s }')
	case $version in
	6.12.*) echo "$version" ;;
	'') die "$1: not a kernel tree (no version in its Makefile)" ;;
	*) die "$1: a 6.12 tree is needed, and this is $version" ;;
	esac
}

# The commits that are looked at: those of the series, unless scripts/each-patch
# looks at one of them in a tree of its own.
FROM=${SERIES_FROM:-base}
TO=${SERIES_TO:-series}
if [ -n "${SERIES_TREE:-}" ]; then
	LINUX=$SERIES_TREE
	BUILD=${SERIES_TREE%/*}/build
fi

# make_tree OPTION...: the patched tree, up to date
make_tree()
{
	[ -n "${SERIES_TREE:-}" ] || "$ROOT/scripts/tree" "$@" >/dev/null
}

# Files that the series adds, or adds and changes, as paths in the tree.
files_added()
{
	git -C "$LINUX" diff --no-renames --diff-filter=A --name-only "$FROM" "$TO"
}

files_touched()
{
	git -C "$LINUX" diff --no-renames --diff-filter=d --name-only "$FROM" "$TO"
}

# our_lines < LOG: the warnings that the series is to blame for
our_lines()
{
	python3 "$ROOT/scripts/our-lines" "$LINUX" "$FROM" "$TO" || :
}

# known_symbols MARK < CONFIG: without the lines of symbols that the tree lacks,
# of those that begin with MARK
known_symbols()
{
	local config

	config=$(cat)
	git -C "$LINUX" grep -hE '^[[:space:]]*(menu)?config [A-Z0-9_]+' "$TO" -- '*Kconfig*' |
		awk -v config="$config" -v mark="$1" '
			{ known["CONFIG_" $2] = 1 }
			END {
				count = split(config, lines, "\n")
				for (i = 1; i <= count; i++)
					if (substr(lines[i], 1, length(mark)) != mark ||
					    !match(lines[i], /CONFIG_[A-Z0-9_]+/) ||
					    substr(lines[i], RSTART, RLENGTH) in known)
						print lines[i]
			}'
}
