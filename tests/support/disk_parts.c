/*
 * The disk in memory: its images, its directories, its switches, and looking at it from outside. No memory is the end of the test.
 */
#include "tests/support/disk_parts.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void *allocated(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void *disk_grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room == 0 ? 16 : *room * 2;
    return allocated(realloc(array, *room * size));
}

/* ---- images ------------------------------------------------------------------------------------------------------- */

/* Images that are copied share their memory until one of them changes. */
struct shared {
    uint64_t users;
    uint8_t data[];
};

static struct shared *shared_of(const struct image *image)
{
    return (struct shared *)(void *)(image->data - offsetof(struct shared, data));
}

void disk_image_free(struct image *image)
{
    if (image->data != NULL && --shared_of(image)->users == 0)
        free(shared_of(image));
    *image = (struct image){0};
}

void disk_image_copy(struct image *to, const struct image *from)
{
    if (from->data != NULL)
        shared_of(from)->users++;
    disk_image_free(to);
    *to = *from;
}

/* Memory of its own, for at least so many bytes. */
static void image_own(struct image *image, uint64_t bytes)
{
    if (bytes <= image->room && (image->data == NULL || shared_of(image)->users == 1))
        return;
    uint64_t room = bytes <= image->room ? image->room : bytes > image->room * 2 ? bytes : image->room * 2;
    struct shared *memory = allocated(malloc(sizeof *memory + room));
    struct image own = {.data = memory->data, .bytes = image->bytes, .room = room};
    memory->users = 1;
    if (image->bytes > 0)
        memcpy(own.data, image->data, image->bytes);
    disk_image_free(image);
    *image = own;
}

void disk_image_resize(struct image *image, uint64_t bytes)
{
    image_own(image, bytes);
    if (bytes > image->bytes)
        memset(image->data + image->bytes, 0, bytes - image->bytes);
    image->bytes = bytes;
}

void disk_image_write(struct image *image, const void *data, uint64_t bytes, uint64_t offset)
{
    if (bytes == 0)
        return;
    if (offset > image->bytes)
        disk_image_resize(image, offset);
    image_own(image, offset + bytes);
    memcpy(image->data + offset, data, bytes);
    if (image->bytes < offset + bytes)
        image->bytes = offset + bytes;
}

/* ---- directories -------------------------------------------------------------------------------------------------- */

struct entry *disk_entry(const struct directory *directory, const char *name)
{
    for (size_t i = 0; i < directory->count; i++)
        if (strcmp(directory->entries[i].name, name) == 0)
            return &directory->entries[i];
    return NULL;
}

void disk_entry_set(struct directory *directory, const char *name, struct node *node)
{
    struct entry *entry = disk_entry(directory, name);
    if (entry == NULL) {
        assert(name[0] != '\0' && strlen(name) < FILES_NAME_BYTES);
        directory->entries = disk_grow(directory->entries, directory->count, &directory->room,
                                       sizeof *directory->entries);
        entry = &directory->entries[directory->count++];
        strcpy(entry->name, name);
    }
    entry->node = node;
}

void disk_entry_remove(struct directory *directory, struct entry *entry)
{
    *entry = directory->entries[--directory->count];
}

void disk_directory_copy(struct directory *to, const struct directory *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        to->entries = disk_grow(to->entries, to->count, &to->room, sizeof *to->entries);
        to->entries[to->count++] = from->entries[i];
    }
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

struct node *disk_node_new(struct disk *disk, const char *name)
{
    struct node *node = allocated(calloc(1, sizeof *node));
    assert(strlen(name) < FILES_NAME_BYTES);
    strcpy(node->name, name);
    node->next = disk->nodes;
    disk->nodes = node;
    return node;
}

static void node_free(struct node *node)
{
    disk_image_free(&node->seen);
    disk_image_free(&node->safe);
    disk_image_free(&node->written);
    free(node->changes);
    free(node);
}

void disk_sweep(struct disk *disk)
{
    for (struct node *node = disk->nodes; node != NULL; node = node->next) {
        node->linked = false;
        node->kept = node->handles > 0;
    }
    for (size_t i = 0; i < disk->seen.count; i++)
        disk->seen.entries[i].node->linked = disk->seen.entries[i].node->kept = true;
    for (size_t i = 0; i < disk->safe.count; i++)
        disk->safe.entries[i].node->kept = true;
    for (size_t i = 0; i < disk->move_count; i++)
        disk->moves[i].node->kept = true;
    disk->used = 0;
    for (struct node **at = &disk->nodes, *node; (node = *at) != NULL;) {
        if (!node->kept) {
            *at = node->next;
            node_free(node);
            continue;
        }
        disk->used += node->linked || node->handles > 0 ? node->blocks : 0;
        at = &node->next;
    }
}

/* ---- the disk ----------------------------------------------------------------------------------------------------- */

struct disk *disk_new(uint64_t seed)
{
    struct disk *disk = allocated(calloc(1, sizeof *disk));
    disk->trace = allocated(calloc(TRACE_LINES, sizeof *disk->trace));
    disk->random = (struct random){seed};
    disk->capacity = UINT64_MAX;
    disk->fail_kinds = DISK_COUNTED;
    return disk;
}

void disk_free(struct disk *disk)
{
    for (struct node *node = disk->nodes, *next; node != NULL; node = next) {
        next = node->next;
        node_free(node);
    }
    free(disk->seen.entries);
    free(disk->safe.entries);
    free(disk->moves);
    free(disk->handles);
    free(disk->trace);
    free(disk->trace_text);
    free(disk);
}

uint64_t disk_operations(const struct disk *disk)
{
    return disk->operations;
}

void disk_fail_at(struct disk *disk, uint64_t n, int error, bool forever)
{
    disk->fail_in = n;
    disk->fail_error = error;
    disk->fail_forever = forever;
    disk->failed = false;
}

void disk_fail_kinds(struct disk *disk, unsigned kinds)
{
    disk->fail_kinds = kinds;
}

bool disk_failed(const struct disk *disk)
{
    return disk->failed;
}

void disk_stop_at(struct disk *disk, uint64_t n)
{
    disk->stop_armed = true;
    disk->stop_in = n;
}

bool disk_stopped(const struct disk *disk)
{
    return disk->stop_armed && disk->stop_in == 0;
}

void disk_set_capacity(struct disk *disk, uint64_t bytes)
{
    disk->capacity = bytes;
}

uint64_t disk_used(const struct disk *disk)
{
    return disk->used;
}

/* ---- looking and meddling ----------------------------------------------------------------------------------------- */

unsigned disk_open_handles(const struct disk *disk)
{
    unsigned count = 0;
    for (const struct node *node = disk->nodes; node != NULL; node = node->next)
        count += node->handles;
    return count;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t disk_list(const struct disk *disk, char (*names)[FILES_NAME_BYTES], size_t max)
{
    size_t count = disk->seen.count;
    char(*all)[FILES_NAME_BYTES] = allocated(calloc(count + 1, sizeof *all));
    for (size_t i = 0; i < count; i++)
        strcpy(all[i], disk->seen.entries[i].name);
    qsort(all, count, sizeof *all, compare_names);
    if (max > 0)
        memcpy(names, all, (count < max ? count : max) * sizeof *all);
    free(all);
    return count;
}

const uint8_t *disk_file_bytes(const struct disk *disk, const char *name, size_t *bytes)
{
    static const uint8_t nothing[1];
    const struct entry *entry = disk_entry(&disk->seen, name);
    *bytes = entry == NULL ? 0 : (size_t)entry->node->seen.bytes;
    if (entry == NULL)
        return NULL;
    return *bytes == 0 ? nothing : entry->node->seen.data;
}

void disk_put_file(struct disk *disk, const char *name, const void *data, size_t bytes)
{
    const struct entry *entry = disk_entry(&disk->seen, name);
    struct node *node = entry != NULL ? entry->node : disk_node_new(disk, name);
    disk_entry_set(&disk->seen, name, node);
    disk_entry_set(&disk->safe, name, node);
    struct image image = {0};
    node->change_count = 0;
    node->written.bytes = 0;
    disk_image_write(&image, data, bytes, 0);
    disk_image_copy(&node->safe, &image);
    disk_image_copy(&node->seen, &image);
    disk_image_free(&image);
    node->blocks = bytes;
    disk_sweep(disk);
}

void disk_flip_bit(struct disk *disk, const char *name, uint64_t bit)
{
    const struct entry *entry = disk_entry(&disk->seen, name);
    assert(entry != NULL && bit / 8 < entry->node->seen.bytes);
    struct node *node = entry->node;
    disk_node_save(node);
    uint8_t byte = (uint8_t)(node->seen.data[bit / 8] ^ (1 << bit % 8));
    disk_image_write(&node->seen, &byte, 1, bit / 8);
    disk_image_copy(&node->safe, &node->seen);
}
