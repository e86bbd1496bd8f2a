/*
 * What becomes safe, at a sync and at a crash. The safe image of a file and the safe directory are always what the disk really
 * holds; the changes since then are applied to them in the order in which they were made, all or a choice of them.
 */
#include "tests/support/disk_parts.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512

static bool coin(struct disk *disk)
{
    return random_next(&disk->random) & 1;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static uint64_t change_end(const struct change *change)
{
    return change->offset + change->bytes;
}

static void grow_to(struct image *image, uint64_t bytes)
{
    if (image->bytes < bytes)
        disk_image_resize(image, bytes);
}

static void change_apply(struct node *node, const struct change *change)
{
    if (change->kind == DISK_WRITE)
        disk_image_write(&node->safe, node->written.data + change->data, change->bytes, change->offset);
    else if (change->kind == DISK_ALLOCATE)
        grow_to(&node->safe, change->bytes);
    else
        disk_image_resize(&node->safe, change->bytes);
}

/* The size may have grown although the data did not come. */
static void change_tear(struct disk *disk, struct node *node, const struct change *change)
{
    const uint8_t *data = node->written.data + change->data;
    if (change->kind != DISK_WRITE || change->bytes == 0)
        return;
    if (coin(disk))
        grow_to(&node->safe, change_end(change));
    if (coin(disk)) {
        disk_image_write(&node->safe, data, random_below(&disk->random, change->bytes), change->offset);
        return;
    }
    for (uint64_t at = change->offset, end; at < change_end(change); at = end) {
        end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
        if (end > change_end(change))
            end = change_end(change);
        if (coin(disk))
            disk_image_write(&node->safe, data + (at - change->offset), end - at, at);
    }
}

static void apply_by_chance(struct disk *disk, struct node *node)
{
    for (size_t i = 0; i < node->change_count; i++) {
        const struct change *change = &node->changes[i];
        uint64_t fate = random_below(&disk->random, 3);
        if (fate == 0)
            change_apply(node, change);
        else if (fate == 1 && change->kind == DISK_WRITE && change->bytes > 0)
            grow_to(&node->safe, change_end(change));
    }
}

/* A choice of the changes arrived, the one that came last not wholly. What is seen of two that overlap is the later one. */
static void apply_torn(struct disk *disk, struct node *node)
{
    size_t count = node->change_count, arrived = random_below(&disk->random, count + 1);
    if (arrived == 0)
        return;
    size_t torn = random_below(&disk->random, count), left = count - 1, wanted = arrived - 1;
    for (size_t i = 0; i < count; i++) {
        if (i == torn) {
            change_tear(disk, node, &node->changes[i]);
            continue;
        }
        if (random_below(&disk->random, left--) < wanted) {
            wanted--;
            change_apply(node, &node->changes[i]);
        }
    }
}

static void forget_changes(struct node *node)
{
    node->change_count = 0;
    node->written.bytes = 0;
}

void disk_node_save(struct node *node)
{
    for (size_t i = 0; i < node->change_count; i++)
        change_apply(node, &node->changes[i]);
    forget_changes(node);
}

void disk_node_forget(struct disk *disk, struct node *node)
{
    apply_by_chance(disk, node);
    forget_changes(node);
}

static void node_crash(struct disk *disk, struct node *node, enum disk_crash how)
{
    if (how == DISK_KEEP)
        disk_node_save(node);
    else if (how == DISK_RANDOM)
        apply_by_chance(disk, node);
    else if (how == DISK_TORN)
        apply_torn(disk, node);
    forget_changes(node);
    disk_image_copy(&node->seen, &node->safe);
    node->blocks = node->seen.bytes;
}

/* ---- the directory ------------------------------------------------------------------------------------------------ */

void disk_move_apply(struct directory *directory, const struct move *move)
{
    struct entry *from = disk_entry(directory, move->from);
    if (move->kind != DISK_CREATE && from != NULL && from->node == move->node)
        disk_entry_remove(directory, from);
    if (move->kind != DISK_UNLINK)
        disk_entry_set(directory, move->to, move->node);
}

static void directory_crash(struct disk *disk, enum disk_crash how)
{
    size_t end = how == DISK_LOSE ? 0 : disk->move_count;
    bool journal = how == DISK_KEEP || coin(disk);
    if (journal && how != DISK_KEEP && how != DISK_LOSE)
        end = random_below(&disk->random, end + 1);
    for (size_t i = 0; i < end; i++)
        if (journal || coin(disk))
            disk_move_apply(&disk->safe, &disk->moves[i]);
    disk->move_count = 0;
    disk_directory_copy(&disk->seen, &disk->safe);
}

void disk_crash(struct disk *disk, enum disk_crash how)
{
    for (struct node *node = disk->nodes; node != NULL; node = node->next)
        node->handles = 0;
    disk->handle_count = 0;
    disk->locked = disk->stop_armed = false;
    disk->fail_in = 0;
    if (how != DISK_KILL) {
        for (struct node *node = disk->nodes; node != NULL; node = node->next)
            node_crash(disk, node, how);
        directory_crash(disk, how);
    }
    disk_sweep(disk);
}

/* ---- a second disk ------------------------------------------------------------------------------------------------ */

static void *copy_array(const void *array, size_t bytes)
{
    void *copy = malloc(bytes + 1);
    if (copy == NULL)
        abort();
    if (bytes > 0)
        memcpy(copy, array, bytes);
    return copy;
}

static void copy_nodes(struct disk *copy, const struct disk *disk)
{
    for (struct node *node = disk->nodes; node != NULL; node = node->next) {
        struct node *new = disk_node_new(copy, node->name);
        disk_image_copy(&new->seen, &node->seen);
        disk_image_copy(&new->safe, &node->safe);
        disk_image_copy(&new->written, &node->written);
        new->changes = copy_array(node->changes, node->change_count * sizeof *node->changes);
        new->change_count = new->change_room = node->change_count;
        new->blocks = node->blocks;
        node->copy = new;
    }
}

static void copy_directory(struct directory *copy, const struct directory *directory)
{
    disk_directory_copy(copy, directory);
    for (size_t i = 0; i < copy->count; i++)
        copy->entries[i].node = copy->entries[i].node->copy;
}

struct disk *disk_clone(const struct disk *disk, uint64_t seed)
{
    struct disk *copy = disk_new(seed);
    copy_nodes(copy, disk);
    copy_directory(&copy->seen, &disk->seen);
    copy_directory(&copy->safe, &disk->safe);
    copy->moves = copy_array(disk->moves, disk->move_count * sizeof *disk->moves);
    copy->move_count = copy->move_room = disk->move_count;
    for (size_t i = 0; i < copy->move_count; i++)
        copy->moves[i].node = copy->moves[i].node->copy;
    copy->capacity = disk->capacity;
    copy->operations = disk->operations;
    copy->fail_kinds = disk->fail_kinds;
    copy->trace_count = disk->trace_count;
    memcpy(copy->trace, disk->trace, TRACE_LINES * sizeof *copy->trace);
    disk_sweep(copy);
    return copy;
}
