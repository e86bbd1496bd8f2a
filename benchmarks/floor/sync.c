/*
 * floor-sync: what a disk gives to a program that does nothing but append and fdatasync(2), one after the other: no log that
 * confirms from the disk is faster.
 *
 *     floor-sync DIRECTORY BYTES SECONDS recycled|growing SEGMENT_BYTES
 *
 * Each round appends BYTES and syncs, in segments of SEGMENT_BYTES. "growing" makes a new empty file for each segment, so that
 * a sync writes the file's new size too; "recycled" writes again and again over one file that was written in full before.
 * Prints one line of key=value; the files are removed.
 */
#include "benchmarks/histogram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME "floor-sync.tmp"

struct options {
    const char *directory;
    size_t bytes, segment_bytes;
    double seconds;
    bool recycled;
};

static void fail(const char *what)
{
    fprintf(stderr, "floor-sync: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void write_all(int fd, const char *data, size_t bytes, size_t offset)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pwrite(fd, data + done, bytes - done, (off_t)(offset + done));
        if (n <= 0)
            fail("pwrite");
        done += (size_t)n;
    }
}

static void sync_data(int fd)
{
    if (fdatasync(fd) != 0)
        fail("fdatasync");
}

static int segment_new(const struct options *o, const char *data)
{
    int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(NAME);
    for (size_t at = 0; o->recycled && at + o->bytes <= o->segment_bytes; at += o->bytes)
        write_all(fd, data, o->bytes, at);
    sync_data(fd);
    return fd;
}

static void measure(const struct options *o)
{
    static struct histogram syncs;
    char *data = malloc(o->bytes);
    if (data == NULL)
        fail("malloc");
    memset(data, 'x', o->bytes);
    int fd = segment_new(o, data);
    uint64_t count = 0, start_ns = now_ns(), end_ns = start_ns + (uint64_t)(o->seconds * 1e9), written_ns;
    size_t at = 0;
    do {
        if (at + o->bytes > o->segment_bytes) {
            at = 0;
            if (!o->recycled) {
                close(fd);
                fd = segment_new(o, data);
            }
        }
        write_all(fd, data, o->bytes, at);
        at += o->bytes;
        written_ns = now_ns();
        sync_data(fd);
        histogram_add(&syncs, now_ns() - written_ns, 1);
        count++;
    } while (now_ns() < end_ns);
    double seconds = (double)(now_ns() - start_ns) / 1e9;
    printf("mode=%s bytes=%zu segment_bytes=%zu seconds=%.2f syncs=%" PRIu64 " syncs_per_s=%.0f bytes_per_s=%.0f "
           "sync_p50_us=%.1f sync_p99_us=%.1f\n",
           o->recycled ? "recycled" : "growing", o->bytes, o->segment_bytes, seconds, count, (double)count / seconds,
           (double)count * (double)o->bytes / seconds, (double)histogram_quantile(&syncs, 0.5) / 1e3,
           (double)histogram_quantile(&syncs, 0.99) / 1e3);
    close(fd);
    (void)unlink(NAME);
    free(data);
}

int main(int argc, char **argv)
{
    struct options o = {0};
    if (argc == 6) {
        o.directory = argv[1];
        o.bytes = strtoull(argv[2], NULL, 10);
        o.seconds = strtod(argv[3], NULL);
        o.recycled = strcmp(argv[4], "recycled") == 0;
        o.segment_bytes = strtoull(argv[5], NULL, 10);
    }
    if (o.bytes == 0 || o.bytes > o.segment_bytes || o.seconds <= 0 ||
        (!o.recycled && strcmp(argv[4], "growing") != 0)) {
        fprintf(stderr, "usage: floor-sync DIRECTORY BYTES SECONDS recycled|growing SEGMENT_BYTES\n");
        return 2;
    }
    if (chdir(o.directory) != 0)
        fail(o.directory);
    measure(&o);
    return 0;
}
