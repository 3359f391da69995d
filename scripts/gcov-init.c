// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The only program of a machine that has run its KUnit suites: hands the counters
 * of gcov out and ends the machine. What it finds below debugfs' gcov/, it writes
 * as a cpio archive to the port of QEMU's -device isa-debugcon. The variable
 * gcov_top in its environment, put there by the kernel's command line, is the
 * folder that the names in the archive are relative to.
 *
 * See scripts/kunit.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT	0xe9
#define GCOV	"/debug/gcov"

static char data[1 << 22];
static unsigned long written;

static void end(const char *what)
{
	if (what)
		perror(what);
	sync();
	reboot(RB_AUTOBOOT);
	_exit(1);
}

static void put(const void *bytes, size_t count)
{
	const unsigned char *byte = bytes;

	for (written += count; count; count--)
		outb(*byte++, PORT);
}

static void pad(void)
{
	while (written % 4)
		put("", 1);
}

static void put_hex(unsigned int value)
{
	char digits[9];

	snprintf(digits, sizeof(digits), "%08x", value);
	put(digits, 8);
}

static void archive(const char *name, const char *bytes, unsigned int size)
{
	unsigned int length = strlen(name) + 1;
	/* inode, mode, uid, gid, links, time, size, 4 device numbers, name, checksum */
	unsigned int fields[] = {
		written + 1, S_IFREG | 0644, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0
	};

	put("070701", 6);
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		put_hex(fields[i]);
	put(name, length);
	pad();
	put(bytes, size);
	pad();
}

static void archive_file(const char *path, const char *top)
{
	const char *name = path + strlen(GCOV);
	ssize_t count, size = 0;
	int fd;

	if (strncmp(name, top, strlen(top)))
		return;
	fd = open(path, O_RDONLY);
	if (fd < 0)
		end(path);
	do {
		count = read(fd, data + size, sizeof(data) - size);
		if (count < 0)
			end(path);
		size += count;
	} while (count && size < (ssize_t)sizeof(data));
	close(fd);
	archive(name + strlen(top) + 1, data, size);
}

static void walk(const char *folder, const char *top)
{
	size_t length;
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *dir = opendir(folder);

	if (!dir)
		end(folder);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		length = strlen(path);
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (entry->d_type == DT_DIR)
			walk(path, top);
		else if (length > 5 && !strcmp(path + length - 5, ".gcda"))
			archive_file(path, top);
	}
	closedir(dir);
}

int main(void)
{
	const char *top = getenv("gcov_top");

	mkdir("/debug", 0755);
	if (mount("debugfs", "/debug", "debugfs", 0, NULL))
		end("debugfs");
	if (ioperm(PORT, 1, 1))
		end("ioperm");
	walk(GCOV, top ? top : "");
	archive("TRAILER!!!", NULL, 0);
	end(NULL);
}
