/*
 * The disk in memory as its users see it: the table of operations, failures, and the trace.
 */
#include "tests/support/disk_parts.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- operations: counting, failing, stopping, the trace ------------------------------------------------------------ */

/* Whether an operation takes place: 0, or -errno. One that only fails may still do a part; a stopped disk does nothing. */
static int begin(struct disk *disk, enum disk_kind kind)
{
    if (disk_stopped(disk))
        return -EIO;
    if (kind & DISK_COUNTED) {
        disk->operations++;
        disk->stop_in -= disk->stop_armed;
    }
    if (!(kind & disk->fail_kinds) || disk->fail_in == 0)
        return 0;
    if (disk->fail_in > 1) {
        disk->fail_in--;
        return 0;
    }
    disk->fail_in = disk->fail_forever;
    disk->failed = true;
    return -disk->fail_error;
}

/* The last operation that the disk is to do still is to be done in full: `stopped` is looked at before it. */
struct call {
    struct disk *disk;
    enum disk_kind kind;
    bool stopped;
    int error;
};

static struct call call_begin(void *user, enum disk_kind kind)
{
    struct disk *disk = user;
    bool stopped = disk_stopped(disk);
    return (struct call){.disk = disk, .kind = kind, .stopped = stopped, .error = begin(disk, kind)};
}

/* Notes the operation; its result. */
static int64_t note(const struct call *call, const char *name, const char *to, uint64_t bytes, uint64_t offset,
                    int64_t result)
{
    struct trace *t = &call->disk->trace[call->disk->trace_count++ % TRACE_LINES];
    t->kind = call->kind;
    t->bytes = bytes;
    t->offset = offset;
    t->result = result;
    strcpy(t->name, name);
    strcpy(t->to, to);
    return result;
}

static const char *kind_name(enum disk_kind kind)
{
    static const char *const names[] = {"open",     "create", "close",          "write",  "allocate",
                                        "truncate", "sync",   "sync_directory", "rename", "unlink",
                                        "read",     "list",   "size",           "lock",   "want"};
    return names[__builtin_ctz(kind)];
}

const char *disk_trace(struct disk *disk)
{
    size_t bytes = 0;
    uint64_t first = disk->trace_count > TRACE_LINES ? disk->trace_count - TRACE_LINES : 0;
    free(disk->trace_text);
    disk->trace_text = NULL;
    FILE *out = open_memstream(&disk->trace_text, &bytes);
    if (out == NULL)
        abort();
    for (uint64_t i = first; i < disk->trace_count; i++) {
        const struct trace *t = &disk->trace[i % TRACE_LINES];
        fprintf(out, "%s", kind_name(t->kind));
        if (t->name[0] != '\0')
            fprintf(out, " %s%s%s", t->name, t->to[0] != '\0' ? " " : "", t->to);
        if (t->kind & (DISK_READ | DISK_WRITE))
            fprintf(out, " %" PRIu64 "+%" PRIu64, t->offset, t->bytes);
        else if (t->kind & (DISK_ALLOCATE | DISK_TRUNCATE | DISK_WANT))
            fprintf(out, " %" PRIu64, t->bytes);
        fprintf(out, " = %" PRId64 "\n", t->result);
    }
    fclose(out);
    return disk->trace_text;
}

/* ---- room --------------------------------------------------------------------------------------------------------- */

/* Blocks up to `end`, as far as there are any: returns how far. Blocks that the file has already need no room. */
static uint64_t take_blocks(struct disk *disk, struct node *node, uint64_t end)
{
    if (end <= node->blocks)
        return end;
    uint64_t room = disk->used < disk->capacity ? disk->capacity - disk->used : 0;
    uint64_t more = end - node->blocks < room ? end - node->blocks : room;
    node->blocks += more;
    disk->used += more;
    return node->blocks;
}

static void give_blocks(struct disk *disk, struct node *node, uint64_t end)
{
    if (end < node->blocks) {
        disk->used -= node->blocks - end;
        node->blocks = end;
    }
}

static void release_if_gone(struct disk *disk, struct node *node)
{
    if (!node->linked && node->handles == 0)
        disk->used -= node->blocks;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static int handle_new(struct disk *disk, struct node *node, bool writable)
{
    disk->handles = disk_grow(disk->handles, disk->handle_count, &disk->handle_room, sizeof *disk->handles);
    disk->handles[disk->handle_count] = (struct handle){.node = node, .writable = writable};
    node->handles++;
    return (int)disk->handle_count++;
}

static struct handle *handle_of(struct disk *disk, int handle)
{
    assert(handle >= 0 && (size_t)handle < disk->handle_count && disk->handles[handle].node != NULL);
    return &disk->handles[handle];
}

/* The file of a handle that may write. */
static struct node *written_node(struct disk *disk, int handle)
{
    struct handle *h = handle_of(disk, handle);
    assert(h->writable);
    return h->node;
}

static int table_open(void *user, const char *name, int writable)
{
    struct call call = call_begin(user, DISK_OPEN);
    struct entry *entry = disk_entry(&call.disk->seen, name);
    int result = call.error;
    if (result == 0)
        result = entry == NULL ? -ENOENT : handle_new(call.disk, entry->node, writable);
    return (int)note(&call, name, "", 0, 0, result);
}

static void change_directory(struct disk *disk, enum disk_kind kind, const char *from, const char *to,
                             struct node *node)
{
    disk->moves = disk_grow(disk->moves, disk->move_count, &disk->move_room, sizeof *disk->moves);
    struct move *move = &disk->moves[disk->move_count++];
    struct entry *replaced = kind == DISK_RENAME ? disk_entry(&disk->seen, to) : NULL;
    struct node *gone = kind == DISK_UNLINK ? node : replaced != NULL && replaced->node != node ? replaced->node : NULL;
    *move = (struct move){.kind = kind, .node = node};
    strcpy(move->from, from);
    strcpy(move->to, to);
    disk_move_apply(&disk->seen, move);
    node->linked = kind != DISK_UNLINK;
    if (kind != DISK_UNLINK)
        strcpy(node->name, to);
    if (gone != NULL) {
        gone->linked = false;
        release_if_gone(disk, gone);
    }
}

static int table_create(void *user, const char *name)
{
    struct call call = call_begin(user, DISK_CREATE);
    int result = call.error;
    if (result == 0 && disk_entry(&call.disk->seen, name) != NULL)
        result = -EEXIST;
    if (result == 0) {
        struct node *node = disk_node_new(call.disk, name);
        change_directory(call.disk, DISK_CREATE, "", name, node);
        result = handle_new(call.disk, node, true);
    }
    return (int)note(&call, name, "", 0, 0, result);
}

static int table_close(void *user, int handle)
{
    struct call call = call_begin(user, DISK_CLOSE);
    struct handle *h = handle_of(call.disk, handle);
    struct node *node = h->node;
    if (!call.stopped) {
        h->node = NULL;
        node->handles--;
        release_if_gone(call.disk, node);
    }
    return (int)note(&call, node->name, "", 0, 0, call.error);
}

static int64_t table_size(void *user, int handle)
{
    struct call call = call_begin(user, DISK_SIZE);
    const struct node *node = handle_of(call.disk, handle)->node;
    return note(&call, node->name, "", 0, 0, call.error != 0 ? call.error : (int64_t)node->seen.bytes);
}

static int64_t table_read(void *user, int handle, void *data, size_t bytes, uint64_t offset)
{
    struct call call = call_begin(user, DISK_READ);
    const struct node *node = handle_of(call.disk, handle)->node;
    uint64_t there = offset < node->seen.bytes ? node->seen.bytes - offset : 0;
    size_t count = bytes < there ? bytes : (size_t)there;
    if (call.error != 0)
        return note(&call, node->name, "", bytes, offset, call.error);
    if (count > 0)
        memcpy(data, node->seen.data + offset, count);
    return note(&call, node->name, "", bytes, offset, (int64_t)count);
}

static struct change *add_change(struct node *node, enum disk_kind kind, uint64_t bytes, uint64_t offset)
{
    node->changes = disk_grow(node->changes, node->change_count, &node->change_room, sizeof *node->changes);
    struct change *change = &node->changes[node->change_count++];
    *change = (struct change){.kind = kind, .bytes = bytes, .offset = offset, .data = node->written.bytes};
    return change;
}

static int table_write(void *user, int handle, const void *data, size_t bytes, uint64_t offset)
{
    struct call call = call_begin(user, DISK_WRITE);
    struct node *node = written_node(call.disk, handle);
    uint64_t count = call.stopped ? 0 : bytes;
    if (call.error != 0 && count > 0)
        count = random_below(&call.disk->random, count);
    uint64_t end = count == 0 ? offset : take_blocks(call.disk, node, offset + count);
    uint64_t done = end > offset ? end - offset : 0;
    if (done > 0) {
        add_change(node, DISK_WRITE, done, offset);
        disk_image_write(&node->written, data, done, node->written.bytes);
        disk_image_write(&node->seen, data, done, offset);
    }
    return (int)note(&call, node->name, "", bytes, offset, call.error != 0 ? call.error : done < bytes ? -ENOSPC : 0);
}

static int table_allocate(void *user, int handle, uint64_t bytes)
{
    struct call call = call_begin(user, DISK_ALLOCATE);
    struct node *node = written_node(call.disk, handle);
    uint64_t count = call.stopped ? 0 : bytes;
    if (call.error != 0 && count > 0)
        count = random_below(&call.disk->random, count);
    uint64_t done = take_blocks(call.disk, node, count);
    if (done > node->seen.bytes) {
        disk_image_resize(&node->seen, done);
        add_change(node, DISK_ALLOCATE, done, 0);
    }
    return (int)note(&call, node->name, "", bytes, 0, call.error != 0 ? call.error : done < bytes ? -ENOSPC : 0);
}

static int table_truncate(void *user, int handle, uint64_t bytes)
{
    struct call call = call_begin(user, DISK_TRUNCATE);
    struct node *node = written_node(call.disk, handle);
    if (call.error == 0) {
        disk_image_resize(&node->seen, bytes);
        give_blocks(call.disk, node, bytes);
        add_change(node, DISK_TRUNCATE, bytes, 0);
    }
    return (int)note(&call, node->name, "", bytes, 0, call.error);
}

static int table_sync(void *user, int handle)
{
    struct call call = call_begin(user, DISK_SYNC);
    struct node *node = handle_of(call.disk, handle)->node;
    if (call.error == 0)
        disk_node_save(node);
    else if (!call.stopped)
        disk_node_forget(call.disk, node);
    return (int)note(&call, node->name, "", 0, 0, call.error);
}

/* ---- the directory ------------------------------------------------------------------------------------------------ */

static int table_list(void *user, int (*name_cb)(void *arg, const char *name), void *arg)
{
    struct call call = call_begin(user, DISK_LIST);
    int result = (int)note(&call, "", "", 0, 0, call.error);
    struct directory names = {0};
    disk_directory_copy(&names, &call.disk->seen);
    size_t first = names.count > 0 ? random_below(&call.disk->random, names.count) : 0;
    for (size_t i = 0; result == 0 && i < names.count; i++)
        result = name_cb(arg, names.entries[(first + i) % names.count].name);
    free(names.entries);
    return result;
}

static int table_sync_directory(void *user)
{
    struct call call = call_begin(user, DISK_SYNC_DIRECTORY);
    if (call.error == 0) {
        disk_directory_copy(&call.disk->safe, &call.disk->seen);
        call.disk->move_count = 0;
        disk_sweep(call.disk);
    }
    return (int)note(&call, "", "", 0, 0, call.error);
}

static int table_rename(void *user, const char *from, const char *to)
{
    struct call call = call_begin(user, DISK_RENAME);
    struct entry *entry = disk_entry(&call.disk->seen, from);
    int result = call.error != 0 ? call.error : entry == NULL ? -ENOENT : 0;
    if (result == 0 && strcmp(from, to) != 0)
        change_directory(call.disk, DISK_RENAME, from, to, entry->node);
    return (int)note(&call, from, to, 0, 0, result);
}

static int table_unlink(void *user, const char *name)
{
    struct call call = call_begin(user, DISK_UNLINK);
    struct entry *entry = disk_entry(&call.disk->seen, name);
    int result = call.error != 0 ? call.error : entry == NULL ? -ENOENT : 0;
    if (result == 0)
        change_directory(call.disk, DISK_UNLINK, name, "", entry->node);
    return (int)note(&call, name, "", 0, 0, result);
}

static int table_want(void *user, int handle, uint64_t bytes)
{
    struct call call = call_begin(user, DISK_WANT);
    const struct node *node = handle_of(call.disk, handle)->node;
    return (int)note(&call, node->name, "", bytes, 0, call.error);
}

static int table_lock(void *user)
{
    struct call call = call_begin(user, DISK_LOCK);
    int result = call.error != 0 ? call.error : call.disk->locked ? -EWOULDBLOCK : 0;
    if (result == 0) {
        call.disk->locked = true;
        if (disk_entry(&call.disk->seen, "lock") == NULL)
            change_directory(call.disk, DISK_CREATE, "", "lock", disk_node_new(call.disk, "lock"));
    }
    return (int)note(&call, "", "", 0, 0, result);
}

const struct files *disk_files(struct disk *disk)
{
    static const struct files table = {
        .list = table_list,
        .open = table_open,
        .create = table_create,
        .close = table_close,
        .size = table_size,
        .read = table_read,
        .write = table_write,
        .allocate = table_allocate,
        .truncate = table_truncate,
        .sync = table_sync,
        .sync_directory = table_sync_directory,
        .rename = table_rename,
        .unlink = table_unlink,
        .want = table_want,
        .lock = table_lock,
    };
    disk->files = table;
    disk->files.user = disk;
    return &disk->files;
}
